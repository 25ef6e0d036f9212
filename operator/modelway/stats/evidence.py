"""What a check knows about a candidate: two e-processes with one margin, kept as logarithms.

*harm* is evidence against "the candidate's share of bad requests is at most the stable one's plus the margin", *safe*
against "it is at least that". Under the hypothesis that a process speaks against, the chance that it ever reaches c is
at most 1/c (Ville's inequality), however often one looks: for requests that are independent given the tick, even when
the shares change from tick to tick. docs/statistics.md says what that promises and what not.

Called by the decision of a rollout with one stream (or, for predictions, one for each bin and direction), and by the
simulation with thousands at once. Pure: `update` gives back a new state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from modelway.stats.bernoulli import Pair, Stakes, project
from modelway.stats.counts import Bools, Counts, Floats, Ints, Tick

STRENGTHS: Final = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
"""How many margins worse the alternatives of *harm* are. One is right within a factor of about two for most faults;
their mean is as valid as each of them, and costs at most log 6."""

CAP: Final = 1000.0
"""Logarithms are cut off here so that e-values can be computed and written; 0 and below are never raised, because that
would make evidence out of nothing."""

MOST_OF_A_TICK: Final = 4.0
"""What one tick may add to a logarithm at most. Requests of the same seconds depend on each other: a pod that answers
badly for a moment is one event, not fifty. So a single tick never decides alone at a rate of 1 % (log 100 = 4.6), and a
smaller e-value is as valid. It delays what is plain by a tick or two, and only that."""

_LEAST_SHARE: Final = 1e-5
_FROM_THE_START: Final = 0.5
_LATE_SCALE: Final = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The state of a check. Arrays have the shape of its streams, `()` for a single one; `harm` has one axis more.

    Attributes:
        margin: by how much the candidate's share may be larger; inside (0, 1).
        harm: for each of STRENGTHS, the log of what the bets that have begun are worth.
        safe: the log of the e-process *safe*.
        candidate: all requests so far.
        stable: all requests so far.

    """

    margin: float
    harm: Floats
    safe: Floats
    candidate: Counts
    stable: Counts

    @classmethod
    def begin(cls, margin: float, streams: tuple[int, ...] = ()) -> Self:
        """Nothing known yet.

        Raises:
            ValueError: the margin is not inside (0, 1).
        """
        if not 0.0 < margin < 1.0:
            raise ValueError(f"a margin of {margin} is not between 0 and 1; write 1% as 0.01")
        nothing = np.zeros(streams, dtype=np.int64)
        harm = np.full((*streams, len(STRENGTHS)), np.log(_FROM_THE_START))
        none = Counts(nothing, nothing)
        return cls(margin, harm, np.zeros(streams), none, none)

    @property
    def log_harms(self) -> Floats:
        """For each of STRENGTHS, the log of what its bets are worth, with what is still to be bet."""
        return np.logaddexp(self.harm, np.log(_not_yet_bet(self.candidate))[..., np.newaxis])

    @property
    def log_harm(self) -> Floats:
        """The log of the e-process *harm*: the mean over the alternatives."""
        return log_mean(self.log_harms)

    @property
    def log_safe(self) -> Floats:
        """The log of the e-process *safe*."""
        return self.safe

    @property
    def has_data(self) -> bool:
        """Whether both arms have had requests."""
        return bool(np.any(np.greater(self.candidate.requests, 0)) and np.any(np.greater(self.stable.requests, 0)))


def update(evidence: Evidence, tick: Tick) -> Evidence:
    """The evidence after one more tick. The bets on it are laid from the ticks before it alone.

    Args:
        evidence: the state before.
        tick: counts of the streams' shape, or of its last axes when they are the same along the others.

    Raises:
        ValueError: the tick counts other streams than the evidence has, such as other bins.

    """
    _check_streams(evidence, tick)
    candidate, stable = evidence.candidate + tick.candidate, evidence.stable + tick.stable
    alternatives, laid = bets(evidence)
    gain = np.minimum(log_ratio(_arrays(tick, laid.shape), alternatives, evidence.margin), MOST_OF_A_TICK)
    gain = np.where(laid, gain, 0.0)
    harm = np.minimum(evidence.harm + gain[..., :-1], CAP)
    late = np.maximum(_not_yet_bet(evidence.candidate) - _not_yet_bet(candidate), 0.0)
    with np.errstate(divide="ignore"):  # without candidate requests no bet begins
        harm = np.logaddexp(harm, np.log(late)[..., np.newaxis])
    safe = np.minimum(evidence.safe + gain[..., -1], CAP)
    return Evidence(evidence.margin, harm, safe, candidate, stable)


def log_mean(logs: Floats) -> Floats:
    """The log of the mean of e^logs over the last axis, without leaving the range of floats."""
    top = logs.max(axis=-1, keepdims=True)
    return np.asarray(top[..., 0] + np.log(np.exp(logs - top).mean(axis=-1)))


def log_ratio(tick: tuple[Pair, Pair], alternative: Pair, margin: float) -> Floats:
    """The log of the e-value of one tick: the alternative against the nearest point of the boundary.

    Its expectation is at most 1 wherever on the other side of the boundary the truth is, for any numbers of requests:
    log E[E] is concave in the true shares, and its gradient at the projection is normal to the boundary.

    Args:
        tick: requests and bad ones, each (candidate, stable).
        alternative: on one side of the boundary; the hypothesis is the other side.
        margin: the boundary.

    """
    requests, bad = tick
    return Stakes.of(alternative, project(requests, alternative, margin)).paid(requests, bad)


def bets(evidence: Evidence) -> tuple[Pair, Bools]:
    """The alternatives (candidate, stable) to bet on, those of *harm* and then that of *safe*; and which are laid.

    *harm*: the stable arm as it has been, and the candidate so many margins worse, where there is room for it.
    *safe*: both arms alike. The first tick is not bet on: it may be large, and a bet on a guess is lost.
    """
    both = evidence.stable + evidence.candidate
    base, alike = _share(evidence.stable)[..., np.newaxis], _share(both)[..., np.newaxis]
    worse = np.minimum(base + np.array(STRENGTHS) * evidence.margin, 1.0 - _LEAST_SHARE)
    room = worse > base + evidence.margin
    laid = np.concatenate([room & _any(evidence.stable), _any(both)], axis=-1)
    stable = np.concatenate([np.broadcast_to(base, worse.shape), alike], axis=-1)
    return (np.concatenate([np.where(room, worse, base), alike], axis=-1), stable), laid


def _check_streams(evidence: Evidence, tick: Tick) -> None:
    streams = evidence.safe.shape
    for values in (tick.candidate.requests, tick.candidate.bad, tick.stable.requests, tick.stable.bad):
        found = np.shape(values)
        if found and found != streams[-len(found) :]:
            raise ValueError(f"counts of {found} streams for evidence of {streams}; begin again")


def _share(counts: Counts) -> Floats:
    """The share of bad ones, half a bad one among one request assumed before."""
    share = (np.asarray(counts.bad) + 0.5) / (np.asarray(counts.requests) + 1.0)
    return np.clip(share, _LEAST_SHARE, 1.0 - _LEAST_SHARE)


def _any(counts: Counts) -> Bools:
    """Whether there was a request; with one axis more, for the alternatives."""
    return np.asarray(np.greater(counts.requests, 0))[..., np.newaxis]


def _arrays(tick: Tick, shape: tuple[int, ...]) -> tuple[Pair, Pair]:
    """Requests and bad ones as arrays of `shape`: that of the streams, and the alternatives."""

    def spread(values: int | Ints) -> Floats:
        return np.broadcast_to(np.asarray(values, dtype=np.float64)[..., np.newaxis], shape)

    candidate, stable = tick.candidate, tick.stable
    return (spread(candidate.requests), spread(stable.requests)), (spread(candidate.bad), spread(stable.bad))


def _not_yet_bet(candidate: Counts) -> Floats:
    """The share of the stake that is kept for harm that begins later than after so many candidate requests.

    A version may be worse only under more weight, and an e-process that has lost for hours takes hours to recover. So
    half of the stake is bet at once, and the rest little by little: what is left falls with the logarithm of the
    requests. The whole is a mean over bets that begin at different times, each worth 1 before it begins, and so an
    e-process as each of them is. Where harm is there from the start the price is at most log 2.
    """
    doublings = np.log2(1.0 + np.asarray(candidate.requests) / _LATE_SCALE)
    return np.asarray((1.0 - _FROM_THE_START) / (1.0 + doublings))
