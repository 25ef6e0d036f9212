"""Two comparisons: harm that begins late, with and without a stake kept for it; and pairs against separate arms."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.rollouts_points import windows
from bench.rollouts_world import NEVER, RATES, follow, quantiles, seeded
from modelway.stats import Evidence, PairedEvidence, Verdict, judge, update, update_pairs
from modelway.stats.evidence import MOST_OF_A_TICK, STRENGTHS, bets, log_mean, log_ratio

_TICK = 200
"""Candidate requests of a look here, so that ten thousand good ones do not take long to simulate."""


@dataclass(frozen=True, slots=True)
class LateCell:
    """A version that becomes worse only after 10,000 good candidate requests, such as under more weight."""

    base: float
    margin: float
    excess: float

    @property
    def name(self) -> str:
        """For the seed and the progress line."""
        return f"late harm: {self.base:.1%} bad, margin {self.margin:.1%}, then {self.excess:g} margins worse"

    def __call__(self, runs: int, seed: int) -> dict[str, Any]:
        """Candidate requests from the change until Harmful: modelway, and the same bets all laid at the start."""
        rng, runs, limit = seeded(seed, self.name), min(runs, 400), RATES.harm_limit(1)
        evidence, plain = Evidence.begin(self.margin, (runs,)), np.zeros((runs, len(STRENGTHS)))
        ours, theirs = np.full(runs, NEVER), np.full(runs, NEVER)
        good = windows(rng, runs, self.base, self.base, 0.05, tick=_TICK)
        bad = windows(rng, runs, self.base, self.base + self.excess * self.margin, 0.05, tick=_TICK)
        for look in range(50 + 150):
            _, tick = next(good if look < 50 else bad)
            alternatives, laid = bets(evidence)
            counts = [
                tuple(np.broadcast_to(np.asarray(getattr(arm, key), dtype=float)[..., np.newaxis], laid.shape)
                      for arm in (tick.candidate, tick.stable))
                for key in ("requests", "bad")
            ]  # fmt: skip
            gain = np.minimum(log_ratio((counts[0], counts[1]), alternatives, self.margin), MOST_OF_A_TICK)
            gain = np.where(laid, gain, 0.0)
            plain, evidence = plain + gain[:, :-1], update(evidence, tick)
            since = float(_TICK * (look - 49))
            ours[np.isinf(ours) & (evidence.log_harm >= limit)] = since
            theirs[np.isinf(theirs) & (log_mean(plain) >= limit)] = since
            if np.isfinite(ours).all() and np.isfinite(theirs).all():
                break
        return {
            "base": self.base,
            "margin": self.margin,
            "excess": self.excess,
            "modelway": quantiles(ours),
            "ordinary": quantiles(theirs),
        }


@dataclass(frozen=True, slots=True)
class PairedCell:
    """Errors of a shadow by pair, against two arms of as many requests each."""

    common: float
    alone: float
    margin: float
    excess: float

    @property
    def name(self) -> str:
        """For the seed and the progress line."""
        return f"pairs: {self.common:.1%} wrong in both, {self.alone:.1%} in one, {self.excess:g} margins worse"

    def __call__(self, runs: int, seed: int) -> dict[str, Any]:
        """Pairs until a decision, and candidate requests of separate arms at a weight of 50 %."""
        rng, runs = seeded(seed, self.name), min(runs, 400)
        base, wanted = self.common + self.alone, Verdict.SAFE if self.excess == 0 else Verdict.HARMFUL
        pairs = np.array([self._pairs(rng, wanted) for _ in range(runs)])
        arms = follow(
            Evidence.begin(self.margin, (runs,)),
            windows(rng, runs, base, base + self.excess * self.margin, 0.5),
            RATES,
            until_safe=wanted is Verdict.SAFE,
        )
        requests = arms.safe_requests if wanted is Verdict.SAFE else arms.harmful_requests
        return {
            "common": self.common,
            "alone": self.alone,
            "margin": self.margin,
            "excess": self.excess,
            "pairs": quantiles(pairs),
            "arms": quantiles(requests),
        }

    def _pairs(self, rng: np.random.Generator, wanted: Verdict) -> float:
        worse = self.alone + self.excess * self.margin
        evidence = PairedEvidence.begin(self.margin)
        while evidence.pairs < 30_000:
            found = rng.choice([1.0, -1.0, 0.0], 50, p=[worse, self.alone, 1.0 - worse - self.alone])
            evidence = update_pairs(evidence, found)
            if judge(evidence, RATES) is wanted:
                return float(evidence.pairs)
        return math.inf


def late() -> list[LateCell]:
    """Two and five margins worse."""
    return [LateCell(base, margin, excess) for base, margin in ((0.001, 0.005), (0.01, 0.01)) for excess in (2.0, 5.0)]


def paired() -> list[PairedCell]:
    """Mostly wrong together, and mostly apart."""
    return [
        PairedCell(common, alone, 0.01, excess)
        for common, alone in ((0.018, 0.002), (0.01, 0.01))
        for excess in (0.0, 2.0, 5.0)
    ]
