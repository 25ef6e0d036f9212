"""The OpenAPI 3.1 document of one loaded model: what may be asked, and what is answered. Pure.

Made once, when the model is loaded. The schemas are the model's own, with its names, shapes and datatypes, so that
clients can be generated from them and a wrong request be found before it is sent. What JSON Schema cannot say (that
columns are equally long) is left to the server. https://spec.openapis.org/oas/v3.1.1.html
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from modelway.api.observations import PATH as OBSERVATIONS
from modelway.server import schemas
from modelway.server.feedback_counts import OUTCOMES
from modelway.server.observed_document import ASKED_FOR
from modelway.server.receipt import HEADER
from modelway.server.signature import Signature
from modelway.server.v2 import LENGTH_HEADER

Json = dict[str, Any]

_ERRORS: Final = {
    400: "The request does not say what the model can read; the message names the exact place.",
    404: "There is no such path, model or version here.",
    413: "The request is larger, or has more rows, than the server takes.",
    415: "The content type, charset or content encoding is not known here.",
    500: "The model failed on this request.",
    503: "The model is being loaded, or the server is overloaded; try again.",
    504: "No answer within the server's timeout.",
}
_OF_PREDICTIONS: Final = (400, 413, 415, 500, 503, 504)


def document(
    signature: Signature, name: str, version: str | None, *, observe: bool = True, feedback: bool = False
) -> Json:
    """The document.

    Args:
        signature: what requests to the model may look like.
        name: the model's, as it stands in paths.
        version: the version to show, or None.
        observe: whether answers are counted, and the counts told.
        feedback: whether labels are taken.

    """
    described = schemas.components(signature)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": name,
            "version": version or "unversioned",
            "description": "Predictions over V1 (TensorFlow Serving's REST) and V2 (the Open Inference Protocol).",
        },
        "tags": [
            {"name": "V1", "description": "Rows of values, tables by column name, CSV."},
            {"name": "V2", "description": "The Open Inference Protocol: named tensors."},
            {"name": "server", "description": "What the server says of itself."},
        ],
        "paths": _of_server(observe=observe or feedback)
        | _v1(name, version)
        | _v2(name, version)
        | (_feedback(name) if feedback else {}),
        "components": {
            "schemas": described,
            "responses": {f"Error{status}": _error(text) for status, text in _ERRORS.items()},
        },
    }


def _of_server(*, observe: bool) -> Json:
    ready = _flag("ready")
    paths: Json = {
        "/openapi.json": {"get": _get("openapi", "This document.", {"type": "object"}, errors=(503,))},
        "/ping": {"get": _get("ping", "Whether it is ready, for MLflow's clients.", ready, more={"503": ready})},
        "/health": {"get": _get("health", "The same.", ready, more={"503": ready})},
        "/metrics": {
            "get": _operation(
                "metrics", "server", "Metrics, for Prometheus.", {"200": _answer("text/plain", {"type": "string"})}
            )
        },
    }
    if observe:
        summary = "What was answered, and asked, for the operator."
        told = {"oneOf": [_ref("Observations"), _ref("Inputs"), _ref("InputReference"), _ref("QualityDocument")]}
        asked = {"name": "of", "in": "query", "schema": {"type": "string", "enum": list(ASKED_FOR)}}
        asked["description"] = (
            "Counts of answers, which is what is told where this is left out, of inputs or of labels; or what those of"
            " inputs mean."
        )
        since = {"name": "since", "in": "query", "schema": {"type": "integer", "minimum": 0}}
        since["description"] = "Of labels: Unix time; windows of predictions that had ended by then are left out."
        paths[OBSERVATIONS] = {
            "get": _get("observations", summary, told, errors=(400, 404, 503)) | {"parameters": [asked, since]}
        }
    return paths


def _feedback(name: str) -> Json:
    label = {"anyOf": [{"type": ["string", "number", "boolean"]}, {"type": "array"}]}
    row: Json = {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string", "description": f"Of a prediction, from its answer's header {HEADER}."},
            "row": {"type": "integer", "minimum": 0, "description": "Of a request that had several, from 0 on."},
            "label": label | {"description": "The class that it was; or an array for all rows, null where unknown."},
            "value": {
                "anyOf": [{"type": "number"}, {"type": "array"}],
                "description": "The number that it was; likewise.",
            },
            "slices": {"type": "object", "description": "What it is told apart by, such as its country."},
        },
        "additionalProperties": False,
    }
    text = {"schema": {"type": "string"}}
    body = {
        "application/json": {"schema": {"anyOf": [row, {"type": "array", "items": row}]}},
        "application/x-ndjson": text,
        "text/csv": text,
    }
    answer = {
        "type": "object",
        "required": [*OUTCOMES, "unsliced", "problems"],
        "properties": {outcome: {"type": "integer", "minimum": 0} for outcome in (*OUTCOMES, "unsliced")}
        | {"problems": {"type": "array", "items": {"type": "object", "required": ["where", "problem"]}}},
    }
    answers = {"200": _answer("application/json", answer), **_refused((400, 413, 415, 503))}
    operation = _operation("feedback", "V1", "What came true of predictions.", answers, body=body)
    return {f"/v1/models/{_template_free(name)}/feedback": {"post": operation}}


def _v1(name: str, version: str | None) -> Json:
    paths: Json = {"/v1/models": {"get": _get("v1Models", "The models served: this one.", _ref("Models"), tag="V1")}}
    status = _ref("V1Status")
    body: Json = {"application/json": {"schema": _ref("PredictRequest")}, "text/csv": {"schema": {"type": "string"}}}
    for path, suffix in _forms("/v1/models", name, version):
        paths[path] = {"get": _get(f"v1Status{suffix}", "Whether it is ready.", status, tag="V1", more={"503": status})}
        paths[f"{path}/metadata"] = {
            "get": _get(f"v1Metadata{suffix}", "Inputs and outputs.", {"type": "object"}, tag="V1", errors=(503,))
        }
        paths[f"{path}:predict"] = {
            "post": _prediction(f"predict{suffix}", "V1", body, _answer("application/json", _ref("PredictAnswer")))
        }
    answer = _answer("application/json", {"type": "object", "required": ["predictions"]})
    return paths | {"/invocations": {"post": _prediction("invocations", "V1", body, answer)}}


def _v2(name: str, version: str | None) -> Json:
    live, ready = _flag("live"), _flag("ready")
    paths: Json = {
        "/v2": {"get": _get("v2Server", "Name, version and extensions.", _ref("Server"), tag="V2")},
        "/v2/health/live": {"get": _get("v2Live", "Whether it lives.", live, tag="V2", more={"503": live})},
        "/v2/health/ready": {"get": _get("v2Ready", "Whether it is ready.", ready, tag="V2", more={"503": ready})},
        "/v2/models": {"get": _get("v2Models", "The models served: this one.", _ref("Models"), tag="V2")},
        "/v2/repository/index": {"post": _index()},
    }
    for path, suffix in _forms("/v2/models", name, version):
        named = {"type": "object", "required": ["name", "ready"], "properties": {"ready": {"type": "boolean"}}}
        paths[path] = {
            "get": _get(f"v2Metadata{suffix}", "Inputs and outputs.", _ref("Metadata"), tag="V2", errors=(503,))
        }
        paths[f"{path}/ready"] = {
            "get": _get(f"v2ModelReady{suffix}", "Whether it is ready.", named, tag="V2", more={"503": named})
        }
        body = {"application/json": {"schema": _ref("InferRequest")}, "application/octet-stream": {}}
        answer = _answer("application/json", _ref("InferAnswer"))
        answer["content"]["application/octet-stream"] = {}
        operation = _prediction(f"infer{suffix}", "V2", body, answer)
        operation["parameters"] = [
            {
                "name": LENGTH_HEADER,
                "in": "header",
                "description": "How many of the body's bytes are JSON; tensors' data as bytes follow them.",
                "schema": {"type": "integer", "minimum": 0},
            }
        ]
        paths[f"{path}/infer"] = {"post": operation}
    return paths


def _forms(prefix: str, name: str, version: str | None) -> Iterable[tuple[str, str]]:
    """The model's path without and with its version, and what tells the operations' ids apart."""
    path = f"{prefix}/{_template_free(name)}"
    yield path, ""
    if version:
        yield f"{path}/versions/{_template_free(version)}", "OfVersion"


def _template_free(part: str) -> str:
    """A part of a path as it stands in URLs, where braces, which OpenAPI takes for parameters, are escaped."""
    return quote(part, safe="")


def _index() -> Json:
    entry = {"type": "object", "required": ["name", "version", "state", "reason"]}
    request = {"type": "object", "properties": {"ready": {"type": "boolean"}}}
    return _operation(
        "v2Index",
        "V2",
        "The model and whether it is ready.",
        {"200": _answer("application/json", {"type": "array", "items": entry}), **_refused((400,))},
        body={"application/json": {"schema": request}},
        must=False,
    )


def _prediction(operation: str, tag: str, body: Json, answer: Json) -> Json:
    summary = "Predict rows." if tag == "V1" else "Predict tensors."
    return _operation(operation, tag, summary, {"200": answer, **_refused(_OF_PREDICTIONS)}, body=body)


def _get(
    operation: str,
    summary: str,
    schema: Json,
    *,
    tag: str = "server",
    errors: Iterable[int] = (),
    more: Mapping[str, Json] | None = None,
) -> Json:
    answers = {"200": _answer("application/json", schema)}
    for status, other in (more or {}).items():
        answers[status] = _answer("application/json", other)
    return _operation(operation, tag, summary, answers | _refused(errors))


def _operation(
    operation: str, tag: str, summary: str, answers: Json, *, body: Json | None = None, must: bool = True
) -> Json:
    described: Json = {"operationId": operation, "tags": [tag], "summary": summary, "responses": answers}
    if body is not None:
        described["requestBody"] = {"required": must, "content": body}
    return described


def _answer(media: str, schema: Json) -> Json:
    return {"description": "The answer.", "content": {media: {"schema": schema}}}


def _error(text: str) -> Json:
    return {"description": text, "content": {"application/json": {"schema": _ref("Error")}}}


def _refused(statuses: Iterable[int]) -> Json:
    return {str(status): {"$ref": f"#/components/responses/Error{status}"} for status in statuses}


def _flag(name: str) -> Json:
    return {"type": "object", "required": [name], "properties": {name: {"type": "boolean"}}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
