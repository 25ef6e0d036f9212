"""Counts what was answered, behind the answers: some dozens at a time.

To look at an answer in the middle of its request costs several times what it costs to look at dozens together, as
arrays and with all that is needed in the processor's caches. So answers are put aside until there are enough of them, a
second is over (`worker`), or somebody asks for the counts. Large ones do not wait: they must not add up to much memory.
Of an answer to many rows the first is looked at. Used from one event loop.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from modelway.api.observations import BORDERS, LAST
from modelway.server.answers import Region
from modelway.server.sighting import Look
from modelway.server.tensors import Array

_ENOUGH: Final = 256
_WORTH: Final = 8  # fewer are looked at one by one
_SMALL_BODY: Final = 8192  # bytes of an answer that may wait
_BORDERS: Final = np.array(BORDERS)

_Given = tuple[Mapping[str, Array], bytes | None]


class Observer:
    """Looks at the answers of one model, for one worker.

    Args:
        look: how.
        counts: where they are counted.

    """

    __slots__ = ("_counts", "_look", "_values", "_waiting")

    def __init__(self, look: Look, counts: Region) -> None:
        self._look = look
        self._counts = counts
        self._values = np.asarray(counts.values)  # the same memory
        self._waiting: list[tuple[Mapping[str, Array], tuple[str, ...], bytes | None]] = []

    def take(
        self, outputs: Mapping[str, Array], wanted: tuple[str, ...], pair: bytes | None, rows: int, size: int
    ) -> None:
        """An answer was given.

        Args:
            outputs: what the model gave for it.
            wanted: which of them were asked for; these were written, so they are what they seem.
            pair: the request's id where it was mirrored.
            rows: of the request.
            size: of the answer's body in bytes.

        """
        if not rows or size > _SMALL_BODY:
            self._counts.count(self._look(outputs, wanted), pair)
            return
        waiting = self._waiting
        waiting.append((outputs, wanted, pair))
        if len(waiting) >= _ENOUGH:
            self.settle()

    def settle(self) -> None:
        """Count what has been put aside."""
        groups: dict[tuple[str, ...], list[_Given]] = {}
        for outputs, wanted, pair in self._waiting:
            groups.setdefault(wanted, []).append((outputs, pair))
        self._waiting.clear()
        for wanted, group in groups.items():
            if len(group) < _WORTH or not self._count_together(wanted, group):
                for outputs, pair in group:
                    self._counts.count(self._look(outputs, wanted), pair)

    def _count_together(self, wanted: tuple[str, ...], group: Sequence[_Given]) -> bool:
        """Count answers to the same question; False, and nothing counted, where they do not fit together."""
        try:
            labels, scores = self._look.together([outputs for outputs, _ in group], wanted)
            by_label = Counter(labels)
        except (IndexError, TypeError, ValueError):  # no rows, other shapes, labels that are no keys
            return False
        if None in by_label:
            return False
        counts = self._counts
        for label, times in by_label.items():
            counts.add_class(label, times)
        if scores is not None:
            self._add_scores(scores)
        elif not labels:
            counts.add_unseen(len(group))
        for index, (_, pair) in enumerate(group):
            if pair is not None:
                label = labels[index] if labels else None
                counts.remember(pair, label, None if scores is None else float(scores[index]))
        return True

    def _add_scores(self, scores: NDArray[np.float64]) -> None:
        finite = np.isfinite(scores)
        if not finite.all():
            for score in scores[~finite].tolist():
                self._counts.add_score(score)
            scores = scores[finite]
        buckets = np.searchsorted(_BORDERS, np.abs(scores), side="right")
        np.add.at(self._values, np.where(scores < 0, LAST - buckets, LAST + buckets), 1.0)
