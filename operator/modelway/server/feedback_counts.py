"""What one worker has counted of labels and of answers with an id: `stats.quality_counts` says what it means.

Bounded: there are as many windows as labels may be late by, and with `MOST_ENTRIES` no more labels are taken until
windows have gone; with `MOST_SLICED` of them, none are counted by slice until then. Counts never fall; those of windows
for which no label can come any more are dropped. Used from one event loop.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from modelway.server.receipt import BINARY, SEVERAL, VALUE, Prediction, Receipt, class_mark, class_name
from modelway.stats.quality import LARGEST, UNIT, bin_of, loss_of, whole
from modelway.stats.quality_counts import HORIZON, KEPT, OTHER, Place, SlicePlace, age_of

MOST_ENTRIES: Final = 2**18
"""Numbers that are counted one by one, in all places together."""
MOST_SLICED: Final = 2**17
"""The same of slices."""
_PLACE: Final = 8
"""Entries that a place takes for itself."""
MOST_CLASSES: Final = 100
LONGEST_CLASS: Final = 64
"""Characters of a class's name; longer ones are told as `OTHER`."""
OUTCOMES: Final = ("accepted", "duplicate", "late", "unknown", "forged", "unfit", "full")
"""What may become of a label."""

Truth = tuple[str | None, float | None]
"""What was sent for a row: the name of its class, or its value."""
Slices = Mapping[str, str]
"""What a row is told apart by: values by name."""


class UnfitError(Exception):
    """A label that cannot be compared with its prediction; the message says why."""


class FullError(Exception):
    """There is no room for another count."""


@dataclass(slots=True)
class _Cell:
    rows: int = 0
    right: int = 0
    pairs: dict[str, dict[str, int]] = field(default_factory=dict)
    bins: tuple[dict[int, int], dict[int, int]] = field(default_factory=lambda: ({}, {}))
    loss: int = 0
    loss_squares: int = 0
    errors: list[int] = field(default_factory=lambda: [0, 0, 0, 0])

    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = {"rows": self.rows}
        if self.pairs:
            told |= {"right": self.right, "pairs": self.pairs}
        if any(self.bins):
            no, yes = (sorted(one.items()) for one in self.bins)
            told["scores"] = {"no": no, "yes": yes, "loss": str(self.loss), "squares": str(self.loss_squares)}
        rows, total, squares, fourths = self.errors
        if rows:
            told["errors"] = {"rows": rows, "total": str(total), "squares": str(squares), "fourths": str(fourths)}
        return told


_P = TypeVar("_P", Place, SlicePlace)


@dataclass(slots=True)
class _Store(Generic[_P]):
    """Cells by their place.

    Args:
        most: numbers that are counted one by one, in all cells together.

    """

    most: int
    cells: dict[_P, _Cell] = field(default_factory=dict)
    entries: int = 0

    @property
    def is_full(self) -> bool:
        """Whether a label may need more room than there is."""
        return self.entries + _PLACE + 2 > self.most

    def cell(self, place: _P) -> _Cell:
        """That of the place, made where there is none."""
        cell = self.cells.get(place)
        return self.put(place, _Cell()) if cell is None else cell

    def put(self, place: _P, cell: _Cell) -> _Cell:
        """A cell for a place that has none."""
        self.entries += _size(cell)
        self.cells[place] = cell
        return cell

    def drop(self, last: int) -> None:
        """Forget windows up to this one."""
        for place in [place for place in self.cells if place.window <= last]:
            self.entries -= _size(self.cells.pop(place))

    def told(self) -> list[dict[str, Any]]:
        return [place._asdict() | cell.told() for place, cell in self.cells.items()]


class FeedbackCounts:
    """The counts.

    Args:
        window: seconds of a window.
        classes: the model's, whose names are told.
        slices: values that are told apart, by name; all others of a name are `OTHER`.

    """

    def __init__(
        self, window: float, classes: tuple[object, ...] = (), slices: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self.window = window
        self.slices = slices or {}
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self._labelled: _Store[Place] = _Store(MOST_ENTRIES)
        self._sliced: _Store[SlicePlace] = _Store(MOST_SLICED)
        self._answered: dict[tuple[str, int], list[int]] = {}
        self._names: dict[str, str] = {}
        self._by_mark: dict[int, str] = {}
        for one in classes[:MOST_CLASSES]:
            self._named(class_name(one))

    def answered(self, given: Iterable[Receipt]) -> None:
        """Ids were given for these."""
        together: dict[tuple[str, int], list[float]] = {}
        for receipt in given:
            prediction = receipt.prediction
            key = (receipt.revision, int(receipt.time // self.window))
            counts = self._answered.get(key)
            if counts is None:
                counts = self._answered[key] = [0, 0, 0, 0]
            counts[0] += prediction.rows
            if prediction.kind == SEVERAL:
                together.setdefault(key, []).extend(prediction.numbers)
            elif prediction.kind == BINARY:
                second = prediction.second
                rows = zip(prediction.classes, prediction.numbers, strict=True)
                together.setdefault(key, []).extend(p if mark == second else 1.0 - p for mark, p in rows)
        for key, sure in together.items():
            _add_sure(self._answered[key], np.array(sure))

    def is_late(self, when: float, now: float) -> bool:
        """Whether labels for a prediction of `when` come too late."""
        return now // self.window - when // self.window >= HORIZON

    def check(self, prediction: Prediction, row: int, truth: Truth) -> None:
        """Raise UnfitError where a label cannot be compared with this row's prediction."""
        label, value = truth
        if value is not None:
            if prediction.kind != VALUE:
                raise UnfitError('the prediction is a class: send "label" instead of "value"')
            if not abs(prediction.numbers[row] - value) <= LARGEST:
                raise UnfitError(
                    "the prediction and the value cannot be subtracted; one is no number, or absurdly large"
                )
        elif prediction.kind == VALUE:
            if _as_second(label) is None:
                raise UnfitError('the prediction is a number: send "value", or a label of 0 or 1 for a probability')
            if not 0.0 <= prediction.numbers[row] <= 1.0:
                raise UnfitError('the prediction is a number and no probability: send "value" instead of "label"')

    def add(self, receipt: Receipt, row: int, truth: Truth, now: float, slices: Slices | None = None) -> bool:
        """Count a label that `check` has let pass; gives whether it counts in all of its slices too.

        Raises:
            FullError: there is no room; nothing was counted.
        """
        age = min(age_of(now - receipt.time, self.window), HORIZON.bit_length() - 1)
        place = Place(receipt.revision, int(receipt.time // self.window), age)
        if self._labelled.is_full:
            raise FullError
        self._labelled.entries += self._add(self._labelled.cell(place), receipt.prediction, row, truth)
        left_out = [
            one for one in (slices or {}).items() if not self._add_slice(place, one, receipt.prediction, row, truth)
        ]
        return not left_out

    def _add_slice(self, place: Place, slice_: tuple[str, str], prediction: Prediction, row: int, truth: Truth) -> bool:
        """Whether somebody has asked for that slice, and there was room."""
        name, value = slice_
        known = self.slices.get(name)
        if known is None or self._sliced.is_full:
            return False
        cell = self._sliced.cell(SlicePlace(*place, name, value if value in known else OTHER))
        self._sliced.entries += self._add(cell, prediction, row, truth)
        return True

    def _add(self, cell: _Cell, prediction: Prediction, row: int, truth: Truth) -> int:
        """Count a row; gives how many numbers there are more."""
        label, value = truth
        cell.rows += 1
        if value is not None:
            _add_error(cell, prediction.numbers[row] - value)
        elif label is not None:
            return self._add_class(cell, prediction, row, label)
        return 0

    def _add_class(self, cell: _Cell, prediction: Prediction, row: int, label: str) -> int:
        kind, more = prediction.kind, 0
        if kind == VALUE:
            p = prediction.numbers[row]
            was, right = _as_second(label) is True, (p >= 0.5) is _as_second(label)
            more += _add_pair(cell, "1" if was else "0", "1" if p >= 0.5 else "0")
        else:
            mark = prediction.classes[row]
            right = class_mark(label) == mark
            named = self._named(label)
            more += _add_pair(cell, named, named if right else self._by_mark.get(mark, f"#{mark:08x}"))
            was = class_mark(label) == prediction.second
            p = prediction.numbers[row] if kind == BINARY else -1.0
        cell.right += right
        if 0.0 <= p <= 1.0:
            bins = cell.bins[was]
            place = bin_of(p)
            more += place not in bins
            bins[place] = bins.get(place, 0) + 1
            loss = loss_of(p if was else 1.0 - p)
            cell.loss += whole(loss)
            cell.loss_squares += whole(loss * loss)
        return more

    def _named(self, name: str) -> str:
        """The name under which a class is told."""
        found = self._names.get(name)
        if found is None:
            if len(self._names) >= MOST_CLASSES or len(name) > LONGEST_CLASS:
                return OTHER
            found = self._names[name] = name
            self._by_mark[class_mark(name)] = name
        return found

    def drop(self, now: float) -> None:
        """Forget windows for which labels come too late by now."""
        window = int(now // self.window)
        self._labelled.drop(window - HORIZON)
        self._sliced.drop(window - KEPT)
        for key in [key for key in self._answered if key[1] <= window - HORIZON]:
            del self._answered[key]

    def told(self) -> dict[str, Any]:
        """As `stats.quality_counts.QualityCounts` writes it."""
        return {
            "outcomes": {name: times for name, times in self.outcomes.items() if times},
            "answered": [
                {"revision": revision, "window": window, "rows": rows, "scored": scored}
                | {"sure": str(sure), "spread": str(spread)}
                for (revision, window), (rows, scored, sure, spread) in self._answered.items()
            ],
            "labelled": self._labelled.told(),
            "sliced": self._sliced.told(),
        }

    def resume(self, told: Mapping[str, Any]) -> None:
        """Go on from where another worker has stopped; `told` is what it told last."""
        self.outcomes |= told["outcomes"]
        for one in told["answered"]:
            counts = [one["rows"], one["scored"], int(one["sure"]), int(one["spread"])]
            self._answered[one["revision"], one["window"]] = counts
        for one in told["labelled"]:
            cell = self._labelled.put(Place(one["revision"], one["window"], one["age"]), _resumed(one))
            for label in cell.pairs:
                self._named(label)
        for one in told.get("sliced", ()):
            place = SlicePlace(one["revision"], one["window"], one["age"], one["name"], one["value"])
            self._sliced.put(place, _resumed(one))


def _size(cell: _Cell) -> int:
    """Numbers that are counted one by one there."""
    return _PLACE + sum(map(len, cell.pairs.values())) + sum(map(len, cell.bins))


def _add_pair(cell: _Cell, label: str, predicted: str) -> int:
    row = cell.pairs.setdefault(label, {})
    more = predicted not in row
    row[predicted] = row.get(predicted, 0) + 1
    return more


def _resumed(told: Mapping[str, Any]) -> _Cell:
    scores, errors = told.get("scores", {}), told.get("errors", {})
    return _Cell(
        told["rows"],
        told.get("right", 0),
        told.get("pairs", {}),
        (dict(scores.get("no", ())), dict(scores.get("yes", ()))),
        int(scores.get("loss", 0)),
        int(scores.get("squares", 0)),
        [errors.get("rows", 0), *(int(errors.get(name, 0)) for name in ("total", "squares", "fourths"))],
    )


def _add_sure(counts: list[int], sure: NDArray[np.float64]) -> None:
    """Add rows by the probabilities of the classes that were answered."""
    sure = sure[(sure >= 0.0) & (sure <= 1.0)]
    counts[1] += len(sure)
    for place, values in ((2, sure), (3, sure * (1.0 - sure))):
        counts[place] += int(np.rint(values / UNIT).astype(np.int64).sum())


def _as_second(label: str | None) -> bool | None:
    """Whether a label is the second of two classes, by the names that two have where nobody named them."""
    return {"1": True, "true": True, "0": False, "false": False}.get(label or "")


def _add_error(cell: _Cell, error: float) -> None:
    size = abs(error)
    square = size * size
    errors = cell.errors
    errors[0] += 1
    errors[1] += whole(size)
    errors[2] += whole(square)
    errors[3] += whole(square * square)
