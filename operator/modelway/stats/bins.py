"""The check `predictions`: has the share of any bin of the answers moved by more than the margin?

The bins are classes, or ranges of the score. For each there are two streams: in the first a request is "bad" when its
answer falls into the bin (its share has grown), in the second when it does not (it has shrunk). Both are ordinary
streams of `evidence`; `verdicts` divides the false-rollback rate by their number.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelway.stats.counts import Counts, Ints, Tick
from modelway.stats.evidence import Evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

GROWN, SHRUNK = 0, 1


@dataclass(frozen=True, slots=True)
class Shift:
    """Where the answers have moved most clearly."""

    bin: int
    grown: bool


def streams(bins: int) -> tuple[int, int]:
    """The shape of the streams of so many bins, for `Evidence.begin`.

    Raises:
        ValueError: less than two bins: their shares cannot move.
    """
    if bins < 2:
        raise ValueError(f"the shares of {bins} bins cannot move; give at least 2")
    return 2, bins


def tick_of(candidate: "Sequence[int] | Ints", stable: "Sequence[int] | Ints") -> Tick:
    """The counts of all streams from both arms' histograms over one window.

    Args:
        candidate: answers in each bin; arrays may have more axes before that of the bins.
        stable: the same bins.

    Raises:
        ValueError: the arms have different bins.

    """
    ours, theirs = np.asarray(candidate, dtype=np.int64), np.asarray(stable, dtype=np.int64)
    if ours.shape[-1] != theirs.shape[-1]:
        raise ValueError(f"the candidate counts {ours.shape[-1]} bins, the stable revision {theirs.shape[-1]}")
    return Tick(_both_directions(ours), _both_directions(theirs))


def most_shifted(evidence: Evidence) -> Shift:
    """The bin and direction with the most evidence of a shift beyond the margin."""
    direction, bin_ = np.unravel_index(int(evidence.log_harm.argmax()), evidence.log_harm.shape)
    return Shift(bin=int(bin_), grown=int(direction) == GROWN)


def _both_directions(inside: Ints) -> Counts:
    total = np.broadcast_to(inside.sum(axis=-1, keepdims=True), inside.shape)
    return Counts(
        requests=np.stack([total, total], axis=-2),
        bad=np.stack([inside, total - inside], axis=-2),
    )
