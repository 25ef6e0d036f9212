"""`file://`: files that are in the container already, from its image or a volume."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from modelway.artifacts import digest
from modelway.artifacts.errors import ArtifactError
from modelway.artifacts.reasons import Reason
from modelway.artifacts.source import Entry, Listing, Opened
from modelway.artifacts.uri import Location


class LocalSource:
    """A path of this container's own."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._path = Path(location.path)

    def list(self) -> Listing:
        """The file, or every file below the folder."""
        try:
            if self._path.is_dir():
                files = tuple(
                    Entry(relative, str(path), path.stat().st_size) for relative, path in digest.walk(self._path)
                )
                return Listing(files, is_folder=True)
            if self._path.is_file() and not self._location.is_folder:
                entry = Entry(PurePosixPath(self._path.name), str(self._path), self._path.stat().st_size)
                return Listing((entry,), is_folder=False)
        except OSError as error:
            raise digest.unreadable(error) from error
        raise ArtifactError(
            Reason.ARTIFACT_NOT_FOUND, f"there is nothing at {self._location} in this container; check the path"
        )

    def open(self, entry: Entry, start: int) -> Opened:
        """Read one file."""
        return Opened(_read(Path(entry.key), start), start=start, size=entry.size)


def _read(path: Path, start: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(start)
            while block := file.read(digest.BLOCK):
                yield block
    except OSError as error:
        raise digest.unreadable(error) from error
