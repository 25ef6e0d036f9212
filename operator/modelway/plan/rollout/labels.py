"""The check `feedback`: from labels that servers have counted to evidence. Pure; called by `evidence`.

A label counts by when its prediction was made, never by when it came. Compared are whole windows of predictions in
which all routers had one and the same weights: both revisions then answered the same requests by chance, and at any
moment labels have had as long to come for the one as for the other. What came for a window since its last tick is a
tick of its own, once both revisions have told something, so windows with other weights or another world never mix.

Servers count labels of any revision, whoever is sent them, and cumulatively: what is new of a process is the difference
to its mark. One without a mark is counted from 0, for nothing of it is evidence yet; so marks outlive their pods.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil, floor, isclose
from typing import Final

from modelway.api.rollout import Check, Feedback
from modelway.api.units import seconds
from modelway.plan.measured import LabelReading, Measured
from modelway.plan.revisions import Revision
from modelway.plan.rollout.ledger import Counts, Ledger, Mark, Pending
from modelway.stats import Counts as Counted
from modelway.stats import Tick
from modelway.stats.quality_counts import HORIZON, Labelled, oldest_within
from modelway.stats.quality_figures import figures

TICK_SECONDS: Final = 30.0
"""Shortest time between two ticks of a window."""
_SKEW_SECONDS: Final = 5.0
"""By which the clocks of two machines may differ: so far a window lies within the time that is certain."""
MOST_MARKS: Final = 6000
"""Windows of checks that are remembered, of all pods together: about 300 kB of the ConfigMap."""
_NOTHING: Final[Counts] = (0, 0, 0, 0)
"""Of the candidate and of the stable revision, each: labelled rows, and those that were wrong."""


@dataclass(frozen=True, slots=True)
class Windows:
    """In windows of which length the labels of a pair of revisions are counted.

    Attributes:
        candidate, stable: seconds; None where its answers have no ids, so that no label can come.
    """

    candidate: float | None
    stable: float | None

    @property
    def seconds(self) -> float | None:
        """Of a window; None where both cannot be compared."""
        return self.candidate if self.candidate == self.stable else None


def windows_of(candidate: Revision, stable: Revision) -> Windows:
    """What the two revisions say of it. Their pods go by it, whatever stands in the spec by now."""
    found = (revision.spec.get("feedback", {}).get("window") for revision in (candidate, stable))
    return Windows(*(seconds(one) if one is not None else None for one in found))


def counts_labels(ledger: Ledger) -> bool:
    """Whether any check needs labels."""
    return any(check.feedback is not None for check in ledger.rollout.checks)


def with_labels(ledger: Ledger, measured: Measured, windows: Windows, *, now: datetime) -> Ledger:
    """The ledger with the labels that are new; nothing of them is in a tick so far."""
    width = windows.seconds
    if width is None:  # nobody is asked, so nobody is silent
        return replace(ledger, labelled_at=now) if ledger.certain_at is not None else ledger
    ledger = _with_compared(ledger, width, now)
    usable = [one for one in measured.labels if complaint_of(one, width) is None]
    if ledger.certain_at is not None and usable and len(usable) == len(measured.labels):
        ledger = replace(ledger, labelled_at=min(one.taken_at for one in usable))
    compared = {window for first, last in ledger.compared for window in range(first, last + 1)}
    for reading in usable:
        ledger = _counted(ledger, reading, _found(ledger, reading, compared, width, now), now)
    return _bounded(ledger)


def begins_at(ledger: Ledger, windows: Windows, now: datetime) -> float:
    """Unix time; labels of predictions that were made before need not be asked for."""
    if ledger.compared and windows.seconds is not None:
        return ledger.compared[0][0] * windows.seconds
    return (ledger.certain_at or now).timestamp()


def complaint_of(reading: LabelReading, width: float) -> str | None:
    """Why nothing is concluded from a reading; None when it is as it should be."""
    if reading.failure:
        return reading.failure
    if isclose(reading.window, width):
        return None
    return f"pod {reading.pod.name} counts labels by windows of {reading.window:g} s, not of {width:g} s"


def troubles_of(measured: Measured, windows: Windows) -> tuple[str, ...]:
    """Why the labels of some pod are not known, each reason once."""
    if (width := windows.seconds) is None:
        return ()
    found = (complaint_of(one, width) for one in measured.labels)
    return tuple(dict.fromkeys(one for one in found if one is not None))


def due_ticks(ledger: Ledger, *, now: datetime) -> Iterable[tuple[Check, str, Tick]]:
    """The ticks that are complete now, the earliest window first; each is to be taken out by its name."""
    for check in ledger.rollout.checks if ledger.pending else ():
        names = (name for name in ledger.pending if check.feedback is not None and name.startswith(f"{check.name} "))
        for name in sorted(names, key=_window_in):
            pending = ledger.pending[name]
            if (now - pending.since).total_seconds() >= TICK_SECONDS and pending.candidate[0] and pending.stable[0]:
                yield check, name, Tick(Counted(*pending.candidate), Counted(*pending.stable))


def missing_told(ledger: Ledger, windows: Windows) -> str:
    """Why there is nothing to compare yet, for people."""
    if windows.seconds is None:
        return _cannot_come(ledger, windows)
    if not ledger.compared:
        return (
            f"labels are compared of whole windows of {windows.seconds:g} s in which all routers had this weight, and"
            " none is over yet"
        )
    told = [0, 0]
    for mark in ledger.labellers.values():
        for counts in mark.counts.values():
            told = [told[0] + counts[0], told[1] + counts[2]]
    lacking = [name for name, rows in zip((ledger.candidate, ledger.stable), told, strict=True) if not rows]
    of = " and ".join(lacking) if lacking else "both revisions for the same window"
    return f"no labels yet of predictions of {of}: post them to /v1/models/<name>/feedback"


def bad_in(labelled: Labelled, feedback: Feedback) -> tuple[int, int]:
    """Labelled rows that the metric is of, and how many of them were wrong."""
    numbers = figures(labelled, feedback.metric, feedback.label or "")
    if feedback.metric == "accuracy":
        right, rows = numbers
        return rows, rows - right
    _, by_mistake, missed, hit = numbers  # of the others; predicted, but another; of the class, but not seen; seen
    wrong = missed if feedback.metric == "recall" else by_mistake
    return wrong + hit, wrong


def _cannot_come(ledger: Ledger, windows: Windows) -> str:
    decide = f"set modelway.dev/promote or modelway.dev/abort: {ledger.candidate}"
    for name, width in ((ledger.stable, windows.stable), (ledger.candidate, windows.candidate)):
        if width is None:
            return f"revision {name} was made without monitoring.quality: its answers have no ids; {decide}"
    told = f"{windows.stable:g} s, and of {windows.candidate:g} s"
    return f"the revisions count labels by windows of {told}, which cannot be compared; {decide}"


def _with_compared(ledger: Ledger, width: float, now: datetime) -> Ledger:
    """With the windows that have come to their end while all routers had the weights of this era."""
    ledger = _without_windows(ledger, before=floor(now.timestamp() / width) - HORIZON)
    if ledger.certain_at is None or not 0 < ledger.weight < 100:
        return ledger
    first = max(ceil((ledger.certain_at.timestamp() + _SKEW_SECONDS) / width), ledger.labels_from)
    last = floor((now.timestamp() - _SKEW_SECONDS) / width) - 1
    if last < first or (first, last) in ledger.compared:
        return ledger
    return replace(ledger, compared=(*(one for one in ledger.compared if one[1] < first), (first, last)))


def _bounded(ledger: Ledger) -> Ledger:
    """With marks that a ConfigMap has room for: the labels of the earliest windows count no more where it has not."""
    while sum(len(mark.counts) for mark in ledger.labellers.values()) > MOST_MARKS:
        earliest = min(_window_in(name) for mark in ledger.labellers.values() for name in mark.counts)
        ledger = _without_windows(ledger, before=earliest + 1)
    return ledger


def _without_windows(ledger: Ledger, *, before: int) -> Ledger:
    """Windows before that one never count again: their marks are gone."""
    if before <= ledger.labels_from:
        return ledger

    def is_left(name: str) -> bool:
        return " " not in name or _window_in(name) >= before

    return replace(
        ledger,
        labels_from=before,
        compared=tuple((max(first, before), last) for first, last in ledger.compared if last >= before),
        pending={name: one for name, one in ledger.pending.items() if is_left(name)},
        labellers={
            epoch: replace(mark, counts=counts)
            for epoch, mark in ledger.labellers.items()
            if (counts := {name: one for name, one in mark.counts.items() if is_left(name)})
        },
    )


def _found(ledger: Ledger, reading: LabelReading, compared: set[int], width: float, now: datetime) -> dict[str, Counts]:
    """What the pod has counted in windows that are compared, by check and window."""
    sums: Counter[tuple[str, int]] = Counter()
    for place, labelled in reading.labelled.items():
        if place.window not in compared or place.revision not in {ledger.candidate, ledger.stable}:
            continue
        at = 0 if place.revision == ledger.candidate else 2
        for check in ledger.rollout.checks:
            if check.feedback is not None and _is_ripe(check.feedback, place.window, place.age, width, now):
                name = f"{check.name} {place.window}"
                rows, bad = bad_in(labelled, check.feedback)
                sums[name, at] += rows
                sums[name, at + 1] += bad
    return {
        name: (sums[name, 0], sums[name, 1], sums[name, 2], sums[name, 3]) for name in dict.fromkeys(n for n, _ in sums)
    }


def _is_ripe(feedback: Feedback, window: int, age: int, width: float, now: datetime) -> bool:
    """Whether labels of this age count for a window: with a delay only those within it, and once it is over."""
    if feedback.label_delay is None:
        return True
    delay = seconds(feedback.label_delay)
    return age <= oldest_within(delay, width) and (window + 1) * width + delay <= now.timestamp()


def _counted(ledger: Ledger, reading: LabelReading, found: Mapping[str, Counts], now: datetime) -> Ledger:
    """With what is new of one process, which waits for its tick."""
    mark = ledger.labellers.get(reading.epoch)
    if not found or (mark is not None and reading.taken_at <= mark.taken_at):
        return ledger
    counts, pending = dict(mark.counts) if mark is not None else {}, dict(ledger.pending)
    for name, told in found.items():
        old = counts.get(name, _NOTHING)
        added = (*_added(old[:2], told[:2]), *_added(old[2:], told[2:]))
        if any(added):
            counts[name] = tuple(map(sum, zip(old, added, strict=True)))
            pending[name] = _waiting(pending.get(name), added, now)
    if pending == ledger.pending:
        return ledger  # to be written for nothing else
    labellers = {**ledger.labellers, reading.epoch: Mark(reading.epoch, None, reading.taken_at, counts)}
    return replace(ledger, labellers=labellers, pending=pending)


def _added(before: Counts, now: Counts) -> Counts:
    """Rows and wrong ones since. A worker may be told of by another that has heard of it a second ago: that is less,
    and no news.
    """
    rows = max(0, now[0] - before[0])
    return rows, min(rows, max(0, now[1] - before[1]))


def _waiting(before: Pending | None, added: Counts, now: datetime) -> Pending:
    since, candidate, stable = before or (now, (0, 0), (0, 0))
    return Pending(
        since,
        (candidate[0] + added[0], candidate[1] + added[1]),
        (stable[0] + added[2], stable[1] + added[3]),
    )


def _window_in(name: str) -> int:
    """The window in the name of what waits for a tick, or was counted of a pod."""
    return int(name.rpartition(" ")[2])
