"""What the servers' pods said when they were last read for monitoring, and whom to read next. Plain, frozen data.

Filled by the controller, which reads every pod once a window; read by `plan.monitoring.rounds`. All counts are
cumulative since the process that gave them started.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from modelway.plan.measured import Target
from modelway.plan.monitoring.packing import Held
from modelway.stats.drift_cells import FIGURES, Cells
from modelway.stats.drift_learning import grid, hashed
from modelway.stats.drift_reference import Feature


@dataclass(frozen=True, slots=True)
class Layout:
    """What the counts of inputs mean.

    Attributes:
        id: as the servers call it.
        names: of the features, in the order of their counts.
        features: what is usual for them; None where the model does not say it and it is to be learnt.
        texts: places of the features that are texts; only while nothing is said.
    """

    id: str
    names: tuple[str, ...]
    features: tuple[Feature, ...] | None = None
    texts: frozenset[int] = frozenset()

    def cells(self) -> tuple[Cells, ...]:
        """Where each feature is counted."""
        if self.features is not None:
            return tuple(one.cells for one in self.features)
        numbers, words = grid(), hashed()
        return tuple(words if place in self.texts else numbers for place in range(len(self.names)))

    def sizes(self) -> tuple[int, ...]:
        """How many numbers there are of each feature."""
        return tuple(FIGURES + one.size for one in self.cells())


class Served(NamedTuple):
    """Requests that were answered, by a pod or by a router.

    Attributes:
        requests: all.
        failed: by 5xx.
        at_most: (bound in milliseconds, those that took at most so long), rising.
    """

    requests: int
    failed: int
    at_most: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PodReading:
    """One pod of our model server.

    Attributes:
        of: whose reading it is; whether it was ending is that of the time of the reading.
        taken_at: when, UTC.
        epoch: changes when the counts begin anew.
        layout: what `inputs` are counts of.
        inputs: counts of all features, one after the other.
        rows: rows of inputs that were counted.
        skipped: rows that were not.
        refused: requests that were not what the model takes.
        answers: requests by bin of their answer (`api.observations`).
        usual_answers: the same of rows of the model's maker; empty where the model does not have them.
        served: how it answered, where that was asked.
        quality: what it tells at `?of=quality`, where that was asked.
        trouble: of an observer: why it can read hardly any request, and why hardly any answer; empty where it can.
    """

    of: Target
    taken_at: datetime
    epoch: str
    layout: str
    inputs: Held
    rows: int
    skipped: int
    refused: int
    answers: Mapping[str, int]
    usual_answers: Mapping[str, int] = field(default_factory=dict)
    served: Served | None = None
    quality: Mapping[str, Any] | None = None
    trouble: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Collected:
    """What is known after a round.

    Attributes:
        at: when the last round in which everybody was asked had ended; None before the first.
        readings: the last of each pod, those that have ended since the round before among them.
        layouts: by their id.
        unreachable: pods that should have answered and did not, with the reason, for the message.
    """

    at: datetime | None = None
    readings: tuple[PodReading, ...] = ()
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    unreachable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Watching:
    """Whom to read.

    Attributes:
        targets: pods that are read once in each window; those that are ending again and again until they have.
        every: a window's seconds.
        counted: when the last round was that has been counted; the next is a window later. None: it is due at once.
        served: whether they are asked how they answered.
        quality: whether they are asked for what labels say.
    """

    targets: frozenset[Target]
    every: float
    counted: datetime | None = None
    served: bool = False
    quality: bool = False
