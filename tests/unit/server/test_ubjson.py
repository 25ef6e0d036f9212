"""Files that ask for more than they hold; the files that XGBoost writes are read in `tests/integration/formats`."""

import struct

import pytest

from modelway.server.formats import ubjson


def size(number):
    return b"L" + struct.pack(">q", number)


@pytest.mark.parametrize("nothing", [b"Z", b"T", b"F"])
def test_values_without_bytes_are_not_counted_into_memory(nothing):
    """A megabyte of such arrays, each as long as the file, would be terabytes."""
    array = b"[$" + nothing + b"#" + size(100_000)
    with pytest.raises(ValueError, match="an array of nothing but"):
        ubjson.read(b"[" + array * 9_000 + b"]")


@pytest.mark.parametrize("kind", [b"i", b"d", b"[", b"S"])
def test_more_than_the_file_holds_is_refused(kind):
    with pytest.raises(ValueError, match="byte "):
        ubjson.read(b"[$" + kind + b"#" + size(50) + b"x" * 40)
