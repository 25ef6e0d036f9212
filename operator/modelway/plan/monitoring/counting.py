"""From readings to what was counted in a window: differences between what pods say now and what they said before. Pure.

Every count is taken in once. What a pod had counted when it was last read is its mark; what it says more than that is
of this window. A process that began anew began at 0. A pod that was never read counts in full where it was made since
the watch began; what an older one had counted before that is nobody's. So what a pod that was not reachable for a while
has counted comes with its next reading, and only what was counted between the last reading and a sudden end is lost:
that is a gap, and gaps are counted.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from modelway.plan.monitoring.packing import Held
from modelway.plan.monitoring.readings import PodReading, Served

NOBODY = Served(0, 0, ())


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to where one pod's counters are counted.

    Attributes:
        epoch: of its process.
        layout: of `inputs`.
        inputs: what it said.
        rows, skipped, refused: likewise.
        answers: likewise.
        served: likewise; of a router this is all.
        is_last: whether the pod was ending then: what it counted later is next to nothing.
    """

    epoch: str
    layout: str = ""
    inputs: Held = field(default_factory=Held)
    rows: int = 0
    skipped: int = 0
    refused: int = 0
    answers: Mapping[str, int] = field(default_factory=dict)
    served: Served = NOBODY
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """What was counted between two rounds.

    Attributes:
        inputs: counts of all features, one after the other.
        rows, skipped: rows of inputs that were counted, and that were not.
        refused: requests that were not what the model takes.
        answers: requests by bin of their answer.
        served: how requests were answered.
        gaps: processes that ended without having been read to the end.
    """

    inputs: Held
    rows: int = 0
    skipped: int = 0
    refused: int = 0
    answers: Mapping[str, int] = field(default_factory=dict)
    served: Served = NOBODY
    gaps: int = 0


def counted(
    marks: Mapping[str, Mark],
    readings: Iterable[PodReading],
    *,
    layout: str,
    size: int,
    began_at: datetime,
    present: Collection[str],
) -> tuple[Window, dict[str, Mark]]:
    """What pods have counted since their marks, and the new marks.

    Args:
        marks: by the pod's uid.
        readings: the last of each pod.
        layout: of the inputs that count; those of others do not add up with it.
        size: how many numbers a reading of that layout has.
        began_at: when the watch began.
        present: uids of the pods that are still there.

    """
    inputs = np.zeros(size, np.int64)
    rows = skipped = refused = gaps = 0
    answers: Counter[str] = Counter()
    served = NOBODY
    kept = dict(marks)
    for reading in readings:
        uid, now = reading.of.pod.uid, _mark(reading, layout, size)
        before = kept.get(uid)
        kept[uid] = now
        if before is None and reading.of.created_at < began_at:
            continue
        if before is not None and not _goes_on(before, now):
            gaps += 1
            before = None
        since = before or Mark(now.epoch)
        inputs += now.inputs.all()
        if since.layout == now.layout and since.inputs.size:
            inputs -= since.inputs.all()
        rows, skipped = rows + now.rows - since.rows, skipped + now.skipped - since.skipped
        refused += now.refused - since.refused
        answers.update({key: more for key, n in now.answers.items() if (more := n - since.answers.get(key, 0))})
        served = _sum(served, difference(now.served, since.served))
    gone = kept.keys() - set(present)
    gaps += sum(not kept[uid].is_last for uid in gone)
    window = Window(Held.of(inputs), rows, skipped, refused, dict(answers), served, gaps)
    return window, {uid: mark for uid, mark in kept.items() if uid not in gone}


def difference(now: Served, before: Served) -> Served:
    """What was answered since; `before` is of the same process."""
    earlier = dict(before.at_most)
    bounds = tuple((bound, count - earlier.get(bound, 0)) for bound, count in now.at_most)
    return Served(now.requests - before.requests, now.failed - before.failed, bounds)


def total(parts: Iterable[Served]) -> Served:
    """All together."""
    found = NOBODY
    for part in parts:
        found = _sum(found, part)
    return found


def _sum(one: Served, other: Served) -> Served:
    bounds = Counter(dict(one.at_most))
    bounds.update(dict(other.at_most))
    return Served(one.requests + other.requests, one.failed + other.failed, tuple(sorted(bounds.items())))


def _mark(reading: PodReading, layout: str, size: int) -> Mark:
    is_ours = reading.layout == layout and reading.inputs.size == size
    return Mark(
        epoch=reading.epoch,
        layout=layout if is_ours else "",
        inputs=reading.inputs if is_ours else Held.of(np.zeros(size, np.int64)),
        rows=reading.rows if is_ours else 0,
        skipped=reading.skipped if is_ours else 0,
        refused=reading.refused,
        answers=reading.answers,
        served=reading.served or NOBODY,
        is_last=reading.of.is_ending,
    )


def _goes_on(before: Mark, now: Mark) -> bool:
    """Whether both are of one process: another one began at 0."""
    return before.epoch == now.epoch and before.rows <= now.rows and before.refused <= now.refused
