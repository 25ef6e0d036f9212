"""What labels have shown, as counts that add up: of which revision, which window of predictions, at which label age.

A label belongs to the window in which its prediction was made, however late it comes. Labels that come early are not
like those that come late (chargebacks late, clicks early), so each counts by its age, and figures are compared at the
same age. All counts are whole and cumulative; those of pods, workers and readings are merged by addition, exactly. The
written form is that of `GET /v1/observations?of=quality`; sums stand in it as text, for they outgrow 64 bits. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from modelway.stats.quality import BINS, Confidence, Errors

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

FORMAT: Final = 1
OTHER: Final = "OTHER"
"""Stands for all classes that are not told apart by name."""
OLDEST: Final = 8
"""The last label age: labels up to 2^8 windows old."""
HORIZON: Final = 2**OLDEST
"""Windows after which a label is too late."""
KEPT: Final = 64
"""Windows that are judged, the one under way among them; so of earlier ones no labels are counted by slice."""

_K = TypeVar("_K", bound="Hashable")


def age_of(seconds: float, window: float) -> int:
    """A label's age: n where it came less than 2ⁿ windows after its prediction, and no less than 2ⁿ⁻¹; 0 within one."""
    return int(max(seconds, 0.0) // window).bit_length()


def oldest_within(delay: float, window: float) -> int:
    """The last label age that counts where labels are waited for: the first that holds all of the delay, in seconds."""
    return next((age for age in range(OLDEST) if 2**age >= delay / window), OLDEST)


class Place(NamedTuple):
    """What counts are of.

    Args:
        revision: its mark.
        window: in which the predictions were made: Unix time by the window's length, rounded down.
        age: of the labels, by `age_of`.

    """

    revision: str
    window: int
    age: int


class SlicePlace(NamedTuple):
    """What counts of a slice are of: of the predictions that have one value of one name.

    Args:
        revision: as for `Place`.
        window: likewise.
        age: likewise.
        name: what predictions are told apart by.
        value: of it; `OTHER` stands for all that are not named.

    """

    revision: str
    window: int
    age: int
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows whose labels came.

    Args:
        rows: how many.
        right: of those with a class, how many had the right one.
        pairs: of those with a class, how many by (label, prediction).
        bins: of those with the probability of one of two classes, how many by (whether they were of it, bin).
        loss: sum of their `quality.loss_of`, in `quality.UNIT`.
        loss_squares: sum of its squares, likewise.
        errors: of those with a value.

    """

    rows: int = 0
    right: int = 0
    pairs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    bins: Mapping[tuple[int, int], int] = field(default_factory=dict)
    loss: int = 0
    loss_squares: int = 0
    errors: Errors = field(default_factory=Errors)

    def __add__(self, other: Labelled) -> Labelled:
        return self._with(other, 1)

    def less(self, before: Labelled) -> Labelled:
        """What was added since; nothing of it is less than none, for counts never fall."""
        return self._with(before, -1)

    def _with(self, other: Labelled, sign: int) -> Labelled:
        return Labelled(
            self.rows + sign * other.rows,
            self.right + sign * other.right,
            _added(self.pairs, other.pairs, sign),
            _added(self.bins, other.bins, sign),
            self.loss + sign * other.loss,
            self.loss_squares + sign * other.loss_squares,
            Errors(
                self.errors.rows + sign * other.errors.rows,
                self.errors.total + sign * other.errors.total,
                self.errors.squares + sign * other.errors.squares,
                self.errors.fourths + sign * other.errors.fourths,
            ),
        )

    def told(self) -> dict[str, Any]:
        """The written form; what is 0 is left out."""
        told: dict[str, Any] = {"rows": self.rows}
        if self.pairs:
            nested: dict[str, dict[str, int]] = {}
            for (label, predicted), rows in self.pairs.items():
                nested.setdefault(label, {})[predicted] = rows
            told |= {"right": self.right, "pairs": nested}
        if self.bins:
            told["scores"] = {
                "no": [[place, rows] for (label, place), rows in sorted(self.bins.items()) if not label],
                "yes": [[place, rows] for (label, place), rows in sorted(self.bins.items()) if label],
                "loss": str(self.loss),
                "squares": str(self.loss_squares),
            }
        if self.errors.rows:
            sums = {name: str(getattr(self.errors, name)) for name in ("total", "squares", "fourths")}
            told["errors"] = {"rows": self.errors.rows} | sums
        return told

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Labelled:
        """Read the written form. Raises ValueError where it is none."""
        try:
            scores, errors = told.get("scores", {}), told.get("errors", {})
            return cls(
                _whole(told["rows"]),
                _whole(told.get("right", 0)),
                {
                    (str(label), str(predicted)): _whole(rows)
                    for label, row in told.get("pairs", {}).items()
                    for predicted, rows in row.items()
                },
                {
                    (label, _bin(place)): _whole(rows)
                    for label, name in enumerate(("no", "yes"))
                    for place, rows in scores.get(name, ())
                },
                int(scores.get("loss", 0)),
                int(scores.get("squares", 0)),
                Errors(
                    _whole(errors.get("rows", 0)),
                    *(int(errors.get(name, 0)) for name in ("total", "squares", "fourths")),
                ),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"no counts of labels: {type(error).__name__}: {error}") from None


@dataclass(frozen=True, slots=True)
class Answered:
    """Rows that were answered with an id, labelled or not.

    Args:
        rows: how many.
        confidence: how sure the model was of them, where it is a classifier with probabilities.

    """

    rows: int = 0
    confidence: Confidence = field(default_factory=Confidence)

    def __add__(self, other: Answered) -> Answered:
        return Answered(self.rows + other.rows, self.confidence + other.confidence)

    def less(self, before: Answered) -> Answered:
        """What was added since."""
        return Answered(self.rows - before.rows, self.confidence.less(before.confidence))

    def told(self) -> dict[str, Any]:
        """The written form."""
        sure = self.confidence
        return {"rows": self.rows, "scored": sure.rows, "sure": str(sure.sure), "spread": str(sure.spread)}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Answered:
        """Read the written form. Raises ValueError where it is none."""
        try:
            confidence = Confidence(_whole(told["scored"]), int(told["sure"]), int(told["spread"]))
            return cls(_whole(told["rows"]), confidence)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"no counts of answers: {type(error).__name__}: {error}") from None


@dataclass(frozen=True, slots=True)
class QualityCounts:
    """What one or more servers have counted.

    Args:
        labelled: by place.
        answered: by (revision, window).
        outcomes: of labels that were sent, by what became of them.
        sliced: the same rows as `labelled`, by slice; of the last `KEPT` windows.

    """

    labelled: Mapping[Place, Labelled] = field(default_factory=dict)
    answered: Mapping[tuple[str, int], Answered] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    sliced: Mapping[SlicePlace, Labelled] = field(default_factory=dict)

    def __add__(self, other: QualityCounts) -> QualityCounts:
        return QualityCounts(
            _joined(self.labelled, other.labelled, lambda one, two: one + two),
            _joined(self.answered, other.answered, lambda one, two: one + two),
            _added(self.outcomes, other.outcomes, 1),
            _joined(self.sliced, other.sliced, lambda one, two: one + two),
        )

    def less(self, before: QualityCounts) -> QualityCounts:
        """What one process has counted since an earlier reading of it, what it has dropped in between left out."""
        return QualityCounts(
            _since(self.labelled, before.labelled, Labelled()),
            _since(self.answered, before.answered, Answered()),
            _added(self.outcomes, before.outcomes, -1),
            _since(self.sliced, before.sliced, Labelled()),
        )

    def from_window(self, window: int) -> QualityCounts:
        """Only what is of predictions from this window on."""
        return QualityCounts(
            {place: one for place, one in self.labelled.items() if place.window >= window},
            {place: one for place, one in self.answered.items() if place[1] >= window},
            self.outcomes,
            {place: one for place, one in self.sliced.items() if place.window >= window},
        )

    def told(self) -> dict[str, Any]:
        """The written form."""
        return {
            "outcomes": dict(self.outcomes),
            "answered": [
                {"revision": revision, "window": window} | one.told()
                for (revision, window), one in sorted(self.answered.items())
            ],
            "labelled": [place._asdict() | one.told() for place, one in sorted(self.labelled.items())],
            "sliced": [place._asdict() | one.told() for place, one in sorted(self.sliced.items())],
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> QualityCounts:
        """Read the written form. Raises ValueError where it is none."""
        try:
            return cls(
                {_place(one): Labelled.of(one) for one in told["labelled"]},
                {(str(one["revision"]), _whole(one["window"])): Answered.of(one) for one in told["answered"]},
                {str(name): _whole(times) for name, times in told["outcomes"].items()},
                {
                    SlicePlace(*_place(one), str(one["name"]), str(one["value"])): Labelled.of(one)
                    for one in told.get("sliced", ())
                },
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"no counts of labels: {type(error).__name__}: {error}") from None


def _place(told: Mapping[str, Any]) -> Place:
    return Place(str(told["revision"]), _whole(told["window"]), _whole(told["age"]))


_V = TypeVar("_V", Labelled, Answered)


def _joined(own: Mapping[_K, _V], others: Mapping[_K, _V], add: Callable[[_V, _V], _V]) -> dict[_K, _V]:
    joined = dict(own)
    for key, value in others.items():
        joined[key] = add(joined[key], value) if key in joined else value
    return joined


def _since(now: Mapping[_K, _V], before: Mapping[_K, _V], nothing: _V) -> dict[_K, _V]:
    added = {key: value.less(before.get(key, nothing)) for key, value in now.items()}
    return {key: value for key, value in added.items() if value.rows}


def _added(own: Mapping[_K, int], others: Mapping[_K, int], sign: int) -> dict[_K, int]:
    added = dict(own)
    for key, times in others.items():
        added[key] = added.get(key, 0) + sign * times
    return {key: times for key, times in added.items() if times}


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{value!r} is no count")
    return value


def _bin(value: object) -> int:
    place = _whole(value)
    if place >= BINS:
        raise TypeError(f"there is no bin {place}")
    return place
