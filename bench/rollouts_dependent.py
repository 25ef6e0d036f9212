"""Requests that depend on each other, where no rate is claimed: what happens, and what the defences bring.

2 % of bad requests, 50 candidate and 950 stable requests a look, 240 looks, versions that are identical. The first
column tests "worse at all", as most literature does, the second "worse by more than the margin" of one point; the third
has a defence of its own beside it. What differs between pods or users differs for the whole rollout: that is the worst.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.rollouts_world import RATES, follow, note, proportion, seeded
from modelway.stats import Counts, Evidence, Tick
from modelway.stats.evidence import log_mean, log_ratio

_BASE, _MARGIN = 0.02, 0.01
_CANDIDATE, _STABLE, _LOOKS = 50.0, 950.0, 240
_RATIOS = np.array([1.5, 2.0, 3.0, 5.0, 10.0])

Generator = np.random.Generator
World = Callable[[Generator, int, float], Iterator[tuple[float, Tick]]]
"""Ticks for so many runs, of a candidate that is worse by so much."""


def _arm(rng: Generator, expected: np.ndarray | float, share: np.ndarray) -> Counts:
    bad = rng.poisson(expected * share)
    return Counts(bad + rng.poisson(expected * (1.0 - share)), bad)


def independent(rng: Generator, runs: int, excess: float) -> Iterator[tuple[float, Tick]]:
    """For comparison: every request on its own."""
    share = np.full(runs, _BASE)
    for look in range(_LOOKS):
        yield look, Tick(_arm(rng, _CANDIDATE, share + excess), _arm(rng, _STABLE, share))


def pods(spread: float, candidates: int) -> World:
    """Each pod has an error share of its own, lognormal around the version's; four stable pods."""

    def world(rng: Generator, runs: int, excess: float) -> Iterator[tuple[float, Tick]]:
        def share(base: float, count: int) -> np.ndarray:
            return base * np.exp(spread * rng.standard_normal((count, runs)) - spread**2 / 2).mean(axis=0)

        ours, theirs = share(_BASE + excess, candidates), share(_BASE, 4)
        for look in range(_LOOKS):
            yield look, Tick(_arm(rng, _CANDIDATE, ours), _arm(rng, _STABLE, theirs))

    return world


def bursts(candidates: int) -> World:
    """In 2 % of the looks a pod answers a fifth of its requests badly; four stable pods."""

    def world(rng: Generator, runs: int, excess: float) -> Iterator[tuple[float, Tick]]:
        def share(base: float, count: int) -> np.ndarray:
            return np.where(rng.random((count, runs)) < 0.02, 0.2, base).mean(axis=0)

        for look in range(_LOOKS):
            ours, theirs = share(_BASE + excess, candidates), share(_BASE, 4)
            yield look, Tick(_arm(rng, _CANDIDATE, ours), _arm(rng, _STABLE, theirs))

    return world


def users(*, counted_once: bool) -> World:
    """2,000 users keep their arm; how much they ask is Pareto (1.5), how often it fails beta around the mean.

    Counted once, a user is one observation: whether the first of the requests was bad. Users were assigned by hash, so
    these are independent of each other given the arm.
    """

    def world(rng: Generator, runs: int, excess: float) -> Iterator[tuple[float, Tick]]:
        number = 2000
        activity = rng.pareto(1.5, (runs, number)) + 1.0
        activity *= (_CANDIDATE + _STABLE) / activity.sum(axis=1, keepdims=True)
        ours = rng.random((runs, number)) < _CANDIDATE / (_CANDIDATE + _STABLE)
        fails = np.clip(rng.beta(0.2, 9.8, (runs, number)) + excess * ours, 0.0, 1.0)
        if not counted_once:
            yield from _all_requests(rng, activity, fails, ours)
            return
        first = rng.exponential(1.0 / activity)
        bad = rng.random((runs, number)) < fails
        for look in range(_LOOKS):
            new = (first >= look) & (first < look + 1)
            yield look, Tick(*(Counts((new & arm).sum(axis=1), (new & arm & bad).sum(axis=1)) for arm in (ours, ~ours)))

    return world


def _all_requests(
    rng: Generator, activity: np.ndarray, fails: np.ndarray, ours: np.ndarray
) -> Iterator[tuple[float, Tick]]:
    """Sums over the users of an arm: given who they are, Poisson again."""
    arms = [((activity * arm).sum(axis=1), (activity * fails * arm).sum(axis=1)) for arm in (ours, ~ours)]
    for look in range(_LOOKS):
        yield look, Tick(*(_arm(rng, total, bad / np.maximum(total, 1e-9)) for total, bad in arms))


@dataclass(frozen=True, slots=True)
class DependentCell:
    """One sort of dependence, as it is and with its defence."""

    name: str
    plain: World
    defence: str
    defended: World

    def __call__(self, runs: int, seed: int) -> dict[str, Any]:
        """How often identical versions are rolled back, and how often one at the margin is promoted."""
        rng = seeded(seed, self.name)

        def decided(world: World, excess: float) -> Any:
            return follow(Evidence.begin(_MARGIN, (runs,)), world(rng, runs, excess), RATES)

        defended = decided(self.defended, 0.0)
        return {
            "name": self.name,
            "defence": self.defence,
            "rolledBackWorseAtAll": proportion(_worse_at_all(self.plain(rng, runs, 0.0), runs)),
            "rolledBack": proportion(decided(self.plain, 0.0).rolled_back),
            "rolledBackDefended": proportion(defended.rolled_back),
            "promotedAtMargin": proportion(decided(self.plain, _MARGIN).promoted),
            "promotedAtMarginDefended": proportion(decided(self.defended, _MARGIN).promoted),
            "undecidedDefended": float(defended.undecided.mean()),
        }


def cells() -> list[DependentCell]:
    """The cases of the review, and independent requests beside them."""
    return [
        DependentCell(
            "sticky users, heavy tails", users(counted_once=False), "each user once", users(counted_once=True)
        ),
        DependentCell("independent requests", independent, "none needed", independent),
        DependentCell("pods differ by 20 %, one candidate pod", pods(0.2, 1), "two candidate pods", pods(0.2, 2)),
        DependentCell("pods differ by 30 %, one candidate pod", pods(0.3, 1), "two candidate pods", pods(0.3, 2)),
        DependentCell("bursts of errors on one pod", bursts(1), "two candidate pods", bursts(2)),
    ]


def _worse_at_all(ticks: Iterator[tuple[float, Tick]], runs: int) -> np.ndarray:
    """Without a margin: alternatives are ratios of the stable share, the null is equal shares (the pooled one)."""
    logs = np.zeros((runs, _RATIOS.size))
    stable = Counts(np.zeros(runs, dtype=int), np.zeros(runs, dtype=int))
    times, requests = np.full(runs, np.inf), np.full(runs, np.inf)
    for end, tick in ticks:
        base = ((np.asarray(stable.bad) + 0.5) / (np.asarray(stable.requests) + 1.0))[:, np.newaxis]
        worse = np.minimum(base * _RATIOS, 1.0 - 1e-5)
        counts = [
            tuple(np.asarray(getattr(arm, key), dtype=float)[:, np.newaxis] for arm in (tick.candidate, tick.stable))
            for key in ("requests", "bad")
        ]
        if np.any(stable.requests):
            logs = np.minimum(logs + log_ratio((counts[0], counts[1]), (worse, base + 0.0 * worse), 0.0), 1000.0)
        stable = stable + tick.stable
        harmful = log_mean(logs) >= RATES.harm_limit(1)
        note(times, requests, harmful, end, np.asarray(stable.requests, dtype=float))
    return np.isfinite(times)
