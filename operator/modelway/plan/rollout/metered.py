"""The check `prometheus`: from counters that Prometheus has scraped to evidence. Pure; called by `evidence`.

What is counted are differences of raw counters, series by series, between two scrapes of one process. A scrape may be
a minute old when it is read, so it is its own time that decides whether all routers had the weights of this era then,
not the time of the look. The arms are scraped at different moments: a tick is laid only once both have told something,
and holds some half a minute, since a tick with one arm alone compares nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from modelway.api.rollout import Check
from modelway.plan.measured import Measured, MetricsReading, MetricsTarget
from modelway.plan.rollout.counting import Reading, Window, count
from modelway.plan.rollout.ledger import Ledger, Mark, Pending
from modelway.stats import Counts, Tick

TICK_SECONDS: Final = 30.0
"""Shortest time between two ticks of a check."""
_FORGOTTEN_SECONDS: Final = 1800.0
"""A process that has not been scraped for so long begins anew."""
_GOOD, _TOTAL = "good ", "total "


def asks(ledger: Ledger) -> bool:
    """Whether any check needs Prometheus."""
    return any(check.prometheus is not None for check in ledger.rollout.checks)


def with_metrics(ledger: Ledger, measured: Measured, *, now: datetime) -> Ledger:
    """The ledger with what the scrapes tell that it has not counted yet; nothing of it is in a tick so far."""
    usable = [one for one in measured.metrics if complaint_of(ledger, one) is None]
    wanted = {(check.name, arm) for check in ledger.rollout.checks if check.prometheus for arm in _arms(ledger)}
    answered = {(one.question.check, one.question.revision): one.taken_at for one in usable}
    if wanted <= answered.keys():
        ledger = replace(ledger, asked_at=min(answered[one] for one in wanted))
    if ledger.certain_at is None:  # what lies between the last scrape and the next one spans a doubtful time
        return replace(ledger, metrics=count(ledger.metrics, (), era=None)[0])
    for check in ledger.rollout.checks:
        if check.prometheus is not None:
            ledger = _counted(ledger, check.name, [one for one in usable if one.question.check == check.name], now)
    return ledger


def complaint_of(ledger: Ledger, reading: MetricsReading) -> str | None:
    """Why nothing is concluded from a reading; None when it is as it should be.

    Where all that the stable revision does is bad, the selector of what is good is taken to be wrong: both revisions
    would seem to be equally bad by it, and the candidate Safe.
    """
    if reading.failure or reading.question.revision != ledger.stable:
        return reading.failure or None
    total, good = (
        sum(sum(counted.values()) for counted in kind)
        for kind in ([one.total for one in reading.targets], [one.good for one in reading.targets])
    )
    if total and not good:
        return f"check {reading.question.check}: total counts {total:,} of the stable revision, and none is good"
    return None


def troubles_of(ledger: Ledger, measured: Measured) -> tuple[str, ...]:
    """Why the metrics of some check cannot be used, each reason once."""
    found = (complaint_of(ledger, one) for one in measured.metrics)
    return tuple(dict.fromkeys(one for one in found if one is not None))


def unseen_of(measured: Measured) -> tuple[str, ...]:
    """Selectors for which Prometheus has nothing at all."""
    found = (one.question.total for one in measured.metrics if not one.failure and not one.targets)
    return tuple(sorted(set(found)))


def _counted(ledger: Ledger, check: str, readings: Iterable[MetricsReading], now: datetime) -> Ledger:
    """With what is new of one check, which waits for its tick."""
    counted = dict.fromkeys(_arms(ledger), (0, 0))
    for one in readings:
        if (arm := one.question.revision) in counted:
            found = _readings(ledger, f"{check} {arm} ", one.targets)
            marks, window = count(ledger.metrics, found, era=ledger.era)
            ledger = replace(ledger, metrics=_remembered(marks, now))
            counted[arm] = _counts(window)
    return _with_pending(ledger, check, counted, now)


def due_ticks(ledger: Ledger, *, now: datetime) -> Iterable[tuple[Check, Tick]]:
    """The ticks that are complete now; each is to be taken out by `without_tick`."""
    for check in ledger.rollout.checks:
        pending = ledger.pending.get(check.name)
        if pending is None or (now - pending.since).total_seconds() < TICK_SECONDS:
            continue
        if pending.candidate[0] and pending.stable[0]:
            yield check, Tick(Counts(*pending.candidate), Counts(*pending.stable))


def without_tick(ledger: Ledger, tick: str) -> Ledger:
    """The ledger once what waited under that name is evidence."""
    return replace(ledger, pending={name: one for name, one in ledger.pending.items() if name != tick})


def _arms(ledger: Ledger) -> tuple[str, str]:
    return ledger.candidate, ledger.stable


def _readings(ledger: Ledger, place: str, targets: Iterable[MetricsTarget]) -> Iterable[Reading]:
    """Of scrapes that were taken when this era was certain; all others are left out, with what lies before them."""
    for target in targets:
        if ledger.certain_at is None or target.taken_at < ledger.certain_at:
            continue
        name = place + target.name
        found = {_GOOD + series: (value,) for series, value in target.good.items()}
        found |= {_TOTAL + series: (value,) for series, value in target.total.items()}
        known = ledger.metrics.get(name)
        # A series that is not there for a while goes on where it stood, and does not begin at 0 again.
        yield Reading(name, "", target.taken_at, {**(known.counts if known is not None else {}), **found})


def _counts(window: Window) -> tuple[int, int]:
    good, total = (
        sum(added[0] for name, added in window.arms.items() if name.startswith(kind)) for kind in (_GOOD, _TOTAL)
    )
    return total, min(total, max(0, total - good))


def _remembered(marks: Mapping[str, Mark], now: datetime) -> Mapping[str, Mark]:
    return {name: mark for name, mark in marks.items() if (now - mark.taken_at).total_seconds() < _FORGOTTEN_SECONDS}


def _with_pending(ledger: Ledger, check: str, counted: Mapping[str, tuple[int, int]], now: datetime) -> Ledger:
    candidate, stable = (counted[arm] for arm in _arms(ledger))
    if not candidate[0] and not stable[0]:
        return ledger
    before = ledger.pending.get(check) or Pending(now, (0, 0), (0, 0))
    pending = Pending(before.since, _sum(before.candidate, candidate), _sum(before.stable, stable))
    return replace(ledger, pending={**ledger.pending, check: pending})


def _sum(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] + other[0], one[1] + other[1]
