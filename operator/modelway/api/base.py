"""What every model of the resource shares: camelCase on the wire, frozen in Python, docstrings as field descriptions.

The CRD is generated from these classes (`crd.py`). What the schema cannot say by types stands beside the field or the
class as a `Rule`, in CEL, and is evaluated by the API server: a bad object never gets as far as the operator.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A part of the resource. Unknown fields are ignored here, because the API server has refused or pruned them."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        serialize_by_alias=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule of the schema (https://kubernetes.io/docs/reference/using-api/cel).

    `message` says what is wrong and what to do; `field` names the property at fault, relative to where the rule
    stands, when it is not the place itself.
    """

    expression: str
    message: str
    field: str = ""

    def schema(self) -> dict[str, str]:
        entry = {"rule": self.expression, "message": self.message}
        if self.field:
            entry["fieldPath"] = self.field
        return entry


def rules(*entries: Rule, **keywords: Any) -> dict[str, Any]:
    """JSON-schema extras that carry `entries` and further keywords into the CRD."""
    extra = dict(keywords)
    if entries:
        extra["x-kubernetes-validations"] = [entry.schema() for entry in entries]
    return extra


def first_problem(error: ValidationError) -> str:
    """What is wrong, with its place; the first of several."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def list_map(*keys: str, **keywords: Any) -> dict[str, Any]:
    """JSON-schema extras of a list whose items are told apart by `keys`, so that server-side apply merges them."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys), **keywords}
