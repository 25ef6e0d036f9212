"""Which files are the input: one file, all below a folder, or those that a pattern matches; and what their paths tell.

In folders, names that begin with `_` or `.` are left out, as Spark, Hive and pyarrow do: they are markers and logs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from modelway.batch.errors import BatchError, Reason
from modelway.batch.store import Place, Stored

COMPRESSIONS: Final = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
_WILD: Final = re.compile(r"[*?]")
_TOKEN: Final = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_MEANING: Final = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True, slots=True)
class FileInput:
    """Files as input. A `source.Input`."""

    place: Place

    @property
    def is_cheap(self) -> bool:
        return True

    def find(self, shards: int) -> list[Stored]:
        del shards  # what can be read by itself is found within files
        return find(self.place)

    def since(self, planned: Sequence[Stored]) -> tuple[list[str], list[str]]:
        changed, late = difference(planned, find(self.place))
        return changed, [self.shown(key) for key in late]

    def shown(self, key: str) -> str:
        return self.place.store.shown(key)


def find(place: Place) -> list[Stored]:
    """The input's files, sorted by key. Raises BatchError(INPUT_NOT_FOUND) where there is none."""
    prefix = place.prefix
    found = _WILD.search(prefix)
    if found:
        pattern = re.compile("".join(_MEANING.get(token, re.escape(token)) for token in _TOKEN.findall(prefix)))
        files = [
            one
            for one in place.store.list(prefix[: found.start()])
            if pattern.fullmatch(one.key) and not _is_hidden(one.key, _folder_of(prefix[: found.start()]))
        ]
    elif prefix.endswith("/"):
        files = [one for one in place.store.list(prefix) if not _is_hidden(one.key, prefix)]
    else:
        files = [one for one in place.store.list(prefix) if one.key == prefix]
        # A folder that was named without its slash.
        files = files or [one for one in place.store.list(prefix + "/") if not _is_hidden(one.key, prefix + "/")]
    # The empty objects with which some tools mark folders.
    folders = {one.key.rpartition("/")[0] for one in files}
    files = [one for one in files if one.size or not (one.key.endswith("/") or one.key in folders)]
    if not files:
        raise BatchError(
            Reason.INPUT_NOT_FOUND, f"there is no file at {place}; check the path, and whether it is there yet"
        )
    return files


def partitions(key: str) -> dict[str, str]:
    """Columns that a path tells, as Hive writes them: `dt=2026-11-20/country=es/x.parquet`."""
    named = (part.partition("=") for part in key.split("/")[:-1] if "=" in part)
    return {unquote(name): unquote(value) for name, _, value in named if name}


def compression(key: str) -> str | None:
    """How a text file is compressed, by its name; None where it is not."""
    return next((name for suffix, name in COMPRESSIONS.items() if key.lower().endswith(suffix)), None)


def difference(planned: Sequence[Stored], there: Sequence[Stored]) -> tuple[list[str], list[str]]:
    """Files that are gone or not what was planned, and files that have come."""
    now = {one.key: one for one in there}
    changed = [one.key for one in planned if now.get(one.key) != one]
    return changed, sorted(now.keys() - {one.key for one in planned})


def _folder_of(prefix: str) -> str:
    return prefix[: prefix.rfind("/") + 1]


def _is_hidden(key: str, below: str) -> bool:
    return any(part[:1] in {"_", "."} for part in key.removeprefix(below).split("/"))
