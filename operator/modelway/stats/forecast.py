"""How long a check will still take, and whether it can be proven safe in the time that is left.

Read by people, in `status`; no decision depends on it. The logs of the e-processes are taken as random walks whose
steps are what a candidate request, and the stable ones beside it, add on average at the shares seen so far. What is not
known yet of the candidate's share is taken into account by trying several values for it.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from modelway.stats.bernoulli import Stakes, project
from modelway.stats.counts import Counts, Floats
from modelway.stats.evidence import STRENGTHS, Evidence, bets
from modelway.stats.passage import chance_of_reaching
from modelway.stats.verdicts import Rates, Verdict

FUTILE: Final = 0.05
"""Below this chance of ever being Safe in time, a check is called futile."""

_NORMAL_POINTS: Final = (-1.593, -0.967, -0.589, -0.282, 0.0, 0.282, 0.589, 0.967, 1.593)
"""Medians of nine equally likely parts of a normal distribution."""

_PRIOR_WORTH: Final = 0.25
_PRIOR_FIRMNESS: Final = 2.0
"""Before it is seen the candidate is thought to be like the stable arm: as firmly as after 2 / margin requests, but
corrected soon, with the weight of 0.25 / margin requests. Chosen by simulation (docs/statistics.md, "Forecasts")."""

_HORIZON: Final = 1e10
"""Candidate requests beyond which nobody waits."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests per second of both arms, as of late."""

    candidate: float
    stable: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What to expect of a check at today's rate.

    Attributes:
        verdict: the decision that is likelier to come: Safe or Harmful; Continue when neither is in sight.
        requests: candidate requests until a decision is as likely to have come as not; None when none is in sight.
        seconds: the time for these; None as well without traffic.
        chance_of_safe: that the check is Safe within the time left.

    """

    verdict: Verdict
    requests: int | None
    seconds: float | None
    chance_of_safe: float

    @property
    def is_futile(self) -> bool:
        """Whether waiting for Safe makes no sense at today's rate: too little time is left, or the candidate is bad."""
        return self.chance_of_safe < FUTILE


def forecast(evidence: Evidence, rates: Rates, traffic: Traffic, *, seconds_left: float) -> Forecast | None:
    """What to expect; None while nothing is known of the stable arm, or it takes no requests to compare with.

    Args:
        evidence: of one check.
        rates: as given to `judge`.
        traffic: at today's weight.
        seconds_left: until the rollout's maxDuration; infinite when there is none.

    """
    if traffic.stable <= 0 or not np.all(np.greater(evidence.stable.requests, 0)):
        return None
    to_safe, to_harm = _walks(evidence, rates, traffic)
    chance = to_safe.chance(traffic.candidate * seconds_left) if traffic.candidate > 0 else to_safe.chance(0.0)
    requests = _median(to_safe, to_harm)
    if requests is None:
        return Forecast(Verdict.CONTINUE, None, None, chance)
    verdict = Verdict.SAFE if to_safe.chance(requests) >= to_harm.chance(requests) else Verdict.HARMFUL
    seconds = requests / traffic.candidate if traffic.candidate > 0 else None
    return Forecast(verdict, math.ceil(requests), seconds, chance)


@dataclass(frozen=True, slots=True)
class _Walk:
    """How far it is to a limit, and gain and variance of a candidate request with the stable ones beside it.

    Shapes: (alternatives,) and (possible shares of the candidate, alternatives).
    """

    distance: Floats
    drift: Floats
    variance: Floats

    def chance(self, requests: float) -> float:
        """That the limit is reached within so many candidate requests, by the best of the alternatives."""
        if requests <= 0:
            return float(np.any(self.distance <= 0))
        reached = chance_of_reaching(self.distance, self.drift, self.variance, requests)
        return float(reached.max(axis=-1).mean())


def _walks(evidence: Evidence, rates: Rates, traffic: Traffic) -> tuple[_Walk, _Walk]:
    """To Safe in the stream that is the last to get there, and to Harmful in the one that is closest to it."""
    (worse, base), laid = bets(evidence)
    ratio = np.full(laid.shape, traffic.stable / max(traffic.candidate, 1e-6 * traffic.stable))
    stakes = Stakes.of((worse, base), project((np.ones(laid.shape), ratio), (worse, base), evidence.margin))
    shares = _possible_shares(evidence.candidate, base[..., 0], evidence.margin)[..., np.newaxis]
    drift, variance = stakes.mean_and_variance((shares, base[..., :1]), ratio)
    drift = np.where(laid, drift, -np.inf).reshape(len(_NORMAL_POINTS), -1, laid.shape[-1])
    variance = np.maximum(variance, 1e-12).reshape(drift.shape)

    to_safe = (rates.safe_limit - evidence.log_safe).reshape(-1, 1)
    last = int((to_safe[:, 0] / np.maximum(drift[len(_NORMAL_POINTS) // 2, :, -1], 1e-12)).argmax())
    limit = rates.harm_limit(evidence.log_harm.size) + math.log(len(STRENGTHS))
    to_harm = (limit - evidence.log_harms).reshape(-1, len(STRENGTHS))
    closest = int(evidence.log_harm.argmax())
    return (
        _Walk(to_safe[last], drift[:, last, -1:], variance[:, last, -1:]),
        _Walk(to_harm[closest], drift[:, closest, :-1], variance[:, closest, :-1]),
    )


def _possible_shares(candidate: Counts, stable_share: Floats, margin: float) -> Floats:
    """Equally likely shares of bad requests: a gamma distribution's, by Wilson & Hilferty's cube. First axis: which."""
    bad, requests = np.asarray(candidate.bad), np.asarray(candidate.requests)
    share = (bad + _PRIOR_WORTH / margin * stable_share) / (requests + _PRIOR_WORTH / margin)
    shape = bad + _PRIOR_FIRMNESS / margin * stable_share
    points = np.reshape(_NORMAL_POINTS, (-1, *(1 for _ in shape.shape)))
    cube_root = 1.0 - 1.0 / (9.0 * shape) + points / (3.0 * np.sqrt(shape))
    return np.asarray(np.clip(share * np.maximum(cube_root, 0.0) ** 3, 0.0, 1.0), dtype=np.float64)


def _median(to_safe: _Walk, to_harm: _Walk) -> float | None:
    """Candidate requests until either limit is as likely to have been reached as not, to 1 %."""

    def chance(requests: float) -> float:
        return to_safe.chance(requests) + to_harm.chance(requests)

    if chance(0.0) >= 0.5:
        return 0.0
    if chance(_HORIZON) < 0.5:
        return None
    low, high = 0.0, math.log(_HORIZON)
    while high - low > 0.01:
        middle = (low + high) / 2.0
        low, high = (low, middle) if chance(math.exp(middle)) >= 0.5 else (middle, high)
    return math.exp(high)
