"""Answers as features: the class and the score, compared like inputs. Pure.

The bins are those of the rollouts' check of predictions (`plan.rollout.answers`), made once: from what the model's
maker tells, else from what was learnt.
"""

from collections.abc import Mapping
from sys import float_info
from typing import Final

import numpy as np

from modelway.api.observations import NONE, VALUE
from modelway.plan.rollout.answers import Bins, fix_bins
from modelway.stats.counts import Ints
from modelway.stats.drift_cells import FIGURES, INVALID, Cells
from modelway.stats.drift_reference import Feature

CLASS: Final = "class"
SCORE: Final = "score"
_LARGEST: Final = float_info.max
MIN_USUAL: Final = 1_000
"""Answers of the model's maker from which they are taken for what is usual."""


def usual_answers(counted: Mapping[str, int], *, rows: int) -> tuple[Bins, tuple[Feature, ...]] | None:
    """What is usual for the answers, and the bins that they are counted in; None while there are too few.

    Args:
        counted: answers, by their key.
        rows: how many are enough.
    """
    bins = fix_bins(counted, rows=rows)
    if bins is None:
        return None
    features = tuple(
        Feature(name, cells, tuple(part[FIGURES:].tolist()))
        for (name, cells), part in zip(_families(bins), windowed(bins, counted), strict=True)
    )
    return bins, features


def windowed(bins: Bins, counted: Mapping[str, int]) -> list[Ints]:
    """Answers in the form of counts of features (`stats.drift_cells`): of the class and of the score, where there
    are such.
    """
    counts, (classes, _) = bins.counts(counted), bins.sizes
    found = []
    for name, cells in _families(bins):
        part = np.zeros(FIGURES + cells.size, np.int64)
        if name == CLASS:
            part[FIGURES:] = counts[:classes]
        else:
            *scores, part[INVALID] = counts[classes:]
            part[FIGURES:] = scores
        found.append(part)
    return found


def requests_in(counted: Mapping[str, int]) -> int:
    """How many requests were answered: each counts by its class, by its score, or by both."""
    scores = sum(count for key, count in counted.items() if key.startswith(VALUE))
    nothing = counted.get(NONE, 0)
    return max(sum(counted.values()) - scores - nothing, scores) + nothing


def _families(bins: Bins) -> list[tuple[str, Cells]]:
    classes, scores = bins.sizes
    found = []
    if classes:
        # Named by their place: what a class is called is of no concern here.
        found.append((CLASS, Cells(categories=tuple(map(str, range(classes - 1))))))
    if scores:
        # Any number is in range, and as JSON has no infinity, the largest ones say so: the watch is written down.
        found.append((SCORE, Cells(tuple(map(float, bins.edges)), lowest=-_LARGEST, highest=_LARGEST)))
    return found
