"""Counts what was answered, behind the answers: many at a time.

When an answer is written its arrays are in the processor's caches, so what is counted of it, a class and a score, is
taken out at once. What that counts for is found out together, as arrays, when a second is over (`worker`) or somebody
asks for the counts. Of an answer to many rows the first is looked at.

On a server that is as busy as it can be a look takes several times as long as in a loop of looks, for other code was in
the caches in between. What is usual can be told from some thousands of answers, so there is a number beyond which those
of a second are left out, but for answers to mirrored requests. Used from one event loop.
"""

from array import array
from collections import Counter
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from modelway.api.observations import BORDERS, LAST, LONGEST_CLASS
from modelway.server.answers import Region
from modelway.server.sighting import Look
from modelway.server.tensors import Array

_MOST: Final = 1024
"""Answers that are counted between two times that the counts are settled."""
_BORDERS: Final = np.array(BORDERS)
_TEXTS: Final = frozenset({str, bytes})
"""Labels of these that are no classes may be of any length, and do not wait."""


class Observer:
    """Looks at the answers of one model, for one worker.

    Args:
        look: how.
        counts: where they are counted.

    """

    __slots__ = ("_counts", "_labels", "_look", "_room", "_scores", "_unseen", "_values")

    def __init__(self, look: Look, counts: Region) -> None:
        self._look = look
        self._counts = counts
        self._values = np.asarray(counts.values)  # the same memory
        # Scores as bare numbers: an object for each would push out of the caches what the next request needs.
        self._labels: list[object] = []
        self._scores = array("d")
        self._unseen = 0
        self._room = _MOST

    def take(self, outputs: Mapping[str, Array], wanted: tuple[str, ...], pair: bytes | None) -> None:
        """An answer was given.

        Args:
            outputs: what the model gave for it.
            wanted: which of them were asked for; these were written, so they are what they seem.
            pair: the request's id where it was mirrored.

        """
        room = self._room
        if not room and pair is None:
            return
        label, score = self._look(outputs, wanted)
        if pair is not None:
            self._counts.remember(pair, label, score)
            if not room:
                return
        self._room = room - 1
        if label is not None:
            if type(label) in _TEXTS and len(label) > LONGEST_CLASS:  # type: ignore[arg-type]
                self._counts.add_class(label)
            else:
                self._labels.append(label)
        elif score is None:
            self._unseen += 1
        if score is not None:
            self._scores.append(score)

    def settle(self) -> None:
        """Count what has been put aside."""
        self._room = _MOST
        labels, self._labels = self._labels, []
        try:
            times: Mapping[object, int] = Counter(labels)
        except TypeError:  # labels that are no keys
            for label in labels:
                self._counts.add_class(label)
        else:
            for label, number in times.items():
                self._counts.add_class(label, number)
        if self._scores:
            self._add_scores(np.array(self._scores))
            del self._scores[:]
        if self._unseen:
            self._counts.add_unseen(self._unseen)
            self._unseen = 0

    def _add_scores(self, scores: NDArray[np.float64]) -> None:
        finite = np.isfinite(scores)
        if not finite.all():
            for score in scores[~finite].tolist():
                self._counts.add_score(score)
            scores = scores[finite]
        buckets = np.searchsorted(_BORDERS, np.abs(scores), side="right")
        np.add.at(self._values, np.where(scores < 0, LAST - buckets, LAST + buckets), 1.0)
