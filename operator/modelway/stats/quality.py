"""How good predictions were, from labels that came later: metrics with intervals, from counts that add up.

Three kinds of counts: a confusion matrix, scores of a two-class classifier by label, errors of a regression. All are
whole numbers, so counts of pods and windows add up exactly, in any order. Intervals are at 95 %, or at `z` standard
deviations where several are looked at together, and take labelled rows for independent. A metric of which nothing is
known, such as the precision for a class that was never predicted, is None, never 0. Pure; numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

from modelway.stats.drift_findings import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelway.stats.counts import Floats, Ints

Z: Final = 1.959964
"""Standard deviations of a 95 % interval."""
BINS: Final = 100
"""Of scores from 0 to 1; a half is a border, so estimated accuracy is exact."""
UNIT: Final = 2.0**-32
"""Of the last digits of sums."""
LARGEST: Final = 1e70
"""Of an error: sums of its fourth power are still numbers."""
_LEAST_P: Final = 1e-15  # of a logarithm, as scikit-learn bounds it


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric over some rows.

    Args:
        value: the metric.
        low: end of its 95 % interval.
        high: the other end.
        rows: labelled rows that it is about.

    """

    value: float
    low: float
    high: float
    rows: int


def accuracy(confusion: Ints) -> Metric | None:
    """The share of rows with the right label, with Wilson's interval (1927).

    Args:
        confusion: rows by [label, prediction].

    """
    return share(int(np.trace(confusion)), int(confusion.sum()))


def precision(confusion: Ints, label: int, z: float = Z) -> Metric | None:
    """Of the rows that were predicted to be of this label, the share that are."""
    return share(int(confusion[label, label]), int(confusion[:, label].sum()), z)


def recall(confusion: Ints, label: int, z: float = Z) -> Metric | None:
    """Of the rows of this label, the share that were predicted so."""
    return share(int(confusion[label, label]), int(confusion[label].sum()), z)


def f1(confusion: Ints, label: int, z: float = Z) -> Metric | None:
    """The harmonic mean of precision and recall.

    It is 2J / (1 + J), where J, right ones among those that are or were predicted to be of the label, is a share: so
    its interval is Wilson's for J, through the same formula, which rises with J.
    """
    right = int(confusion[label, label])
    jaccard = share(right, int(confusion[label].sum() + confusion[:, label].sum()) - right, z)
    if jaccard is None:
        return None
    value, low, high = (2 * one / (1 + one) for one in (jaccard.value, jaccard.low, jaccard.high))
    return Metric(value, low, high, int(confusion.sum()))


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of the second of two classes, by label.

    Args:
        counts: rows by [label, bin of the score], `BINS` bins of the same width from 0 to 1.
        loss: sum of -log of the probability that the right label was given, in `UNIT`.
        loss_squares: sum of its squares, likewise.

    """

    counts: Ints
    loss: int
    loss_squares: int

    @classmethod
    def of(cls, scores: Floats, labels: Sequence[bool] | Floats) -> Scores:
        """Count scores from 0 to 1 with their labels.

        Raises:
            ValueError: a score is no probability.
        """
        scores, right = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
        if not ((scores >= 0) & (scores <= 1)).all():
            raise ValueError("scores must be probabilities, from 0 to 1")
        places = np.minimum((scores * BINS).astype(int), BINS - 1)
        counts = np.zeros((2, BINS), dtype=np.int64)
        np.add.at(counts, (right.astype(int), places), 1)
        loss = -np.log(np.maximum(np.where(right, scores, 1 - scores), _LEAST_P))
        return cls(counts, _whole(loss), _whole(loss * loss))

    def __add__(self, other: Scores) -> Scores:
        return Scores(self.counts + other.counts, self.loss + other.loss, self.loss_squares + other.loss_squares)

    @property
    def rows(self) -> int:
        """Labelled rows."""
        return int(self.counts.sum())


def auc(scores: Scores, z: float = Z) -> Metric | None:
    """The probability that a row of the second class scores above one of the first, ties counting half.

    Rows of one bin count as ties, which with 100 bins changes it by some ten thousandths. The interval is by Hanley and
    McNeil (Radiology 143, 1982).
    """
    negative, positive = scores.counts
    n, m = int(negative.sum()), int(positive.sum())
    if not n or not m:
        return None
    below = np.cumsum(negative) - negative
    value = float((positive * (below + negative / 2)).sum() / (n * m))
    square = value * value
    first, second = value / (2 - value), 2 * square / (1 + value)
    variance = (value * (1 - value) + (m - 1) * (first - square) + (n - 1) * (second - square)) / (n * m)
    half = z * sqrt(max(variance, 0.0))
    return Metric(value, max(value - half, 0.0), min(value + half, 1.0), n + m)


def log_loss(scores: Scores) -> Metric | None:
    """The mean of -log of the probability that the right label was given; probabilities from 1e-15 on."""
    return mean(scores.loss, scores.loss_squares, scores.rows)


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure a classifier was of its answers, whatever became of them.

    Args:
        rows: answers with a probability.
        sure: sum of the probabilities of the classes that were answered, in `UNIT`.
        spread: sum of p (1 - p) of these, likewise.

    """

    rows: int = 0
    sure: int = 0
    spread: int = 0

    def __add__(self, other: Confidence) -> Confidence:
        return Confidence(self.rows + other.rows, self.sure + other.sure, self.spread + other.spread)

    def less(self, before: Confidence) -> Confidence:
        """What was added since."""
        return Confidence(self.rows - before.rows, self.sure - before.sure, self.spread - before.spread)


def expected_accuracy(confidence: Confidence) -> Metric | None:
    """What the accuracy of a calibrated classifier should be by its own probabilities, without a label: an estimate.

    Confidence-based performance estimation (CBPE, as NannyML's documentation defines it): a row is right with the
    probability that its answer was given. It holds where probabilities are calibrated, under a shift of the inputs too,
    and is blind where the meaning of the inputs has changed. The interval is that of chance alone, of a sum of
    Bernoulli variables; it knows nothing of a bad calibration.
    """
    if not confidence.rows:
        return None
    value = confidence.sure * UNIT / confidence.rows
    half = Z * sqrt(max(confidence.spread * UNIT, 0.0)) / confidence.rows
    return Metric(value, max(value - half, 0.0), min(value + half, 1.0), confidence.rows)


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors of a regression: prediction less value.

    Args:
        rows: labelled rows.
        total: sum of the errors' sizes, in `UNIT`; Python's whole numbers, which have no end.
        squares: sum of their squares.
        fourths: sum of the squares of these.

    """

    rows: int = 0
    total: int = 0
    squares: int = 0
    fourths: int = 0

    @classmethod
    def of(cls, predictions: Floats, values: Floats) -> Errors:
        """Count predictions with the values that came true.

        Raises:
            ValueError: one is not finite, or absurdly far off.
        """
        sizes = np.abs(np.asarray(predictions, dtype=np.float64) - np.asarray(values, dtype=np.float64))
        if not (sizes <= LARGEST).all():
            raise ValueError(f"an error is not finite, or larger than {LARGEST:g}: is the value of the same unit?")
        squares = sizes * sizes
        return cls(len(sizes), _whole(sizes), _whole(squares), _whole(squares * squares))

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.rows + other.rows,
            self.total + other.total,
            self.squares + other.squares,
            self.fourths + other.fourths,
        )


def mae(errors: Errors, z: float = Z) -> Metric | None:
    """The mean size of an error."""
    return mean(errors.total, errors.squares, errors.rows, z)


def rmse(errors: Errors, z: float = Z) -> Metric | None:
    """The root of the mean square of an error; the interval is that of the mean square, its root taken."""
    square = mean(errors.squares, errors.fourths, errors.rows, z)
    return square and Metric(sqrt(square.value), sqrt(square.low), sqrt(square.high), square.rows)


def loss_of(p: float) -> float:
    """-log of the probability that the right label was given; of 1e-15 where it is less."""
    return -log(max(p, _LEAST_P))


def bin_of(p: float) -> int:
    """Which of `BINS` a probability falls into."""
    return min(int(p * BINS), BINS - 1)


def whole(number: float) -> int:
    """In whole `UNIT`s."""
    return round(number / UNIT)


def share(times: int, rows: int, z: float = Z) -> Metric | None:
    """A share of rows, with Wilson's interval (1927) at `z` standard deviations."""
    if not rows:
        return None
    value = times / rows
    low, high = wilson(times, rows, z)
    return Metric(value, min(low, value), max(high, value), rows)  # which rounding may have moved past 0 or 1


def mean(total: int, squares: int, rows: int, z: float = Z) -> Metric | None:
    """The mean of numbers that are not negative, with the interval of the central limit theorem.

    Args:
        total: their sum, in `UNIT`.
        squares: the sum of their squares, likewise.
        rows: how many.
        z: standard deviations of the interval.

    """
    if not rows:
        return None
    value = total * UNIT / rows
    variance = max(squares * UNIT / rows - value * value, 0.0) * (rows / (rows - 1) if rows > 1 else 1.0)
    half = z * sqrt(variance / rows)
    return Metric(value, max(value - half, 0.0), value + half, rows)


def _whole(numbers: Floats) -> int:
    """The sum in whole `UNIT`s, each number rounded for itself: so sums of parts are those of the whole."""
    return sum(map(whole, numbers.tolist()))
