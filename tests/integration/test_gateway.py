"""Requests from outside: the HTTPRoute on a real API server that has the Gateway API, has it not, or has it later.

There is no controller for Gateways here: the tests write what one would.
"""

import json

import pytest

from modelway.api.kinds import HTTP_ROUTE
from support.cluster import content, spec_of
from support.operator import operating

PARENT = {"name": "public", "namespace": "infra"}
TRAFFIC = {"parentRefs": [PARENT], "hostnames": ["fraud.example.com"]}
ROUTED = spec_of(traffic=TRAFFIC)
PAUSE = 2.0
OFTEN = f"import modelway.kube.reflector as reflector; reflector._UNSERVED_PAUSE = {PAUSE}"
"""These operators look for the Gateway API more often than the usual ones."""


@pytest.fixture(scope="module")
def operator(cluster, tmp_path_factory):
    with operating(cluster, tmp_path_factory.mktemp("operator") / "log", prelude=OFTEN) as operator:
        yield operator


@pytest.fixture(scope="module")
def gateway_api(cluster):
    """From the first test that asks for it to the end of the module."""
    cluster.install_gateway_api()
    yield
    cluster.remove_gateway_api()


def told(deployed):
    return deployed.condition("RouteAccepted")


def waits(deployed, status, reason):
    deployed.wait(lambda _: told(deployed) == (status, reason), what=f"RouteAccepted is {status} with {reason}")


def lists(cluster, mark):
    """How often the operator has asked for HTTPRoutes since `mark`."""
    with cluster.control_plane.audit_log.open("rb") as log:
        log.seek(mark)
        entries = [json.loads(line) for line in log if line.endswith(b"\n")]
    return [
        entry["verb"]
        for entry in entries
        if entry["user"]["username"] == "modelway-operator" and HTTP_ROUTE.plural in entry["requestURI"]
    ]


def test_without_the_gateway_api_it_serves_and_the_route_comes_goes_and_comes_with_it(cluster, namespace, operator):
    deployed = namespace.deploy(ROUTED)
    deployed.wait_until_served()
    assert told(deployed) == ("False", "GatewayAPIMissing")
    assert deployed.condition("Stalled")[0] == "False"
    mark = namespace.rest(seconds=3 * PAUSE)
    assert namespace.writes(mark) == []

    for _ in range(2):
        cluster.install_gateway_api()
        try:
            namespace.wait_for(lambda: namespace.get(HTTP_ROUTE, "fraud"), what="the route is made")
            waits(deployed, "Unknown", "Pending")
            namespace.rest()
        finally:
            cluster.remove_gateway_api()
        waits(deployed, "False", "GatewayAPIMissing")
    deployed.wait_until_served()
    assert operator.ready() == "ok, leading\n"
    assert not any(line["level"] == "error" for line in operator.lines())
    told_of = [line for line in operator.lines() if line.get("namespace") == namespace.name]
    assert any(line["event"] == "status_written" for line in told_of)
    assert not [line for line in told_of if "stalled" in line], "what comes and goes with the cluster stops nothing"


def test_a_missing_kind_costs_a_request_now_and_then(cluster, namespace, operator):
    namespace.deploy(ROUTED).wait_until_served()
    mark = namespace.rest()
    namespace.wait_for(lambda: len(lists(cluster, mark)) >= 3, what="the operator has looked three times")
    assert set(lists(cluster, mark)) == {"list"}
    assert namespace.writes(mark) == []


def test_an_operator_that_starts_without_the_gateway_api_gets_ready(cluster, log):
    with operating(cluster, log, lead=False, user="replica-a") as another:
        another.wait_until_standing_by(cluster)


FOREIGN = {
    "apiVersion": HTTP_ROUTE.api_version,
    "kind": HTTP_ROUTE.name,
    "metadata": {"name": "fraud"},
    "spec": {"parentRefs": [{"name": "theirs"}], "hostnames": ["shop.example.com"]},
}


def test_a_foreign_route_is_left_alone_until_it_goes(cluster, gateway_api, namespace, operator):
    before = content(namespace.create(FOREIGN))
    deployed = namespace.deploy(ROUTED)
    failure = deployed.wait_for_failure("NameConflict")
    assert failure["message"].startswith("HTTPRoute fraud: exists already and was not made by modelway")
    waits(deployed, "False", "NameConflict")
    deployed.wait(lambda status: "stable" in status, what="it serves all the same")
    assert deployed.condition("Ready")[0] == "True"
    assert content(namespace.get(HTTP_ROUTE, "fraud")) == before
    namespace.delete(HTTP_ROUTE, "fraud")
    namespace.wait_for(
        lambda: (namespace.get(HTTP_ROUTE, "fraud") or FOREIGN)["spec"].get("hostnames") == ["fraud.example.com"],
        what="the route is made",
    )
    waits(deployed, "Unknown", "Pending")
    assert deployed.condition("NameConflict") == ("False", "AsExpected")


FILTER = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["authorization"]}}
RULE = {"matches": [{"path": {"type": "PathPrefix", "value": "/x"}}]}
EDITED = {
    "another host": {"spec": {"hostnames": ["other.example.com"]}},
    "no host": {"spec": {"hostnames": None}},
    "another Gateway": {"spec": {"parentRefs": [{"name": "other"}]}},
    "one Gateway more": [{"op": "add", "path": "/spec/parentRefs/-", "value": {"name": "other"}}],
    "another port": [{"op": "replace", "path": "/spec/rules/0/backendRefs/0/port", "value": 81}],
    "no share": [{"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": 0}],
    "a filter": [{"op": "add", "path": "/spec/rules/0/filters", "value": [FILTER]}],
    "a rule more": [{"op": "add", "path": "/spec/rules/0", "value": RULE}],
    "a label of ours": {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}},
}


def test_what_somebody_edits_or_deletes_is_back_exactly(cluster, gateway_api, namespace, operator):
    deployed = namespace.deploy(ROUTED)
    deployed.wait_until_served()
    made = namespace.wait_for(lambda: namespace.get(HTTP_ROUTE, "fraud"), what="the route is made")
    before = content(made)
    for what, patch in EDITED.items():
        namespace.patch(HTTP_ROUTE, "fraud", patch)
        namespace.wait_for(lambda: content(namespace.get(HTTP_ROUTE, "fraud")) == before, what=f"{what}: it is back")
    namespace.delete(HTTP_ROUTE, "fraud")
    namespace.wait_for(lambda: namespace.get(HTTP_ROUTE, "fraud"), what="the route is made again")
    assert content(namespace.get(HTTP_ROUTE, "fraud")) == before


def say(namespace, *conditions, generation=None):
    """What the Gateway's controller would write into the route's status."""
    route = namespace.get(HTTP_ROUTE, "fraud")
    made = {
        "observedGeneration": generation or route["metadata"]["generation"],
        "lastTransitionTime": "2026-11-21T12:00:00Z",
    }
    entry = {
        "parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway"} | PARENT,
        "controllerName": "example.com/controller",
        "conditions": [
            {"type": kind, "status": status, "reason": reason, "message": message} | made
            for kind, status, reason, message in conditions
        ],
    }
    namespace.patch(HTTP_ROUTE, "fraud", {"status": {"parents": [entry]}}, subresource="status")


RESOLVED = ("ResolvedRefs", "True", "ResolvedRefs", "")


def test_what_the_controller_says_is_told_and_then_nothing_is_written(cluster, gateway_api, namespace, operator):
    deployed = namespace.deploy(ROUTED)
    deployed.wait_until_served()
    waits(deployed, "Unknown", "Pending")
    say(namespace, ("Accepted", "False", "NotAllowedByListeners", "not from here"), RESOLVED)
    waits(deployed, "False", "NotAllowedByListeners")
    say(namespace, ("Accepted", "True", "Accepted", ""), RESOLVED)
    waits(deployed, "True", "Accepted")
    mark = namespace.rest()
    say(namespace, ("Accepted", "True", "Accepted", "in other words"), RESOLVED)
    namespace.rest()
    assert namespace.writes(mark) == [], "nothing of ours has changed"

    deployed.edit(traffic__hostnames=["fraud.example.com", "*.models.example.com"])
    waits(deployed, "Unknown", "Pending")
    say(namespace, ("Accepted", "True", "Accepted", ""), RESOLVED)
    waits(deployed, "True", "Accepted")

    deployed.edit(traffic=None)
    namespace.wait_for(lambda: namespace.get(HTTP_ROUTE, "fraud") is None, what="the route is gone")
    deployed.wait(lambda _: told(deployed) == ("", ""), what="the condition is gone")
    assert deployed.condition("Ready")[0] == "True"


def test_a_route_goes_with_the_field_also_while_the_operator_is_away(cluster, gateway_api, namespace, operator):
    deployed = namespace.deploy(ROUTED)
    deployed.wait_until_served()
    namespace.wait_for(lambda: namespace.get(HTTP_ROUTE, "fraud"), what="the route is made")
    operator.stop()
    deployed.edit(traffic=None)
    operator.start()
    namespace.wait_for(lambda: namespace.get(HTTP_ROUTE, "fraud") is None, what="the route is gone")
    deployed.edit(traffic=TRAFFIC)
    namespace.wait_for(lambda: namespace.get(HTTP_ROUTE, "fraud"), what="the route is made again")
    deployed.delete()
    namespace.wait_for(lambda: namespace.get(HTTP_ROUTE, "fraud") is None, what="it goes with its resource")
