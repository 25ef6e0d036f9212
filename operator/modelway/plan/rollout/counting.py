"""From cumulative counters to what was counted in one window. Pure; called by `evidence` at every look.

A window is half open, from one reading of a pod to the next, and counts only when all routers had the same weights at
both ends: `era`. The counters are cumulative, so a reading that is seen twice, or by two processes, counts once. A
process that has started again has counted from 0 (`epoch`), and what it did is not left out: a candidate that crashes
would hide behind that. What a pod had counted and nobody read before it was gone is lost, for both arms alike.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from modelway.plan.rollout.ledger import Counts, Mark


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters of one pod.

    Attributes:
        pod: its uid.
        epoch: changes when its process starts again.
        taken_at: when they were read.
        arms: whose they are; those of one arm are added up over all pods.
    """

    pod: str
    epoch: str
    taken_at: datetime
    arms: Mapping[str, Counts]


@dataclass(frozen=True, slots=True)
class Window:
    """What was counted since the last readings.

    Attributes:
        arms: the sums over all pods.
        seconds: the longest time that any pod's window spans; 0 when nothing was counted.
    """

    arms: Mapping[str, Counts]
    seconds: float = 0.0


def count(
    marks: Mapping[str, Mark], readings: Iterable[Reading], *, era: int | None
) -> tuple[Mapping[str, Mark], Window]:
    """The marks after `readings`, and what lies between.

    Args:
        marks: up to where each pod was counted before.
        readings: the last of every pod that answered; old ones do no harm.
        era: of the weights that all routers have now; None when that is not certain, which spoils the windows of all
            pods that end or begin here.
    """
    after = dict(marks) if era is not None else {pod: _uncertain(mark) for pod, mark in marks.items()}
    sums: dict[str, Counts] = {}
    seconds = 0.0
    for reading in readings:
        mark = marks.get(reading.pod)
        if mark is not None and reading.taken_at <= mark.taken_at:
            continue
        after[reading.pod] = Mark(reading.epoch, era, reading.taken_at, reading.arms)
        if mark is None or era is None or mark.era != era:
            continue
        seconds = max(seconds, (reading.taken_at - mark.taken_at).total_seconds())
        before = mark.counts if mark.epoch == reading.epoch else {}
        for arm, now in reading.arms.items():
            sums[arm] = _added(sums.get(arm), _since(before.get(arm), now))
    return after, Window(sums, seconds)


def _uncertain(mark: Mark) -> Mark:
    return Mark(mark.epoch, None, mark.taken_at, mark.counts)


def _since(before: Counts | None, now: Counts) -> Counts:
    """What was added; all of it when the counters have begun again, as when a cluster is taken out and put in."""
    if before is None or len(before) != len(now):
        return now
    added = tuple(new - old for new, old in zip(now, before, strict=True))
    return now if min(added, default=0) < 0 else added


def _added(one: Counts | None, other: Counts) -> Counts:
    if one is None:
        return other
    return tuple(a + b for a, b in zip(one, other, strict=True))
