"""Rows on which two models are compared, made from what the model says of itself.

Around each threshold lie the value itself and its neighbours in single and in double precision: the rows that find a
threshold which was rounded. The rest is spread over the range that the model was trained on, and beyond it. Drawn from
a fixed seed: a conversion that passed once passes again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from modelway.packing.anchors import Anchors
from modelway.server.tensors import DTYPES, Array, TensorSpec

ROWS: Final = 512
MISSING_ROWS: Final = 96
_SEED: Final = 20_261_121
_UNKNOWN_TEXTS: Final = ("", "modelway", "Ñandú, 42!", "a b\tc\nd")
_ANCHORS_PER_COLUMN: Final = 4096

Tensors = Mapping[str, Array]


def make(inputs: Sequence[TensorSpec], anchors: Anchors, *, rows: int = ROWS) -> Tensors:
    """Rows for these inputs, none with a missing value."""
    random = np.random.default_rng(_SEED)
    tensors: dict[str, Array] = {}
    column = 0
    for spec in inputs:
        inner = [1 if size == -1 else size for size in spec.shape[1:]]
        width = int(np.prod(inner, dtype=int))
        flat = np.empty((rows, width), dtype=DTYPES[spec.datatype])
        for index in range(width):
            flat[:, index] = _column(spec.datatype, column + index, anchors, rows, random)
        tensors[spec.name] = flat.reshape(rows, *inner)
        column += width
    return tensors


def with_missing(tensors: Tensors, inputs: Sequence[TensorSpec]) -> Tensors | None:
    """Some of the rows with missing values in the inputs that take them; None where no input does."""
    nullable = [spec.name for spec in inputs if spec.nullable and DTYPES[spec.datatype].kind == "f"]
    if not nullable:
        return None
    random = np.random.default_rng(_SEED + 1)
    holes = {name: array[:MISSING_ROWS].copy() for name, array in tensors.items()}
    for name in nullable:
        array = holes[name]
        shares = random.choice([0.05, 0.3, 1.0], size=len(array)).reshape(-1, *[1] * (array.ndim - 1))
        array[random.random(array.shape) < shares] = np.nan
    return holes


def _column(datatype: str, column: int, anchors: Anchors, rows: int, random: np.random.Generator) -> NDArray[Any]:
    dtype = DTYPES[datatype]
    if column in anchors.categories:
        known = np.array(list(anchors.categories[column]), dtype=object)
        return random.choice(known, rows)
    if dtype.kind == "O":
        return _texts(anchors.words, rows, random)
    if dtype.kind == "b":
        return random.random(rows) < 0.5
    values = _numbers(anchors.numbers.get(column, np.array([])), rows, random)
    if dtype.kind == "f":
        limit = float(np.finfo(dtype.str).max)
        return np.clip(values, -limit, limit)
    bounds = np.iinfo(dtype.str)
    # The largest integer of 64 bits rounds up to a number that is too large.
    high = float(bounds.max) if int(float(bounds.max)) <= bounds.max else np.nextafter(float(bounds.max), 0)
    return np.clip(np.rint(values), bounds.min, high).astype(dtype)


def _numbers(known: NDArray[np.float64], rows: int, random: np.random.Generator) -> NDArray[np.float64]:
    if not len(known):
        scale = random.choice([0.1, 1.0, 10.0, 100.0], rows)
        return _with_edges(random.normal(size=rows) * scale, 0.0, 1.0)
    low, high = float(known.min()), float(known.max())
    reach = (high - low) or max(abs(low), 1.0)
    values = random.uniform(low - reach / 4, high + reach / 4, rows)
    near = random.random(rows) < 0.5
    values[near] = random.choice(_neighbours(known), int(near.sum()))
    return _with_edges(values, low, high)


def _neighbours(known: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values, their next ones up and down in both precisions, and the middle between each two."""
    some = known[:: max(1, len(known) // _ANCHORS_PER_COLUMN)]
    limit = float(np.finfo(np.float32).max)
    narrow = np.clip(some, -limit, limit).astype(np.float32)
    up, down = np.float32(limit), np.float32(-limit)
    near = [
        some,
        np.nextafter(some, np.inf),
        np.nextafter(some, -np.inf),
        narrow.astype(np.float64),
        np.nextafter(narrow, up).astype(np.float64),
        np.nextafter(narrow, down).astype(np.float64),
        some[1:] / 2 + some[:-1] / 2,
    ]
    return np.concatenate(near)


def _with_edges(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """The first rows are the same in all columns: all zeros, all at one end, all far outside."""
    reach = (high - low) or 1.0
    edges = [0.0, 1.0, -1.0, low, high, low - 10 * reach, high + 10 * reach]
    values[: len(edges)] = edges[: len(values)]
    return values


def _texts(words: Sequence[str], rows: int, random: np.random.Generator) -> NDArray[np.object_]:
    known = np.array([*words, *_UNKNOWN_TEXTS], dtype=object)
    texts = np.empty(rows, dtype=object)
    for row in range(rows):
        count = int(random.integers(0, 12)) if words else 1
        texts[row] = " ".join(random.choice(known, count))
    texts[: len(_UNKNOWN_TEXTS)] = _UNKNOWN_TEXTS[:rows]
    return texts
