"""Gives answers their prediction ids: on the path of every request, so what can wait does.

`Issuer` is called by the engine, from the event loop and from threads at once; what it notes for the counts is taken
off by the event loop alone.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import nan
from typing import Any, Final

from modelway.server.receipt import (
    BINARY,
    CLASS,
    MOST_ROWS,
    SEVERAL,
    VALUE,
    Prediction,
    Receipt,
    class_mark,
    class_name,
    revision_mark,
    sign,
)
from modelway.server.receipt_keys import Key, KeyRing, Keys
from modelway.server.sighting import Look
from modelway.server.tensors import Array

_CHANCE: Final = 6
_AT_ONCE: Final = 256


class Issuer:
    """Signs what one model answers.

    Args:
        look: what of an answer is its class and its score.
        classes: the model's, in the order of its probabilities; none where they are not known.
        ring: the keys.
        model: the model's name.
        revision: the revision's.
        clock: gives Unix time.
        chance: gives so many bytes that nobody can foresee.

    """

    __slots__ = (
        "_chance", "_chances", "_classes", "_clock", "_given", "_look", "_model", "_revision", "_ring", "_signs",
    )  # fmt: skip

    def __init__(
        self,
        look: Look,
        classes: Sequence[object],
        ring: KeyRing,
        *,
        model: str,
        revision: str,
        clock: Callable[[], float] = time.time,
        chance: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._look = look
        self._classes = tuple(classes)
        self._ring = ring
        self._model = model
        self._revision = revision_mark(revision)
        self._clock = clock
        self._chance = chance
        self._given: list[Receipt] = []
        self._chances: list[bytes] = []
        self._signs: tuple[Keys | None, Key | None, float] = (None, None, 0.0)

    def __call__(self, outputs: Mapping[str, Array], wanted: Sequence[str], rows: int) -> str | None:
        """The id of an answer; None where there is nothing to compare a label with, too many rows, or no key."""
        now = self._clock()
        key = self._signing(now)
        if key is None or not 1 <= rows <= MOST_ROWS:
            return None
        try:
            prediction = self._single(outputs, wanted) if rows == 1 else self._prediction(outputs, wanted, rows)
        except (TypeError, ValueError, OverflowError):  # outputs without a row each, or with labels that are no keys
            return None
        if prediction is None:
            return None
        receipt = Receipt(self._revision, int(now), prediction)
        self._given.append(receipt)
        return sign(receipt, key, model=self._model, chance=self._some_chance())

    @property
    def waiting(self) -> int:
        """For how many answers ids were given since `given` was asked last."""
        return len(self._given)

    def given(self) -> list[Receipt]:
        """For what ids were given since this was asked last."""
        given, self._given = self._given, []
        return given

    def _signing(self, now: float) -> Key | None:
        """The key that signs, looked up again when others were read or the next one's moment has come."""
        keys = self._ring.keys
        known, key, until = self._signs
        if known is not keys or now >= until:
            key = keys.signing(now)
            self._signs = keys, key, keys.signs_until(now)
        return key

    def _some_chance(self) -> bytes:
        """Six bytes that nobody else is given; by the hundred from the kernel, for each call costs a microsecond."""
        try:
            return self._chances.pop()
        except IndexError:
            many = self._chance(_AT_ONCE * _CHANCE)
            mine, *others = (many[begin : begin + _CHANCE] for begin in range(0, len(many), _CHANCE))
            self._chances.extend(others)
            return mine

    def _single(self, outputs: Mapping[str, Array], wanted: Sequence[str]) -> Prediction | None:
        """What `_prediction` gives for one row, for most requests have one."""
        label, number, width = self._look.single(outputs, wanted)
        if label is None:
            return None if number is None else Prediction(VALUE, (), (number,))
        mark = _mark_of(label)
        if number is None or width < 2 or not 0.0 <= number <= 1.0:
            return Prediction(CLASS, (mark,))
        if width > 2:
            return Prediction(SEVERAL, (mark,), (number,))
        second = self._second((label,))
        if second is None:
            return Prediction(CLASS, (mark,))
        return Prediction(BINARY, (mark,), (number,), second)

    def _prediction(self, outputs: Mapping[str, Array], wanted: Sequence[str], rows: int) -> Prediction | None:
        labels, scores, width = self._look.by_row(outputs, wanted, rows)
        numbers = [] if scores is None else scores.tolist()
        if not labels:
            return Prediction(VALUE, (), [float(one) for one in numbers]) if numbers else None
        marks = [_mark_of(label) for label in labels]
        if width < 2:
            return Prediction(CLASS, marks)
        numbers = [one if 0.0 <= one <= 1.0 else nan for one in numbers]
        if all(one != one for one in numbers):  # noqa: PLR0124 NaN
            return Prediction(CLASS, marks)
        if width > 2:
            return Prediction(SEVERAL, marks, numbers)
        second = self._second(labels)
        if second is None:
            return Prediction(CLASS, marks)
        return Prediction(BINARY, marks, numbers, second)

    def _second(self, labels: Sequence[Any]) -> int | None:
        """Mark of the second of two classes: as the model names it, else 1 of 0 and 1; None where nobody can know."""
        if len(self._classes) == 2:
            return _mark_of(self._classes[1])
        if self._classes:
            return None
        if all(isinstance(label, bool) for label in labels):
            return _mark_of(True)
        return _mark_of(1) if all(label in (0, 1) for label in labels) else None


@lru_cache(maxsize=4096, typed=True)
def _mark_of(label: object) -> int:
    return class_mark(class_name(label))
