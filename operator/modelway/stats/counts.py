"""What a check counts: requests and bad ones, for each arm, in one window.

Every check reduces to this: errorRate counts failed requests, latency slow ones, predictions answers that fall (or do
not fall) into a bin. Filled by whoever reads the counters, consumed by `evidence.update`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

# In quotes: the operator loads numpy when the first requests are compared, not when it starts (`modelway.late`).
Floats: TypeAlias = "npt.NDArray[np.float64]"
Ints: TypeAlias = "npt.NDArray[np.int64]"
Bools: TypeAlias = "npt.NDArray[np.bool_]"


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of one arm, and how many of them were bad.

    Whole numbers, or arrays of them where several streams (bins, simulated runs) are counted at once.

    Raises:
        ValueError: less than nothing, or more bad ones than requests.
    """

    requests: int | Ints
    bad: int | Ints

    def __post_init__(self) -> None:
        if np.any(np.less(self.bad, 0)):
            raise ValueError(
                f"bad requests cannot be less than 0: {self.bad}; was a counter reset taken for a difference?"
            )
        if np.any(np.greater(self.bad, self.requests)):
            raise ValueError(f"{self.bad} bad among {self.requests} requests: both must come from the same window")

    def __add__(self, other: Counts) -> Counts:
        return Counts(np.add(self.requests, other.requests), np.add(self.bad, other.bad))


@dataclass(frozen=True, slots=True)
class Tick:
    """Both arms over the same half-open window, in which the route was verified."""

    candidate: Counts
    stable: Counts
