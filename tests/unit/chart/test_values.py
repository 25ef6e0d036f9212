"""Values: each documented, each in the schema, and a wrong one refused with words that name it."""

import json
from typing import get_args

import pytest
import yaml
from hack import install
from hack.settings import comments_of

from modelway.controller.settings import OperatorSettings

VALUES = (install.CHART / "values.yaml").read_text()
SCHEMA = json.loads((install.CHART / "values.schema.json").read_text())

OUTSIDE = {"enabled", "global"}
"""For charts that have this one as a dependency."""


def leaves(schema, path=()):
    """Paths of the schema's values: what has no named values in it."""
    schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema
    if "properties" not in schema:
        yield path
    for name, inner in schema.get("properties", {}).items():
        yield from leaves(inner, (*path, name))


def test_every_value_in_the_schema_is_documented_and_has_a_default():
    commented, values = comments_of(VALUES), yaml.safe_load(VALUES)
    inside_of_one = {("resources",), ("podSecurityContext",), ("containerSecurityContext",)}
    for path in leaves(SCHEMA):
        if path[0] in OUTSIDE or path[:1] in inside_of_one:
            continue
        assert path in commented, f"{'.'.join(path)} has no comment in values.yaml"
        default = values
        for key in path:
            default = default[key]


def test_every_value_is_in_the_schema():
    known = {path[:length] for path in leaves(SCHEMA) for length in range(1, len(path) + 1)}
    assert comments_of(VALUES).keys() <= known


def test_every_object_of_our_own_in_the_schema_is_closed():
    def check(schema, path):
        if "properties" in schema:
            assert schema["additionalProperties"] is False, path
        for name, inner in schema.get("properties", {}).items():
            check(inner, f"{path}.{name}")

    check(SCHEMA, "values")
    for name, definition in SCHEMA["$defs"].items():
        check(definition, name)


@pytest.mark.parametrize(
    ("choices", "setting"),
    [
        (SCHEMA["properties"]["log"]["properties"]["level"]["enum"], "log_level"),
        (SCHEMA["properties"]["log"]["properties"]["format"]["enum"], "log_format"),
        (SCHEMA["$defs"]["image"]["properties"]["pullPolicy"]["enum"], "server_image_pull_policy"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_choices_are_those_of_the_operators_settings(choices, setting):
    assert tuple(choices) == get_args(OperatorSettings.model_fields[setting].annotation)


def test_a_chart_may_depend_on_this_one(helm):
    assert helm.kinds(**{"enabled": True, "global": {"imageRegistry": "r.example"}}) == helm.kinds()


# Helm tells of everything that the schema refuses at once, so these wrong values are tried in one go.
WRONG = {
    "replicas": 2,
    "image": {"name": "x", "digest": "sha256:12", "pullPolicy": "Sometimes"},
    "serverImage": {"repository": ""},
    "replicaCount": -1,
    "workers": "16",
    "log": {"level": "trace"},
    "watchNamespaces": ["A_b", "a", "a"],
    "commonLabels": {"team": 7},
    "resources": {"limit": {}, "requests": {"memory": "a lot"}},
    "podDisruptionBudget": {"maxUnavailable": "half"},
    "networkPolicy": {"apiServerCIDRs": ["10.0.0.1"]},
    "extraEnv": [{"value": "nameless"}],
}


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("'replicas' not allowed", id="a misspelt key"),
        pytest.param("at '/image': additional properties 'name' not allowed", id="a misspelt key inside"),
        pytest.param("at '/image/digest': 'sha256:12' does not match pattern", id="half a digest"),
        pytest.param("at '/image/pullPolicy': value must be one of 'Always'", id="a pull policy"),
        pytest.param("at '/serverImage/repository': minLength: got 0, want 1", id="no image"),
        pytest.param("at '/replicaCount': minimum: got -1, want 0", id="fewer than none"),
        pytest.param("at '/workers': got string, want integer", id="text for a number"),
        pytest.param("at '/log/level': value must be one of 'debug', 'info'", id="an unknown level"),
        pytest.param("at '/watchNamespaces/0': 'A_b' does not match pattern", id="no name of a namespace"),
        pytest.param("at '/watchNamespaces': items at 1 and 2 are equal", id="a namespace twice"),
        pytest.param("at '/commonLabels/team': got number, want string", id="a label that is a number"),
        pytest.param("at '/resources': additional properties 'limit' not allowed", id="resources misspelt"),
        pytest.param("at '/resources/requests/memory': 'a lot' does not match pattern", id="no quantity"),
        pytest.param("at '/podDisruptionBudget/maxUnavailable': 'half' does not match", id="half of them"),
        pytest.param("at '/networkPolicy/apiServerCIDRs/0': '10.0.0.1' does not match", id="an address, not a range"),
        pytest.param("at '/extraEnv/0': missing property 'name'", id="a variable without a name"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(helm, words):
    assert words in helm.refusal(**WRONG)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param(
            {"leaderElection": {"renewDeadlineSeconds": 20}},
            "leaderElection: retryPeriodSeconds (2) must be less than renewDeadlineSeconds (20), and that less than",
            id="lease times that do not fit",
        ),
        pytest.param(
            {"extraEnv": [{"name": "MODELWAY_WORKERS", "value": "1"}]},
            "extraEnv: MODELWAY_WORKERS is a setting of the operator; set it by the chart's own value for it",
            id="a setting past its value",
        ),
        pytest.param(
            {"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}},
            "metrics.serviceMonitor.enabled needs metrics.service.enabled",
            id="a monitor of nothing",
        ),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(helm, values, words):
    assert words in helm.refusal(**values)
