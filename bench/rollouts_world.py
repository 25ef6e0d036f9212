"""The simulated world of `bench.rollouts`: looks, weights, requests, and what modelway's own code decides about them.

The code that decides is `modelway.stats` as the operator calls it; all runs of a cell go through it at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import beta

from modelway.stats import Counts, Evidence, Rates, Tick, update

Generator = np.random.Generator
RATES = Rates(false_rollback=0.01, false_promotion=0.05)
DAY = 24 * 3600.0
NEVER = np.inf

_SCHEDULE = [(600.0, 0.05), (1800.0, 0.25), (DAY, 0.50)]
"""Until when which share of the traffic goes to the candidate: steps of 5, 25 and 50 % after 0, 10 and 30 minutes."""


def looks() -> Iterator[tuple[float, float, float]]:
    """Seconds at the end of each look's window, its length, and the candidate's weight in it: every 10 s for an hour,
    then every minute until 24 h.
    """
    end = 0.0
    while end < DAY:
        length = 10.0 if end < 3600.0 else 60.0
        weight = next(weight for until, weight in _SCHEDULE if end < until)
        end += length
        yield end, length, weight


@dataclass(frozen=True, slots=True)
class Outcome:
    """When each run of a cell was first called Harmful, and first Safe: seconds and candidate requests, or NEVER."""

    harmful_at: np.ndarray
    safe_at: np.ndarray
    harmful_requests: np.ndarray
    safe_requests: np.ndarray

    @property
    def rolled_back(self) -> np.ndarray:
        """Harmful at any look, though it may have been Safe before: as if promotion always waited for the day's end."""
        return np.isfinite(self.harmful_at)

    @property
    def promoted(self) -> np.ndarray:
        """Safe before it was Harmful."""
        return self.safe_at < self.harmful_at

    @property
    def undecided(self) -> np.ndarray:
        """Neither, to the end."""
        return ~self.rolled_back & ~self.promoted


def follow(
    evidence: Evidence, ticks: Iterator[tuple[float, Tick]], rates: Rates, *, until_safe: bool = False
) -> Outcome:
    """Let all runs go through the ticks; one that is Harmful takes no more.

    Args:
        evidence: of all runs at their beginning; the first axis is the run, the others are streams.
        ticks: the end of each window and its counts.
        rates: of the rollout.
        until_safe: whether a run that is Safe takes no more either.

    """
    runs = evidence.safe.shape[0]
    streams = int(np.prod(evidence.safe.shape[1:], dtype=int))
    outcome = Outcome(*(np.full(runs, NEVER) for _ in range(4)))
    limit = rates.harm_limit(streams)
    for end, tick in ticks:
        evidence = update(evidence, tick)
        requests = np.asarray(evidence.candidate.requests).reshape(runs, -1)[:, 0]
        harm, safe = evidence.log_harm.reshape(runs, -1).max(axis=1), evidence.log_safe.reshape(runs, -1).min(axis=1)
        going = ~outcome.rolled_back & ~(until_safe & outcome.promoted)
        note(outcome.harmful_at, outcome.harmful_requests, going & (harm >= limit), end, requests)
        note(outcome.safe_at, outcome.safe_requests, going & (harm < limit) & (safe >= rates.safe_limit), end, requests)
        if (outcome.rolled_back | (until_safe & outcome.promoted)).all():
            break
    return outcome


def note(times: np.ndarray, requests: np.ndarray, now: np.ndarray, end: float, count: np.ndarray) -> None:
    """Write down when it first happened, where it happens now."""
    first = now & np.isinf(times)
    times[first], requests[first] = end, count[first]


def arrivals(rng: Generator, runs: int, expected: float, bad_share: float) -> Counts:
    """Poisson requests of which each is bad on its own: then bad and good ones are Poisson, too."""
    bad = rng.poisson(expected * bad_share, runs)
    return Counts(bad + rng.poisson(expected * (1.0 - bad_share), runs), bad)


def proportion(happened: np.ndarray, claimed: float | None = None) -> dict[str, Any]:
    """A share with its exact 99.9 % lower confidence bound, and whether that is above what is claimed."""
    count, total = int(happened.sum()), happened.size
    lower = float(beta.ppf(0.001, count, total - count + 1)) if count else 0.0
    found: dict[str, Any] = {"share": count / total, "lower": lower}
    return found if claimed is None else found | {"claimed": claimed, "broken": lower > claimed}


def quantiles(values: np.ndarray) -> dict[str, float | None]:
    """The median and the 90 % quantile; None where it never came."""
    ordered = np.sort(values)

    def at(share: float) -> float | None:
        value = float(ordered[min(int(np.ceil(share * ordered.size)) - 1, ordered.size - 1)])
        return value if np.isfinite(value) else None

    return {"median": at(0.5), "p90": at(0.9)}


def seeded(seed: int, name: str) -> Generator:
    """A generator of a cell's own, whichever process computes it and in whatever order."""
    return np.random.default_rng([seed, *name.encode()])
