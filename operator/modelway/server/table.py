"""Rows of named values, however they are written, into the model's inputs.

Two kinds of model take such rows: one with a single input of n values whose names are known (features), and one with an
input for each column. The callers are the protocols' forms with names: objects, pandas' split and records, CSV, columns
in JSON. Pure.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from modelway.server.arrays import Path, Place, at, describe, from_json
from modelway.server.errors import InvalidInputError
from modelway.server.signature import Signature
from modelway.server.tensors import Array, TensorSpec
from modelway.server.validation import check_names, check_shape, quoted

Spot = Callable[[int, str, Path], str]
"""Where a value stands: its row, its column's name, and the indices inside it where it is an array."""


def from_objects(rows: list[Any], signature: Signature, where: str, *, has_booleans: bool) -> dict[str, Array]:
    """Rows that are objects with a value for each name.

    Args:
        rows: at least one; of any JSON type.
        signature: the model's.
        where: what holds them, for messages: `instances`.
        has_booleans: see `arrays.from_json`.

    Raises InvalidInputError with the position of what is wrong.

    """
    first = rows[0] if isinstance(rows[0], dict) else {}
    known = columns_for(first, signature)
    checked: Collection[str] = ()
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InvalidInputError(
                f"{where}[{index}]: {describe(row)}, where an object with a value for each input is expected: "
                + ", ".join(known)
            )
        if row.keys() != checked:
            check_names(row, known, signature, f"{where}[{index}]")
            checked = row.keys()
    values = [[row[name] for name in known] for row in rows]
    return tensors(
        known,
        values,
        signature,
        lambda row, name, path: f"{where}[{row}].{name}" + "".join(f"[{index}]" for index in path),
        whole=at(where),
        has_booleans=has_booleans,
    )


def from_rows(
    names: Sequence[str], rows: list[list[Any]], signature: Signature, spot: Spot, where: str, *, has_booleans: bool
) -> dict[str, Array]:
    """Rows that are arrays of values in the order of `names`, each as long as there are names.

    Where the model knows no names for the values of its only input, they are taken in their order.
    """
    position = {name: index for index, name in enumerate(names)}
    if len(position) < len(names):
        twice = next(name for index, name in enumerate(names) if position[name] != index)
        raise InvalidInputError(f"{where}: column {quoted([twice])} is named twice")
    only = signature.only
    if only is not None and len(only.shape) == 2 and not signature.features and only.name not in names:
        if only.shape[1] not in {-1, len(names)}:
            raise InvalidInputError(f"{where}: {len(names)} columns, where the model takes {only.shape[1]}")
        known: Sequence[str] = names
    else:
        known = columns_for(names, signature)
        check_names(names, known, signature, where)
    if list(known) != list(names):
        order = [position[name] for name in known]
        rows = [[row[index] for index in order] for row in rows]
    return tensors(known, rows, signature, spot, whole=at(where), has_booleans=has_booleans)


def from_columns(columns: dict[str, Any], signature: Signature, where: str, *, has_booleans: bool) -> dict[str, Array]:
    """An array of values for each name."""
    known = columns_for(columns, signature)
    check_names(columns, known, signature, where)
    only = signature.only
    if only is None or tuple(known) == (only.name,):
        return {
            name: _shaped(columns[name], signature.by_name[name], at(f"{where}.{name}"), has_booleans=has_booleans)
            for name in known
        }
    length = None
    for name in known:
        values = columns[name]
        if not isinstance(values, list):
            raise InvalidInputError(f"{where}.{name}: expected an array, found {describe(values)}")
        length = len(values) if length is None else length
        if len(values) != length:
            raise InvalidInputError(f"{where}.{name}: {len(values)} values, where {where}.{known[0]} has {length}")
    rows = [list(row) for row in zip(*(columns[name] for name in known), strict=True)]

    def spot(row: int, name: str, path: Path) -> str:
        return at(f"{where}.{name}")((row, *path))

    return tensors(known, rows, signature, spot, whole=at(where), has_booleans=has_booleans)


def columns_for(given: Collection[str], signature: Signature) -> Sequence[str]:
    """The names that the model wants: its features, or its inputs where those are what was given."""
    names = tuple(signature.by_name)
    if signature.features and (names[0] not in given or names[0] in signature.features):
        return signature.features
    return names


def tensors(
    names: Sequence[str], rows: list[list[Any]], signature: Signature, spot: Spot, *, whole: Place, has_booleans: bool
) -> dict[str, Array]:
    """The model's inputs from rows whose values are in the order of `names`: its features, or its inputs."""
    only = signature.only
    if only is not None and tuple(names) != (only.name,):
        return {only.name: _matrix(names, rows, only, spot, whole, has_booleans=has_booleans)}
    return {
        name: _column([row[index] for row in rows], signature.by_name[name], spot, whole, has_booleans=has_booleans)
        for index, name in enumerate(names)
    }


def _matrix(
    names: Sequence[str], rows: list[list[Any]], spec: TensorSpec, spot: Spot, whole: Place, *, has_booleans: bool
) -> Array:
    def place(path: Path) -> str:
        return spot(path[0], names[path[1]], path[2:]) if len(path) > 1 else whole(path)

    array = from_json(rows, spec, place, has_booleans=has_booleans)
    check_shape(array.shape, spec, place)
    return array


def _column(values: list[Any], spec: TensorSpec, spot: Spot, whole: Place, *, has_booleans: bool) -> Array:
    """One input's values. Converters give each column of a table an input of shape [-1, 1]; in a row it is a value."""

    def place(path: Path) -> str:
        return spot(path[0], spec.name, path[1:]) if path else whole(())

    return _shaped(values, spec, place, has_booleans=has_booleans)


def _shaped(values: object, spec: TensorSpec, place: Place, *, has_booleans: bool) -> Array:
    array = from_json(values, spec, place, has_booleans=has_booleans)
    if spec.shape[1:] == (1,) and array.ndim == 1:
        array = array.reshape(-1, 1)
    check_shape(array.shape, spec, place)
    return array
