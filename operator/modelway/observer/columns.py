"""The columns of rows that are JSON: lists of values, objects by name, or single values. Pure.

A model that is described (`modelway.json`) says by itself what its columns are called. Of any other they are found in
the first rows that come, which have to be kept until then.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from modelway.server.metadata import Metadata, Reference
from modelway.server.observed_layout import Layout, lay_out_columns
from modelway.stats.drift_reference import LONGEST_NAME

Row = Any
"""A list of values, an object of named values, or a value."""
_NUMBERS: Final = "f"
_TEXTS: Final = "U"
_NESTED: Final = ""
_SELDOM: Final = 100
"""A column that fewer than one of so many rows have is none of the model's."""
_MOST: Final = 1000
"""Columns that are looked at."""


def described(metadata: Metadata) -> Layout | None:
    """The layout that the model's maker has told; None where nothing was."""
    reference = metadata.reference
    if reference is None:
        return None
    names = metadata.feature_names or tuple(one.name for one in reference.features)
    return lay_out_columns(dict.fromkeys(names, _NUMBERS) | _kinds_of(reference), names, reference)


def found(rows: Sequence[Row], names: Sequence[str] = ()) -> Layout:
    """The layout of the columns that rows have.

    Args:
        rows: the first ones that came.
        names: of the values of rows that are lists, in order; `[0]`, `[1]` and so on where there are not as many.

    """
    width = min(max((len(_values(row)) for row in rows if not isinstance(row, dict)), default=0), _MOST)
    positions = tuple(names) if len(names) == width else tuple(f"[{place}]" for place in range(width))
    seen: dict[str, list[object]] = {}
    for row in rows:
        for name, value in _named(row, positions).items():
            seen.setdefault(name, []).append(value)
    named = sorted(name for name in seen.keys() - set(positions) if _is_column(name, len(seen[name]), len(rows)))
    chosen = {name: _kind(seen[name]) for name in (*positions, *named)[:_MOST] if name in seen}
    return lay_out_columns(chosen, positions, None)


def tensors(rows: Sequence[Row], layout: Layout) -> dict[str, NDArray[Any]]:
    """The values of each column that is counted: numbers with NaN where there is none, texts with None."""
    values = _by_position(rows, layout)
    if values is None:
        named = [_named(row, layout.features) for row in rows]
        values = {one.name: [row.get(one.name) for row in named] for one in layout.counted}
    numbers = {one.name: _numbers(values[one.name]) for one in layout.numbers}
    return numbers | {one.name: _texts(values[one.name]) for one in layout.texts}


def _by_position(rows: Sequence[Row], layout: Layout) -> Mapping[str, Any] | None:
    """The values of rows that are all lists of as many numbers as there are names, which is what most are."""
    width = len(layout.features)
    if not width or not all(type(row) is list and len(row) == width for row in rows):
        return None
    return dict(zip(layout.features, zip(*rows, strict=True), strict=True))


def _values(row: Row) -> Sequence[object]:
    return row if isinstance(row, list) else (row,)


def _named(row: Row, positions: Sequence[str]) -> Mapping[str, object]:
    """The values of a row by the name of their column; what is beyond the names has none."""
    return row if isinstance(row, dict) else dict(zip(positions, _values(row), strict=False))


def _is_column(name: str, times: int, rows: int) -> bool:
    """Whether a name that so many of the rows have is that of a column."""
    return len(name.encode()) <= LONGEST_NAME and times * _SELDOM >= rows


def _kinds_of(reference: Reference) -> dict[str, str]:
    return {one.name: _TEXTS if one.categories is not None else _NUMBERS for one in reference.features}


def _kind(values: Iterable[object]) -> str:
    kinds = {
        _NESTED if isinstance(one, (list, dict)) else _TEXTS if isinstance(one, str) else _NUMBERS
        for one in values
        if one is not None
    }
    return _NESTED if _NESTED in kinds else _TEXTS if _TEXTS in kinds else _NUMBERS


def _numbers(values: Sequence[object]) -> NDArray[np.float64]:
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.empty(())
    # Lists of equally many numbers each become an array too, of another shape.
    return found if found.ndim == 1 else np.array([_number(one) for one in values], dtype=np.float64)


def _number(value: object) -> float:
    """What is no number is none that is finite, and counts as invalid."""
    if value is None:
        return np.nan
    try:
        return float(value)  # type: ignore[arg-type]  # whatever it is
    except (TypeError, ValueError, OverflowError):
        return np.inf


def _texts(values: Sequence[object]) -> NDArray[np.object_]:
    found = np.empty(len(values), dtype=object)
    found[:] = [one if one is None or isinstance(one, str) else str(one) for one in values]
    return found
