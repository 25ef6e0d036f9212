"""A request's bytes into JSON objects, and answers into bytes. Shared by the JSON protocols. Pure."""

from typing import Any

import orjson

from modelway.server.arrays import describe
from modelway.server.errors import InvalidInputError

_FEW = 16
_NON_FINITE = (b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"-inf")


def read_object(body: bytes) -> dict[str, Any]:
    """Decode a JSON object. Raises InvalidInputError with the line and column of what is no JSON."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not body.strip():
            raise InvalidInputError("the request has no body; a JSON object is expected") from None
        raise InvalidInputError(f"the body is not JSON: {error}{_hint(body, error.pos)}") from None
    if not isinstance(value, dict):
        raise InvalidInputError(f"the body should be a JSON object, not {describe(value)}")
    return value


def may_hold_booleans(body: bytes) -> bool:
    """Whether a `true` or `false` stands anywhere: searches at memory speed that save a walk over all values."""
    return _holds(body, b"true", b"u") or _holds(body, b"false", b"l")


def _holds(body: bytes, word: bytes, letter: bytes) -> bool:
    """`word in body`, by a letter that is rare among numbers: to look for a word takes thirty times as long."""
    position = -1
    for _ in range(_FEW):
        position = body.find(letter, position + 1)
        if position < 0:
            return False
        if body.startswith(word, max(0, position - word.index(letter))):
            return True
    return word in body


def write(value: object) -> bytes:
    """Encode an answer. numpy arrays (C-contiguous, native byte order, no objects) are written without a copy."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _hint(body: bytes, position: int) -> str:
    # The decoder counts characters; for the ASCII around a number they are bytes.
    if body[position : position + 9].startswith(_NON_FINITE):
        return "; JSON has no NaN and no Infinity"
    return ""
