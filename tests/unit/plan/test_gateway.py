"""The HTTPRoute that leads requests from outside to the Service, and what is told of it."""

import pytest

from modelway.api.kinds import HTTP_ROUTE, SERVICE, Unserved
from modelway.plan import ChildKey, Refusal
from support.builders import NAME, NAMESPACE, UID, changed, spec
from support.simulation import Simulation, story

KEY = ChildKey(HTTP_ROUTE, NAME)
PARENT = {"name": "public", "namespace": "infra"}
HOSTS = ["fraud.example.com", "*.models.example.com"]
TRAFFIC = {"parentRefs": [PARENT], "hostnames": HOSTS}
ASKED = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}


def condition(kind, status, reason, message="", *, generation=1):
    return {"type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": generation}


ACCEPTED, RESOLVED = condition("Accepted", "True", "Accepted"), condition("ResolvedRefs", "True", "ResolvedRefs")
REFUSED = condition("Accepted", "False", "NotAllowedByListeners", "namespace ml may not attach")
LOST = condition("ResolvedRefs", "False", "BackendNotFound", "no such Service")
STALE = condition("Accepted", "True", "Accepted", generation=0)


def said(world, *entries):
    """The controllers write what they make of the route; each entry is a parentRef and its conditions."""
    parents = [{"parentRef": ASKED | parent, "conditions": list(told)} for parent, *told in entries]
    world.children[KEY] = changed(world.children[KEY], {"status": {"parents": parents}})
    world.look()


def told(world):
    """Status, reason and message of RouteAccepted; None while there is no such condition."""
    for one in world.resource["status"]["conditions"]:
        if one["type"] == "RouteAccepted":
            return one["status"], one["reason"], one["message"]
    return None


@pytest.fixture
def routed() -> Simulation:
    return story(spec(traffic=TRAFFIC))


def test_the_route_leads_every_path_of_the_hosts_to_the_service(routed):
    route = routed.children[KEY]
    assert route["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert route["spec"] == {
        "parentRefs": [PARENT],
        "hostnames": HOSTS,
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"name": NAME, "port": 80}],
            }
        ],
    }
    assert route["metadata"]["ownerReferences"][0]["uid"] == UID
    assert NAME in routed.names(SERVICE)


def test_a_reference_keeps_what_was_said_of_it_and_nothing_more():
    parent = {"name": "public", "sectionName": "https", "port": 8443}
    world = story(spec(traffic={"parentRefs": [parent]}))
    assert world.children[KEY]["spec"]["parentRefs"] == [parent]
    assert "hostnames" not in world.children[KEY]["spec"]


@pytest.mark.parametrize(
    ("timeout", "wanted"),
    [(None, None), ("250ms", None), ("10s", None), ("10.5s", "12s"), ("1m", "1m1s"), ("2h", "2h1s"), ("59s", "1m")],
)
def test_gateways_are_told_to_wait_only_where_they_would_not_by_themselves(timeout, wanted):
    world = story(spec(traffic=TRAFFIC, serving__timeout=timeout))
    (rule,) = world.children[KEY]["spec"]["rules"]
    assert rule.get("timeouts") == ({"request": wanted} if wanted else None)


def test_it_is_made_with_the_service_and_not_before():
    """Nobody can answer before it is known which bytes the first revision has."""
    world = Simulation(spec(traffic=TRAFFIC, model__digest=None))
    world.look()
    assert KEY not in world.children
    assert told(world) == ("Unknown", "Pending", "the HTTPRoute is made with the Service, for the first revision")
    world.settle()
    assert KEY in world.children
    creations = [one for one in world.writes if one in {f"create Service {NAME}", f"create HTTPRoute {NAME}"}]
    assert creations == [f"create Service {NAME}", f"create HTTPRoute {NAME}"]


def test_what_was_said_of_other_hosts_is_past_at_the_look_that_changes_the_route(routed):
    """The next look may be long in coming: our own write is no news."""
    said(routed, (PARENT, ACCEPTED, RESOLVED))
    assert told(routed)[0] == "True"
    routed.edit(traffic=TRAFFIC | {"hostnames": HOSTS[:1]})
    routed.look()
    assert told(routed) == ("Unknown", "Pending", NOBODY)


def test_it_goes_with_the_field_and_its_condition_with_it(routed):
    routed.edit(traffic=None)
    routed.settle()
    assert KEY not in routed.children
    assert told(routed) is None
    assert routed.writes.count(f"remove HTTPRoute {NAME}") == 1


def test_without_the_field_nothing_is_made_or_told():
    world = story(spec(traffic={"router": "Service"}))
    assert KEY not in world.children
    assert told(world) is None


WHO = "Gateway infra/public"
NOBODY = f"{WHO}: no controller has answered yet; check that the Gateway exists and that its controller runs"
HERE = f"requests for {', '.join(HOSTS)} are led to the Service by {WHO}"
SAID = {
    "nothing": ([], ("Unknown", "Pending", NOBODY)),
    "of another Gateway": ([({"name": "public"}, ACCEPTED, RESOLVED)], ("Unknown", "Pending", NOBODY)),
    "of another listener": ([(PARENT | {"sectionName": "a"}, ACCEPTED, RESOLVED)], ("Unknown", "Pending", NOBODY)),
    "half": ([(PARENT, ACCEPTED)], ("Unknown", "Pending", NOBODY)),
    "of the route as it was": ([(PARENT, STALE, RESOLVED)], ("Unknown", "Pending", NOBODY)),
    "yes": ([(PARENT, ACCEPTED, RESOLVED)], ("True", "Accepted", HERE)),
    "no": (
        [(PARENT, REFUSED, RESOLVED)],
        ("False", "NotAllowedByListeners", f"{WHO}: NotAllowedByListeners: namespace ml may not attach"),
    ),
    "no Service": (
        [(PARENT, ACCEPTED, LOST)],
        ("False", "BackendNotFound", f"{WHO}: BackendNotFound: no such Service"),
    ),
}


@pytest.mark.parametrize(("entries", "wanted"), SAID.values(), ids=SAID)
def test_the_condition_says_what_the_gateways_controller_says(routed, entries, wanted):
    said(routed, *entries)
    assert told(routed) == wanted


def test_a_gateway_in_the_same_namespace_may_be_named_either_way():
    world = story(spec(traffic={"parentRefs": [{"name": "public"}]}))
    said(world, ({"name": "public", "namespace": NAMESPACE}, ACCEPTED, RESOLVED))
    assert told(world)[:2] == ("True", "Accepted")
    assert "all hosts of the listeners" in told(world)[2]


def test_one_gateway_that_refuses_makes_it_false_and_all_that_are_not_well_are_named():
    other = {"name": "inside", "sectionName": "https"}
    world = story(spec(traffic={"parentRefs": [PARENT, other]}))
    said(world, (PARENT, ACCEPTED, RESOLVED))
    assert told(world)[:2] == ("Unknown", "Pending")
    assert "Gateway ml/inside, listener https" in told(world)[2]
    said(world, (other, REFUSED))
    assert told(world)[:2] == ("False", "NotAllowedByListeners")
    assert "Gateway infra/public: no controller" in told(world)[2]
    said(world, (PARENT, ACCEPTED, RESOLVED), (other, ACCEPTED, RESOLVED))
    assert told(world)[:2] == ("True", "Accepted")


def test_a_route_that_nobody_takes_is_no_trouble_for_who_asks_inside_of_the_cluster(routed):
    said(routed, (PARENT, REFUSED))
    conditions = {one["type"]: one["status"] for one in routed.resource["status"]["conditions"]}
    assert (conditions["Ready"], conditions["Stalled"]) == ("True", "False")
    assert "failure" not in routed.resource["status"]


def test_events_tell_when_it_is_refused_and_when_it_is_taken_and_not_more_often(routed):
    before = len(routed.happenings)
    for verdict in (REFUSED, REFUSED | {"message": "other words"}, ACCEPTED, ACCEPTED):
        said(routed, (PARENT, verdict, RESOLVED))
        routed.look()
    events = [(one.type, one.reason) for one in routed.happenings[before:]]
    assert events == [("Warning", "NotAllowedByListeners"), ("Normal", "Accepted")]


@pytest.mark.parametrize(
    ("why", "reason", "words"),
    [
        (Unserved.NOT_INSTALLED, "GatewayAPIMissing", "install the CRDs of the Gateway API"),
        (Unserved.FORBIDDEN, "GatewayAPIForbidden", "may not list httproutes"),
    ],
)
def test_a_cluster_without_the_kind_is_told_of_and_serves(why, reason, words):
    world = Simulation(spec(traffic=TRAFFIC))
    world.unserved = {HTTP_ROUTE: why}
    world.settle()
    assert KEY not in world.children
    assert told(world)[:2] == ("False", reason)
    assert words in told(world)[2]
    assert world.resource["status"]["stable"]["readyReplicas"] == 2
    world.unserved = {}
    world.look()
    assert KEY in world.children


def test_a_refused_route_is_told_with_the_refusal(routed):
    routed.refusals = {KEY: Refusal("NameConflict", "exists already and was not made by modelway")}
    routed.look()
    assert told(routed) == ("False", "NameConflict", "exists already and was not made by modelway")


def test_an_api_that_is_being_removed_is_missing_already_and_stops_nothing(routed):
    """Its objects go first, and for a moment the API server lets nobody make another."""
    words = "create not allowed while custom resource definition is terminating"
    del routed.children[KEY]
    routed.refusals = {KEY: Refusal("GatewayAPIMissing", words)}
    routed.look()
    going = told(routed)
    assert going[:2] == ("False", "GatewayAPIMissing")
    assert routed.condition("Stalled").status == "False"
    assert "failure" not in routed.resource["status"]
    routed.refusals, routed.unserved = {}, {HTTP_ROUTE: Unserved.NOT_INSTALLED}
    routed.look()
    assert told(routed) == going, "nothing is told twice"


def test_at_rest_nothing_is_written(routed):
    said(routed, (PARENT, ACCEPTED, RESOLVED))
    routed.settle()
    before = len(routed.writes)
    routed.look()
    assert routed.writes[before:] == []
