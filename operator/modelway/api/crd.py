"""The CustomResourceDefinition, generated from the pydantic models.

`make crds` writes it to `crds/` and to the chart, and CI fails when the files differ from what this module gives.
Pydantic's JSON schema is no structural schema; `structural` makes it one and refuses what a CRD cannot hold, so that a
change of the models which the API server would reject fails here, with the path.
"""

from collections.abc import Mapping
from typing import Any, Final

from modelway.api.names import GROUP, KIND, PLURAL, VERSION
from modelway.api.spec import Spec
from modelway.api.status import Status

_KEPT: Final = frozenset(
    {
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
        "required",
        "type",
    }
)
_REFUSED: Final = frozenset({"allOf", "oneOf", "patternProperties", "prefixItems", "uniqueItems", "discriminator"})

_COLUMNS: Final = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether the model answers", 0),
    ("Status", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why", 0),
    ("Version", "string", ".status.stable.version", "Version that serves", 0),
    ("Candidate", "string", ".status.candidate.version", "Version that is on its way", 0),
    ("Weight", "integer", ".status.rollout.weight", "Percent of the requests that it is to answer", 0),
    ("Drift", "string", '.status.conditions[?(@.type=="DataDrift")].status', "Whether its inputs have drifted", 0),
    ("Replicas", "integer", ".status.stable.readyReplicas", "Ready pods of the version that serves", 0),
    ("Failure", "string", ".status.failure.reason", "What is wrong", 0),
    ("Age", "date", ".metadata.creationTimestamp", "", 0),
    ("Revision", "string", ".status.stable.revision", "Revision that serves", 1),
    ("URL", "string", ".status.url", "Where clients reach it", 1),
    ("Message", "string", ".status.failure.message", "What is wrong, in full", 1),
)


class SchemaError(ValueError):
    """The models hold something that a structural schema cannot express. Names the path."""


def render() -> dict[str, Any]:
    """The CustomResourceDefinition `modeldeployments.modelway.dev`, as plain data."""
    schema = {
        "description": "A machine-learning model that is served, kept at its version, and told about in status.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                # Children, a Service among them, are named after it: a DNS label that begins with a letter (RFC 1035).
                "properties": {"name": {"type": "string", "maxLength": 63, "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$"}},
            },
            "spec": _of_model(Spec, "spec"),
            "status": _of_model(Status, "status"),
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["mdep"],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.serving.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                }
            ],
        },
    }


def _column(name: str, kind: str, path: str, description: str, priority: int) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    if description:
        column["description"] = description
    if priority:
        column["priority"] = priority
    return column


def _of_model(model: type[Spec | Status], path: str) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return structural(schema, definitions=schema.get("$defs", {}), path=path)


def structural(
    schema: Mapping[str, Any], *, definitions: Mapping[str, Any], path: str, trail: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A structural schema (Kubernetes' dialect of OpenAPI 3.0) that accepts what `schema` accepts.

    References are inlined; `X or null` becomes optional X, for absent and null mean the same; titles, defaults and
    `additionalProperties: false` go (the API server prunes and, for kubectl, refuses unknown fields itself).

    Args:
        schema: a JSON schema (2020-12) as pydantic writes it.
        definitions: what its references lead to.
        path: where it stands, for errors.
        trail: the definitions that it stands in, to notice recursion.

    Raises:
        SchemaError: recursion, a union, a tuple, or anything else without a structural form.
    """
    if "$ref" in schema:
        return _inlined(schema, definitions=definitions, path=path, trail=trail)
    if refused := _REFUSED & schema.keys():
        raise SchemaError(f"{path}: {', '.join(sorted(refused))} has no structural form")

    result = _scalars(schema)
    if "anyOf" in schema:
        result = _merge(_union(schema["anyOf"], definitions=definitions, path=path, trail=trail), result)
    if "properties" in schema:
        result["properties"] = {
            name: structural(inner, definitions=definitions, path=f"{path}.{name}", trail=trail)
            for name, inner in schema["properties"].items()
        }
    if "items" in schema:
        result["items"] = structural(schema["items"], definitions=definitions, path=f"{path}[]", trail=trail)
    inner = schema.get("additionalProperties")
    if isinstance(inner, Mapping):
        result["additionalProperties"] = structural(inner, definitions=definitions, path=f"{path}{{}}", trail=trail)
    elif inner is True and not result.get("x-kubernetes-preserve-unknown-fields"):
        raise SchemaError(f"{path}: a free-form object must say x-kubernetes-preserve-unknown-fields")
    return result


def _inlined(
    schema: Mapping[str, Any], *, definitions: Mapping[str, Any], path: str, trail: tuple[str, ...]
) -> dict[str, Any]:
    name = schema["$ref"].rsplit("/", 1)[-1]
    if name in trail:
        raise SchemaError(f"{path}: {name} contains itself")
    inlined = structural(definitions[name], definitions=definitions, path=path, trail=(*trail, name))
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return _merge(inlined, structural(beside, definitions=definitions, path=path, trail=trail))


def _scalars(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords that say the same in both dialects, and the two that say it otherwise."""
    result = {key: value for key, value in schema.items() if key in _KEPT or key.startswith("x-kubernetes-")}
    if "description" in result:
        result["description"] = " ".join(result["description"].split())
    if "const" in schema:
        result["enum"] = [schema["const"]]
    for bound in ("exclusiveMinimum", "exclusiveMaximum"):
        if bound in result:  # a number in JSON schema, a flag beside the bound in OpenAPI 3.0
            result[bound.removeprefix("exclusive").lower()] = result.pop(bound)
            result[bound] = True
    return result


def _union(
    members: list[Mapping[str, Any]], *, definitions: Mapping[str, Any], path: str, trail: tuple[str, ...]
) -> dict[str, Any]:
    given = [member for member in members if member.get("type") != "null"]
    if {member.get("type") for member in given} == {"integer", "string"}:
        return {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    if len(given) != 1:
        raise SchemaError(f"{path}: a union of several types has no structural form")
    return structural(given[0], definitions=definitions, path=path, trail=trail)


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with `over` on top; rules of both hold."""
    both = "x-kubernetes-validations"
    merged = base | over
    if both in base and both in over:
        merged[both] = [*base[both], *over[both]]
    return merged
