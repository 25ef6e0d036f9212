"""Prediction ids that carry what their labels will be compared with: so no prediction has to be stored for them.

An id is URL-safe Base64 of

    version 1 | kind 1 | key's mark 4 | revision's mark 4 | Unix time 4 | rows less one 1 | chance 6
    | second class's mark 4, if BINARY
    | for each row: class's mark 4, and its probability FP32 if BINARY or SEVERAL; value FP64 if VALUE
    | 16 bytes of keyed BLAKE2b (RFC 7693) over the model's name and all of this

in network order. Who holds one can read from it when and by which revision a prediction was made, and the prediction,
which was in the answer beside it; a class by a checksum of its name. Nobody can make one or change one without a key.
Pure.
"""

import binascii
import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache
from math import isfinite, nan
from typing import Final, NamedTuple
from zlib import crc32

from modelway.server.receipt_keys import Key, Keys

VERSION: Final = 1
MOST_ROWS: Final = 128
"""Of one id: it stays below 1.5 kB, which every proxy lets through in a header."""
LONGEST: Final = 2048
"""Characters that an id never has."""
HEADER: Final = "x-modelway-prediction-id"

_HEAD: Final = struct.Struct("!BB4s4sIB6s")
_MAC: Final = 16


# What of a prediction an id carries; plain numbers, for it is asked on the path of every request.
CLASS: Final = 1
"""The class."""
BINARY: Final = 3
"""The class, and the probability of the second of two classes."""
SEVERAL: Final = 5
"""The class, one of several, and its probability."""
VALUE: Final = 8
"""The number that was answered."""
KINDS: Final = (CLASS, BINARY, SEVERAL, VALUE)

_FORMS: Final = {CLASS: "I", BINARY: "If", SEVERAL: "If", VALUE: "d"}
_SINGLE: Final = {
    kind: struct.Struct(_HEAD.format + ("I" if kind == BINARY else "") + form) for kind, form in _FORMS.items()
}
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")


class Prediction(NamedTuple):
    """What was predicted for the rows of a request.

    Args:
        kind: what there is of each row, one of `KINDS`.
        classes: marks of the classes, one a row; none with `VALUE`.
        numbers: probabilities or values, one a row; none with `CLASS`. NaN where a row has none.
        second: mark of the second of two classes, with `BINARY`.

    """

    kind: int
    classes: Sequence[int] = ()
    numbers: Sequence[float] = ()
    second: int = 0

    @property
    def rows(self) -> int:
        """Of the request."""
        return len(self.classes or self.numbers)


class Receipt(NamedTuple):
    """What an id says.

    Args:
        revision: mark of the revision that predicted, as hexadecimal digits.
        time: when, seconds of Unix time.
        prediction: what.
        mark: tells this id from all others.

    """

    revision: str
    time: int
    prediction: Prediction
    mark: int = 0


class UnknownIdError(Exception):
    """A text is no id, or one whose key is not known here (any more). The message says which."""


class ForgedIdError(Exception):
    """An id names a key with which it was not signed, or belongs to another model."""


def sign(receipt: Receipt, key: Key, *, model: str, chance: bytes) -> str:
    """The id of a prediction.

    Args:
        receipt: what it is to say; its mark comes of the rest.
        key: signs it.
        model: the model's name.
        chance: 6 bytes that no other id of this second has.

    """
    prediction = receipt.prediction
    kind, classes, numbers, second = prediction
    rows = len(classes or numbers)
    head = VERSION, kind, key.mark, bytes.fromhex(receipt.revision), receipt.time & 0xFFFFFFFF, rows - 1, chance
    if kind == BINARY:
        head = *head, second  # type: ignore[assignment]
    if rows == 1:
        body = _SINGLE[kind].pack(*head, *classes, *numbers)
    else:
        cells: Sequence[float] = classes or numbers
        if classes and numbers:
            cells = [cell for row in zip(classes, numbers, strict=True) for cell in row]
        begin = _HEAD.format + ("I" if kind == BINARY else "")
        body = struct.pack(begin + _FORMS[kind] * rows, *head, *cells)
    whole = binascii.b2a_base64(body + _mac(key, model, body), newline=False)
    return whole.translate(_TO_URL, b"=").decode()


def verified(text: str, keys: Keys, *, model: str) -> Receipt:
    """What an id says, once it is certain that a holder of one of the keys has made it for this model.

    Raises:
        UnknownIdError: it is no id, or its key is not known.
        ForgedIdError: it was made up, changed, or is another model's.
    """
    body, mac, key = _opened(text, keys)
    if not hmac.compare_digest(_mac(key, model, body), mac):
        raise ForgedIdError
    _, kind, _, revision, time, last, _ = _HEAD.unpack_from(body)
    return Receipt(revision.hex(), time, _prediction(kind, last + 1, body[_HEAD.size :]), mark=int.from_bytes(mac[:8]))


def _opened(text: str, keys: Keys) -> tuple[bytes, bytes, Key]:
    if len(text) > LONGEST or not text.isascii():
        raise UnknownIdError("it is no prediction id")
    try:
        whole = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise UnknownIdError("it is no prediction id") from None
    # The decoder skips letters that are none of Base64's, and bits at the end: an id has one form alone.
    if urlsafe_b64encode(whole).rstrip(b"=").decode() != text or len(whole) < _HEAD.size + _MAC or whole[0] != VERSION:
        raise UnknownIdError("it is no prediction id")
    body, mac = whole[:-_MAC], whole[-_MAC:]
    key = keys.by_mark.get(body[2:6])
    if key is None:
        raise UnknownIdError("its key is not known here: it is of another model or server, or older than all keys")
    return body, mac, key


def _prediction(kind: int, rows: int, rest: bytes) -> Prediction:
    """What was packed; by whom, is certain by now."""
    second = 0
    if kind == BINARY:
        second, rest = int.from_bytes(rest[:4]), rest[4:]
    cells = struct.unpack("!" + _FORMS[kind] * rows, rest)
    if kind == CLASS:
        return Prediction(kind, cells)
    if kind == VALUE:
        return Prediction(kind, (), cells)
    return Prediction(kind, cells[::2], cells[1::2], second)


def _mac(key: Key, model: str, body: bytes) -> bytes:
    return hashlib.blake2b(_bound(model) + body, digest_size=_MAC, key=key.mac).digest()


@lru_cache(maxsize=8)
def _bound(model: str) -> bytes:
    """What binds an id to a model: without it one of another would pass where both have the same key."""
    name = model.encode()
    return b"modelway prediction id\0" + len(name).to_bytes(2) + name


def revision_mark(revision: str) -> str:
    """Eight hexadecimal digits for a revision: those of the operator's are their own mark."""
    try:
        return bytes.fromhex(revision).hex() if len(revision) == 8 else _hashed(revision)
    except ValueError:
        return _hashed(revision)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def class_name(label: object) -> str:
    """What a class is called, in whatever form it comes: a number by its value, true and false in small letters.

    So the class 1 of a model, `1` in JSON, and `1.0` in a CSV file that pandas wrote are one class.
    """
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, int):
        return str(label)
    if isinstance(label, float):
        return str(int(label)) if isfinite(label) and label.is_integer() else repr(label)
    text = label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)
    if text.lower() in {"true", "false"}:
        return text.lower()
    return class_name(number) if isfinite(number := _decimal(text)) else text


def _decimal(text: str) -> float:
    """The number that a text with a decimal point or exponent is; NaN for any other text, whole numbers included."""
    if not text[:1].isdigit() and text[:1] not in {"-", "."}:
        return nan
    if "." not in text and "e" not in text.lower():
        return nan
    try:
        return nan if "_" in text else float(text)
    except ValueError:
        return nan


def class_mark(name: str) -> int:
    """A checksum of a class's name."""
    return crc32(name.encode("utf-8", "surrogatepass"))
