"""How an input is cut: every row group, byte and line to exactly one shard."""

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.batch import lines
from modelway.batch.errors import BatchError, Reason
from modelway.batch.files import compression, difference, find, partitions
from modelway.batch.splits import Unit, by_bytes, cut
from modelway.batch.store import Place, Stored
from support.batch import MemoryStore


@given(weights=st.lists(st.integers(0, 1000), min_size=1, max_size=40), shards=st.integers(1, 12))
def test_every_unit_is_in_exactly_one_shard_and_in_order(weights, shards):
    units = [Unit(index // 5, index % 5, index % 5 + 1, weight) for index, weight in enumerate(weights)]
    found = cut(units, shards)
    assert len(found) == shards
    flat = [(piece.file, at) for shard in found for piece in shard for at in range(piece.start, piece.stop)]
    assert flat == [(unit.file, unit.start) for unit in units]
    assert sum(piece.weight for shard in found for piece in shard) == sum(weights)


@given(size=st.integers(1, 10_000), pieces=st.integers(1, 300), shards=st.integers(1, 20))
def test_ranges_of_bytes_are_balanced_to_a_range(size, pieces, shards):
    units = by_bytes(0, size, pieces)
    assert [unit.start for unit in units] == [0, *(unit.stop for unit in units[:-1])]
    assert units[-1].stop == size
    loads = [sum(piece.weight for piece in shard) for shard in cut(units, shards)]
    assert max(loads) <= size / shards + max(unit.weight for unit in units)


@given(
    content=st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line), max_size=30),
    ends=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    chunk=st.integers(1, 40),
)
def test_every_line_is_in_exactly_one_range(content, ends, cuts, chunk):
    body = b"\n".join(content) + b"\n" * (ends and bool(content))
    edges = sorted({0, len(body), *(edge for edge in cuts if edge < len(body))})
    found = []
    kept = lines.CHUNK
    lines.CHUNK = chunk
    try:
        for start, stop in pairwise(edges):
            found.append(b"".join(lines.chunks(io.BytesIO(body), start, stop, "x")))
    finally:
        lines.CHUNK = kept
    assert b"".join(found) == body
    assert all(not part or part.endswith(b"\n") or body.endswith(part) for part in found)


def test_a_line_without_an_end_is_told_and_not_kept_in_memory(monkeypatch):
    class Endless(io.RawIOBase):
        def read(self, size=-1):
            return b"x" * size

    monkeypatch.setattr(lines, "_LONGEST", 2 << 20)
    with pytest.raises(BatchError) as caught:
        list(lines.chunks(Endless(), 0, None, "s3://b/x.jsonl"))
    assert caught.value.message == "s3://b/x.jsonl: the line at byte 0 has no end within 2 MiB"


KEYS = [
    "lake/a.csv",
    "lake/b/c.csv",
    "lake/b/.c.crc",
    "lake/_SUCCESS",
    "lake/_tmp/d.csv",
    "lake2/x.csv",
    "lake/dt=1/e.csv.gz",
]


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("lake/", ["lake/a.csv", "lake/b/c.csv", "lake/dt=1/e.csv.gz"]),
        ("lake", ["lake/a.csv", "lake/b/c.csv", "lake/dt=1/e.csv.gz"]),
        ("lake/a.csv", ["lake/a.csv"]),
        ("lake/*.csv", ["lake/a.csv"]),
        ("lake/**/*.csv", ["lake/a.csv", "lake/b/c.csv"]),
        ("lake/dt=*/?.csv.gz", ["lake/dt=1/e.csv.gz"]),
        ("la*/?.csv", ["lake/a.csv", "lake2/x.csv"]),
    ],
)
def test_files_are_found_by_name_folder_and_pattern(prefix, found):
    store = MemoryStore()
    store.objects = dict.fromkeys(KEYS, b"1")
    assert [one.key for one in find(Place(store, prefix))] == found


def test_nothing_found_is_an_error_and_a_marker_of_a_folder_is_no_file():
    store = MemoryStore()
    store.objects = {"lake/b": b"", "lake/b/c.csv": b"1", "lake/empty.csv": b""}
    assert [one.key for one in find(Place(store, "lake/"))] == ["lake/b/c.csv", "lake/empty.csv"]
    with pytest.raises(BatchError) as caught:
        find(Place(store, "sea/"))
    assert caught.value.reason == Reason.INPUT_NOT_FOUND


def test_paths_tell_columns_and_compression():
    assert partitions("lake/dt=2026-11-20/city=S%C3%A3o Paulo/x=1.csv") == {"dt": "2026-11-20", "city": "São Paulo"}
    assert [compression(name) for name in ("a.csv", "a.CSV.GZ", "b.jsonl.zst")] == [None, "gzip", "zstd"]


def test_files_are_told_apart_by_size_and_mark():
    one, other = Stored("a", 1, "x"), Stored("b", 1, "y")
    assert difference([one, other], [Stored("a", 1, "z"), Stored("c", 1, "")]) == (["a", "b"], ["c"])
