"""A store in memory that can be killed at any write, and what tests of batch runs share."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
from pyarrow import parquet as pq

from modelway.batch.errors import ChangedError
from modelway.batch.store import Stored
from support.models import iris

NAMES = ("a", "b", "c", "d")


class Killed(BaseException):
    """The process is gone: nothing may catch this and go on."""


class MemoryStore:
    """A bucket. With `kill_at` the n-th write is the last thing that happens, done or not done.

    Args:
        honours: whether `create` lets only one win.

    `before` is called before each read and write of whole objects, `before_write` before writes.

    """

    def __init__(self, *, honours: bool = True) -> None:
        self.objects: dict[str, bytes] = {}
        self.exclusive = True
        self.honours = honours
        self.kill_at: int | None = None
        self.kill_after_effect = False
        self.writes = 0
        self.before_write: Callable[[str], None] = lambda _key: None
        self.before: Callable[[], None] = lambda: None

    def list(self, prefix: str) -> list[Stored]:
        self.before()
        return [self._stored(key) for key in sorted(self.objects) if key.startswith(prefix)]

    def find(self, key: str) -> Stored | None:
        self.before()
        return self._stored(key) if key in self.objects else None

    def get(self, key: str) -> bytes | None:
        self.before()
        return self.objects.get(key)

    def read(self, stored: Stored, start: int, stop: int) -> bytes:
        if stored.key not in self.objects or self._stored(stored.key) != stored:
            raise ChangedError(stored.key)
        return self.objects[stored.key][start:stop]

    def create(self, key: str, content: bytes) -> bool:
        if key in self.objects and self.honours:
            return False
        self._write(key, content)
        self.exclusive = self.honours
        return True

    def put(self, key: str, content: bytes) -> None:
        self._write(key, content)

    def upload(self, key: str) -> "MemoryUpload":
        return MemoryUpload(self, key)

    def delete(self, key: str) -> None:
        self._write(key, None)

    def local(self, stored: Stored) -> Path | None:
        return None

    def shown(self, key: str) -> str:
        return f"s3://bucket/{key}"

    def _stored(self, key: str) -> Stored:
        content = self.objects[key]
        return Stored(key, len(content), hashlib.md5(content).hexdigest())

    def _write(self, key: str, content: bytes | None) -> None:
        self.before()
        self.before_write(key)
        self.writes += 1
        dies = self.kill_at is not None and self.writes >= self.kill_at
        if dies and not self.kill_after_effect:
            raise Killed
        if content is None:
            self.objects.pop(key, None)
        else:
            self.objects[key] = content
        if dies:
            raise Killed


class MemoryUpload:
    def __init__(self, store: MemoryStore, key: str) -> None:
        self._store, self._key, self._content = store, key, b""

    def write(self, chunk: bytes) -> None:
        self._content += chunk

    def commit(self) -> Stored:
        self._store._write(self._key, self._content)
        return self._store._stored(self._key)

    def abort(self) -> None:
        self._content = b""


def table(times=1):
    """Iris rows, with a number for each."""
    rows = np.tile(iris().rows, (times, 1))
    return pa.table({name: rows[:, index] for index, name in enumerate(NAMES)} | {"id": np.arange(len(rows))})


def as_parquet(rows, group=40):
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, row_group_size=group)
    return sink.getvalue().to_pybytes()


def as_jsonl(rows):
    return b"".join(orjson.dumps(row) + b"\n" for row in rows.to_pylist())


def as_csv(rows):
    lines = [",".join(rows.column_names), *(",".join(map(str, row.values())) for row in rows.to_pylist())]
    return "\n".join([*lines, ""]).encode()


def parts(store):
    """The answers, in the order of the parts."""
    found = [content for key, content in sorted(store.objects.items()) if key.startswith("out/part-")]
    return pa.concat_tables(pq.read_table(pa.BufferReader(one)) for one in found)


def output(store):
    """All that readers of the output may look at, but for what tells the time."""
    return {
        key: content
        for key, content in store.objects.items()
        if key.startswith("out/") and not key.startswith(("out/_shards/", "out/_manifest", "out/_SUCCESS"))
    }
