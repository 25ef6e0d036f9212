"""The numbers that one metric needs of labelled rows, and the metric that they make.

A judge of one metric keeps these for each window instead of all counts: a handful of whole numbers, which are merged by
addition like the counts. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zlib import crc32

import numpy as np

from modelway.stats import quality
from modelway.stats.quality import BINS, Errors, Metric, Scores, Z

if TYPE_CHECKING:
    from modelway.stats.quality_counts import Labelled

METRICS: Final = ("accuracy", "precision", "recall", "f1", "auc", "logLoss", "mae", "rmse")
FALLING: Final = frozenset({"logLoss", "mae", "rmse"})
"""Those that are better the less they are."""
OF_A_CLASS: Final = {"precision": quality.precision, "recall": quality.recall, "f1": quality.f1}
"""Those that are of one class."""

Figures = tuple[int, ...]


def size_of(name: str) -> int:
    """How many numbers a metric needs."""
    if name == "accuracy":
        return 2
    if name == "logLoss":
        return 3
    return 2 * BINS if name == "auc" else 4


def figures(labelled: Labelled, name: str, label: str = "") -> Figures:
    """The numbers for one of `METRICS`; `label` says whose precision, recall or F1."""
    if name == "accuracy":
        return labelled.right, labelled.rows - labelled.errors.rows
    if name in OF_A_CLASS:
        return _one_against_others(labelled, label)
    if name == "auc":
        return tuple(labelled.bins.get((was, place), 0) for was in (0, 1) for place in range(BINS))
    if name == "logLoss":
        return sum(labelled.bins.values()), labelled.loss, labelled.loss_squares
    errors = labelled.errors
    return errors.rows, errors.total, errors.squares, errors.fourths


def metric_of(numbers: Figures, name: str, z: float = Z) -> Metric | None:
    """The metric with its interval at `z` standard deviations; None where the numbers say nothing of it."""
    if name == "accuracy":
        return quality.share(numbers[0], numbers[1], z)
    if name in OF_A_CLASS:
        return OF_A_CLASS[name](np.array(numbers, dtype=np.int64).reshape(2, 2), 1, z)
    if name == "auc":
        return quality.auc(Scores(np.array(numbers, dtype=np.int64).reshape(2, BINS), 0, 0), z)
    if name == "logLoss":
        rows, loss, squares = numbers
        return quality.mean(loss, squares, rows, z)
    errors = Errors(*numbers)
    return quality.mae(errors, z) if name == "mae" else quality.rmse(errors, z)


def rows_in(numbers: Figures, name: str) -> int:
    """Labelled rows that they are of."""
    if name == "accuracy":
        return numbers[1]
    return sum(numbers) if name in OF_A_CLASS or name == "auc" else numbers[0]


def metric(labelled: Labelled, name: str, label: str = "") -> Metric | None:
    """One of `METRICS` of labelled rows; None where nothing is known of it."""
    return metric_of(figures(labelled, name, label), name)


def mark_of(name: str) -> str:
    """What stands for a predicted class whose name was not known to who counted it."""
    return f"#{crc32(name.encode('utf-8', 'surrogatepass')):08x}"


def _one_against_others(labelled: Labelled, label: str) -> Figures:
    own = {label, mark_of(label)}
    confusion = [0, 0, 0, 0]  # by label, then by prediction
    for (was, predicted), rows in labelled.pairs.items():
        confusion[2 * (was in own) + (predicted in own)] += rows
    return tuple(confusion)
