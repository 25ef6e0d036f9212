r"""What a model's bytes are called: one digest for a file or a folder, that coreutils can check.

A file: its sha256. A folder: the sha256 over the sorted lines `<sha256>  <path>\n`, one for each file at any depth,
paths relative with slashes. The same by hand:

    cd model && find . -type f -printf '%P\0' | xargs -0 sha256sum | LC_ALL=C sort | sha256sum

Empty folders, times and permissions do not count. A symbolic link counts as what it leads to, under its own path; one
that leads out of the folder is refused, since what it leads to is not part of what was checked.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from modelway.artifacts.errors import ArtifactError
from modelway.artifacts.reasons import Reason

PREFIX: Final = "sha256:"
BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Digest:
    """The digest of something, and its size in bytes."""

    value: str
    size: int

    def __str__(self) -> str:
        return self.value


def of_path(path: Path) -> Digest:
    """The digest of a file or a folder. Raises ArtifactError: nothing there, no file in it, unsafe paths."""
    try:
        if path.is_dir():
            listed = [(name, *_hash_file(file)) for name, file in walk(path)]
            if not listed:
                raise ArtifactError(Reason.ARTIFACT_NOT_FOUND, f"the folder {path} holds no file")
            return Digest(of_listing((name, sha) for name, sha, _ in listed), sum(size for _, _, size in listed))
        if not path.exists():
            raise ArtifactError(Reason.ARTIFACT_NOT_FOUND, f"there is nothing at {path}")
        if not path.is_file():
            raise ArtifactError(Reason.UNSAFE_PATH, f"{path} is neither a file nor a folder")
        sha, size = _hash_file(path)
    except OSError as error:
        raise unreadable(error) from error
    return Digest(PREFIX + sha, size)


def of_listing(files: Iterable[tuple[PurePosixPath, str]]) -> str:
    """The digest of a folder with these files: relative path and hex sha256 of each."""
    lines = sorted(f"{sha}  ".encode() + os.fsencode(str(path)) + b"\n" for path, sha in files)
    return PREFIX + hashlib.sha256(b"".join(lines)).hexdigest()


def walk(folder: Path) -> Iterator[tuple[PurePosixPath, Path]]:
    """Every file of a folder with its relative path, links followed. Raises ArtifactError(UNSAFE_PATH)."""
    root = folder.resolve()
    yield from _walk(folder, PurePosixPath(), root, (root,))


def _walk(
    folder: Path, relative: PurePosixPath, root: Path, above: tuple[Path, ...]
) -> Iterator[tuple[PurePosixPath, Path]]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = relative / entry.name
        check_name(path)
        real = Path(entry.path).resolve() if entry.is_symlink() else Path(entry.path)
        if entry.is_symlink() and not real.is_relative_to(root):
            raise ArtifactError(Reason.UNSAFE_PATH, f"the link {path} leads out of the model's folder, to {real}")
        mode = real.stat().st_mode if real.exists() else 0
        if stat.S_ISDIR(mode):
            if entry.is_symlink() and real in above:
                raise ArtifactError(Reason.UNSAFE_PATH, f"the link {path} leads to a folder that it is in")
            yield from _walk(Path(entry.path), path, root, (*above, real.resolve()))
        elif stat.S_ISREG(mode):
            yield path, Path(entry.path)
        else:
            kind = "a link to nothing" if entry.is_symlink() else "neither a file nor a folder"
            raise ArtifactError(Reason.UNSAFE_PATH, f"{path} is {kind}")


def check_name(path: PurePosixPath) -> None:
    """Refuse what cannot stand in a listing: a line break would make two different folders look the same."""
    if any(ord(character) < 32 or ord(character) == 127 for character in str(path)):
        raise ArtifactError(Reason.UNSAFE_PATH, f"the file name {str(path)!r} has a control character in it")


def unreadable(error: OSError) -> ArtifactError:
    """What to say of a file that cannot be read or written."""
    return ArtifactError(Reason.STORAGE_UNWRITABLE, f"{error.filename}: {error.strerror or error}")


def _hash_file(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        sha = hashlib.file_digest(file, "sha256").hexdigest()
        return sha, file.tell()
