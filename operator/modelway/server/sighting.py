"""What of an answer is counted: which of the model's outputs tells the class of a row, and which its score.

Found out once, from what the loaded model says of its outputs; a request is then looked at in a microsecond or two. It
asks for some of the outputs, and those are looked at:

- the class is the first output with one text, boolean or whole number a row (or one of the model's own labels, where
  these are decimals); where that was not asked for, the class with the largest of the numbers in a row;
- the score is the number in a row of one; of two, which are a classifier's with two classes, the second; of more, the
  largest: how sure the classifier is.

Rows of more than one number are preferred as the score, being probabilities where there is anything else beside them.
Pure; raises nothing for outputs that could be written as an answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from modelway.server.answers import Sighting
from modelway.server.formats.base import Model
from modelway.server.tensors import Array, TensorSpec

_WHOLE: Final = frozenset({"BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"})
_NUMBERS: Final = "fiub"
_WIDEST: Final = 4096  # numbers of a row that are looked at: an image's would take longer than its prediction


class Look:
    """How to look at the answers of one model.

    Args:
        outputs: what it can be asked for.
        classes: its labels, in the order of its probabilities.

    """

    __slots__ = ("_classes", "_label", "_scores")

    _label: str

    def __init__(self, outputs: Sequence[TensorSpec], classes: Sequence[object] = ()) -> None:
        self._classes = tuple(classes)
        self._label = next((spec.name for spec in outputs if self._tells_class(spec, first=spec is outputs[0])), "")
        scores = [spec for spec in outputs if spec.name != self._label and spec.datatype != "BYTES"]
        self._scores = tuple(spec.name for spec in sorted(scores, key=_is_single))

    @classmethod
    def at(cls, model: Model) -> "Look":
        """How to look at this model's answers."""
        return cls(model.outputs, model.classes)

    def __call__(self, outputs: Mapping[str, Array], wanted: Sequence[str]) -> Sighting:
        """The class and the score of the first row, from those of the outputs that are wanted."""
        label: object = None
        if self._label in wanted:
            array = outputs[self._label]
            label = array.item(0) if array.size else None
        for name in self._scores:
            if name in wanted:
                array = outputs[name]
                if not array.size or array.dtype.kind not in _NUMBERS:
                    break
                return self._scored(array, array.size // len(array) if array.ndim > 1 else 1, label)
        return label, None

    def by_row(
        self, outputs: Mapping[str, Array], wanted: Sequence[str], rows: int
    ) -> tuple[list[Any], NDArray[Any] | None, int]:
        """The same for all rows of one answer: labels, scores, and how many numbers of a row the scores are from.

        Raises:
            ValueError: an output has not as many rows.
        """
        labels: list[Any] = []
        if self._label in wanted:
            labels = outputs[self._label].reshape(rows).tolist()
        for name in self._scores:
            if name in wanted:
                array = outputs[name]
                if array.dtype.kind in _NUMBERS:
                    return self._of_rows(array.reshape(rows, -1), labels)
                break
        return labels, None, 0

    def single(self, outputs: Mapping[str, Array], wanted: Sequence[str]) -> tuple[object, float | None, int]:
        """The same for an answer of one row; None for a label, or a score, that it has not.

        Raises:
            ValueError: an output has no value.
        """
        label: object = None
        if self._label in wanted:
            label = outputs[self._label].item()
        for name in self._scores:
            if name in wanted:
                array = outputs[name]
                width = array.size
                if not width or array.dtype.kind not in _NUMBERS:
                    break
                return *self._scored(array, width, label), width
        return label, None, 0

    def _of_rows(self, rows: NDArray[Any], labels: list[Any]) -> tuple[list[Any], NDArray[Any], int]:
        width = rows.shape[1]
        if width == 1 or (width == 2 and labels):
            return labels, rows[:, -1], width
        largest = rows[:, :_WIDEST].argmax(axis=1)
        labels = labels or [self._named(index) for index in largest.tolist()]
        return labels, rows[:, 1] if width == 2 else rows[np.arange(len(rows)), largest], width

    def _scored(self, array: Array, width: int, label: object) -> Sighting:
        """Of the first `width` numbers, a row. Most have one or two, which are looked at without making any array."""
        if width == 1:
            return label, float(array.item(0))
        if width == 2:
            first, second = array.item(0), array.item(1)
            if label is None:
                label = self._named(0 if first >= second or first != first else 1)  # noqa: PLR0124 NaN, as argmax has it
            return label, float(second)
        row = (array if array.size == width else array[0]).ravel()
        largest = int(row[:_WIDEST].argmax())
        return self._named(largest) if label is None else label, float(row.item(largest))

    def _named(self, index: int) -> object:
        return self._classes[index] if index < len(self._classes) else index

    def _tells_class(self, spec: TensorSpec, *, first: bool) -> bool:
        if not _is_single(spec):
            return False
        if spec.datatype == "BYTES" or spec.datatype in _WHOLE:
            return True
        return first and bool(self._classes) and all(isinstance(label, float) for label in self._classes)


def _is_single(spec: TensorSpec) -> bool:
    """Whether the output has one value a row."""
    return all(size == 1 for size in spec.shape[1:])
