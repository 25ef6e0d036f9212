"""Which form a prediction's body has, by the headers. Pure."""

from collections.abc import Iterable
from functools import partial
from typing import Final

from modelway.server import csv_rows, v1, v2
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.service import Parse

_JSON: Final = b"application/json"
_OCTETS: Final = b"application/octet-stream"
_OF_PROGRAMS: Final = {"v1": frozenset({_JSON}), "v2": frozenset({_JSON, _OCTETS})}
"""What most clients say, to the letter; other ways to say it are read by `_is_json`."""
_LENGTH: Final = v2.LENGTH_HEADER.encode()
# What clients send who name no type: `curl -d`, and `fetch` with a text.
_UNSAID: Final = frozenset({b"", b"application/x-www-form-urlencoded", b"text/plain"})
_UTF_8: Final = frozenset({b"utf-8", b"utf8", b"us-ascii", b"ascii"})


def parser(protocol: str, headers: Iterable[tuple[bytes, bytes]]) -> Parse:
    """What reads the body of a V1 or V2 prediction.

    Raises RequestError: 415 for a type or an encoding that is not known, 400 for a length that is no number.
    """
    content_type, length = b"", None
    for name, value in headers:
        if name == b"content-type":
            content_type = value
        elif name == _LENGTH:
            length = value
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise RequestError(
                415,
                f"content-encoding {_shown(value)} is not known here; send the body as it is",
                headers={"accept-encoding": "identity"},  # as RFC 9110 asks, 12.5.3
            )
    if content_type not in _OF_PROGRAMS[protocol] and not _is_json(content_type, protocol):
        return csv_rows.parse
    if protocol == "v1":
        return v1.parse
    if length is None:
        return v2.parse
    if not length.isdigit() or len(length) > 18:
        raise InvalidInputError(f"{v2.LENGTH_HEADER}: {_shown(length)} is no number of bytes")
    return partial(v2.parse, json_length=int(length))


def _is_json(content_type: bytes, protocol: str) -> bool:
    """Whether the body is JSON; else it is CSV. Raises RequestError where it is neither."""
    media, _, parameters = content_type.lower().partition(b";")
    media = media.strip()
    for parameter in parameters.split(b";"):
        key, _, value = parameter.strip().partition(b"=")
        if key == b"charset" and value.strip(b'" ') not in _UTF_8:
            raise RequestError(415, f"charset {_shown(value)} is not known here; send UTF-8")
    if media in _UNSAID or media == _JSON or (media.startswith(b"application/") and media.endswith(b"+json")):
        return True
    if protocol == "v2" and media == _OCTETS:
        return True
    if protocol == "v1" and media == b"text/csv":
        return False
    known = "application/json or text/csv" if protocol == "v1" else "application/json or application/octet-stream"
    raise RequestError(415, f"content-type {_shown(media)} is not known here; send {known}")


def _shown(value: bytes) -> str:
    return f'"{value[:80].decode("latin-1")}"'
