"""What was answered, counted in memory that all workers of a server share.

As `tally`: mapped by the supervisor before it forks, a region for each worker, written by that worker's event loop
alone, so nothing needs a lock; and a region outlives its worker. What is counted is told in `api.observations`. Beside
the counts a region has the names of the classes that it counts, since each worker meets them in its own order, and a
ring of the last answers to mirrored requests. Another process may read at any time: a name is there before the first
count of it, and a pair before the number of pairs says so.
"""

import hashlib
import mmap
import os
import struct
import time
from dataclasses import dataclass
from math import isfinite, isnan, nan
from typing import Final, NamedTuple
from zlib import crc32

from modelway.api.observations import LAST, LONGEST_CLASS, MOST_CLASSES, OTHERS, PAIRS, bucket_of, other_of

Sighting = tuple[object, float | None]
"""What is counted of an answer: the class and the score of its first row; None for what it has not."""

# A region, in numbers of eight bytes: what it has, then counts, then names and pairs as bytes.
_NAMES: Final = 0
_PAIRED: Final = 1  # pairs that were ever written
_UNSEEN: Final = 2
_NAN: Final = 3
_INF: Final = 4
_MINUS_INF: Final = 5
_CLASSES: Final = 6
_OTHERS: Final = _CLASSES + MOST_CLASSES
_VALUES: Final = _OTHERS + OTHERS
_NUMBERS: Final = _VALUES + 2 * LAST + 1
_NAME: Final = struct.Struct(f"<H6x{LONGEST_CLASS}s")
_PAIR: Final = struct.Struct("<8sddhxxI")  # hash, when, score, class (or one of the two below), checksum of its name
_NO_CLASS: Final = -1
_UNNAMED: Final = -2
_NAME_BYTES: Final = MOST_CLASSES * _NAME.size
_REGION: Final = 8 * _NUMBERS + _NAME_BYTES + PAIRS * _PAIR.size

UNTOLD: Final = "OTHER"

_PLAIN: Final = (str, int, float, bool)

_KEPT: Final = 120.0
"""Seconds after which the other answer of a pair is not waited for any more."""
_SETTLED: Final = 1.0
"""Seconds after which no worker can still be writing a pair of that time: so pairs keep their order for ever."""


class Pair(NamedTuple):
    """A remembered answer: hash of the request's id, name of its class or empty, score."""

    request: str
    label: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Pairs:
    """Remembered answers in the order in which they were given, and how many there were before the first of them."""

    before: int
    pairs: tuple[Pair, ...]


class Answers:
    """The memory.

    Args:
        workers: how many regions.

    """

    def __init__(self, workers: int = 1) -> None:
        self.epoch = os.urandom(8).hex()
        """Of these counts: they begin at 0 with it, and never fall while it stays."""
        self.workers = workers
        # Anonymous and shared, as in `tally`; pages that are never written are never there.
        self._memory = memoryview(mmap.mmap(-1, workers * _REGION))

    def region(self, worker: int) -> "Region":
        """A worker's own counts."""
        return Region(self._memory[worker * _REGION : (worker + 1) * _REGION])

    def regions(self) -> "list[Region]":
        """All workers' counts."""
        return [self.region(worker) for worker in range(self.workers)]

    def by_class(self) -> dict[str, float]:
        """Answers of all workers by their class; under `UNTOLD` those of classes that are not told apart."""
        found: dict[str, float] = {}
        for region in self.regions():
            for name, count in zip(region.names(), region.classes, strict=False):
                if count:
                    found[name] = found.get(name, 0.0) + count
            if others := sum(region.others):
                found[UNTOLD] = found.get(UNTOLD, 0.0) + others
        return found

    def pairs(self, *, now: float | None = None) -> Pairs:
        """The last `PAIRS` of all workers that are a second to two minutes old. `now` is `time.monotonic()`."""
        now = time.monotonic() if now is None else now
        settled = now - _SETTLED
        rings = [region.ring() for region in self.regions()]
        # Where a ring has lost pairs, those of others that are older than what is left of it are no series any more.
        begin = max([now - _KEPT, *(ring.found[0][0] for ring in rings if ring.lost)])
        kept = sorted(
            (one for ring in rings for one in ring.found if begin <= one[0] <= settled), key=lambda one: one[0]
        )
        newer = sum(one[0] > settled for ring in rings for one in ring.found)
        kept = kept[-PAIRS:]
        before = sum(ring.written for ring in rings) - newer - len(kept)
        return Pairs(before, tuple(pair for _, pair in kept))


@dataclass(frozen=True, slots=True)
class _Ring:
    """A worker's pairs, oldest first, each with its time; how many were ever written, and whether some are lost."""

    found: list[tuple[float, Pair]]
    written: int

    @property
    def lost(self) -> bool:
        return self.written > len(self.found)


class Region:
    """One worker's counts."""

    __slots__ = ("_by_label", "_by_name", "_names", "_pairs", "numbers")

    def __init__(self, memory: memoryview) -> None:
        self.numbers: memoryview[float] = memory[: 8 * _NUMBERS].cast("d")
        self._names = memory[8 * _NUMBERS : 8 * _NUMBERS + _NAME_BYTES]
        self._pairs = memory[8 * _NUMBERS + _NAME_BYTES :]
        self._by_label: dict[object, int] = {}
        self._by_name = {name: place for place, name in enumerate(self.names())}

    def count(self, seen: Sighting, request: bytes | None = None, *, now: float | None = None) -> None:
        """Count an answer; with the id of a request that was mirrored, remember it. `now` as for `remember`."""
        label, score = seen
        if label is not None:
            self.add_class(label)
        if score is not None:
            self.add_score(score)
        elif label is None:
            self.add_unseen()
        if request is not None:
            self.remember(request, label, score, now=now)

    def add_class(self, label: object, times: int = 1) -> None:
        """Count answers of a class."""
        place, name = self._place(label)
        self.numbers[_CLASSES + place if place >= 0 else _OTHERS + other_of(name)] += times

    def add_score(self, score: float) -> None:
        """Count an answer with this score."""
        if isfinite(score):
            self.numbers[_VALUES + LAST + bucket_of(score)] += 1.0
        else:
            self.numbers[_NAN if isnan(score) else _INF if score > 0 else _MINUS_INF] += 1.0

    def add_unseen(self, times: int = 1) -> None:
        """Count answers with neither."""
        self.numbers[_UNSEEN] += times

    def remember(self, request: bytes, label: object, score: float | None, *, now: float | None = None) -> None:
        """Keep an answer for its comparison with another's.

        Args:
            request: the request's id.
            label: the class, if any.
            score: the score, if any.
            now: `time.monotonic()`.

        """
        place, name = (_NO_CLASS, "") if label is None else self._place(label)
        number = int(self.numbers[_PAIRED])
        _PAIR.pack_into(
            self._pairs,
            number % PAIRS * _PAIR.size,
            hashlib.sha256(request).digest()[:8],
            time.monotonic() if now is None else now,
            nan if score is None else score,
            place,
            crc32(name.encode()),
        )
        self.numbers[_PAIRED] += 1.0

    @property
    def classes(self) -> "memoryview[float]":
        """Answers by the place of their class."""
        return self.numbers[_CLASSES:_OTHERS]

    @property
    def others(self) -> "memoryview[float]":
        """Answers of classes that are not told apart, by `other_of` their names."""
        return self.numbers[_OTHERS:_VALUES]

    @property
    def values(self) -> "memoryview[float]":
        """Answers by the bucket of their score, from the least bucket on."""
        return self.numbers[_VALUES:_NUMBERS]

    @property
    def beyond(self) -> "memoryview[float]":
        """Answers whose score is NaN, infinity, or less than all numbers."""
        return self.numbers[_NAN:_CLASSES]

    @property
    def unseen(self) -> float:
        """Answers with neither class nor score."""
        return self.numbers[_UNSEEN]

    def names(self) -> list[str]:
        """The classes that are told apart, in the order of their places."""
        return [self._name(place) for place in range(int(self.numbers[_NAMES]))]

    def ring(self) -> _Ring:
        """The remembered answers."""
        written = int(self.numbers[_PAIRED])
        copied = bytes(self._pairs)
        # While it was copied the worker may have gone on, over the oldest, and be in the middle of one.
        oldest = max(0, int(self.numbers[_PAIRED]) - PAIRS + 1)
        names = self.names()
        found = []
        for number in range(oldest, written):
            request, when, score, place, mark = _PAIR.unpack_from(copied, number % PAIRS * _PAIR.size)
            name = names[place] if place >= 0 else f"#{mark:08x}" if place == _UNNAMED else ""
            found.append((when, Pair(request.hex(), name, None if isnan(score) else score)))
        return _Ring(found, written)

    def _place(self, label: object) -> tuple[int, str]:
        """Where a class is counted; `_UNNAMED` and its name where that is not told apart."""
        try:
            return self._by_label[label], ""
        except (KeyError, TypeError):  # a new one; or one that is no key, such as a list
            pass
        encoded = label if isinstance(label, bytes) else str(label).encode("utf-8", "replace")
        name = encoded.decode("utf-8", "replace")
        place = self._by_name.get(name)
        if place is None:
            encoded = name.encode()
            place = int(self.numbers[_NAMES])
            if place == MOST_CLASSES or len(encoded) > LONGEST_CLASS:
                return _UNNAMED, name
            _NAME.pack_into(self._names, place * _NAME.size, len(encoded), encoded)
            self.numbers[_NAMES] += 1.0
            self._by_name[name] = place
        if isinstance(label, _PLAIN) and label == label:  # noqa: PLR0124 NaN is found again by its name alone
            self._by_label[label] = place
        return place, ""

    def _name(self, place: int) -> str:
        length, name = _NAME.unpack_from(self._names, place * _NAME.size)
        text: str = name[:length].decode()
        return text
