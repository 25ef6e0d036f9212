"""Model servers that count what they are asked and answer, as the operator reads them: in plain Python, for tests.

Every row goes to one pod and is counted there as the real server counts it, so what a test adds up over all rows is what
the operator must come to.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from modelway.api.observations import value_key
from modelway.plan.measured import PodKey, Target
from modelway.plan.monitoring.packing import Held
from modelway.plan.monitoring.readings import Collected, Layout, PodReading, Served
from modelway.profiling.profiles import profile
from modelway.stats.counts import Ints
from modelway.stats.drift_cells import counted

NAMES = ("age", "amount", "country")


def usual_rows(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    """Rows as they usually are."""
    return {
        "age": rng.normal(50, 10, rows),
        "amount": rng.lognormal(3, 1, rows),
        "country": rng.choice(["de", "es", "fr"], rows, p=[0.5, 0.3, 0.2]).astype(object),
    }


def layout_of_model(rows: int = 10_000) -> Layout:
    """A layout with what is usual, as it comes with a model."""
    features = profile(usual_rows(np.random.default_rng(0), rows)).features
    return Layout("with-reference", NAMES, features)


LEARNING = Layout("without-reference", NAMES, None, frozenset({2}))


@dataclass
class Server:
    """One pod of our model server."""

    pod: Target
    layout: Layout
    epoch: str = "epoch-0"
    inputs: Ints = field(init=False)
    rows: int = 0
    skipped: int = 0
    refused: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    slow: int = 0

    def __post_init__(self) -> None:
        self.inputs = np.zeros(sum(self.layout.sizes()), np.int64)

    def ask(self, columns: dict[str, Any], scores: Any = ()) -> None:
        """Rows of one request each."""
        cells = self.layout.cells()
        self.inputs = self.inputs + np.concatenate(
            [counted(columns[name], one) for name, one in zip(NAMES, cells, strict=True)]
        )
        self.rows += len(columns[NAMES[0]])
        self.answers.update(value_key(float(score)) for score in scores)

    def restart(self) -> None:
        """The process ends without a word, and begins anew."""
        self.epoch = f"epoch-{int(self.epoch.removeprefix('epoch-')) + 1}"
        self.inputs = np.zeros_like(self.inputs)
        self.rows = self.skipped = self.refused = self.failed = self.slow = 0
        self.answers = Counter()

    def read(self, at: datetime, *, usual: dict[str, int] | None = None) -> PodReading:
        requests = sum(self.answers.values())
        return PodReading(
            of=self.pod,
            taken_at=at,
            epoch=self.epoch,
            layout=self.layout.id,
            inputs=Held.of(self.inputs),
            rows=self.rows,
            skipped=self.skipped,
            refused=self.refused,
            answers=dict(self.answers),
            usual_answers=usual or {},
            served=Served(requests, self.failed, ((250, requests - self.slow), (60_000, requests))),
        )


def pod(name: str, revision: str, created_at: datetime, *, is_ending: bool = False) -> Target:
    return Target(PodKey(name, f"uid-of-{name}"), "10.0.0.1", revision, created_at, is_ending)


def collected(at: datetime, *servers: Server, usual: dict[str, int] | None = None) -> Collected:
    """A round in which all of them answer."""
    readings = tuple(one.read(at - timedelta(seconds=1), usual=usual) for one in servers)
    return Collected(at, readings, {one.layout.id: one.layout for one in servers})
