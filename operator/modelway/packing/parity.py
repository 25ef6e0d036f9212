"""Whether two models give the same answers to the same rows, and where they differ most.

Labels have to be equal, numbers to be within the tolerance that golden requests use: |b - a| <= t * max(1, |a|).
One thing is excused: where the original itself holds two classes for equally likely, within the tolerance, either label
is right, and such ties are counted and told.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from modelway.server.formats.base import Model
from modelway.server.tensors import Array, Batch

DEFAULT_TOLERANCE: Final = 1e-5

_PROBABILITIES: Final = ("predict_proba", "probabilities")


@dataclass(frozen=True, slots=True)
class Difference:
    """The worst difference of one output.

    Args:
        output: its name.
        size: as it is compared with the tolerance; infinite where a label or the shape differs.
        row: where.
        expected: what the original answers there.
        got: what the converted model answers.

    """

    output: str
    size: float
    row: int
    expected: object
    got: object


@dataclass(frozen=True, slots=True)
class Parity:
    """What a comparison found.

    Args:
        rows: how many were compared.
        differences: the worst of each output.
        labels: how many labels were compared.
        agreeing: how many of them were equal.
        ties: labels that differ where the original holds two classes for equally likely.

    """

    rows: int
    differences: tuple[Difference, ...]
    labels: int
    agreeing: int
    ties: int

    @property
    def worst(self) -> Difference:
        """The worst difference of all."""
        return max(self.differences, key=lambda difference: difference.size)

    @property
    def largest(self) -> float:
        """The largest difference; infinite where a label or a shape differs."""
        return self.worst.size

    def failing(self, tolerance: float) -> tuple[str, ...]:
        """The outputs that are not the same."""
        return tuple(one.output for one in self.differences if not one.size <= tolerance)

    def told(self) -> str:
        """In a sentence."""
        sizes = [one.size for one in self.differences if np.isfinite(one.size)]
        words = f"{self.rows} rows, largest difference {max(sizes, default=0.0):.2g}"
        if self.labels:
            words += f", {self.agreeing} of {self.labels} labels equal"
        return words + (f", {self.ties} at a tie of two classes" if self.ties else "")


def compare(original: Model, converted: Model, tensors: Mapping[str, Array], tolerance: float) -> Parity:
    """Ask both the same; every output of `converted` is compared with the original's of the same name."""
    rows = len(next(iter(tensors.values())))
    own = {spec.name for spec in original.outputs}
    names = tuple(spec.name for spec in converted.outputs)
    helping = tuple(name for name in _PROBABILITIES if name in own and name not in names)
    expected = original.predict(Batch(tensors, rows, (*names, *helping)))
    got = converted.predict(Batch(tensors, rows, names))
    return between(expected, got, rows, tolerance, classes=original.classes)


def between(
    expected: Mapping[str, Array],
    got: Mapping[str, Array],
    rows: int,
    tolerance: float,
    *,
    classes: Collection[object] = (),
) -> Parity:
    """Compare answers that were given already. Numbers that are all among `classes` are labels."""
    found: list[Difference] = []
    labels = agreeing = ties = 0
    for name in got:
        one, other = np.asarray(expected[name]), np.asarray(got[name])
        if one.shape != other.shape:
            found.append(Difference(name, np.inf, 0, f"shape {list(one.shape)}", f"shape {list(other.shape)}"))
        elif one.dtype.kind == "f" and not (classes and set(one.reshape(-1).tolist()) <= set(classes)):
            found.append(_of_numbers(name, one, other))
        else:
            equal = (one == other).reshape(rows, -1).all(axis=1)
            tied = ~equal & _tied(expected, rows, tolerance)
            labels, agreeing, ties = labels + rows, agreeing + int(equal.sum()), ties + int(tied.sum())
            found.append(_of_labels(name, one, other, equal | tied))
    return Parity(rows, tuple(found), labels, agreeing, ties)


def _of_numbers(name: str, expected: Array, got: Array) -> Difference:
    one, other = expected.astype(np.float64), got.astype(np.float64)
    with np.errstate(invalid="ignore"):
        sizes = np.abs(other - one) / np.maximum(1.0, np.abs(one))
    sizes[(one == other) | (np.isnan(one) & np.isnan(other))] = 0.0
    sizes[np.isnan(sizes)] = np.inf
    by_row = sizes.reshape(len(sizes), -1).max(axis=1)
    row = int(by_row.argmax())
    return Difference(name, float(by_row[row]), row, plain(expected[row]), plain(got[row]))


def _of_labels(name: str, expected: Array, got: Array, right: Array) -> Difference:
    row = int(np.argmin(right))
    size = 0.0 if right[row] else float("inf")
    return Difference(name, size, row, plain(expected[row]), plain(got[row]))


def _tied(expected: Mapping[str, Array], rows: int, tolerance: float) -> Array:
    """The rows in which the original's two most likely classes differ by no more than both may be off."""
    shares = next((expected[name] for name in _PROBABILITIES if name in expected), None)
    if shares is None or shares.ndim != 2 or shares.shape[1] < 2:
        return np.zeros(rows, dtype=bool)
    ordered = np.sort(shares.astype(np.float64), axis=1)
    tied: Array = ordered[:, -1] - ordered[:, -2] <= 2 * tolerance
    return tied


def plain(value: Any) -> object:
    """A value of an array as Python's own, for messages."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
