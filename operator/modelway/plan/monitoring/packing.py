"""Counts in little room: in memory, and as text for a ConfigMap.

Of a feature without a reference nearly all of a thousand cells are empty.
"""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np

from modelway.stats.counts import Ints

_LEVEL: Final = 3
"""Of compression: twice as fast as the usual 6, for a twentieth more."""


@dataclass(frozen=True, slots=True)
class Held:
    """Counts that are kept for a while.

    Attributes:
        size: how many there are.
        values: those that are not 0, or all of them.
        places: of these; none where there are all.
    """

    size: int = 0
    values: Ints = field(default_factory=lambda: np.zeros(0, np.int64), compare=False)
    places: Ints = field(default_factory=lambda: np.zeros(0, np.int64), compare=False)

    @classmethod
    def of(cls, counts: Ints) -> Self:
        """These counts, as small as may be."""
        places = np.flatnonzero(counts)
        if 2 * places.size >= counts.size:
            return cls(counts.size, counts)
        return cls(counts.size, counts[places], places)

    def all(self) -> Ints:
        """All of them; not to be changed."""
        if self.values.size == self.size:
            return self.values
        found = np.zeros(self.size, np.int64)
        found[self.places] = self.values
        return found


def squeezed(plain: bytes, *, level: int = _LEVEL) -> str:
    """Bytes as text, compressed."""
    return base64.b64encode(zlib.compress(plain, level=level)).decode()


def spread_out(text: str, *, most: int) -> bytes:
    """What `squeezed` made of so many bytes at most. Whether it is whole, who knows what it is must tell.

    Raises:
        ValueError: it did not make this, or of more of them.
    """
    engine = zlib.decompressobj()
    try:
        plain = engine.decompress(base64.b64decode(text, validate=True), most + 1)
    except zlib.error as error:
        raise ValueError(f"damaged: {error}") from error
    if len(plain) > most:
        raise ValueError(f"more than {most} bytes")
    return plain


def packed(numbers: Ints) -> str:
    """The numbers as text, exactly."""
    plain = np.ascontiguousarray(numbers, dtype="<i8")
    # Bytes of the same weight side by side: nearly all of the upper ones are 0.
    turned = plain.view(np.uint8).reshape(-1, 8).T.tobytes() if plain.size else b""
    return squeezed(turned)


def unpacked(text: str, size: int) -> Ints:
    """What `packed` made of so many numbers.

    Raises:
        ValueError: it did not make this, or of another number of them.
    """
    turned = spread_out(text, most=8 * size)
    if len(turned) != 8 * size:
        raise ValueError(f"not {size} numbers")
    return np.frombuffer(turned, np.uint8).reshape(8, size).T.copy().view("<i8").reshape(size).astype(np.int64)


def parts(numbers: Ints, sizes: Sequence[int]) -> list[Ints]:
    """The numbers of each feature."""
    return np.split(numbers, np.cumsum(sizes)[:-1]) if len(sizes) else []
