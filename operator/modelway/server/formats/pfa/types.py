"""Avro types as PFA uses them, and JSON values read by them.

Values are Python's own: null None, int and long int, float and double float, string and enum str, array list, map dict;
a record is a `Record`, so that a union of a record and a map is told apart. Pure.
https://datamininggroup.org/pfa/docs/avro_types, https://avro.apache.org/docs/1.11.1/specification (JSON encoding).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from modelway.server.formats.pfa.errors import PfaError

_WHOLE: Final = {"int", "long"}
_REAL: Final = {"float", "double"}
NUMBERS: Final = _WHOLE | _REAL
_PRIMITIVE: Final = NUMBERS | {"null", "boolean", "string"}


class Record(dict[str, Any]):
    """A record's fields, with its type's name: by it a tree's node is told from a leaf."""

    __slots__ = ("type",)

    def __init__(self, kind: str, fields: Iterable[tuple[str, Any]]) -> None:
        super().__init__(fields)
        self.type = kind


@dataclass(frozen=True, slots=True)
class Type:
    """A type: `kind` is a primitive's name, or array, map, record, enum or union.

    `items` is what an array or map holds, `fields` a record's, `branches` a union's, `symbols` an enum's.
    """

    kind: str
    name: str = ""
    items: "Type | None" = None
    fields: dict[str, "Type"] = field(default_factory=dict)
    branches: "tuple[Type, ...]" = ()
    symbols: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """By which key a value of this type is told apart in a union."""
        return self.name or self.kind

    @property
    def is_number(self) -> bool:
        """Whether it is int, long, float or double."""
        return self.kind in NUMBERS

    def without_null(self) -> "Type | None":
        """What a union of null and one other type holds; the type itself if it is no union; else None."""
        if self.kind != "union":
            return self
        others = [branch for branch in self.branches if branch.kind != "null"]
        return others[0] if len(others) == 1 else None

    @property
    def takes_null(self) -> bool:
        """Whether null is among its values."""
        return self.kind == "null" or any(branch.kind == "null" for branch in self.branches)


class Types:
    """The types of one document. Named types may be used before the place where they are declared."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._declared = dict(_declarations(document, ""))
        self._known: dict[str, Type] = {}

    def of(self, schema: Any, where: str) -> Type:
        """The type that a schema describes. Raises PfaError."""
        if isinstance(schema, str):
            return self._by_name(schema, where)
        if isinstance(schema, list):
            return Type("union", branches=tuple(self.of(one, f"{where}[{i}]") for i, one in enumerate(schema)))
        if not isinstance(schema, dict) or "type" not in schema:
            raise PfaError(where, "expected a type")
        kind = schema["type"]
        if kind in ("array", "map"):  # no set: it may be a type of its own, which has no hash
            inner = "items" if kind == "array" else "values"
            return Type(kind, items=self.of(schema.get(inner), f"{where}.{inner}"))
        if kind in ("record", "enum"):
            return self._by_name(_full_name(schema), where)
        return self.of(kind, f"{where}.type")

    def _by_name(self, name: str, where: str) -> Type:
        if name in _PRIMITIVE:
            return Type(name)
        if name in self._known:
            return self._known[name]
        if name not in self._declared:
            raise PfaError(where, f'"{name}" is no type that is supported, nor one that the document declares')
        place, schema = self._declared[name]
        if schema["type"] == "enum":
            found = Type("enum", name=name, symbols=tuple(schema.get("symbols", ())))
        else:
            found = Type("record", name=name)
        self._known[name] = found  # before its fields, which may be of this type
        for index, one in enumerate(schema.get("fields", ())):
            found.fields[one["name"]] = self.of(one["type"], f"{place}.fields[{index}].type")
        return found


def _declarations(value: Any, where: str) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """Every record and enum that is declared anywhere in the document, with its place."""
    if isinstance(value, dict):
        if value.get("type") in ("record", "enum") and isinstance(value.get("name"), str):
            yield _full_name(value), (where, value)
        for key, inner in value.items():
            yield from _declarations(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _declarations(inner, f"{where}[{index}]")


def _full_name(schema: Mapping[str, Any]) -> str:
    return f"{schema['namespace']}.{schema['name']}" if schema.get("namespace") else str(schema["name"])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# By kind, whether a value is of a type that holds no others.
_IS: Final[Mapping[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "null": lambda value: value is None,
        "boolean": lambda value: isinstance(value, bool),
        "int": _is_whole,
        "long": _is_whole,
        "float": _is_number,
        "double": _is_number,
        "string": lambda value: isinstance(value, str),
    }
)


def read(value: Any, kind: Type, where: str) -> Any:
    """A JSON value as one of this type. Raises PfaError."""
    if kind.kind in _IS and _IS[kind.kind](value):
        return float(value) if kind.kind in _REAL else value
    match kind.kind:
        case "enum" if value in kind.symbols:
            return value
        case "array" if isinstance(value, list) and kind.items:
            return [read(one, kind.items, f"{where}[{index}]") for index, one in enumerate(value)]
        case "map" if isinstance(value, dict) and kind.items:
            return {key: read(one, kind.items, f"{where}.{key}") for key, one in value.items()}
        case "record" if isinstance(value, dict):
            return _record(value, kind, where)
        case "union":
            return _branch(value, kind, where)
    raise PfaError(where, f"expected {kind.tag}, found {_found(value)}")


def _record(value: dict[str, Any], kind: Type, where: str) -> Record:
    if value.keys() != kind.fields.keys():
        odd = min(value.keys() ^ kind.fields.keys())
        raise PfaError(where, f'"{odd}" is {"no field" if odd in value else "missing"} of {kind.tag}')
    return Record(kind.name, ((key, read(value[key], one, f"{where}.{key}")) for key, one in kind.fields.items()))


def _branch(value: Any, kind: Type, where: str) -> Any:
    if value is None and kind.takes_null:
        return None
    if isinstance(value, dict) and len(value) == 1:
        tag, inner = next(iter(value.items()))
        for branch in kind.branches:
            if branch.tag == tag:
                return read(inner, branch, f"{where}.{tag}")
    tags = ", ".join(branch.tag for branch in kind.branches)
    raise PfaError(where, f"expected one of {tags} under its name, found {_found(value)}")


def caster(kind: Type) -> Callable[[Any], Any]:
    """A function that makes a value of this type from one that fits it: whole numbers become real ones."""
    if kind.kind in _REAL:
        return float
    if kind.kind == "array" and kind.items and kind.items.kind in _REAL:
        return lambda values: [float(value) for value in values]
    return lambda value: value


def is_a(value: Any, kind: Type) -> bool:
    """Whether a value is of this type, as a cast has to tell."""
    if kind.kind in _IS:
        return _IS[kind.kind](value)
    match kind.kind:
        case "enum":
            return value in kind.symbols
        case "array":
            return isinstance(value, list)
        case "map":
            return isinstance(value, dict) and not isinstance(value, Record)
        case "record":
            return isinstance(value, Record) and value.type == kind.name
    return any(is_a(value, branch) for branch in kind.branches)


def _found(value: Any) -> str:
    return f"{value!r:.60}" if not isinstance(value, (dict, list)) else type(value).__name__
