"""JSON Schemas of a model's requests and answers, from its signature: the components of its OpenAPI document. Pure.

What is valid by these is what the protocols' parsers take, as far as JSON Schema can say it.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec.json import schema_components

from modelway.server.feedback_document import QualityDocument
from modelway.server.observations import Observations
from modelway.server.observed_document import InputReference, Inputs
from modelway.server.signature import Signature
from modelway.server.tensors import DTYPES, TensorSpec
from modelway.server.v1 import DEFAULT_SIGNATURE

Json = dict[str, Any]

# Names of values that are listed, each three times; with more the document would be many megabytes in each worker.
MOST_NAMED: Final = 2000
_TEXT: Final = {"type": "string"}
_BASE64: Final = {
    "type": "object",
    "required": ["b64"],
    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
    "additionalProperties": False,
}


def components(signature: Signature) -> dict[str, Json]:
    """Schemas by name: requests and answers of both protocols, the model's row, and what does not depend on it."""
    return {
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": {"error": {"type": "string", "description": "One sentence: where, what, and what to do."}},
        },
        "Models": {
            "type": "object",
            "required": ["models"],
            "properties": {"models": {"type": "array", "items": _TEXT}},
        },
        "Server": {
            "type": "object",
            "required": ["name", "version", "extensions"],
            "properties": {"name": _TEXT, "version": _TEXT, "extensions": {"type": "array", "items": _TEXT}},
        },
        "V1Status": {
            "type": "object",
            "required": ["name", "ready", "model_version_status"],
            "properties": {
                "name": _TEXT,
                "ready": {"type": "boolean"},
                "model_version_status": {"type": "array", "items": {"type": "object"}},
            },
        },
        "Metadata": {
            "type": "object",
            "required": ["name", "platform", "inputs", "outputs"],
            "properties": {
                "name": _TEXT,
                "platform": _TEXT,
                "versions": {"type": "array", "items": _TEXT},
                "inputs": {"type": "array", "items": _tensor_metadata()},
                "outputs": {"type": "array", "items": _tensor_metadata()},
            },
        },
        "Row": _row(signature),
        "PredictRequest": _predict_request(signature),
        "PredictAnswer": _predict_answer(signature),
        "InferRequest": _infer_request(signature),
        "InferAnswer": _infer_answer(signature),
        **schema_components(
            [Observations, Inputs, InputReference, QualityDocument], ref_template="#/components/schemas/{name}"
        )[1],
    }


def value(spec: TensorSpec) -> Json:
    """One value that is sent for this input."""
    dtype = DTYPES[spec.datatype]
    if dtype.kind == "O":
        return {"anyOf": [_TEXT, _BASE64]}
    if dtype.kind == "b":
        return {"type": "boolean"}
    if dtype.kind == "f":
        limits = np.finfo(dtype.str)
        numbers = {"minimum": float(limits.min), "maximum": float(limits.max)}
        return {"type": ["number", "null"] if spec.nullable else "number", **numbers}
    bounds = np.iinfo(dtype.str)
    return {"type": "integer", "minimum": int(bounds.min), "maximum": int(bounds.max)}


def _answered(spec: TensorSpec) -> Json:
    """One value of this output: NaN and infinities of floats are null."""
    kind = DTYPES[spec.datatype].kind
    if kind == "O":
        return {"anyOf": [_TEXT, _BASE64]}
    return {"type": "boolean"} if kind == "b" else {"type": ["number", "null"] if kind == "f" else "integer"}


def _nested(item: Json, shape: Sequence[int]) -> Json:
    """An array of this shape, of such items; a size of -1 is any from 1 on."""
    for size in reversed(shape):
        sizes = {"minItems": 1} if size == -1 else {"minItems": size, "maxItems": size}
        item = {"type": "array", "items": item, **sizes}
    return item


def _row(signature: Signature) -> Json:
    only = signature.only
    if only is None:
        return _named(signature, {spec.name: _of_input(spec) for spec in signature.inputs})
    plain = _nested(value(only), only.shape[1:])
    by_input = _named(signature, {only.name: _of_input(only)})
    if not signature.features:
        return {"anyOf": [plain, by_input]}
    plain["description"] = f"In this order: {', '.join(signature.features[:MOST_NAMED])}."
    forms = [plain, _named(signature, dict.fromkeys(signature.features, value(only)))]
    return {"anyOf": forms if only.name in signature.features else [*forms, by_input]}


def _of_input(spec: TensorSpec) -> Json:
    """An input's value in a row; of a table's column it is the value itself."""
    nested = _nested(value(spec), spec.shape[1:])
    return {"anyOf": [value(spec), nested]} if spec.shape[1:] == (1,) else nested


def _named(signature: Signature, properties: dict[str, Json]) -> Json:
    """An object with a value for each name; of very many names only their number."""
    if len(properties) > MOST_NAMED:
        most = {} if signature.ignores_extra else {"maxProperties": len(properties)}
        return {"type": "object", "minProperties": len(properties), **most}
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": signature.ignores_extra,
    }


def _predict_request(signature: Signature) -> Json:
    rows = {"type": "array", "minItems": 1, "maxItems": signature.max_rows, "items": _ref("Row")}
    named = {"type": "array", "minItems": 1, "maxItems": signature.max_rows, "items": {"type": "object"}}
    split = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "minItems": 1, "items": _TEXT},
            "data": {"type": "array", "minItems": 1, "items": {"type": "array"}},
            "index": {},
        },
        "additionalProperties": False,
    }
    forms = {
        "instances": rows,
        "inputs": {"anyOf": _columns(signature)},
        "dataframe_split": split,
        "dataframe_records": named,
    }
    return {
        "type": "object",
        "properties": {**forms, "signature_name": {"enum": ["", DEFAULT_SIGNATURE]}},
        "oneOf": [{"required": [form]} for form in forms],
    }


def _columns(signature: Signature) -> list[Json]:
    """What `inputs` may be: an array of values for each name, or the tensor of the only input."""
    only = signature.only
    by_input = {
        spec.name: {"anyOf": [_nested(value(spec), shape) for shape in _shapes(spec)]} for spec in signature.inputs
    }
    forms = [_named(signature, by_input)]
    if only is not None:
        forms.append(_nested(value(only), only.shape))
    if only is not None and signature.features:
        forms.append(_named(signature, dict.fromkeys(signature.features, _nested(value(only), (-1,)))))
    return forms


def _shapes(spec: TensorSpec) -> list[tuple[int, ...]]:
    return [spec.shape, spec.shape[:1]] if spec.shape[1:] == (1,) else [spec.shape]


def _predict_answer(signature: Signature) -> Json:
    by_name = {spec.name: spec for spec in signature.outputs}
    specs = [by_name[name] for name in signature.default_outputs]
    rows = {spec.name: _nested(_answered(spec), spec.shape[1:]) for spec in specs}
    columns = {spec.name: _nested(_answered(spec), spec.shape) for spec in specs}
    row, whole = (_all(rows), _all(columns)) if len(specs) != 1 else (rows[specs[0].name], columns[specs[0].name])
    return {
        "oneOf": [
            _all({"predictions": {"type": "array", "items": row}}),
            _all({"outputs": whole}),
        ]
    }


def _all(properties: dict[str, Json]) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties}


def _infer_request(signature: Signature) -> Json:
    tensors = [_sent(spec, any_name=spec.lenient and signature.only is spec) for spec in signature.inputs]
    asked = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"enum": [spec.name for spec in signature.outputs]}, "parameters": {"type": "object"}},
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": _TEXT,
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "minItems": len(tensors), "items": {"anyOf": tensors}},
            "outputs": {"type": "array", "items": asked},
        },
    }


def _sent(spec: TensorSpec, *, any_name: bool) -> Json:
    sizes = [{"type": "integer", "minimum": 1} if size == -1 else {"const": size} for size in spec.shape]
    return {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": _TEXT if any_name else {"const": spec.name},
            "datatype": {"enum": [name for name in DTYPES if spec.takes(name)]},
            "shape": {"type": "array", "prefixItems": sizes, "minItems": len(sizes), "maxItems": len(sizes)},
            "data": {"type": "array", "description": "Flat in row-major order, or nested as the shape.", "minItems": 1},
            "parameters": {"type": "object"},
        },
    }


def _infer_answer(signature: Signature) -> Json:
    tensor = {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"enum": [spec.name for spec in signature.outputs]},
            "datatype": {"enum": list(DTYPES)},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "data": {"type": "array"},
            "parameters": {"type": "object"},
        },
    }
    return {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": _TEXT,
            "model_version": _TEXT,
            "id": _TEXT,
            "outputs": {"type": "array", "items": tensor},
        },
    }


def _tensor_metadata() -> Json:
    return {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": _TEXT,
            "datatype": {"enum": list(DTYPES)},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": -1}},
        },
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
