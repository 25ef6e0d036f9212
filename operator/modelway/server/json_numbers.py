"""Arrays of numbers straight out of JSON, without a Python object for each of them.

Called by `v1` and `v2` before they decode a body as a whole, for what nearly all bodies are: one rectangle of numbers.
simdjson reads it into a buffer in less than half the time that Python's floats take to be made, put into lists and
freed again. Pure. Invariants: what is given is to the bit what `arrays.from_json` makes of the same JSON; for
everything else, wrong JSON included, None is given, and who then decodes it as a whole tells what is wrong where.
"""

import re
import warnings
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from modelway.server.tensors import DTYPES, Array, TensorSpec

try:
    import simdjson
except ImportError:  # a platform or a Python that it has no wheel for (pyproject.toml)
    simdjson = None  # type: ignore[assignment]

Numbers = NDArray[np.float64]

_ROWS: Final = b'{"instances"'
_DATA: Final = b'"data"'
_COLON: Final = b" \t\r\n:"
# Integers up to here are floats without loss. Beyond, and in floats beyond, the ways of reading may differ.
_EXACT: Final = 2.0**53
# simdjson's ways to say that this is no JSON, too large a number, or no number.
_REFUSALS: Final = (ValueError, RuntimeError, TypeError)
# It says just what it is asked for: that the sum of squares is too large (`_are_exact`).
warnings.filterwarnings("ignore", "overflow encountered in dot", RuntimeWarning, re.escape(__name__))


def rows(body: bytes) -> Numbers | None:
    """The rows of `{"instances": [[…], …]}`, where that is all of the body; shape [rows, values of a row]."""
    # Behind the name no text: so there is no second name, which might be the same one again. And no `null`, no `true`.
    if simdjson is None or not body.startswith(_ROWS) or body.find(b'"', len(_ROWS)) >= 0 or body.find(b"u") >= 0:
        return None
    try:
        values = _parsed(body)["instances"]
        count, widths = len(values), set(map(len, values))
        # What is read into the buffer is flattened: nests would not show.
        if len(widths) != 1 or body.count(b"[") != count + 1:
            return None
        flat = np.frombuffer(values.as_buffer(of_type="d"))
    except _REFUSALS:
        return None
    width = widths.pop()
    # Of more than sixteen million values simdjson does not know the number.
    return flat.reshape(count, width) if flat.size == count * width and _are_exact(flat) else None


def data(body: bytes) -> tuple[bytes, Numbers] | None:
    """The flat numbers of a request's only `data`, and the request with `null` in their place.

    That is JSON where the body is, and the name is really one, which is for the caller to find out by decoding it.
    """
    begin = body.find(_DATA)
    opening = body.find(b"[", begin)
    closing = body.find(b"]", opening)
    if simdjson is None or begin < 0 or opening < 0 or closing < 0 or body[begin + len(_DATA) : opening].strip(_COLON):
        return None
    numbers, rest = body[opening : closing + 1], body[:opening] + b"null" + body[closing + 1 :]
    # A second one would be another tensor's. Without a backslash each quote begins or ends a text.
    if rest.find(_DATA, begin + 1) >= 0 or rest.find(b"\\") >= 0:
        return None
    try:
        flat = np.frombuffer(_parsed(numbers).as_buffer(of_type="d"))
    except _REFUSALS:
        return None
    return (rest, flat) if _are_exact(flat) else None


def fitted(numbers: Numbers, spec: TensorSpec) -> Array | None:
    """The numbers in the datatype of an input of floats; None where it is another, or too narrow for one of them."""
    dtype = DTYPES[spec.datatype]
    if dtype.kind != "f":
        return None
    array = numbers.astype(dtype)  # a copy in any case: the buffer is the parser's
    if dtype.itemsize == 2 and np.count_nonzero(np.isinf(array)):
        return None
    return array


def _parsed(body: bytes) -> Any:
    # A parser for each body: it keeps the memory of the largest that it read, and threads share none.
    return simdjson.Parser().parse(body)


def _are_exact(flat: Numbers) -> bool:
    # The root of the sum of squares is no smaller than any of them, and BLAS has it in a quarter of the time.
    return flat.size > 0 and bool(flat.dot(flat) < _EXACT**2 or np.maximum.reduce(np.abs(flat)) <= _EXACT)
