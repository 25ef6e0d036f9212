"""TensorFlow Serving's form of bytes in JSON, `{"b64": "…"}`. Texts here are UTF-8: one more way to write them."""

import base64
from typing import Any, Final

from modelway.server.arrays import MAX_DEPTH, describe
from modelway.server.errors import InvalidInputError

_KEY: Final = "b64"


def decoded(value: Any, where: str, depth: int = 0) -> Any:
    """JSON with each `{"b64": "…"}` replaced by its text. Raises InvalidInputError with the position of a wrong one.

    What is nested deeper than any input can be is left as it is, for those to refuse who look at shapes.
    """
    if depth > MAX_DEPTH + 2:
        return value
    if isinstance(value, list):
        return [decoded(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_KEY}:
        return _text(value[_KEY], where)
    return {key: decoded(item, f"{where}.{key}", depth + 1) for key, item in value.items()}


def encoded(values: Any) -> Any:
    """(Nested) lists of texts and bytes for JSON: bytes as texts, or in base64 where they are no UTF-8."""
    if isinstance(values, list):
        return [encoded(value) for value in values]
    if not isinstance(values, bytes):
        return values
    try:
        return values.decode()
    except UnicodeDecodeError:
        return {_KEY: base64.b64encode(values).decode()}


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(f"{where}.{_KEY}: {describe(value)} is no text")
    try:
        return base64.b64decode(value, validate=True).decode()
    except UnicodeDecodeError:
        raise InvalidInputError(f"{where}.{_KEY}: the bytes are no UTF-8 text") from None
    except ValueError as error:
        raise InvalidInputError(f"{where}.{_KEY}: is not base64: {error}") from None
