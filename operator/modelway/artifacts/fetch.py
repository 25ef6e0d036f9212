"""Bringing a model: from a URI to a folder whose digest is known, and is the pinned one.

What runs in every pod's init container. Invariants: under the target there is either the whole artefact with the right
digest, or nothing of it (files arrive in a staging folder beside it and are moved at the end); running it again after a
crash or a node's restart is safe, and free when the pinned bytes are there already.
"""

import errno
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import structlog

from modelway.artifacts import digest, uri
from modelway.artifacts.errors import ArtifactError
from modelway.artifacts.reasons import Reason
from modelway.artifacts.source import Listing, Source
from modelway.artifacts.transfer import Progress, Retries, copy
from modelway.artifacts.uri import Location, Scheme

_log = structlog.get_logger()
STAGING: Final = ".modelway-fetch"
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was brought: its digest, its bytes, and the seconds it took."""

    digest: str
    size: int
    seconds: float


def fetch(
    where: str,
    to: Path,
    *,
    pin: str | None = None,
    mounted: bool = False,
    environ: Mapping[str, str] = os.environ,
    retries: Retries | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Fetched:
    """Bring the model at the URI `where` into the folder `to`.

    Args:
        where: the URI.
        to: the folder; made if it is not there. With `mounted` it is the model itself, a folder or a file.
        pin: the digest that the model must have, or None.
        mounted: the volume of a `pvc://` URI is at `to` already; it is hashed and not copied.
        environ: credentials.
        retries: how to try again.
        clock: seconds.

    Raises ArtifactError.

    """
    start = clock()
    location = uri.parse(where)
    if location.scheme is Scheme.PVC or mounted:
        found = _of_mount(location, to, mounted=mounted)
    else:
        found = _existing(to, pin) or _download(location, to, environ, retries or Retries(), pin)
    _check(found.value, pin, location)
    fetched = Fetched(found.value, found.size, round(clock() - start, 3))
    rate = found.size / 2**20 / max(fetched.seconds, 1e-3)
    _log.info(
        "fetched",
        uri=str(location),
        digest=fetched.digest,
        bytes=fetched.size,
        seconds=fetched.seconds,
        mib_per_second=round(rate, 1),
    )
    return fetched


def read_pin(path: Path | None) -> str | None:
    """The digest in a pin file; None where there is no file or nothing in it: the first digest seen becomes the pin."""
    try:
        return (path.read_text().strip() or None) if path else None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(Reason.STORAGE_UNWRITABLE, f"the pin file {path} cannot be read") from error


def _of_mount(location: Location, to: Path, *, mounted: bool) -> digest.Digest:
    if location.scheme is not Scheme.PVC:
        raise ArtifactError(Reason.INVALID_URI, f"{location} is not a volume: --mounted is for pvc:// only")
    if not mounted or not to.exists():
        raise ArtifactError(
            Reason.NOT_MOUNTED,
            f"the claim {location.host} of {location} is not mounted at {to}; the operator does that",
        )
    try:
        return digest.of_path(to)
    except ArtifactError as error:
        if error.reason is not Reason.ARTIFACT_NOT_FOUND:
            raise
        # Kubernetes makes an empty folder of a sub-path that does not exist.
        raise ArtifactError(
            Reason.ARTIFACT_NOT_FOUND,
            f"the claim {location.host} holds no file at {location.path or '/'}; check the path",
        ) from error


def _existing(to: Path, pin: str | None) -> digest.Digest | None:
    """What an earlier run left, if it is what is wanted; otherwise the way is cleared, or refused to be."""
    try:
        to.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(to / STAGING, ignore_errors=True)
        left = sorted(to.iterdir())
    except OSError as error:
        raise digest.unreadable(error) from error
    if not left:
        return None
    if pin is not None:
        # A single file's digest is its own, not its folder's.
        candidates = [to, *left] if len(left) == 1 and left[0].is_file() else [to]
        for candidate in candidates:
            found = digest.of_path(candidate)
            if found.value == pin:
                _log.info("already_there", digest=pin, folder=str(to))
                return found
    if not os.path.ismount(to):
        raise ArtifactError(
            Reason.TARGET_NOT_EMPTY, f"{to} holds other files, {left[0].name} for one; name an empty folder"
        )
    # A volume mounted for the model alone: whatever is there is a former run's.
    for path in left:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return None


def _download(
    location: Location, to: Path, environ: Mapping[str, str], retries: Retries, pin: str | None
) -> digest.Digest:
    source = _source(location, environ)
    listing = retries.run(source.list, str(location))
    for entry in listing.entries:
        check_path(entry.path)
    sizes = [entry.size for entry in listing.entries]
    total = sum(size for size in sizes if size is not None) if None not in sizes else None
    staging = to / STAGING
    try:
        staging.mkdir()
        _check_room(total, to)
        _log.info("fetching", uri=str(location), files=len(listing.entries), bytes=total)
        found = _copy_all(source, listing, staging, retries, Progress(total))
        _check(found.value, pin, location)
        for path in staging.iterdir():
            path.rename(to / path.name)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise ArtifactError(Reason.STORAGE_FULL, f"the volume at {to} is full; give it more room") from error
        raise digest.unreadable(error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return found


def _copy_all(source: Source, listing: Listing, staging: Path, retries: Retries, progress: Progress) -> digest.Digest:
    files = []
    for entry in listing.entries:
        target = staging / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        files.append((entry.path, copy(source, entry, target, retries=retries, progress=progress)))
    size = sum(copied.size for _, copied in files)
    if not listing.is_folder:
        return digest.Digest(digest.PREFIX + files[0][1].sha256, size)
    return digest.Digest(digest.of_listing((path, copied.sha256) for path, copied in files), size)


def check_path(path: PurePosixPath) -> None:
    """Refuse a path that would leave the model's folder, whoever named it. Raises ArtifactError(UNSAFE_PATH)."""
    if path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0] == STAGING or "\0" in str(path):
        raise ArtifactError(Reason.UNSAFE_PATH, f"the source names a file {str(path)!r}, outside the model's folder")
    digest.check_name(path)


def _check(found: str, pin: str | None, location: Location) -> None:
    if pin is not None and found != pin:
        raise ArtifactError(
            Reason.DIGEST_MISMATCH, f"{location} holds other bytes than were pinned: found {found}, expected {pin}"
        )


def _check_room(total: int | None, to: Path) -> None:
    free = shutil.disk_usage(to).free
    if total is not None and total > free:
        raise ArtifactError(
            Reason.STORAGE_FULL,
            f"the model has {total / _GIB:.2f} GiB and the volume at {to} {free / _GIB:.2f} GiB free; enlarge it",
        )


def _source(location: Location, environ: Mapping[str, str]) -> Source:
    # Imported here: each library costs a tenth of a second and only one is needed.
    if location.scheme is Scheme.S3:
        from modelway.artifacts.s3 import S3Source  # noqa: PLC0415

        return S3Source(location, environ)
    if location.scheme is Scheme.HTTPS:
        from modelway.artifacts.https import HttpsSource  # noqa: PLC0415

        return HttpsSource(location, environ)
    from modelway.artifacts.local import LocalSource  # noqa: PLC0415

    return LocalSource(location)
