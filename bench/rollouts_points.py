"""Requests to a decision against what was published for these e-processes, and forecasts against the truth."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from bench.rollouts_world import RATES, follow, proportion, quantiles, seeded
from modelway.stats import Counts, Evidence, Tick, Traffic, forecast, update
from modelway.stats.forecast import FUTILE

TICK, _MOST = 20, 30_000
"""Candidate requests of a look, and of a run."""

PUBLISHED: tuple[tuple[float, float, float, dict[str, tuple[int, int]]], ...] = (
    (0.001, 0.005, 0.05, {"0": (660, 1600), "2": (3080, 6420), "3": (860, 1840), "5": (320, 660)}),
    (0.001, 0.010, 0.05, {"0": (320, 640), "2": (1400, 2940), "3": (420, 940), "5": (140, 320)}),
    (0.005, 0.005, 0.05, {"0": (1520, 3560), "2": (4600, 10160), "3": (1480, 3000), "5": (420, 860)}),
    (0.010, 0.010, 0.05, {"0": (820, 1860), "2": (2480, 5000), "3": (700, 1400), "5": (220, 480)}),
    (0.020, 0.010, 0.05, {"0": (1300, 3260), "2": (3500, 7200), "3": (1020, 1880), "5": (320, 620)}),
    (0.020, 0.020, 0.05, {"0": (420, 1020), "2": (1220, 2400), "3": (380, 740), "5": (120, 220)}),
    (0.050, 0.020, 0.05, {"0": (800, 1940), "2": (1940, 4080), "3": (580, 1180), "5": (180, 360)}),
    (0.100, 0.050, 0.05, {"0": (380, 880), "2": (680, 1280), "3": (220, 400), "5": (60, 120)}),
    (0.001, 0.005, 0.50, {"0": (800, 1900), "2": (4000, 8360), "3": (1280, 2520), "5": (560, 980)}),
    (0.001, 0.010, 0.50, {"0": (380, 740), "2": (1680, 3420), "3": (580, 1180), "5": (260, 480)}),
    (0.005, 0.005, 0.50, {"0": (2260, 5760), "2": (8260, 16240), "3": (2360, 4680), "5": (840, 1640)}),
    (0.010, 0.010, 0.50, {"0": (1180, 3240), "2": (4220, 8340), "3": (1280, 2520), "5": (400, 800)}),
    (0.020, 0.010, 0.50, {"0": (2120, 5420), "2": (6160, 12220)}),
)
"""Base, margin, weight; for each number of margins worse (0: until Safe, else until Harmful) candidate requests: median
and 90 %. From 400 runs a row of the same e-processes without what makes them see harm that begins late.
"""


def windows(
    rng: np.random.Generator, runs: int, base: float, worse: float, weight: float, *, tick: int = TICK
) -> Iterator[tuple[float, Tick]]:
    """Looks of so many candidate requests and the stable ones that go with them, numbered."""
    stable = round(tick * (1.0 - weight) / weight)
    for count in range(_MOST // tick):
        candidate = Counts(tick, rng.binomial(tick, worse, runs))
        yield float(count), Tick(candidate, Counts(stable, rng.binomial(stable, base, runs)))


@dataclass(frozen=True, slots=True)
class PointCell:
    """One row of the published table."""

    base: float
    margin: float
    weight: float
    published: dict[str, tuple[int, int]]

    @property
    def name(self) -> str:
        """For the seed and the progress line."""
        return f"requests to a decision: {self.base:.1%} bad, margin {self.margin:.1%}, weight {self.weight:.0%}"

    def __call__(self, runs: int, seed: int) -> dict[str, Any]:
        """Quantiles with their ratio to the published ones, and the error rates at the margin."""
        rng = seeded(seed, self.name)
        found: dict[str, Any] = {"base": self.base, "margin": self.margin, "weight": self.weight}
        boundary = windows(rng, runs, self.base, self.base + self.margin, self.weight)
        at_margin = follow(Evidence.begin(self.margin, (runs,)), boundary, RATES)
        found["atMargin"] = {
            "rolledBack": proportion(at_margin.rolled_back, RATES.false_rollback),
            "promoted": proportion(at_margin.promoted, RATES.false_promotion),
        }
        for excess, (median, p90) in self.published.items():
            ticks = windows(rng, runs, self.base, self.base + float(excess) * self.margin, self.weight)
            outcome = follow(Evidence.begin(self.margin, (runs,)), ticks, RATES, until_safe=excess == "0")
            ours = quantiles(outcome.safe_requests if excess == "0" else outcome.harmful_requests)
            found[excess] = {
                **ours,
                "published": [median, p90],
                "ratio": None if ours["median"] is None else ours["median"] / median,
            }
        return found


@dataclass(frozen=True, slots=True)
class ForecastCell:
    """What `forecast` says on the way, against what then comes."""

    base: float
    margin: float
    excess: float
    usual: int

    @property
    def name(self) -> str:
        """For the seed and the progress line."""
        return f"forecasts: {self.base:.1%} bad, margin {self.margin:.1%}, {self.excess:g} margins worse"

    def __call__(self, runs: int, seed: int) -> dict[str, Any]:
        """At the start, and after a quarter and half of the usual requests, in runs that are still undecided then."""
        rng, runs = seeded(seed, self.name), min(runs, 400)
        known = Evidence.begin(self.margin, (runs,))
        nobody = np.zeros(runs, dtype=int)
        known = update(known, Tick(Counts(nobody, nobody), Counts(nobody + 2000, rng.binomial(2000, self.base, runs))))
        moments, done = [], 0
        for share in (0.0, 0.25, 0.5):
            more = max(0, round(share * self.usual) - done) // TICK
            for _, tick in islice(self._windows(rng, runs), more):
                known = update(known, tick)
            done += more * TICK
            moments.append(self._moment(rng, runs, known, share))
        return {"base": self.base, "margin": self.margin, "excess": self.excess, "moments": moments}

    def _windows(self, rng: np.random.Generator, runs: int) -> Iterator[tuple[float, Tick]]:
        return windows(rng, runs, self.base, self.base + self.excess * self.margin, 0.05)

    def _moment(self, rng: np.random.Generator, runs: int, known: Evidence, share: float) -> dict[str, Any]:
        outcome = follow(known, self._windows(rng, runs), RATES, until_safe=True)
        before = np.asarray(known.candidate.requests)
        came = np.minimum(outcome.harmful_requests, outcome.safe_requests) - before
        told, chances = np.full(runs, np.nan), np.full(runs, np.nan)
        horizon = 2.0 * self.usual
        for run in np.flatnonzero(came > TICK):
            found = forecast(_one(known, run), RATES, Traffic(1.0, 19.0), seconds_left=horizon)
            if found is not None:
                chances[run] = found.chance_of_safe
                told[run] = np.inf if found.requests is None else found.requests
        asked = ~np.isnan(told)
        in_time = (outcome.safe_requests[asked] - before[asked]) <= horizon
        futile = chances[asked] < FUTILE
        return {
            "after": share,
            "runs": int(asked.sum()),
            "requests": {"told": quantiles(told[asked]), "came": quantiles(came[asked])},
            "ratio": float(np.median(told[asked]) / np.median(came[asked])),
            "chanceOfSafe": {"told": float(chances[asked].mean()), "came": float(in_time.mean())},
            "futile": {
                "told": float(futile.mean()),
                "safeAfterAll": float(in_time[futile].mean()) if futile.any() else 0.0,
            },
        }


def cells() -> list[PointCell | ForecastCell]:
    """All rows, and forecasts for some of them."""
    rows = [PointCell(*row) for row in PUBLISHED]
    foretold = [
        ForecastCell(base, margin, excess, published[f"{excess:g}"][0])
        for base, margin, weight, published in PUBLISHED
        if weight == 0.05 and (base, margin) in {(0.001, 0.005), (0.01, 0.01), (0.1, 0.05)}
        for excess in (0.0, 3.0)
    ]
    return [*rows, *foretold]


def _one(evidence: Evidence, run: int) -> Evidence:
    """The state of one run."""

    def of(counts: Counts) -> Counts:
        return Counts(int(np.asarray(counts.requests)[run]), int(np.asarray(counts.bad)[run]))

    return replace(
        evidence,
        harm=evidence.harm[run],
        safe=evidence.safe[run],
        candidate=of(evidence.candidate),
        stable=of(evidence.stable),
    )
