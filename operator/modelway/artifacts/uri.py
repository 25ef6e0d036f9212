"""Where a model is, as the user wrote it.

`parse` refuses what cannot work before anything is connected to, and `redact` makes the only form of a URI that may
stand in a log, a message or a status: without userinfo, query and fragment, where secrets and signatures are.
"""

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote, urlsplit

from modelway.artifacts.errors import ArtifactError
from modelway.artifacts.reasons import Reason


class Scheme(StrEnum):
    """The places that models are fetched from."""

    FILE = "file"
    PVC = "pvc"
    HTTPS = "https"
    S3 = "s3"


_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CLAIM: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_EXAMPLES: Final = {
    Scheme.FILE: "file:///models/iris.onnx",
    Scheme.PVC: "pvc://claim/models/iris/",
    Scheme.HTTPS: "https://models.example.com/iris.onnx",
    Scheme.S3: "s3://bucket/models/iris/",
}


@dataclass(frozen=True, slots=True)
class Location:
    """A parsed URI.

    Args:
        scheme: what kind of place it is.
        uri: the URI as it was written. Holds whatever secrets the user put there: for connecting only.
        host: the bucket, the claim or the host; empty for `file`.
        path: within it: for `s3` the key or prefix, exactly; for `file` the absolute path; for `pvc` the sub-path.
        is_folder: the URI ends with a slash, so a single file will not do.

    """

    scheme: Scheme
    uri: str
    host: str
    path: str
    is_folder: bool

    def __str__(self) -> str:
        return redact(self.uri)


def redact(uri: str) -> str:
    """The URI without what may be secret: userinfo, query, fragment."""
    head, separator, rest = uri.partition("://")
    if not separator:
        return re.split(r"[?#]", uri)[0]
    authority, slash, path = rest.partition("/")
    shown, hidden = re.split(r"[?#]", slash + path)[0], bool(re.search(r"[?#]", rest))
    return f"{head}://{re.split(r'[?#]', authority)[0].rpartition('@')[2]}{shown}{'?…' if hidden else ''}"


def parse(uri: str) -> Location:
    """Read a URI. Raises ArtifactError: INVALID_URI, UNSUPPORTED_SCHEME."""
    shown = redact(uri)
    if uri != uri.strip() or any(ord(character) < 32 for character in uri):
        raise _invalid(shown, "has spaces around it or control characters in it")
    name, separator, _ = uri.partition("://")
    if not separator:
        raise _invalid(shown, f"has no scheme; write {_EXAMPLES[Scheme.S3]}")
    try:
        scheme = Scheme(name.lower())
    except ValueError:
        hint = "; plain http is not taken, use https" if name.lower() == "http" else ""
        raise ArtifactError(
            Reason.UNSUPPORTED_SCHEME, f"{shown}: the scheme {name} is none of {', '.join(Scheme)}{hint}"
        ) from None
    return {Scheme.FILE: _file, Scheme.PVC: _pvc, Scheme.HTTPS: _https, Scheme.S3: _s3}[scheme](uri, shown)


def _file(uri: str, shown: str) -> Location:
    authority, slash, path = uri.partition("://")[2].partition("/")
    if authority not in {"", "localhost"} or not slash or not path.strip("/"):
        raise _invalid(shown, f"names no path; write {_EXAMPLES[Scheme.FILE]}, with three slashes")
    normal = os.path.normpath("/" + unquote(path))
    if normal.split("/")[1] in {"proc", "sys", "dev"}:
        raise _invalid(shown, "leads into the container's own system, where no model is")
    return Location(Scheme.FILE, uri, "", normal, is_folder=path.endswith("/"))


def _pvc(uri: str, shown: str) -> Location:
    claim, _, path = uri.partition("://")[2].partition("/")
    if not _CLAIM.fullmatch(claim):
        raise _invalid(shown, f'"{claim}" is no name of a PersistentVolumeClaim; write {_EXAMPLES[Scheme.PVC]}')
    if ".." in path.split("/"):
        raise _invalid(shown, "has .. in its path")
    return Location(Scheme.PVC, uri, claim, path, is_folder=path.endswith("/") or not path)


def _https(uri: str, shown: str) -> Location:
    try:
        parts = urlsplit(uri)
        host, userinfo = parts.hostname, parts.username or parts.password
        _ = parts.port
    except ValueError as error:
        raise _invalid(shown, f"cannot be read: {error}") from None
    if not host:
        raise _invalid(shown, f"names no host; write {_EXAMPLES[Scheme.HTTPS]}")
    if userinfo:
        raise _invalid(
            shown, "has credentials in it; put HTTPS_USERNAME and HTTPS_PASSWORD into the credentials' Secret"
        )
    if not parts.path.rstrip("/"):
        raise _invalid(shown, f"names no file; write {_EXAMPLES[Scheme.HTTPS]}")
    if parts.path.endswith("/"):
        raise _invalid(shown, "ends with a slash, but https has no folders; name a file")
    return Location(Scheme.HTTPS, uri, host, parts.path, is_folder=False)


def _s3(uri: str, shown: str) -> Location:
    # Not urlsplit: a key may hold ? and #, and percent signs stand for themselves, as in every S3 tool.
    bucket, _, key = uri.partition("://")[2].partition("/")
    if "@" in bucket:
        raise _invalid(shown, "has credentials in it; put AWS_ACCESS_KEY_ID and so on into the credentials' Secret")
    if not _BUCKET.fullmatch(bucket):
        raise _invalid(shown, f'"{bucket}" is no name of a bucket; write {_EXAMPLES[Scheme.S3]}')
    if not key.strip("/"):
        raise _invalid(shown, f"names no key; a whole bucket is no model; write {_EXAMPLES[Scheme.S3]}")
    if any(part in {"", ".", ".."} for part in key.removesuffix("/").split("/")):
        raise _invalid(shown, "has an empty, . or .. part in its key")
    return Location(Scheme.S3, uri, bucket, key, is_folder=key.endswith("/"))


def _invalid(shown: str, problem: str) -> ArtifactError:
    return ArtifactError(Reason.INVALID_URI, f"the URI {shown} {problem}")
