"""How requests find the pods: the routers' files and children, and when the Service leads to them."""

import json
import subprocess
from dataclasses import replace
from datetime import timedelta, timezone
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.api.kinds import CONFIG_MAP, DEPLOYMENT, DISRUPTION_BUDGET, NETWORK_POLICY, SERVICE
from modelway.api.names import ANNOTATION_ROUTING, COMPONENT_ROUTER, LABEL_COMPONENT, LABEL_REVISION, child_labels
from modelway.api.rollout import Threshold
from modelway.api.units import seconds
from modelway.plan import ChildKey, Observed, Touch, plan
from modelway.plan.measured import Measured, PodKey, RouterReading
from modelway.plan.revisions import Revision
from modelway.plan.routing import (
    Backend,
    Split,
    Versions,
    backend_of,
    fronted,
    live,
    reach,
    route,
    router_children,
    router_pods,
    router_selector,
    router_targets,
    versions,
    wants_routers,
)
from modelway.plan.routing.envoy import THRESHOLDS
from modelway.plan.routing.live import annotation, touches
from modelway.plan.routing.route import AT_REST_SECONDS, ON_ITS_WAY_SECONDS
from modelway.plan.routing.split import Health
from support import builders
from support.builders import NAME, NAMESPACE, NOW, SETTINGS, parsed, spec
from support.simulation import Simulation

STABLE = Backend(
    "aaaaaaaa", "fraud-aaaaaaaa", "fraud-aaaaaaaa-unready", 8080, 9000, Health(8080, "/v2/health/ready"), 5.0
)
CANDIDATE = replace(STABLE, revision="bbbbbbbb", service="fraud-bbbbbbbb", timeout=7.5)
OLD = replace(STABLE, revision="cccccccc", service="fraud-cccccccc")
PLAIN = Split(STABLE)
ENVOY = parsed(spec(traffic={"router": "Envoy"}))
SETTINGS_HERE = replace(SETTINGS, router_image="modelway.dev/router:1", namespace="modelway-system")


def file(resource, split, name):
    return json.loads(router_children(resource, split, SETTINGS_HERE)[0].body["data"][name])


def clusters(split, resource=ENVOY):
    return {cluster["name"]: cluster for cluster in file(resource, split, "clusters.json")["resources"]}


def routes(split, resource=ENVOY):
    (resource,) = file(resource, split, "routes.json")["resources"]
    return resource["virtual_hosts"][0]["routes"][1:]


def pod(number=1, *, told="", ready=True, deleted=False, phase="Running"):
    metadata = {
        "name": f"router-{number}",
        "namespace": NAMESPACE,
        "uid": f"uid-{number}",
        "creationTimestamp": "2026-11-21T12:00:00Z",
        "labels": child_labels(NAME) | router_selector(NAME),
    }
    if told:
        metadata["annotations"] = {ANNOTATION_ROUTING: told}
    if deleted:
        metadata["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": metadata, "status": {"phase": phase, "podIP": f"10.0.0.{number}", "conditions": conditions}}


def reading(wanted, number=1, *, after=1.0):
    key = PodKey(f"router-{number}", f"uid-{number}")
    return RouterReading(key, NOW + timedelta(seconds=after), "e1", wanted.clusters, wanted.routes, {})


def measured(*readings):
    return Measured(routers=readings)


WANTED = versions(ENVOY, PLAIN, SETTINGS_HERE)


def told_again(time, wanted=WANTED):
    return annotation(Touch(PodKey("router-1", "uid-1"), wanted.mark, time), NOW)


TOLD = told_again(1)


class TestFiles:
    def test_a_revision_has_a_cluster_for_each_protocol_that_it_speaks(self):
        assert clusters(PLAIN).keys() == {"aaaaaaaa", "aaaaaaaa-grpc"}
        assert clusters(Split(replace(STABLE, grpc_port=None))).keys() == {"aaaaaaaa"}
        assert clusters(Split(replace(STABLE, http_port=None))).keys() == {"aaaaaaaa-grpc"}

    def test_a_candidate_is_known_before_it_gets_a_request_and_who_leaves_as_long_as_it_is_named(self):
        known = clusters(Split(STABLE, CANDIDATE, leaving=(OLD,)))
        names = {
            f"{revision}{protocol}" for revision in ("aaaaaaaa", "bbbbbbbb", "cccccccc") for protocol in ("", "-grpc")
        }
        assert known.keys() == names | {"bbbbbbbb-shadow", "bbbbbbbb-shadow-grpc"}
        assert {route["route"]["cluster"] for route in routes(Split(STABLE, CANDIDATE))} == {
            "aaaaaaaa",
            "aaaaaaaa-grpc",
        }

    def test_a_new_candidate_changes_the_clusters_and_not_the_routes(self):
        before, after = (versions(ENVOY, split, SETTINGS_HERE) for split in (PLAIN, Split(STABLE, CANDIDATE)))
        assert before.routes == after.routes
        assert before.clusters != after.clusters

    def test_a_weight_changes_the_routes_and_not_the_clusters(self):
        before, after = (versions(ENVOY, Split(STABLE, CANDIDATE, n), SETTINGS_HERE) for n in (5, 25))
        assert before.clusters == after.clusters
        assert before.routes != after.routes

    def test_there_is_nothing_to_take_when_a_candidate_with_all_requests_becomes_stable(self):
        before, after = Split(STABLE, CANDIDATE, 100, leaving=(OLD,)), Split(CANDIDATE, leaving=(OLD, STABLE))
        assert versions(ENVOY, before, SETTINGS_HERE) == versions(ENVOY, after, SETTINGS_HERE)

    @given(weight=st.integers(1, 99), sticky=st.booleans())
    def test_the_weights_make_a_hundred_and_the_candidate_is_first(self, weight, sticky):
        traffic = {"router": "Envoy"} | ({"sticky": {"header": "X-User-Id"}} if sticky else {})
        for found in routes(Split(STABLE, CANDIDATE, weight), parsed(spec(traffic=traffic))):
            weighted = found["route"]["weighted_clusters"]
            assert [one["weight"] for one in weighted["clusters"]] == [weight, 100 - weight]
            assert weighted["clusters"][0]["name"].startswith("bbbbbbbb")
            assert weighted.get("use_hash_policy", False) == sticky
            assert found["route"].get("hash_policy") == ([{"header": {"header_name": "x-user-id"}}] if sticky else None)

    @given(percent=st.sampled_from([0.0001, 0.5, 20.0, 33.3333, 100.0]))
    def test_copies_are_sent_of_the_share_that_is_asked_for_and_marked(self, percent):
        copied, plain = routes(Split(STABLE, CANDIDATE, 0, percent))[-2:]
        share = copied["match"]["runtime_fraction"]["default_value"]
        assert share["denominator"] == "MILLION"
        assert share["numerator"] == pytest.approx(percent * 10_000)
        assert copied["route"]["request_mirror_policies"][0]["cluster"] == "bbbbbbbb-shadow"
        assert "request_mirror_policies" not in plain["route"]
        assert plain["request_headers_to_remove"] == ["x-modelway-pair"]

    def test_a_request_may_take_as_long_as_the_slower_revision_that_may_answer_it(self):
        assert {one["route"]["timeout"] for one in routes(PLAIN)} == {"5.250s"}
        assert {one["route"]["timeout"] for one in routes(Split(STABLE, CANDIDATE))} == {"5.250s"}
        assert {one["route"]["timeout"] for one in routes(Split(STABLE, CANDIDATE, 1))} == {"7.750s"}

    def test_all_requests_go_to_grpc_where_the_model_speaks_nothing_else(self):
        (only,) = routes(Split(replace(STABLE, http_port=None)))
        assert only["match"] == {"prefix": "/"}
        assert only["route"]["cluster"] == "aaaaaaaa-grpc"

    def test_a_candidate_that_does_not_speak_a_protocol_gets_none_of_it(self):
        grpc, http = routes(Split(STABLE, replace(CANDIDATE, grpc_port=None), 50))
        assert grpc["route"]["cluster"] == "aaaaaaaa-grpc"
        assert "weighted_clusters" in http["route"]

    def test_the_words_of_the_server_to_the_operator_are_for_nobody_else(self):
        (resource,) = file(ENVOY, PLAIN, "routes.json")["resources"]
        first = resource["virtual_hosts"][0]["routes"][0]
        assert first == {"match": {"path": "/v1/observations"}, "direct_response": {"status": 404}}

    def test_the_histogram_has_the_thresholds_that_a_check_can_have(self):
        assert [seconds(text) * 1000 for text in get_args(Threshold)] == [*THRESHOLDS]


def addresses(bootstrap):
    listeners = bootstrap["static_resources"]["listeners"]
    found = [one["address"] for one in listeners]
    found += [more["address"] for one in listeners for more in one.get("additional_addresses", ())]
    return [one["socket_address"] for one in found]


class TestBootstrap:
    """What Envoy listens on; a real one answers there in `tests/integration/test_router_files.py`."""

    def test_every_port_is_open_to_both_families_by_one_socket(self):
        found = addresses(file(ENVOY, PLAIN, "bootstrap.json"))
        assert {one["port_value"] for one in found} == {8080, 9000, 9902}
        assert {(one["address"], one.get("ipv4_compat")) for one in found} == {("::", True)}

    def test_where_the_kernel_knows_no_ipv6_it_listens_on_ipv4_and_is_the_same_but_for_that(self):
        found = file(ENVOY, PLAIN, "bootstrap-ipv4.json")
        assert {(one["address"], one.get("ipv4_compat")) for one in addresses(found)} == {("0.0.0.0", None)}
        both = json.dumps(file(ENVOY, PLAIN, "bootstrap.json")).replace(', "ipv4_compat": true', "")
        assert json.loads(both.replace('"::"', '"0.0.0.0"')) == found

    @pytest.mark.parametrize(
        ("known", "expected"), [(True, "bootstrap.json"), (False, "bootstrap-ipv4.json")], ids=["IPv6", "no IPv6"]
    )
    def test_the_container_starts_with_the_file_that_its_kernel_can_take(self, tmp_path, known, expected):
        container = router_children(ENVOY, PLAIN, SETTINGS_HERE)[1].body["spec"]["template"]["spec"]["containers"][0]
        shell, option, script, name = container["command"]
        if known:
            (tmp_path / "if_inet6").touch()
        envoy = tmp_path / "envoy"
        envoy.write_text('#!/bin/sh\necho "$MODELWAY_EPOCH" "$@"\n')
        envoy.chmod(0o755)
        done = subprocess.run(
            [shell, option, script.replace("/proc/net", str(tmp_path)), name, *container["args"]],
            env={"PATH": f"{tmp_path}:/bin:/usr/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        epoch, *arguments = done.stdout.split()
        assert arguments == ["--config-path", f"/etc/envoy/{expected}", *container["args"]]
        assert len(epoch) == 36


class TestBackend:
    def revision(self, ports, probe, **serving):
        container = {"ports": [{"name": name, "containerPort": port} for name, port in ports.items()]}
        template = {"spec": {"containers": [container | ({"readinessProbe": probe} if probe else {})]}}
        return Revision(hash="aaaaaaaa", spec={"serving": serving}, template=template, number=1)

    @pytest.mark.parametrize(
        ("ports", "probe", "expected"),
        [
            (
                {"http": 8080, "grpc": 9000},
                {"httpGet": {"path": "/v2/health/ready", "port": "http"}},
                (8080, 9000, Health(8080, "/v2/health/ready")),
            ),
            ({"http": 5000}, {"tcpSocket": {"port": "http"}}, (5000, None, Health(5000))),
            ({"grpc": 8500}, {"grpc": {"port": 8500}}, (None, 8500, Health(8500, is_grpc=True))),
            ({"http": 5000}, None, (5000, None, Health(5000))),
        ],
        ids=["ours", "any image", "gRPC", "no probe"],
    )
    def test_pods_are_asked_as_their_readiness_probe_asks(self, ports, probe, expected):
        found = backend_of(ENVOY, self.revision(ports, probe))
        assert (found.http_port, found.grpc_port, found.health) == expected

    def test_the_time_for_a_request_is_the_revisions_own(self):
        resource = parsed(spec(serving__timeout="2s"))
        assert backend_of(resource, self.revision({"http": 1}, None, timeout="30s")).timeout == 30
        assert backend_of(resource, self.revision({"http": 1}, None)).timeout == 2
        assert backend_of(ENVOY, self.revision({"http": 1}, None)).timeout == 5


class TestChildren:
    def test_there_are_two_restricted_pods_without_a_token_spread_over_nodes(self):
        children = {child.kind: child for child in router_children(ENVOY, PLAIN, SETTINGS_HERE)}
        assert [*children] == [CONFIG_MAP, DEPLOYMENT, DISRUPTION_BUDGET, NETWORK_POLICY]
        assert children[DEPLOYMENT].replicas == 2
        pod_spec = children[DEPLOYMENT].body["spec"]["template"]["spec"]
        assert pod_spec["automountServiceAccountToken"] is False
        assert pod_spec["securityContext"]["runAsNonRoot"] is True
        assert pod_spec["containers"][0]["image"] == "modelway.dev/router:1"

    def test_the_number_of_routers_is_the_users(self):
        resource = parsed(spec(traffic={"router": "Envoy", "replicas": 5}))
        assert router_children(resource, PLAIN, SETTINGS_HERE)[1].replicas == 5

    def test_names_clash_with_those_of_no_other_resource(self):
        ours = {child.key for child in router_children(ENVOY, PLAIN, SETTINGS_HERE)}
        other = parsed(spec(traffic={"router": "Envoy"}), name=f"{NAME}-router")
        theirs = {child.key for child in router_children(other, PLAIN, SETTINGS_HERE)}
        theirs |= {ChildKey(kind, f"{NAME}-router") for kind in (SERVICE, DISRUPTION_BUDGET, NETWORK_POLICY)}
        assert not ours & theirs

    def test_a_changed_split_restarts_no_router(self):
        before, after = (
            router_children(ENVOY, split, SETTINGS_HERE)[1].body for split in (PLAIN, Split(STABLE, OLD, 20, 5.0))
        )
        assert before == after

    def test_a_router_that_ends_goes_on_answering_for_longer_than_a_request_takes(self):
        pod_spec = router_children(ENVOY, Split(replace(STABLE, timeout=60)), SETTINGS_HERE)[1].body["spec"][
            "template"
        ]["spec"]
        command = pod_spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
        assert command.endswith("sleep 70")
        assert pod_spec["terminationGracePeriodSeconds"] == 80

    @pytest.mark.parametrize(("namespace", "peers"), [("modelway-system", 1), ("", 0)], ids=["known", "unknown"])
    def test_what_routers_count_is_for_the_operators_namespace(self, namespace, peers):
        settings = replace(SETTINGS_HERE, namespace=namespace)
        requests, status = router_children(ENVOY, PLAIN, settings)[3].body["spec"]["ingress"]
        assert "from" not in requests
        assert [port["port"] for port in requests["ports"]] == [8080, 9000]
        assert len(status.get("from", ())) == peers

    def test_pull_secrets_and_priority_are_those_of_the_models_pods(self):
        template = {"imagePullSecrets": [{"name": "pull"}], "priorityClassName": "high", "nodeSelector": {"gpu": "yes"}}
        resource = parsed(spec(traffic={"router": "Envoy"}, serving__podTemplate=template))
        pod_spec = router_children(resource, PLAIN, SETTINGS_HERE)[1].body["spec"]["template"]["spec"]
        assert (pod_spec["imagePullSecrets"], pod_spec["priorityClassName"]) == ([{"name": "pull"}], "high")
        assert "nodeSelector" not in pod_spec, "a router needs no GPU"


OTHER = Versions("other", WANTED.routes)
LIVE_CASES = {
    "taken": ((pod(told=TOLD),), (reading(WANTED),), True),
    "no router": ((), (), False),
    "none ready, and none that answers": ((pod(told=TOLD, ready=False),), (), False),
    "none ready, and one answers": ((pod(told=TOLD, ready=False),), (reading(WANTED),), True),
    "not asked": ((pod(told=TOLD),), (), False),
    "not told": ((pod(),), (reading(WANTED),), False),
    "asked before it was told": ((pod(told=TOLD),), (reading(WANTED, after=-1),), False),
    "told of something else": ((pod(told=f"x.y@{NOW.isoformat()}"),), (reading(WANTED),), False),
    "has other clusters": ((pod(told=TOLD),), (reading(OTHER),), False),
    "one of two": ((pod(told=TOLD), pod(2, told=TOLD)), (reading(WANTED), reading(OTHER, 2)), False),
    "both": ((pod(told=TOLD), pod(2, told=TOLD)), (reading(WANTED), reading(WANTED, 2)), True),
    "the other is not ready and silent": ((pod(told=TOLD), pod(2, ready=False)), (reading(WANTED),), True),
    "the other is not ready, and works by what was before": (
        (pod(told=TOLD), pod(2, told=TOLD, ready=False)),
        (reading(WANTED), reading(OTHER, 2)),
        False,
    ),
    "the other is ending": ((pod(told=TOLD), pod(2, deleted=True)), (reading(WANTED),), True),
    "its annotation is edited": ((pod(told=f"{WANTED.mark}@soon"),), (reading(WANTED),), False),
    "without a time zone": ((pod(told=f"{WANTED.mark}@2026-01-01T00:00:00"),), (reading(WANTED),), False),
    "another pod of its name": (
        (pod(told=TOLD) | {"metadata": pod(told=TOLD)["metadata"] | {"uid": "new"}},),
        (reading(WANTED),),
        False,
    ),
}


@pytest.mark.parametrize(("pods", "readings", "expected"), LIVE_CASES.values(), ids=LIVE_CASES)
def test_a_split_is_live_when_every_working_router_has_told_so_since_it_was_given(pods, readings, expected):
    assert live(measured(*readings), WANTED, pods) == expected


def found(number, **healthy):
    return replace(reading(WANTED, number), healthy={arm.replace("_", "-"): pods for arm, pods in healthy.items()})


REACH_CASES = {
    "what the router has found of the revision": ([pod()], [found(1, bbbbbbbb=2, aaaaaaaa=1)], 2),
    "the fewest that any router has found": ([pod(), pod(2)], [found(1, bbbbbbbb=2), found(2, bbbbbbbb=1)], 1),
    "copies have to arrive as well": ([pod()], [found(1, bbbbbbbb=2, bbbbbbbb_shadow=0)], 0),
    "a router that has not told anything": ([pod(), pod(2)], [found(1, bbbbbbbb=2)], 0),
    "one that does not know the revision yet": ([pod()], [found(1, aaaaaaaa=2)], 0),
    "one that is not ready and silent does not count": ([pod(), pod(2, ready=False)], [found(1, bbbbbbbb=2)], 2),
    "one that is not ready and answers does": (
        [pod(), pod(2, ready=False)],
        [found(1, bbbbbbbb=2), found(2, bbbbbbbb=1)],
        1,
    ),
    "no router": ([], [], 0),
}


@pytest.mark.parametrize(("pods", "readings", "expected"), REACH_CASES.values(), ids=REACH_CASES)
def test_a_revision_is_reached_with_the_pods_that_every_working_router_has_found(pods, readings, expected):
    assert reach(measured(*readings), CANDIDATE.revision, pods) == expected


TOUCH_CASES = {
    "never told": (pod(), None, 1),
    "told": (pod(told=TOLD), None, None),
    "told, and has it": (pod(told=TOLD), reading(WANTED, after=60), None),
    "told of something else": (pod(told="x.y@2026-01-01T00:00:00+00:00#4"), None, 1),
    "has it not yet": (pod(told=TOLD), reading(OTHER, after=1), None),
    "has it not for long": (pod(told=TOLD), reading(OTHER, after=3), 2),
    "by an operator that wrote no number": (pod(told=TOLD.partition("#")[0]), reading(OTHER, after=3), 2),
    "told again, has it not yet": (pod(told=told_again(2)), reading(OTHER, after=3), None),
    "told again, has it not for long": (pod(told=told_again(2)), reading(OTHER, after=5), 3),
    "told often, has it not yet": (pod(told=told_again(9)), reading(OTHER, after=31), None),
    "told often, has it not for long": (pod(told=told_again(9)), reading(OTHER, after=33), 10),
    "its number is edited": (pod(told=f"{TOLD.partition('#')[0]}#often"), None, 1),
    "is not running": (pod(phase="Pending", ready=False), None, None),
    "runs and is not ready": (pod(ready=False), None, 1),
    "is ending": (pod(deleted=True), None, None),
}


@pytest.mark.parametrize(("router", "known", "expected"), TOUCH_CASES.values(), ids=TOUCH_CASES)
def test_a_kubelet_is_told_once_and_ever_later_again_while_that_does_not_help(router, known, expected):
    found = touches(measured(*([known] if known else [])), WANTED, (router,))
    assert found == (() if expected is None else (Touch(PodKey.of(router), WANTED.mark, expected),))


def test_what_is_told_names_the_moment_of_the_write_in_utc_and_is_read_back():
    at = NOW.astimezone(timezone(timedelta(hours=3))) + timedelta(seconds=9)
    told = annotation(Touch(PodKey("router-1", "uid-1"), WANTED.mark, 2), at)
    assert told == f"{WANTED.mark}@2026-11-21T12:00:09.000+00:00#2"
    assert not live(measured(reading(WANTED, after=8)), WANTED, (pod(told=told),))
    assert live(measured(reading(WANTED, after=10)), WANTED, (pod(told=told),))


def test_only_routers_are_asked_and_only_with_an_address():
    server = pod(2)
    server["metadata"]["labels"] = child_labels(NAME, "aaaaaaaa") | {LABEL_COMPONENT: "model-server"}
    homeless = pod(3)
    del homeless["status"]["podIP"]
    ending, starting = pod(5, deleted=True), pod(6, ready=False, phase="Pending")
    found = router_targets((pod(1), server, homeless, pod(4, ready=False), ending, starting))
    assert {target.pod.name: target.is_ready for target in found} == {"router-1": True, "router-4": False}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"traffic": {"router": "Envoy"}}, True),
        ({"traffic": {"router": "Service"}}, False),
        ({"traffic": {"sticky": {"header": "x-user"}}}, False),
        ({"rollout": {"steps": [{"name": "five", "weight": 5}]}}, True),
        ({"rollout": {}}, False),
    ],
    ids=["nothing", "Envoy", "Service", "only sticky", "steps", "no steps"],
)
def test_there_are_routers_where_they_are_asked_for_or_steps_need_them(fields, expected):
    assert wants_routers(parsed(spec(**fields)).spec) == expected


def service(component):
    body = {"spec": {"selector": {LABEL_COMPONENT: component}}}
    return {ChildKey(SERVICE, NAME): body}


READY = {"pods": (pod(told=TOLD), pod(2, told=TOLD)), "measured": measured(reading(WANTED), reading(WANTED, 2))}
SWITCH_CASES = {
    # resource, children, the rest of the picture, is there a stable one -> routers exist, the Service leads to them
    "never wanted": (parsed(), {}, {}, True, (False, False)),
    "wanted on a live one": (ENVOY, service("model-server"), {}, True, (True, False)),
    "one of two ready": (
        ENVOY,
        service("model-server"),
        {"pods": READY["pods"][:1], "measured": READY["measured"]},
        True,
        (True, False),
    ),
    "ready, not yet live": (ENVOY, service("model-server"), {"pods": READY["pods"]}, True, (True, False)),
    "ready and live": (ENVOY, service("model-server"), READY, True, (True, True)),
    "from the start": (ENVOY, {}, {}, False, (True, True)),
    "the Service is deleted meanwhile": (ENVOY, {}, {}, True, (True, False)),
    "in use, and all routers gone": (ENVOY, service(COMPONENT_ROUTER), {}, True, (True, True)),
    "no longer wanted": (parsed(), service(COMPONENT_ROUTER), READY, True, (True, False)),
    "no longer wanted, and led away": (parsed(), service("model-server"), READY, True, (False, False)),
}


@pytest.mark.parametrize(
    ("resource", "children", "rest", "serves", "expected"), SWITCH_CASES.values(), ids=SWITCH_CASES
)
def test_the_service_leads_to_routers_only_while_they_can_answer(resource, children, rest, serves, expected):
    observed = Observed(resource=resource, children=children, **rest)
    found = route(observed, PLAIN, serves_already=serves, settings=SETTINGS_HERE)
    assert (bool(found.children), found.to_routers) == expected


def test_before_anybody_can_answer_there_is_nothing_to_route():
    found = route(Observed(resource=ENVOY), None, serves_already=False, settings=SETTINGS_HERE)
    assert (found.children, found.to_routers, found.is_live) == ((), False, True)


def test_routers_are_asked_often_while_something_is_on_its_way():
    observed = Observed(resource=ENVOY, children=service(COMPONENT_ROUTER), **READY)
    at_rest = route(observed, PLAIN, serves_already=True, settings=SETTINGS_HERE)
    assert (at_rest.is_live, at_rest.measuring.every) == (True, AT_REST_SECONDS)
    moving = route(observed, Split(STABLE, CANDIDATE, 5), serves_already=True, settings=SETTINGS_HERE)
    assert (moving.is_live, moving.measuring.every) == (False, ON_ITS_WAY_SECONDS)
    assert moving.measuring.targets == router_targets(READY["pods"])


def test_routers_are_asked_often_until_they_have_found_the_candidates_pods():
    split = Split(STABLE, CANDIDATE)
    wanted = versions(ENVOY, split, SETTINGS_HERE)
    router = pod(told=told_again(1, wanted))
    labels = child_labels(NAME) | {LABEL_REVISION: CANDIDATE.revision}
    server = router | {"metadata": router["metadata"] | {"name": "server", "labels": labels}}

    def asked_every(pods, healthy):
        told = Measured(routers=(replace(reading(wanted), healthy={"bbbbbbbb": healthy}),))
        observed = Observed(resource=ENVOY, children=service(COMPONENT_ROUTER), pods=pods, measured=told)
        return route(observed, split, serves_already=True, settings=SETTINGS_HERE).measuring.every

    assert asked_every((router,), 0) == AT_REST_SECONDS
    assert asked_every((router, server), 0) == ON_ITS_WAY_SECONDS
    assert asked_every((router, server), 1) == AT_REST_SECONDS


def test_requests_go_through_routers_when_the_service_leads_there_and_one_is_at_work():
    led = Observed(resource=ENVOY, children=service(COMPONENT_ROUTER), pods=(pod(),))
    assert fronted(led)
    unready = replace(led, pods=(pod(ready=False),))
    assert not fronted(unready)
    assert fronted(replace(unready, measured=measured(reading(WANTED))))
    assert not fronted(Observed(resource=ENVOY, children=service("model-server"), pods=(pod(),)))


class TestStatus:
    """What the resource says when its routers cannot answer."""

    def routed(self, *routers):
        world = Simulation(spec(traffic={"router": "Envoy"}), settings=SETTINGS_HERE)
        world.settle()
        servers = [one for one in world.pods.values() if one not in router_pods(world.pods.values())]
        return replace(world.observed(), pods=(*servers, *routers))

    def told(self, observed):
        status = plan(observed, settings=SETTINGS_HERE, now=NOW).status
        return next(condition for condition in status.conditions if condition.type == "Ready"), status.failure

    def asked(self, observed, *readings, unreachable=()):
        stable = observed.resource.status.stable.revision
        told = (replace(one, healthy={stable: pods}) for one, pods in readings)
        return replace(observed, measured=replace(measured(*told), unreachable=unreachable))

    @pytest.mark.parametrize(
        ("readings", "unreachable", "expected"),
        [
            ([(reading(WANTED), 1)], (), "Serving"),
            ([(reading(WANTED), 0)], (), "PodsNotFound"),
            ([(reading(WANTED), 1), (reading(WANTED, 2), 0)], (), "PodsNotFound"),
            ([(reading(WANTED), 1)], ("router router-2: no answer",), "Serving"),
            ([], (), "PodsNotFound"),
            ([], ("router router-1: no answer",), "Serving"),
        ],
        ids=["found", "not found", "one of two", "the other is silent", "not asked yet", "all are silent"],
    )
    def test_a_model_is_ready_when_its_routers_have_found_its_pods(self, readings, unreachable, expected):
        condition, failure = self.told(self.asked(self.routed(pod(), pod(2)), *readings, unreachable=unreachable))
        assert (condition.status, condition.reason, failure) == (str(expected == "Serving"), expected, None)

    def test_it_stays_ready_while_routers_look_for_others(self):
        observed = self.routed(pod())
        status = plan(self.asked(observed, (reading(WANTED), 1)), settings=SETTINGS_HERE, now=NOW).status
        again = replace(observed, resource=observed.resource.model_copy(update={"status": status}))
        condition, _ = self.told(self.asked(again, (reading(WANTED), 0)))
        assert (condition.status, condition.reason) == ("True", "Serving")

    def test_until_then_routers_are_asked_often(self):
        observed = self.asked(self.routed(pod()), (reading(WANTED), 0))
        assert plan(observed, settings=SETTINGS_HERE, now=NOW).measuring.every == ON_ITS_WAY_SECONDS

    def test_a_model_behind_routers_that_are_not_ready_is_not(self):
        condition, _ = self.told(self.routed(pod(ready=False)))
        assert (condition.status, condition.reason) == ("False", "NoReadyRouters")

    def test_the_cause_is_that_of_the_routers_pods(self):
        broken = pod(ready=False)
        broken["status"]["containerStatuses"] = [
            builders.container("envoy", builders.waiting("ImagePullBackOff", "no such image"))
        ]
        condition, failure = self.told(self.routed(broken))
        assert (failure.reason, failure.message) == ("ImagePullBackOff", "router: envoy: no such image")
        assert condition.message == failure.message
