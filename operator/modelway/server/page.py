"""The page that a browser is shown at `/`: the model, and a form to ask it with.

Made once, when the model is loaded. Names and notes of a model come from strangers: each is escaped where it is written
here, and the script (`static/page.js`) only ever sets text. Nothing is loaded from elsewhere; the header that goes with
the page forbids it, and any script and style but the page's own, by their hashes.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from modelway.server.body import write
from modelway.server.exchange import Answer
from modelway.server.loading import Loaded
from modelway.server.pace import zeros
from modelway.server.tensors import Array, TensorSpec
from modelway.server.v1 import jsonable

# A form of more fields than this is read by nobody; rows are pasted then.
MOST_FIELDS: Final = 200
_MOST_IN_A_FIELD: Final = 1000
_STATIC: Final = Path(__file__).with_name("static")
_HTML: Final = b"text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Field:
    """One value of the form: its label, how the server's messages call it, and the values of the sample rows."""

    spec: TensorSpec
    label: str
    place: str
    values: Array


def is_wanted(accept: bytes | None) -> bool:
    """Whether who asks is a browser, by its Accept header."""
    return accept is not None and b"text/html" in accept.lower()


def render(loaded: Loaded, name: str) -> Answer:
    """The page of a model that is served under this name."""
    style, script = _file("page.css"), _file("page.js")
    shown = {
        "style": style,
        "script": script,
        "title": escape(name),
        "facts": _facts(loaded, name),
        "inputs": _table(loaded.signature.inputs),
        "features": _features(loaded.signature.features),
        "outputs": _table(loaded.signature.outputs),
        "form": _form(loaded, name),
        "metadata": escape(f"v2/models/{quote(name, safe='')}"),
    }
    page = Template(_file("page.html")).substitute(shown)
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "vary": "accept",
        "cache-control": "no-cache",
    }
    return Answer(200, page.encode(), content_type=_HTML, headers=headers)


def _file(name: str) -> str:
    return _STATIC.joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """A source expression of a content security policy: https://www.w3.org/TR/CSP3/#grammardef-hash-source."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _facts(loaded: Loaded, name: str) -> str:
    facts: Mapping[str, object] = {
        "Name": name,
        "Version": loaded.version or "none",
        "Format": loaded.format,
        "Platform": loaded.model.platform,
        **dict(loaded.model.notes),
    }
    return "".join(f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in facts.items())


def _table(specs: Sequence[TensorSpec]) -> str:
    return "".join(
        f'<tr><th scope="row">{escape(spec.name)}</th><td>{spec.datatype}</td><td>{_shape(spec)}</td></tr>'
        for spec in specs
    )


def _shape(spec: TensorSpec) -> str:
    return ", ".join("any" if size == -1 else str(size) for size in spec.shape) or "a single value"


def _features(names: Sequence[str]) -> str:
    listed = "".join(f"<li>{escape(name)}</li>" for name in names[:MOST_FIELDS])
    more = f"<p>and {len(names) - MOST_FIELDS} more</p>" if len(names) > MOST_FIELDS else ""
    return f"<h3>A row's values</h3><ol>{listed}</ol>{more}" if listed else ""


def _form(loaded: Loaded, name: str) -> str:
    """The fields, in what tells the script how they make up a row of V1: a list, an object, or the value itself."""
    tensors = (loaded.sample or zeros(loaded.model)).tensors
    only, inputs = loaded.signature.only, loaded.signature.inputs
    fields: Sequence[Field]
    count = len(inputs)
    if only is None:
        kind, fields = "object", [_input(spec, tensors[spec.name]) for spec in inputs[:MOST_FIELDS]]
    elif len(only.shape) == 2:
        count = tensors[only.name].shape[1]
        kind, fields = "list", _values(only, tensors[only.name], loaded.signature.features)
    else:
        kind, fields = "value", [Field(only, only.name, "instances[0]", tensors[only.name])]
    drawn = "".join(_drawn(field, f"field-{index}") for index, field in enumerate(fields))
    if count > MOST_FIELDS:
        kind, drawn = "none", f"<p>A row has {count} values: paste rows below.</p>"
    path = escape(f"v1/models/{quote(name, safe='')}:predict")
    return f'<form id="row" data-row="{kind}" data-path="{path}" novalidate>{drawn}'


def _values(spec: TensorSpec, array: Array, features: Sequence[str]) -> list[Field]:
    """A field for each value of a row."""
    labels = features or [f"{spec.name}[{index}]" for index in range(min(array.shape[1], MOST_FIELDS))]
    return [
        Field(spec, label, f"instances[0][{index}]", array[:, index])
        for index, label in enumerate(labels[:MOST_FIELDS])
    ]


def _input(spec: TensorSpec, array: Array) -> Field:
    column = array[:, 0] if spec.shape[1:] == (1,) else array
    return Field(spec, spec.name, f"instances[0].{spec.name}", column)


def _drawn(field: Field, key: str) -> str:
    """A labelled control, and the place for what is wrong with it."""
    first = field.values[0] if field.values.ndim else field.values[()]
    described = f"{key}-problem"
    common = (
        f'id="{key}" name="{escape(field.label)}" data-place="{escape(field.place)}" aria-describedby="{described}" '
        'autocomplete="off"'
    )
    return (
        f'<div class="field"><label for="{key}">{escape(field.label)} <small>{field.spec.datatype}</small></label>'
        f'{_control(field.spec, first, common)}<p class="problem" id="{described}" hidden></p></div>'
    )


def _control(spec: TensorSpec, value: Any, common: str) -> str:
    """What takes a value: `data-kind` tells the script how to write it as JSON."""
    if np.ndim(value):
        text = write(jsonable(value)).decode() if value.size <= _MOST_IN_A_FIELD else ""
        return f'<textarea {common} data-kind="json" rows="3" spellcheck="false">{escape(text)}</textarea>'
    if spec.datatype == "BYTES":
        return f'<input {common} data-kind="text" value="{escape(str(value))}" spellcheck="false">'
    if spec.datatype == "BOOL":
        words = ("true", "false") if value else ("false", "true")
        return f'<select {common} data-kind="boolean"><option>{words[0]}</option><option>{words[1]}</option></select>'
    number = write(value).decode()  # an FP32 with its own 9 digits, not with 17
    shown = "" if number == "null" else number
    return f'<input {common} data-kind="number" inputmode="decimal" value="{shown}">'
