"""Writes the JSON schema of `modelway.json`, and the tables of its fields in docs/packing.md, from the server's model.

    python -m hack.schema            # write
    python -m hack.schema --check    # compare, for CI

The schema is for editors, and for programs that write the file. The file itself takes no `$schema`: an editor is told
by its settings.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from hack.generated import ROOT, between_markers, main, prose, table

from modelway.server.metadata import CHOICES, Metadata

SCHEMA = ROOT / "docs" / "modelway.schema.json"
PAGE = ROOT / "docs" / "packing.md"

_IDENTITY = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://modelway.dev/modelway.schema.json",
    "title": "modelway.json: what the maker of a model says about it",
}


def files() -> dict[Path, str]:
    """What should be in the files."""
    schema = _schema()
    return {
        SCHEMA: json.dumps(_IDENTITY | schema, indent=2) + "\n",
        PAGE: between_markers(PAGE.read_text(), "fields", fields(schema)),
    }


def _schema() -> dict[str, Any]:
    """The schema of the file: that of the whole at the top, those of the objects in it under `$defs`."""
    (whole,), parts = msgspec.json.schema_components([Metadata], ref_template="#/$defs/{name}")
    own = parts.pop(whole["$ref"].rsplit("/", 1)[-1])
    schema = {"$defs": dict(sorted(parts.items()))} | {name: value for name, value in own.items() if name != "title"}
    plain: dict[str, Any] = json.loads(json.dumps(schema), object_hook=_tidied)
    return plain


def _tidied(part: dict[str, Any]) -> dict[str, Any]:
    """A part of msgspec's schema with choices in the order of the code, and without what says nothing."""
    if part.get("required") == []:
        del part["required"]
    if isinstance(part.get("enum"), list):
        part |= {"type": "string", "enum": next(list(one) for one in CHOICES.values() if {*one} == {*part["enum"]})}
    return part


def fields(schema: Mapping[str, Any]) -> str:
    """A table for the file, and one for each object in it."""
    parts = [_table(schema)]
    parts += [f"### {name}\n\n{prose(one['description'])}\n\n{_table(one)}" for name, one in schema["$defs"].items()]
    return "\n\n".join(parts)


def _table(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        (f"`{name}`", _type(field), "**required**" if name in required else _default(field), _told(field))
        for name, field in schema["properties"].items()
    ]
    return table(("Field", "Type", "Default", "Meaning"), rows)


def _told(field: Mapping[str, Any]) -> str:
    return prose(field.get("description"))


def _default(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    return "" if default in (None, []) else f"`{default}`"


def _type(field: Mapping[str, Any]) -> str:
    members = [one for one in field.get("anyOf", ()) if one.get("type") != "null"]
    if members:
        return " or ".join(dict.fromkeys(_type(one) for one in members))
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}" if "items" in field else "list"
    return "time" if field.get("format") == "date-time" else str(field.get("type", "anything"))


if __name__ == "__main__":
    sys.exit(main("hack.schema", "Write the JSON schema of modelway.json.", files()))
