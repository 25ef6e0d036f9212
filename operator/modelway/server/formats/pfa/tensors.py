"""Between tensors and the values of a PFA document: rows in, answers out."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

import numpy as np

from modelway.server.errors import InvalidInputError
from modelway.server.formats import rows
from modelway.server.formats.base import LoadOptions
from modelway.server.formats.pfa.errors import PfaError
from modelway.server.formats.pfa.types import Record, Type
from modelway.server.tensors import DTYPES, Array, Batch, TensorSpec

_OUTPUT: Final = "predict"
_DATATYPES: Final = {
    "int": "INT64", "long": "INT64", "float": "FP64", "double": "FP64", "boolean": "BOOL", "string": "BYTES",
    "enum": "BYTES",
}  # fmt: skip
Row = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """One output: how it is taken out of the action's value, and its datatype. `keys` are a map's, in their order."""

    name: str
    take: Callable[[Any], Any]
    datatype: str
    width: int | None = None
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PfaModel:
    """A compiled document. It has no state, so any number of threads may ask it."""

    action: Callable[[dict[str, Any]], Any]
    row: Row
    answers: tuple[Answer, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    default_outputs: tuple[str, ...]
    features: tuple[str, ...] = ()
    classes: tuple[rows.Label, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    platform: str = "pfa_json"

    def predict(self, batch: Batch) -> dict[str, Array]:
        """Evaluate the document for one row after the other."""
        columns = [batch.tensors[spec.name].tolist() for spec in self.inputs]
        given = zip(*columns, strict=True) if len(columns) > 1 else columns[0]
        values = [self.action({"input": self.row(one)}) for one in given]
        return {
            answer.name: _array([answer.take(value) for value in values], answer)
            for answer in self.answers
            if answer.name in batch.wanted
        }


def model(action: Callable[[dict[str, Any]], Any], given: Type, answered: Type, options: LoadOptions) -> PfaModel:
    """Find the tensors for a document's types. Raises PfaError, and ModelError(METADATA_INVALID)."""
    metadata = options.metadata
    names = _names(given, metadata.feature_names or ())
    kinds = [given.fields[name] if given.kind == "record" else given.items or given for name in names]
    specs, row = _inputs(given, names, kinds, options)
    answers = _answers(answered, _probed(action, row, specs))
    outputs = tuple(
        TensorSpec(one.name, one.datatype, (-1,) if one.width is None else (-1, one.width)) for one in answers
    )
    return PfaModel(
        action,
        row,
        answers,
        inputs=specs,
        outputs=outputs,
        default_outputs=rows.default_outputs(outputs, metadata) if metadata.outputs else tuple(o.name for o in outputs),
        features=rows.features(names if given.kind == "record" else (), len(names) or None, specs, metadata),
        classes=rows.classes(answers[0].keys, metadata),
        notes=dict(metadata.producer or {}),
    )


def _names(given: Type, declared: Sequence[str]) -> tuple[str, ...]:
    """The values of a row, by name; none where the document does not name them."""
    if given.kind == "record":
        return tuple(given.fields)
    if given.kind == "map" and not declared:
        raise PfaError("input", "a map does not tell its keys; declare them as featureNames in modelway.json")
    return tuple(declared) if given.kind == "map" else ()


def _inputs(
    given: Type, names: Sequence[str], kinds: Sequence[Type], options: LoadOptions
) -> tuple[tuple[TensorSpec, ...], Row]:
    metadata = options.metadata
    if not names:
        return _unnamed(given, options)
    plain = [kind.without_null() for kind in kinds]
    for name, kind in zip(names, plain, strict=True):
        if kind is None or kind.kind not in _DATATYPES:
            raise PfaError(
                f"input.{name}", "neither a number, a boolean nor a text, which is all that a column can hold"
            )
    readers = [_reader(name, kind) for name, kind in zip(names, kinds, strict=True)]

    def row(values: Sequence[Any]) -> Any:
        pairs = ((name, read(value)) for name, read, value in zip(names, readers, values, strict=True))
        return Record(given.name, pairs) if given.kind == "record" else dict(pairs)

    nullable = all(kind.takes_null for kind in kinds)
    if all(kind is not None and kind.is_number for kind in plain):
        own = TensorSpec(rows.INPUT, "FP64", (-1, len(names)), lenient=True, nullable=nullable)
        specs = rows.inputs(own, metadata)
        return specs, row if len(specs) == 1 else lambda values: row(_flat(values))
    texts = {name for name, kind in zip(names, plain, strict=True) if kind and _DATATYPES[kind.kind] == "BYTES"}
    booleans = {name for name, kind in zip(names, plain, strict=True) if kind and kind.kind == "boolean"}
    specs = tuple(
        TensorSpec(one.name, "BOOL", one.shape) if one.name in booleans else one
        for one in rows.columns(names, texts, metadata, nullable=nullable)
    )
    return specs, lambda values: row(_flat(values))


def _unnamed(given: Type, options: LoadOptions) -> tuple[tuple[TensorSpec, ...], Row]:
    if given.kind == "array" and given.items and given.items.is_number:
        read = _reader("X", given.items)
        own = TensorSpec(rows.INPUT, "FP64", (-1, -1), lenient=True)
        return rows.inputs(own, options.metadata), lambda values: [read(value) for value in values]
    if given.kind in _DATATYPES:
        own = TensorSpec(rows.INPUT, "FP64" if given.is_number else _DATATYPES[given.kind], (-1,), lenient=True)
        return rows.inputs(own, options.metadata), _reader("X", given)
    raise PfaError("input", f"a {given.tag} is no row of numbers, booleans and texts")


def _flat(values: Sequence[Any]) -> list[Any]:
    return [value[0] if isinstance(value, list) else value for value in values]


def _reader(name: str, kind: Type) -> Callable[[Any], Any]:
    """From a tensor's value to the document's: a missing one is null, a whole number an int."""
    plain = kind.without_null()
    is_whole = plain is not None and plain.kind in {"int", "long"}
    if not is_whole and not kind.takes_null:
        return lambda value: value

    def read(value: Any) -> Any:
        if isinstance(value, float) and math.isnan(value):
            return None
        if is_whole and value != int(value):
            raise InvalidInputError(f'"{name}" is {value}, where the model takes whole numbers')
        return int(value) if is_whole else value

    return read


def _probed(action: Callable[[dict[str, Any]], Any], row: Row, specs: Sequence[TensorSpec]) -> Any:
    """What a row of zeros gives; None where it cannot be answered, as an empty text may not be."""
    values = [rows.row_of(spec).tolist()[0] for spec in specs]
    try:
        return action({"input": row(values if len(values) > 1 else values[0])})
    except Exception:  # noqa: BLE001 documents fail in many ways, and this row was not asked for
        return None


def _answers(answered: Type, probed: Any) -> tuple[Answer, ...]:
    if answered.kind == "record":
        return tuple(
            _answer(name, kind, itemgetter(name), probed[name] if probed else None)
            for name, kind in answered.fields.items()
        )
    return (_answer(_OUTPUT, answered, lambda value: value, probed),)


def _answer(name: str, kind: Type, take: Callable[[Any], Any], probed: Any) -> Answer:
    plain = kind.without_null()
    if plain is not None and plain.kind in _DATATYPES and not (kind.takes_null and not plain.is_number):
        return Answer(name, take, "FP64" if kind.takes_null else _DATATYPES[plain.kind])
    if kind.kind in {"array", "map"} and kind.items and kind.items.kind in _DATATYPES:
        keys = tuple(sorted(probed)) if kind.kind == "map" and probed else ()
        if kind.kind == "map" and not keys:
            raise PfaError("output", "a map whose keys a row of zeros does not tell")
        pick = (lambda value: [take(value)[key] for key in keys]) if keys else take
        return Answer(name, pick, _DATATYPES[kind.items.kind], len(probed) if probed else -1, keys)
    raise PfaError("output", f"{name}: a {kind.tag} has no form as a tensor")


def _array(values: list[Any], answer: Answer) -> Array:
    dtype = DTYPES[answer.datatype]
    if answer.datatype == "FP64":
        return np.array([math.nan if value is None else value for value in values], dtype=dtype)
    return np.array(values, dtype=dtype)
