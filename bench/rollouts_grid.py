"""Independent requests, a whole day: how often modelway errs, and how often the peers' default rules do."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.rollouts_peers import argo, flagger
from bench.rollouts_world import DAY, RATES, Outcome, arrivals, follow, looks, proportion, quantiles, seeded
from modelway.stats import Counts, Evidence, Rates, Tick

TRAFFIC = (0.1, 1.0, 10.0, 100.0, 1000.0)
BASES = ((0.001, 0.005), (0.005, 0.005), (0.02, 0.01), (0.10, 0.05))
"""Shares of bad requests of the stable revision, and the margin that goes with each."""
EXCESS = (0.0, 0.5, 1.0, 1.5, 2.0, 5.0)
"""How many margins worse the candidate is: up to 1 it must not be rolled back, from 1 on not be promoted."""

_BINS = np.array([0.4, 0.3, 0.2, 0.08, 0.02])


@dataclass(frozen=True, slots=True)
class GridCell:
    """One check, one traffic, one truth."""

    traffic: float
    base: float
    margin: float
    excess: float

    @property
    def name(self) -> str:
        """For the seed and the progress line."""
        return f"{self.traffic:g}/s, {self.base:.1%} bad, margin {self.margin:.1%}, {self.excess:g} margins worse"

    def __call__(self, runs: int, seed: int) -> dict[str, Any]:
        """The figures of the cell; the peers see requests of the same distribution."""
        rng = seeded(seed, self.name)
        worse = self.base + self.excess * self.margin
        ticks = (
            (
                end,
                Tick(
                    arrivals(rng, runs, self.traffic * weight * length, worse),
                    arrivals(rng, runs, self.traffic * (1.0 - weight) * length, self.base),
                ),
            )
            for end, length, weight in looks()
        )
        figures = _figures(follow(Evidence.begin(self.margin, (runs,)), ticks, RATES), self.excess, RATES)
        boundary = 1.0 - self.base - self.margin
        return {
            **asdict(self),
            "modelway": figures,
            "argo": {"rolledBack": float(argo(rng, runs, self.traffic, worse).mean())},
            "argoTuned": {"rolledBack": float(argo(rng, runs, self.traffic, worse, least=boundary).mean())},
            "flagger": {"rolledBack": float(flagger(rng, runs, self.traffic, worse).mean())},
            "flaggerTuned": {"rolledBack": float(flagger(rng, runs, self.traffic, worse, least=boundary).mean())},
        }


@dataclass(frozen=True, slots=True)
class ManyCell:
    """Three checks at once: errors, slowness, and the answers over five bins, the last of them shifted."""

    traffic: float
    excess: float

    @property
    def name(self) -> str:
        """For the seed and the progress line."""
        return f"three checks, {self.traffic:g}/s, answers {self.excess:g} margins apart"

    def __call__(self, runs: int, seed: int) -> dict[str, Any]:
        """All streams of all checks as one: the limits are those of three checks, of which one has ten streams."""
        rng, rates, margin = seeded(seed, self.name), Rates(0.01, 0.05, checks=3), 0.05
        moved = _BINS + self.excess * margin * np.array([-1.0, 1.0, 0.0, 0.0, 0.0])
        checks = ([(0.01, 0.01)], [(0.02, 0.02)], [*zip(moved, _BINS, strict=True)])
        outcomes = [self._check(rng, runs, rates, margin, shares) for shares in checks]
        harmful = np.min([outcome.harmful_at for outcome in outcomes], axis=0)
        safe = np.max([outcome.safe_at for outcome in outcomes], axis=0)
        nothing = np.full(runs, np.inf)
        together = Outcome(harmful, np.where(safe < harmful, safe, np.inf), nothing, nothing)
        return {**asdict(self), "margin": margin, "modelway": _figures(together, self.excess, rates)}

    def _check(
        self, rng: np.random.Generator, runs: int, rates: Rates, margin: float, shares: list[tuple[float, float]]
    ) -> Outcome:
        ours, theirs = (np.array(side) for side in zip(*shares, strict=True))
        streams = (runs,) if len(shares) == 1 else (runs, 2, len(shares))

        def arm(expected: float, share: np.ndarray) -> Counts:
            inside = rng.poisson(expected * share, (runs, len(share)))
            if len(share) == 1:
                return Counts((inside + rng.poisson(expected * (1.0 - share), (runs, 1)))[:, 0], inside[:, 0])
            total = np.broadcast_to(inside.sum(axis=1, keepdims=True), inside.shape)
            return Counts(np.stack([total, total], axis=1), np.stack([inside, total - inside], axis=1))

        ticks = (
            (end, Tick(arm(self.traffic * w * length, ours), arm(self.traffic * (1.0 - w) * length, theirs)))
            for end, length, w in looks()
        )
        return follow(Evidence.begin(margin, streams), ticks, rates)


def cells() -> list[GridCell | ManyCell]:
    """The slowest first, so that two processes end together."""
    many = [ManyCell(traffic, excess) for traffic in (100.0, 1.0) for excess in (0.0, 1.0)]
    grid = [
        GridCell(traffic, base, margin, excess)
        for excess in EXCESS
        for base, margin in BASES
        for traffic in reversed(TRAFFIC)
    ]
    return [*many, *grid]


def _figures(outcome: Outcome, excess: float, rates: Rates) -> dict[str, Any]:
    within, beyond = excess <= 1.0, excess >= 1.0
    return {
        "rolledBack": proportion(outcome.rolled_back, rates.false_rollback if within else None),
        "promoted": proportion(outcome.promoted, rates.false_promotion if beyond else None),
        "undecided": float(outcome.undecided.mean()),
        "hoursToHarmful": _hours(outcome.harmful_at),
        "hoursToSafe": _hours(outcome.safe_at),
    }


def _hours(seconds: np.ndarray) -> dict[str, float | None]:
    return {key: None if value is None else value / (DAY / 24) for key, value in quantiles(seconds).items()}
