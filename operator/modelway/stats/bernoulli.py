"""Two arms of independent requests: the point of a linear boundary nearest to an alternative, and the likelihood ratio.

The arithmetic below `evidence` and `forecast`. Everything is vectorised: arguments are arrays that broadcast. Pairs
are (candidate, stable), shares are of bad requests, and the boundary is: candidate's share = stable's share + margin.
"""

from dataclasses import dataclass

import numpy as np

from modelway.stats.counts import Floats

Pair = tuple[Floats, Floats]

_MOST_STEPS = 100
"""Halving alone needs 53 to reach the last bit; Newton's method needs about 6."""

_ACCURACY = 1e-9
"""Of the projection: its last step, relative to 0.001 + share. Newton's steps square the error, so what is left after
that step is rounding; and E[E] depends on an error here only in second order."""


def project(requests: Pair, alternative: Pair, margin: float) -> Pair:
    """The shares (q_c, q_s) with q_c = q_s + margin from which the alternative (a_c, a_s) is hardest to tell.

    They minimise n_c·KL(a_c‖q_c) + n_s·KL(a_s‖q_s), with KL of Bernoulli: the reverse information projection on the
    boundary (Turner & Grünwald, arXiv:2203.09785). The slope of that sum rises with q_s and changes its sign between
    q_s = a_s and q_s = a_c - margin, so its zero is found there: by Newton's method, and by halving where that leaves
    the bracket.

    Args:
        requests: (n_c, n_s), each 0 or more; only their ratio matters.
        alternative: (a_c, a_s), each inside (0, 1).
        margin: inside (0, 1).

    """
    ends = np.clip((alternative[1], alternative[0] - margin), 0.0, 1.0 - margin)
    low, high = ends.min(axis=0), ends.max(axis=0)
    share = _first_guess(requests, ends, margin)
    for _ in range(_MOST_STEPS):
        slope, bend = _slope(requests, alternative, margin, share)
        low, high = np.where(slope <= 0, share, low), np.where(slope >= 0, share, high)
        newton = share - slope / np.where(bend == 0, np.nan, bend)
        following = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        settled = np.abs(following - share) <= _ACCURACY * (0.001 + share)
        share = following
        if settled.all():
            break
    return share + margin, share


def _first_guess(requests: Pair, ends: Floats, margin: float) -> Floats:
    """Both ends of the bracket, each weighted with what its arm can tell (requests over variance)."""
    middle = np.clip(ends.mean(axis=0), 1e-9, 1.0 - margin - 1e-9)
    stable = requests[1] / (middle * (1.0 - middle))
    candidate = requests[0] / ((middle + margin) * (1.0 - middle - margin))
    total = stable + candidate
    guess = (stable * ends[0] + candidate * ends[1]) / np.where(total > 0, total, 1.0)
    return np.asarray(np.where(total > 0, guess, middle), dtype=np.float64)


def _slope(requests: Pair, alternative: Pair, margin: float, share: Floats) -> Pair:
    """The derivative of the sum by q_s, times q_c(1 - q_c)·q_s(1 - q_s) to be a polynomial; and its own derivative."""
    (n_c, n_s), (a_c, a_s) = requests, alternative
    shifted = share + margin
    spread, spread_shifted = share * (1.0 - share), shifted * (1.0 - shifted)
    slope = n_c * (shifted - a_c) * spread + n_s * (share - a_s) * spread_shifted
    bend = n_c * (spread + (shifted - a_c) * (1.0 - 2.0 * share)) + n_s * (
        spread_shifted + (share - a_s) * (1.0 - 2.0 * shifted)
    )
    return slope, bend


@dataclass(frozen=True, slots=True)
class Stakes:
    """What one request adds to the log of a likelihood ratio: (candidate, stable), if bad and if good."""

    bad: Pair
    good: Pair

    @classmethod
    def of(cls, alternative: Pair, null: Pair) -> "Stakes":
        """Of the ratio alternative : null; infinite where the null excludes what the alternative does not."""
        (a_c, a_s), (q_c, q_s) = alternative, null
        with np.errstate(divide="ignore"):
            return cls(
                bad=(np.log(a_c / q_c), np.log(a_s / q_s)),
                good=(np.log1p((q_c - a_c) / (1.0 - q_c)), np.log1p((q_s - a_s) / (1.0 - q_s))),
            )

    def paid(self, requests: Pair, bad: Pair) -> Floats:
        """The log of the likelihood ratio of so many requests and bad ones."""
        return _paid(requests[0], bad[0], self.bad[0], self.good[0]) + _paid(
            requests[1], bad[1], self.bad[1], self.good[1]
        )

    def mean_and_variance(self, shares: Pair, ratio: Floats) -> Pair:
        """Of the sum that one candidate request and `ratio` stable ones add when the true shares are `shares`."""
        candidate, stable = (_moments(shares[arm], self.bad[arm], self.good[arm]) for arm in (0, 1))
        return candidate[0] + ratio * stable[0], candidate[1] + ratio * stable[1]


def _paid(requests: Floats, bad: Floats, if_bad: Floats, if_good: Floats) -> Floats:
    good = requests - bad
    # no request costs nothing, not even at infinite stakes
    return bad * np.where(bad == 0, 0.0, if_bad) + good * np.where(good == 0, 0.0, if_good)


def _moments(share: Floats, if_bad: Floats, if_good: Floats) -> Pair:
    return share * if_bad + (1.0 - share) * if_good, share * (1.0 - share) * (if_bad - if_good) ** 2
