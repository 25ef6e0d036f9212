"""Writes the tables of docs/reference.md: every field of the resource, from the models that the CRD is made from.

python -m hack.reference            # write
python -m hack.reference --check    # compare, for CI
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hack.generated import ROOT, between_markers, main, prose, table

from modelway.api.spec import Spec
from modelway.api.status import Status

PAGE = ROOT / "docs" / "reference.md"

Schema = Mapping[str, Any]

_RULES = "x-kubernetes-validations"
_DEFAULT = re.compile(r"\s*Defaults to (.+?)[.;](?=\s|$)")


def files() -> dict[Path, str]:
    """What should be in the page."""
    spec = Tables(Spec.model_json_schema(by_alias=True), "spec", defaults=True)
    status = Tables(Status.model_json_schema(by_alias=True), "status", defaults=False)
    text = between_markers(PAGE.read_text(), "spec", spec.render())
    return {PAGE: between_markers(text, "status", status.render())}


class Tables:
    """One table for each object of a JSON schema, as pydantic writes it.

    Args:
        schema: of the root, with `$defs`.
        root: path of the root in the resource.
        defaults: whether it is something that users write, with fields that are required or have a default.
    """

    def __init__(self, schema: Schema, root: str, *, defaults: bool) -> None:
        self._schema = schema
        self._definitions: Schema = schema.get("$defs", {})
        self._root = root
        self._defaults = defaults
        self._paths: dict[str, list[str]] = {}
        self._note_paths(schema, root)

    def render(self) -> str:
        """The tables, the root's first, each object's once, those near the root before those far from it."""
        sections = [self._section(self._schema, f"`{self._root}`", [])]
        by_depth = sorted(self._paths.items(), key=lambda entry: entry[1][0].count("."))
        sections += [self._section(self._definitions[name], name, paths) for name, paths in by_depth]
        return "\n\n".join(sections)

    def _note_paths(self, schema: Schema, path: str) -> None:
        for name, field in schema.get("properties", {}).items():
            self._note_value(_without_null(field), f"{path}.{name}")

    def _note_value(self, value: Schema, path: str) -> None:
        if "items" in value:
            self._note_value(value["items"], f"{path}[]")
        elif "$ref" in value:
            name = _name_of(value)
            self._paths.setdefault(name, []).append(path)
            self._note_paths(self._definitions[name], path)

    def _section(self, schema: Schema, title: str, paths: list[str]) -> str:
        where = [f"At {', '.join(f'`{path}`' for path in paths)}."] if paths else []
        head = ("Field", "Type", "Bounds", *(["Default"] if self._defaults else []), "Meaning")
        fields = {name: _without_null(field) for name, field in schema["properties"].items()}
        rows = [self._row(name, field, name in schema.get("required", ())) for name, field in fields.items()]
        rules = [_told_rule(rule, name) for name, field in fields.items() for rule in _rules_within(field)]
        rules += [_told_rule(rule, rule.get("fieldPath", "").removeprefix(".")) for rule in schema.get(_RULES, ())]
        parts = [f"### {title}", *where, prose(schema["description"]), table(head, rows), "\n".join(rules)]
        return "\n\n".join(filter(None, parts))

    def _row(self, name: str, field: Schema, required: bool) -> tuple[str, ...]:
        cells = f"`{name}`", _type(field), _bounds(field)
        description = prose(field.get("description")).replace("docs/conditions.md", "[conditions.md](conditions.md)")
        if not self._defaults:
            return (*cells, description)
        default, description = split_default(description)
        return (*cells, "**required**" if required else default, description)


def split_default(description: str) -> tuple[str, str]:
    """The default that a description tells of, and the description without it."""
    if told := re.search(r"(`[^`]+`) \(the default\)", description):
        return told[1], description
    if told := _DEFAULT.search(description):
        default = told[1] if " " in told[1] or told[1].startswith("`") else f"`{told[1]}`"
        return default, description.replace(told[0], "", 1).strip()
    return "", description


def _without_null(field: Schema) -> Schema:
    """A field that may be absent is `X or null` to pydantic; absent and null mean the same here."""
    members = [member for member in field.get("anyOf", ()) if member.get("type") != "null"]
    if len(members) != 1:
        return field
    return {key: value for key, value in field.items() if key != "anyOf"} | members[0]


def _name_of(value: Schema) -> str:
    return str(value["$ref"]).rsplit("/", 1)[-1]


def _type(value: Schema) -> str:
    """The type of a value in words, with a link where it has a table of its own."""
    if "items" in value:
        return f"list of {_type(value['items'])}"
    if isinstance(inner := value.get("additionalProperties"), Mapping):
        return f"map of string to {_type(inner)}"
    if "$ref" in value:
        return f"[{_name_of(value)}](#{_name_of(value).lower()})"
    if choices := value.get("enum", [value["const"]] if "const" in value else []):
        return " or ".join(f"`{choice}`" for choice in choices)
    special = {"quantity": _is_quantity(value), "duration": _is_duration(value), "time": _is_time(value)}
    return next((name for name, holds in special.items() if holds), None) or str(value["type"])


def _is_quantity(value: Schema) -> bool:
    return {member.get("type") for member in value.get("anyOf", ())} == {"integer", "string"}


def _is_duration(value: Schema) -> bool:
    return any("must be a duration" in rule["message"] for rule in value.get(_RULES, ()))


def _is_time(value: Schema) -> bool:
    return bool(value.get("format") == "date-time")


def _bounds(value: Schema) -> str:
    """What the API server checks of one value, as far as it is not a rule."""
    if _is_quantity(value) or _is_duration(value):
        return ""
    parts = [
        _range(value, "minimum", "maximum"),
        _range(value, "minLength", "maxLength", "characters"),
        f"`{value['pattern']}`" if "pattern" in value else "",
        _range(value, "minItems", "maxItems", "items"),
        _range(value, "minProperties", "maxProperties", "entries"),
        *(f"one for each `{key}`" for key in value.get("x-kubernetes-list-map-keys", ())),
    ]
    if (inner := _inner(value)) and (of_each := _bounds(inner)):
        parts.append(f"each {of_each}")
    return ", ".join(filter(None, parts))


def _inner(value: Schema) -> Schema | None:
    """The schema of the items or entries that have no table of their own."""
    inner = value.get("items") or value.get("additionalProperties")
    return inner if isinstance(inner, Mapping) and "$ref" not in inner else None


def _range(value: Schema, low: str, high: str, unit: str = "") -> str:
    least, most = value.get(low), value.get(high)
    words = {
        (True, True): "",
        (False, True): f"at least {least}",
        (True, False): f"up to {most}",
        (False, False): f"{least} to {most}",
    }[least is None, most is None]
    return f"{words} {unit}".strip() if words else ""


def _rules_within(value: Schema) -> list[Schema]:
    """The rules of a value and of what is in it; that of a duration is told by its type."""
    inner = _inner(value)
    return [] if _is_duration(value) else [*value.get(_RULES, ()), *(_rules_within(inner) if inner else ())]


def _told_rule(rule: Schema, field: str) -> str:
    message = prose(rule["message"]).removesuffix(".")
    return f"- `{field}`: {message}." if field else f"- {message[0].upper()}{message[1:]}."


if __name__ == "__main__":
    sys.exit(main("hack.reference", "Write the tables of docs/reference.md.", files()))
