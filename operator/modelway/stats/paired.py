"""Shadow requests: the same request was answered by both revisions, so that what differs is the revision alone.

For each pair there is a difference: candidate wrong minus stable wrong (-1, 0, 1), score minus score, or 1 where the
answers disagree. Two e-processes test its mean against the margin: bets on bounded means after Waudby-Smith & Ramdas
(arXiv:2010.09686), ∏(1 + λ(d - margin)) for *harm* and ∏(1 + λ(margin - d)) for *safe*, each the mean over a fixed grid
of λ; a factor's expectation is at most 1 when the mean of d is on the hypothesis' side, whatever else its distribution.
A fixed grid makes the order of a look's pairs irrelevant. The gain over comparing the arms: what both get wrong, or
score alike, is no noise. What a look may add is bounded (MOST_OF_A_LOOK), since its pairs are not independent.

Called by the decision of a shadow step; pure.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from modelway.stats.counts import Floats
from modelway.stats.evidence import CAP, log_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

FRACTIONS: Final = (0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
"""The grid of λ, as fractions of the largest at which no pair can cost more than the stake."""

MOST_OF_A_LOOK: Final = 2.0
"""What the pairs of one look may add to a logarithm at most, be they three or three hundred.

A product over pairs is an e-process when pairs are independent, and those of the same ten seconds are not: one client
that repeats one odd request makes all of them. Under any dependence within a look the *mean* of its pairs' e-values is
valid (Vovk & Wang, arXiv:1912.06116), which is the bet on the look's mean; but that takes as many looks as else pairs.
To cut the product off is as valid as the product is, min(E, c) being at most E, and leaves a burst little to win:
where a look is odd throughout with a chance of q, and else quiet, its expectation is q·e² and what the quiet ones
leave. So clients who stay within the margin over many looks do not add up, and it takes at least two looks to *safe*
and four to *harm*. Where all is plain it costs half a minute, in a step whose answers reach nobody."""

_NOTHING: Final = 1e-18


@dataclass(frozen=True, slots=True, eq=False)
class PairedEvidence:
    """The state for one sort of difference.

    Attributes:
        margin: the mean difference that is still acceptable; inside (lowest, 1).
        lowest: the least difference there can be: -1, or 0 for disagreement. The largest is 1.
        harm: for each of FRACTIONS, the log of what its bet is worth.
        safe: the same.
        pairs: how many so far.
        total: the sum of their differences.

    """

    margin: float
    lowest: float
    harm: Floats
    safe: Floats
    pairs: int
    total: float

    @classmethod
    def begin(cls, margin: float, *, lowest: float = -1.0) -> Self:
        """Nothing known yet.

        Raises:
            ValueError: the margin is not above 0 and below 1, or `lowest` not from -1 to 0.
        """
        if not 0.0 < margin < 1.0:
            raise ValueError(f"a margin of {margin} is not between 0 and 1; write 1% as 0.01")
        if not -1.0 <= lowest <= 0.0:
            raise ValueError(f"the least difference is between -1 and 0, not {lowest}")
        nothing = np.zeros(len(FRACTIONS))
        return cls(margin, lowest, nothing, nothing, 0, 0.0)

    @property
    def log_harm(self) -> Floats:
        """The log of the e-process *harm*; one stream."""
        return log_mean(self.harm)

    @property
    def log_safe(self) -> Floats:
        """The log of the e-process *safe*; one stream."""
        return log_mean(self.safe)

    @property
    def has_data(self) -> bool:
        """Whether there was a pair."""
        return self.pairs > 0

    @property
    def mean(self) -> float:
        """The mean difference; 0 without a pair."""
        return self.total / self.pairs if self.pairs else 0.0


def update(evidence: PairedEvidence, differences: "Sequence[float] | Floats") -> PairedEvidence:
    """The evidence after the pairs of one more look.

    Args:
        evidence: the state before.
        differences: all that are new since the look before; what depends on each other belongs in one call.

    Raises:
        ValueError: a difference is no number or out of its range; scores must be brought into [0, 1] before.
    """
    found = np.asarray(differences, dtype=np.float64).ravel()
    wrong = ~((found >= evidence.lowest) & (found <= 1.0))
    if wrong.any():
        at = int(wrong.argmax())
        raise ValueError(f"difference {at} is {found[at]}, not between {evidence.lowest:g} and 1")
    above = found - evidence.margin
    worse = np.array(FRACTIONS) / (evidence.margin - evidence.lowest)
    better = np.array(FRACTIONS) / (1.0 - evidence.margin)
    return PairedEvidence(
        margin=evidence.margin,
        lowest=evidence.lowest,
        harm=_grown(evidence.harm, np.multiply.outer(above, worse)),
        safe=_grown(evidence.safe, np.multiply.outer(-above, better)),
        pairs=evidence.pairs + found.size,
        total=evidence.total + float(found.sum()),
    )


def _grown(logs: Floats, won: Floats) -> Floats:
    """The logs after a look, whose pairs have won so much on each bet, in parts of its stake."""
    return np.asarray(np.minimum(logs + np.minimum(np.log1p(won).sum(axis=0), MOST_OF_A_LOOK), CAP))


def log_sign_test(candidate_alone: int, stable_alone: int) -> float:
    """The log e-value against "the candidate is not wrong more often", from pairs in which one arm alone was wrong.

    Without a margin: the share θ of pairs that the candidate alone got wrong, among those that either got wrong alone,
    is bet to be uniform on (½, 1]. With c and s of them, n = c + s:
    E = 2ⁿ⁺¹·B(1+c, 1+s)·(1 - I_½(1+c, 1+s)) = 2ⁿ⁺¹·B(1+c, 1+s)·P(Binomial(n+1, ½) ≤ c).
    For labels that come later, and to tell "worse at all" beside "worse by more than the margin".

    Raises:
        ValueError: a count is less than 0.
    """
    if candidate_alone < 0 or stable_alone < 0:
        raise ValueError(f"pairs cannot be less than 0: {candidate_alone} and {stable_alone}")
    trials = candidate_alone + stable_alone + 1
    log_beta = math.lgamma(candidate_alone + 1) + math.lgamma(stable_alone + 1) - math.lgamma(trials + 1)
    return trials * math.log(2.0) + log_beta + _log_at_most(candidate_alone, trials)


def _log_at_most(successes: int, trials: int) -> float:
    """The log of P(Binomial(trials, ½) ≤ successes): from the largest term to both sides, until they add nothing."""
    largest = min(successes, trials // 2)
    total, term = 1.0, 1.0
    for count in range(largest, 0, -1):
        term *= count / (trials - count + 1)
        total += term
        if term < _NOTHING:
            break
    term = 1.0
    for count in range(largest + 1, successes + 1):
        term *= (trials - count + 1) / count
        total += term
        if term < _NOTHING:
            break
    return _log_choose(trials, largest) + math.log(total) - trials * math.log(2.0)


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
