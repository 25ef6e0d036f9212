"""What the evidence of a check says, at the error rates that the user asked for.

Called at every look of a rollout; valid at each of them (`evidence`). That the source of the counts is down is for its
reader to say: here no requests are simply no data.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from modelway.stats.counts import Floats


class Verdict(StrEnum):
    """Of one check. Only `SAFE` speaks for a promotion, and only `HARMFUL` against the candidate."""

    HARMFUL = "Harmful"
    SAFE = "Safe"
    CONTINUE = "Continue"
    NO_DATA = "NoData"


class Judged(Protocol):
    """Evidence of any form: of two arms (`evidence.Evidence`) or of pairs (`paired.PairedEvidence`)."""

    @property
    def log_harm(self) -> Floats:
        """The log of the e-process against "no worse than the margin", for each stream."""

    @property
    def log_safe(self) -> Floats:
        """The log of the e-process against "worse by the margin or more", for each stream."""

    @property
    def has_data(self) -> bool:
        """Whether there was anything to compare."""


@dataclass(frozen=True, slots=True)
class Rates:
    """The error rates of a rollout.

    Attributes:
        false_rollback: the most that the chance may be of calling any check Harmful in the whole rollout when the
            candidate is within the margin in all of them; inside (0, 1).
        false_promotion: the most that the chance may be of calling all checks Safe when the candidate is worse by the
            margin or more in one of them; inside (0, 1).
        checks: how many checks share the false-rollback rate: all whose verdict Harmful acts.

    Raises:
        ValueError: a rate is not inside (0, 1), or there is no check.

    """

    false_rollback: float
    false_promotion: float
    checks: int = 1

    def __post_init__(self) -> None:
        for name in ("false_rollback", "false_promotion"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"{name} of {getattr(self, name)} is not between 0 and 1; write 1% as 0.01")
        if self.checks < 1:
            raise ValueError(f"error rates are of at least one check, not of {self.checks}")

    def harm_limit(self, streams: int) -> float:
        """The log e-value at which one of a check's streams is harmful: e-Bonferroni over checks and streams."""
        return math.log(self.checks * streams / self.false_rollback)

    @property
    def safe_limit(self) -> float:
        """The log e-value that every stream of every check must reach: intersection-union, so nothing is divided."""
        return math.log(1.0 / self.false_promotion)


def judge(evidence: Judged, rates: Rates) -> Verdict:
    """What the check says now.

    Harmful as soon as one stream is; Safe when every one is. Both at once cannot be told apart from harm, and acts so.
    """
    if not evidence.has_data:
        return Verdict.NO_DATA
    if evidence.log_harm.max() >= rates.harm_limit(evidence.log_harm.size):
        return Verdict.HARMFUL
    if evidence.log_safe.min() >= rates.safe_limit:
        return Verdict.SAFE
    return Verdict.CONTINUE
