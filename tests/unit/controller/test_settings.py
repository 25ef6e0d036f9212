"""The operator's settings: read once, and a wrong one is named."""

import pytest

from modelway.controller.settings import OperatorSettings, SettingsError, read_settings

NEEDED = {"MODELWAY_SERVER_IMAGE": "server:1"}

WRONG = {
    "missing": ({}, "MODELWAY_SERVER_IMAGE"),
    "empty": ({"MODELWAY_SERVER_IMAGE": ""}, "MODELWAY_SERVER_IMAGE"),
    "no number": (NEEDED | {"MODELWAY_WORKERS": "many"}, "MODELWAY_WORKERS"),
    "out of range": (NEEDED | {"MODELWAY_WORKERS": "0"}, "MODELWAY_WORKERS"),
    "no port": (NEEDED | {"MODELWAY_HEALTH_PORT": "70000"}, "MODELWAY_HEALTH_PORT"),
    "none of the words": (
        NEEDED | {"MODELWAY_SERVER_IMAGE_PULL_POLICY": "Sometimes"},
        "MODELWAY_SERVER_IMAGE_PULL_POLICY",
    ),
    "no time": (NEEDED | {"MODELWAY_LEASE_DURATION": "-1"}, "MODELWAY_LEASE_DURATION"),
    "a host that is a URL": (
        NEEDED | {"MODELWAY_SINK_HOSTS": "https://events.example.com"},
        "MODELWAY_SINK_HOSTS.*is no host",
    ),
    "times that do not fit": (NEEDED | {"MODELWAY_LEASE_DURATION": "5"}, "MODELWAY_LEASE_.*DURATION"),
}


@pytest.mark.parametrize(("environment", "named"), WRONG.values(), ids=WRONG)
def test_a_wrong_one_is_named(environment, named):
    with pytest.raises(SettingsError, match=named):
        read_settings(environment)


def test_only_the_image_is_needed():
    settings = read_settings(NEEDED)
    assert settings.server_image == "server:1"
    assert settings.watch_namespaces == ()
    assert (settings.lease_duration, settings.lease_renew_deadline, settings.lease_retry_period) == (15, 10, 2)


@pytest.mark.parametrize(
    ("given", "read"), [("", ()), ("ml", ("ml",)), ("ml,prod", ("ml", "prod")), (" ml , prod ,", ("ml", "prod"))]
)
def test_namespaces_are_separated_by_commas(given, read):
    assert read_settings(NEEDED | {"MODELWAY_WATCH_NAMESPACES": given}).watch_namespaces == read


def test_so_are_hosts_of_sinks():
    environment = NEEDED | {"MODELWAY_SINK_HOSTS": "events.example.com,*.svc.cluster.local, *"}
    assert read_settings(environment).sink_hosts == ("events.example.com", "*.svc.cluster.local", "*")


def test_an_empty_variable_is_none():
    assert read_settings(NEEDED | {"MODELWAY_WORKERS": ""}).workers == OperatorSettings.model_fields["workers"].default


def test_other_variables_are_others_business():
    assert read_settings(NEEDED | {"MODELWAY_CACHE": "/tmp", "PATH": "/bin"}).server_image == "server:1"


@pytest.mark.parametrize("name", OperatorSettings.model_fields)
def test_each_is_described(name):
    assert OperatorSettings.model_fields[name].description
