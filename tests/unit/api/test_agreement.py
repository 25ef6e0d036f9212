"""The schema and the models agree: the operator can read whatever the API server has accepted."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelway.api.crd import render
from modelway.api.spec import Spec
from modelway.plan.revisions import resolved_spec, revision_hash
from support.builders import spec, stamp

SCHEMA = render()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
DURATIONS = st.from_regex(re.compile(r"[1-9][0-9]{0,2}(ms|s|m|h)([0-9]{1,2}(ms|s))?", re.ASCII), fullmatch=True)

PERCENTS = st.from_regex(re.compile(r"[1-9][0-9]?(\.[0-9]{1,2})?%", re.ASCII), fullmatch=True)


def instances(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What `schema` accepts, in small; rules in CEL are obeyed where the operator relies on them (durations, percentages)."""
    is_text = schema.get("type") == "string"
    if is_text and any("duration(" in rule["rule"] for rule in schema.get("x-kubernetes-validations", ())):
        return DURATIONS
    if is_text and any("%" in rule["rule"] for rule in schema.get("x-kubernetes-validations", ())):
        return PERCENTS
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(0, 2**40) | _texts(schema)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda moment: stamp(moment).rjust(20, "0"))
    of_type = {
        "string": _texts,
        "integer": lambda node: st.integers(node.get("minimum", 0), node.get("maximum", 2**31)),
        "number": lambda node: st.floats(node.get("minimum", -1e6), node.get("maximum", 1e6)),
        "boolean": lambda _: st.booleans(),
        "array": lambda node: st.lists(instances(node["items"]), min_size=node.get("minItems", 0), max_size=2),
        "object": _objects,
    }
    return of_type[schema["type"]](schema)


def _texts(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    longest = min(schema.get("maxLength", 40), 40)
    matched = re.search(r"^self\.matches\(r'(.*)'\)$", schema.get("x-kubernetes-validations", [{}])[0].get("rule", ""))
    if (given := schema.get("pattern") or (matched and matched[1])) is not None:
        pattern = re.compile(given.removeprefix("^").removesuffix("$"), re.ASCII)
        return st.from_regex(pattern, fullmatch=True).filter(lambda text: len(text) <= longest)
    return st.text(st.characters(codec="ascii"), min_size=schema.get("minLength", 0), max_size=longest)


def _objects(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "additionalProperties" in schema:
        return st.dictionaries(st.text("ab./", max_size=4), instances(schema["additionalProperties"]), max_size=2)
    fields = {name: instances(inner) for name, inner in schema.get("properties", {}).items()}
    required = {name: fields[name] for name in schema.get("required", ())}
    optional = {name: inner for name, inner in fields.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


SPECS = st.deferred(lambda: instances(SCHEMA))


@given(SPECS)
def test_what_the_schema_accepts_the_operator_can_read(given_spec):
    read = Spec.model_validate(given_spec)
    written = read.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert Spec.model_validate(written) == read
    assert len(revision_hash(resolved_spec(read))) == 8


def test_a_field_that_is_not_known_is_not_read():
    """It comes from a newer CRD; the API server of this one has refused or pruned it."""
    assert Spec.model_validate(spec() | {"future": 1}) == Spec.model_validate(spec())
