"""Copying one file from a source to disk: hashed on the way, resumed where it broke, with bounded memory.

Invariants: the hash is of exactly the bytes on disk; retries are for `TransientError` only, and their number counts
from the last progress, so a large file over a bad line gets there while a dead one is given up in about 15 seconds.
"""

import dataclasses
import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import structlog

from modelway.artifacts.errors import ArtifactError, SourceChangedError, TransientError
from modelway.artifacts.reasons import Reason
from modelway.artifacts.source import Entry, Source

_log = structlog.get_logger()
T = TypeVar("T")
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Retries:
    """How to try again. Pauses double and are cut at random by up to half, so that many pods do not march in step.

    Args:
        attempts: tries without any progress, the first included.
        first: seconds before the second try.
        longest: the longest pause, in seconds.
        sleep: how to pause.
        jitter: a number in [0, 1).

    """

    attempts: int = 6
    first: float = 0.5
    longest: float = 15.0
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def wait_or_raise(self, error: TransientError, failures: int, what: str) -> None:
        """Pause after so many failures in a row, or raise the ArtifactError that ends it."""
        if failures >= self.attempts:
            raise ArtifactError(error.reason, f"{what}: {error}; gave up after {failures} tries") from error
        pause = min(self.first * 2.0 ** (failures - 1), self.longest) * (1 - self.jitter() / 2)
        _log.warning("retrying", what=what, problem=str(error), seconds=round(pause, 2), failures=failures)
        self.sleep(pause)

    def run(self, work: Callable[[], T], what: str) -> T:
        """Do something that has no progress of its own, such as listing."""
        failures = 0
        while True:
            try:
                return work()
            except TransientError as error:
                failures += 1
                self.wait_or_raise(error, failures, what)


@dataclass(slots=True)
class Progress:
    """How far everything is; logged every few seconds. The one mutable thing that the transfers of a fetch share.

    Args:
        total: bytes to come, None when the source does not say.
        clock: seconds.
        every: seconds between two lines.

    """

    total: int | None
    clock: Callable[[], float] = time.monotonic
    every: float = 5.0
    done: int = 0
    _started: float = field(init=False)
    _said: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self._said = self.clock()

    def add(self, number: int) -> None:
        """Count bytes; negative when a file begins anew."""
        self.done += number
        now = self.clock()
        if now - self._said < self.every:
            return
        self._said = now
        _log.info(
            "downloading",
            percent=round(100 * self.done / self.total, 1) if self.total else None,
            mib=round(self.done / _MIB, 1),
            mib_per_second=round(self.done / _MIB / (now - self._started), 1),
        )


@dataclass(frozen=True, slots=True)
class Copied:
    """A file that has arrived: the hex sha256 of its bytes, and their number."""

    sha256: str
    size: int


class _Partial:
    """The bytes that are there so far, on disk and in the hash alike."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file = file
        self._progress = progress
        self._sha = hashlib.sha256()
        self.size = 0
        self.furthest = 0

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._sha.update(chunk)
        self.size += len(chunk)
        self._progress.add(len(chunk))

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._sha = hashlib.sha256()
        self._progress.add(-self.size)
        self.size = 0

    def got_further(self) -> bool:
        """Whether there is more than ever before. A source that cannot resume gets to the same byte again and again."""
        further = self.size > self.furthest
        self.furthest = max(self.size, self.furthest)
        return further

    def copied(self) -> Copied:
        return Copied(self._sha.hexdigest(), self.size)


def copy(source: Source, entry: Entry, target: Path, *, retries: Retries, progress: Progress) -> Copied:
    """Copy a file. Raises ArtifactError, and OSError when the target cannot be written."""
    failures = 0
    with target.open("wb") as file:
        partial = _Partial(file, progress)
        while True:
            try:
                entry = _read(source, entry, partial)
            except TransientError as error:
                if isinstance(error, SourceChangedError):
                    partial.restart()
                    entry = dataclasses.replace(entry, version="", size=None)
                failures = 1 if partial.got_further() else failures + 1
                retries.wait_or_raise(error, failures, entry.key)
            else:
                return partial.copied()


def _read(source: Source, entry: Entry, partial: _Partial) -> Entry:
    """Read from where `partial` ends to the end of the file. Returns the entry with what the source said of it."""
    opened = source.open(entry, partial.size)
    if opened.start != partial.size:
        partial.restart()
    size = entry.size if opened.size is None else opened.size
    for chunk in opened.chunks:
        partial.write(chunk)
    if size is not None and partial.size < size:
        raise TransientError(f"ended after {partial.size} of {size} bytes", reason=Reason.TRUNCATED)
    if size is not None and partial.size > size:
        raise SourceChangedError(f"is longer than the {size} bytes that were announced")
    return entry
