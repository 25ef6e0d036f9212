"""The CustomResourceDefinition: a structural schema that an API server takes, Argo CD can compare and people can read."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hack.crds import MANIFEST, files

from modelway.api.crd import SchemaError, render, structural

VERSION = render()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
KEYWORDS = {
    *("type", "description", "properties", "required", "items", "additionalProperties", "enum", "format", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "anyOf", "minItems", "maxItems"),
    *("minLength", "maxLength", "minProperties", "maxProperties"),
    *("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
}
FREE_FORM = {"spec.serving.podTemplate.affinity"}
"""What Kubernetes itself checks when a Deployment is written, and would be 3,000 lines here."""


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of a schema with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


ALL = dict(nodes(SCHEMA))
OURS = {path: node for path, node in ALL.items() if path.startswith(("spec", "status"))}


def paths(condition: Any) -> list[str]:
    return [path for path, node in OURS.items() if condition(path, node)]


class TestGolden:
    @pytest.mark.parametrize(("path", "text"), files().items(), ids=lambda value: getattr(value, "name", ""))
    def test_what_is_checked_in_is_what_the_models_say(self, path, text):
        assert path.read_text() == text, "run `make crds`"

    def test_it_is_small_enough_for_client_side_apply(self):
        assert len(MANIFEST.read_text()) < 262_144

    def test_rendering_twice_gives_the_same(self):
        assert render() == render()


class TestStructure:
    def test_only_keywords_of_a_structural_schema_are_used(self):
        assert {keyword for node in ALL.values() for keyword in node} <= KEYWORDS

    def test_everything_has_a_type(self):
        assert paths(lambda _, node: not {"type", "x-kubernetes-int-or-string"} & node.keys()) == []

    def test_nothing_has_a_default(self):
        """The API server would write it into the object, and Argo CD would find a difference for ever."""
        assert paths(lambda _, node: "default" in node) == []

    def test_free_form_objects_are_known_by_name(self):
        assert set(paths(lambda _, node: node.get("x-kubernetes-preserve-unknown-fields"))) == FREE_FORM

    def test_objects_have_fields(self):
        def is_empty(path, node):
            return node.get("type") == "object" and not {"properties", "additionalProperties"} & node.keys()

        assert set(paths(is_empty)) <= FREE_FORM

    def test_required_fields_exist(self):
        assert paths(lambda _, node: set(node.get("required", ())) - node.get("properties", {}).keys()) == []

    def test_every_field_is_described(self):
        assert [path for path, node in OURS.items() if path[-1] not in "]}" and not node.get("description")] == []


class TestBounds:
    """Without them CEL's cost is estimated by the largest object there may be, and the CRD is refused."""

    def test_every_list_has_a_longest(self):
        assert paths(lambda _, node: node.get("type") == "array" and "maxItems" not in node) == []

    def test_every_map_has_a_largest(self):
        assert paths(lambda _, node: "additionalProperties" in node and "maxProperties" not in node) == []

    def test_every_text_has_a_longest(self):
        def is_unbounded(_, node):
            text = node.get("type") == "string" or node.get("x-kubernetes-int-or-string")
            return text and not {"maxLength", "enum", "format"} & node.keys()

        assert paths(is_unbounded) == []


class TestLists:
    def test_items_of_a_map_list_must_have_their_keys(self):
        for path, node in OURS.items():
            if node.get("x-kubernetes-list-type") == "map":
                keys = node["x-kubernetes-list-map-keys"]
                assert set(keys) <= set(node["items"]["required"]), path
                assert all(node["items"]["properties"][key]["type"] == "string" for key in keys), path

    def test_conditions_are_told_apart_by_type(self):
        assert OURS["status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]

    def test_items_of_a_set_are_scalars(self):
        sets = [node for node in OURS.values() if node.get("x-kubernetes-list-type") == "set"]
        assert sets
        assert all(node["items"]["type"] == "string" for node in sets)


class TestRules:
    def test_each_says_what_is_wrong_and_where(self):
        for path, node in OURS.items():
            for rule in node.get("x-kubernetes-validations", ()):
                assert rule["message"], path
                if "fieldPath" in rule:
                    *way, last = rule["fieldPath"].lstrip(".").split(".")
                    inner = node
                    for step in way:
                        inner = inner["properties"][step]
                    assert last in inner["properties"], f"{path}: {rule['fieldPath']} is no field"


class TestKind:
    def test_columns_read_what_exists(self):
        for column in VERSION["additionalPrinterColumns"]:
            path = column["jsonPath"].split("[")[0].lstrip(".")
            assert path in ALL or path == "metadata.creationTimestamp"

    def test_the_scale_subresource_reads_what_exists(self):
        scale = VERSION["subresources"]["scale"]
        assert {path.lstrip(".") for path in scale.values()} <= ALL.keys()

    def test_a_name_can_name_a_service(self):
        name = SCHEMA["properties"]["metadata"]["properties"]["name"]
        assert (name["maxLength"], name["pattern"]) == (63, "^[a-z]([-a-z0-9]*[a-z0-9])?$")


REFUSED = {
    "a union": {"anyOf": [{"type": "string"}, {"type": "boolean"}]},
    "a tuple": {"type": "array", "prefixItems": [{"type": "string"}]},
    "a pattern of names": {"type": "object", "patternProperties": {"a": {}}},
    "one of several": {"oneOf": [{"type": "string"}]},
    "any object": {"type": "object", "additionalProperties": True},
    "itself": {"$ref": "#/$defs/Self"},
}


class TestStructural:
    @pytest.mark.parametrize("schema", REFUSED.values(), ids=REFUSED)
    def test_what_a_crd_cannot_hold_is_refused_with_its_path(self, schema):
        definitions = {"Self": {"type": "object", "properties": {"inner": {"$ref": "#/$defs/Self"}}}}
        with pytest.raises(SchemaError, match=r"^spec\.a"):
            structural(schema, definitions=definitions, path="spec.a")

    @pytest.mark.parametrize(
        ("schema", "expected"),
        [
            ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, {"type": "string"}),
            ({"const": "a", "type": "string"}, {"enum": ["a"], "type": "string"}),
            ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "minimum": 0, "exclusiveMinimum": True}),
            ({"type": "object", "additionalProperties": False, "title": "A"}, {"type": "object"}),
            (
                {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            ),
        ],
        ids=["optional", "a constant", "an exclusive bound", "a closed object", "a number or text"],
    )
    def test_the_rest_is_put_into_its_dialect(self, schema, expected):
        before = copy.deepcopy(schema)
        assert structural(schema, definitions={}, path="spec") == expected
        assert schema == before

    def test_rules_of_a_field_and_of_its_type_both_hold(self):
        definitions = {"A": {"type": "object", "x-kubernetes-validations": [{"rule": "1"}]}}
        schema = {"$ref": "#/$defs/A", "x-kubernetes-validations": [{"rule": "2"}]}
        rules = structural(schema, definitions=definitions, path="spec")["x-kubernetes-validations"]
        assert [rule["rule"] for rule in rules] == ["1", "2"]
