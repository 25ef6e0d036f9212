"""UBJSON, as far as XGBoost writes it: https://ubjson.org, "Type Reference". Read to be checked, not to predict with.

Arrays of one type become numpy arrays over the file's own bytes, so a large file costs no more memory than itself.
"""

import struct
from typing import Any, Final

import numpy as np

_MOST_NESTED: Final = 64
_NUMBERS: Final = {
    b"i": ("b", 1), b"U": ("B", 1), b"I": (">h", 2), b"l": (">i", 4), b"L": (">q", 8), b"d": (">f", 4), b"D": (">d", 8),
}  # fmt: skip
_DTYPES: Final = {b"i": "i1", b"U": "u1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
_WORDS: Final = {b"Z": None, b"T": True, b"F": False}


def read(content: bytes) -> Any:
    """The value that these bytes hold. Raises ValueError with the position of what is wrong."""
    reader = _Reader(content)
    value = reader.value(reader.take(1), 0)
    if reader.position != len(content):
        raise ValueError(f"byte {reader.position}: more after the end")
    return value


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.position = 0

    def take(self, count: int) -> bytes:
        taken = self._content[self.position : self.position + count]
        if len(taken) < count:
            raise ValueError(f"byte {len(self._content)}: the file ends here, and should not")
        self.position += count
        return taken

    def value(self, marker: bytes, depth: int) -> Any:
        if depth > _MOST_NESTED:
            raise ValueError(f"byte {self.position}: nested deeper than {_MOST_NESTED} levels")
        if marker in _NUMBERS:
            form, size = _NUMBERS[marker]
            return struct.unpack(form, self.take(size))[0]
        if marker in _WORDS:
            return _WORDS[marker]
        match marker:
            case b"S":
                return self._text()
            case b"C":
                return self.take(1).decode("latin-1")
            case b"[":
                return self._array(depth)
            case b"{":
                return self._object(depth)
        raise ValueError(f"byte {self.position - 1}: {marker!r} is no type of UBJSON")

    def _text(self) -> str:
        return self.take(self._length()).decode()

    def _length(self) -> int:
        marker = self.take(1)
        if marker not in b"iUIlL":
            raise ValueError(f"byte {self.position - 1}: expected a length, found {marker!r}")
        length = self.value(marker, 0)
        if length < 0 or length > len(self._content):
            raise ValueError(f"byte {self.position}: a length of {length}, in a file of {len(self._content)} bytes")
        return int(length)

    def _kind_and_count(self) -> tuple[bytes, int | None]:
        """The optional `$type` and `#count` at the beginning of an array or object."""
        kind, count = b"", None
        if self._content[self.position : self.position + 1] == b"$":
            kind = self.take(2)[1:]
        if self._content[self.position : self.position + 1] == b"#":
            self.take(1)
            count = self._length()
        if kind and count is None:
            raise ValueError(f"byte {self.position}: a type without a count")
        return kind, count

    def _array(self, depth: int) -> Any:
        kind, count = self._kind_and_count()
        if kind in _DTYPES and count is not None:
            dtype = np.dtype(_DTYPES[kind])
            return np.frombuffer(self.take(count * dtype.itemsize), dtype)
        if kind in _WORDS:  # no bytes for each, so a small file could ask for any amount of memory
            raise ValueError(f"byte {self.position}: an array of nothing but {kind!r}")
        if count is not None:
            return [self.value(kind or self.take(1), depth + 1) for _ in range(count)]
        values = []
        while (marker := self.take(1)) != b"]":
            values.append(self.value(marker, depth + 1))
        return values

    def _object(self, depth: int) -> dict[str, Any]:
        kind, count = self._kind_and_count()
        found: dict[str, Any] = {}
        if count is not None:
            for _ in range(count):
                key = self._text()
                found[key] = self.value(kind or self.take(1), depth + 1)
            return found
        while self._content[self.position : self.position + 1] != b"}":
            key = self._text()
            found[key] = self.value(self.take(1), depth + 1)
        self.take(1)
        return found
