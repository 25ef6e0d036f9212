"""The keys that sign prediction ids: read from a file or a folder of files, and again whenever these change.

A line holds a key, Base64 of at least 16 bytes, and where it is not to sign at once the moment from which it does
(RFC 3339): all pods must know a key before one of them signs with it. Of the keys that may sign the youngest does; all
of them verify. No key, nor a part of one, ever stands in a message.
"""

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason

LEAST: Final = 16
"""Bytes of a key."""
_LONGEST_FILE: Final = 64 * 1024
_MARK: Final = 4
_MAC: Final = 32


@dataclass(frozen=True, slots=True)
class Key:
    """A key.

    Args:
        secret: its bytes.
        since: from when it signs, seconds of Unix time.

    """

    secret: bytes
    since: float = 0.0
    mark: bytes = field(init=False)
    """Four bytes by which an id names its key; they tell nothing about it."""
    mac: bytes = field(init=False, repr=False)
    """The key of the ids' BLAKE2b, which takes 64 bytes at most."""

    def __post_init__(self) -> None:
        for name, size in (("mark", _MARK), ("mac", _MAC)):
            digest = hashlib.blake2b(self.secret, digest_size=size, person=f"modelway {name}".encode()).digest()
            object.__setattr__(self, name, digest)

    def __repr__(self) -> str:
        return f"Key({self.mark.hex()})"


class Keys:
    """What is known at present.

    Args:
        keys: in the order of their lines; of two that sign from the same moment on the first one does.

    Raises:
        ValueError: two keys have the same mark, or are the same.

    """

    __slots__ = ("_by_age", "by_mark")

    def __init__(self, keys: tuple[Key, ...] = ()) -> None:
        self._by_age = sorted(keys, key=lambda one: -one.since)
        self.by_mark: Mapping[bytes, Key] = {one.mark: one for one in keys}
        if len(self.by_mark) != len(keys):
            raise ValueError("two keys have the same mark, or one stands there twice; make another one")

    def __len__(self) -> int:
        return len(self.by_mark)

    def signing(self, now: float) -> Key | None:
        """The key that signs at `now`; None where there is none (yet)."""
        return next((one for one in self._by_age if one.since <= now), None)

    def signs_until(self, now: float) -> float:
        """Until when `signing` says the same, unless other keys are read."""
        return min((one.since for one in self._by_age if one.since > now), default=float("inf"))


_Seen = tuple[tuple[str, int, int, int], ...]


class KeyRing:
    """Reads keys and keeps them up to date. Used from one event loop.

    Args:
        path: a file, or a folder whose files (those whose names begin with a dot left out) are read in their order.
        warn: is told why changed files could not be read; the keys stay as they were.

    Raises:
        ModelError: the path is not there, or holds something else than keys.

    """

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self._path = path
        self._warn = warn
        self._seen = _state(path)
        self.keys = read(path)

    def refresh(self) -> bool:
        """Read again what has changed; tells whether there are other keys. Raises nothing."""
        try:
            seen = _state(self._path)
            if seen == self._seen:
                return False
            self._seen = seen
            keys = read(self._path)
        except ModelError as error:
            self._warn(error.message)
            return False
        changed, self.keys = dict(keys.by_mark) != dict(self.keys.by_mark), keys
        return changed


def read(path: Path) -> Keys:
    """The keys of a file or folder; a folder without a file has none. Raises ModelError with file and line."""
    keys = [key for file in _files(path) for key in _read_file(file)]
    if not path.is_dir() and not keys:
        raise _invalid(f"{path}: holds no key; `openssl rand -base64 32` prints one")
    try:
        return Keys(tuple(keys))
    except ValueError as error:
        raise _invalid(f"{path}: {error}") from None


def _files(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        # A mounted Secret's keys are links into a hidden folder, which is swapped when they change.
        return sorted(file for file in path.iterdir() if not file.name.startswith("."))
    except OSError as error:
        raise _unreadable(path, error) from None


def _state(path: Path) -> _Seen:
    """What changes when a file does."""
    try:
        found = [(str(file), file.stat()) for file in _files(path)]
    except OSError as error:
        raise _unreadable(path, error) from None
    return tuple((name, one.st_ino, one.st_mtime_ns, one.st_size) for name, one in found)


def _read_file(file: Path) -> list[Key]:
    try:
        with file.open("rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise _invalid(f"{file}: is no file")
            content = opened.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise _unreadable(file, error) from None
    if len(content) > _LONGEST_FILE:
        raise _invalid(f"{file}: is larger than {_LONGEST_FILE} bytes, which no file of keys is")
    lines = enumerate(content.decode("latin-1").splitlines(), start=1)
    return [_key(line, f"{file}, line {number}") for number, line in lines if line.strip()]


def _key(line: str, where: str) -> Key:
    written, *rest = line.split()
    try:
        secret = base64.b64decode(written.translate(_TO_STANDARD), validate=True)
    except (binascii.Error, ValueError):
        raise _invalid(f"{where}: is no Base64; `openssl rand -base64 32` prints a key") from None
    if len(secret) < LEAST:
        raise _invalid(f"{where}: a key of {len(secret)} bytes; at least {LEAST} are needed")
    if len(rest) > 1:
        raise _invalid(f"{where}: a key and one moment are expected, found {1 + len(rest)} words")
    return Key(secret, _moment(rest[0], where) if rest else 0.0)


_TO_STANDARD: Final = str.maketrans("-_", "+/")


def _moment(text: str, where: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _invalid(f"{where}: from when the key signs should be a time such as 2026-11-22T05:00:00Z")
    return moment.timestamp()


def _unreadable(path: Path, error: OSError) -> ModelError:
    return _invalid(f"{path}: cannot be read: {error.strerror or error}")


def _invalid(message: str) -> ModelError:
    return ModelError(Reason.FEEDBACK_KEYS_INVALID, f"keys for feedback: {message}")
