"""The observer of an image of the user's own: when it is there, of whom, and what is told of what it finds."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from modelway.api.kinds import DEPLOYMENT, NETWORK_POLICY, SERVICE
from modelway.api.names import COMPONENT_OBSERVER, LABEL_COMPONENT, LABEL_OBSERVES, LABEL_REVISION, observer_name
from modelway.plan import ChildKey
from modelway.plan.measured import PodKey, Target
from modelway.plan.monitoring.readings import Collected
from modelway.plan.routing import Backend, Split, targets
from modelway.plan.routing.observing import FILTER, MOST_BYTES
from modelway.plan.routing.routes import routes_file
from modelway.plan.routing.split import Health
from support import builders
from support.builders import NAME, changed, spec
from support.monitored import Server, collected, layout_of_model, usual_rows
from support.routed import RoutedSimulation
from support.simulation import is_ready

WINDOW = timedelta(minutes=5)
STABLE = Backend("aaaaaaaa", "fraud-aaaaaaaa", "fraud-aaaaaaaa-unready", 8080, None, Health(8080), 5.0)
LAYOUT = layout_of_model()


def own(**fields):
    """An image of the user's own behind routers, observed."""
    usual = {
        "serving": {"container": {"image": "own:1", "port": 5000}, "replicas": 2},
        "traffic": {"router": "Envoy"},
        "monitoring": {"window": "5m", "observe": {"requestPath": "/rows/*"}},
    }
    return spec(**usual | fields)


def settled(given=None):
    world = RoutedSimulation(given or own())
    world.settle_routed()
    return world


def observer_of(world, kind=DEPLOYMENT):
    return world.children.get(ChildKey(kind, observer_name(NAME, world.stable)))


def container_of(world):
    return observer_of(world)["spec"]["template"]["spec"]["containers"][0]


def routes_of(world):
    (data,) = (obj["data"] for key, obj in world.children.items() if key.name == f"{NAME}-router" and "data" in obj)
    return json.loads(data["routes.json"])["resources"][0]["virtual_hosts"][0]["routes"]


def test_an_observed_image_has_a_pod_that_observes_it_and_routes_that_show_it():
    world = settled()
    arguments = container_of(world)["args"]
    assert arguments[:4] == ["observe", f"--name={NAME}", f"--revision={world.stable}", "--request-path=/rows/*"]
    assert "--response-path=/predictions/*" in arguments
    assert "--model-dir=/mnt/models" in arguments
    assert observer_of(world)["spec"]["replicas"] == 1
    shown = [one for one in routes_of(world) if FILTER in one.get("typed_per_filter_config", {})]
    assert [len(one["match"]["headers"]) for one in shown] == [3, 1]
    assert all(one["route"]["cluster"] == world.stable for one in shown)


@pytest.mark.parametrize("field", ["monitoring__observe", "monitoring"])
def test_without_it_nobody_observes_and_nothing_of_the_model_changes(field):
    world = settled()
    before = world.deployment(world.stable)["spec"]["template"]
    revision = world.stable
    world.edit(**{field: None})
    world.settle_routed()
    assert world.stable == revision
    assert world.deployment(revision)["spec"]["template"] == before
    assert all(observer_of(world, kind) is None for kind in (DEPLOYMENT, SERVICE, NETWORK_POLICY))
    assert not any(LABEL_OBSERVES in pod["metadata"]["labels"] for pod in world.pods.values())
    assert not any("typed_per_filter_config" in one for one in routes_of(world))


def test_another_path_is_another_observer_and_no_other_pod_of_the_model():
    world = settled()
    pods = set(world.pods_of(world.stable))
    world.edit(monitoring__observe={"requestPath": "", "responsePath": "/answer"})
    world.settle_routed()
    assert {"--request-path=", "--response-path=/answer"} <= set(container_of(world)["args"])
    assert set(world.pods_of(world.stable)) == pods


def test_the_observer_goes_with_the_revision_and_another_one_comes():
    world = settled()
    before = world.stable
    world.edit(serving__container={"image": "own:2", "port": 5000})
    world.settle_routed()
    assert world.stable != before
    assert ChildKey(DEPLOYMENT, observer_name(NAME, before)) not in world.children
    assert f"--revision={world.stable}" in container_of(world)["args"]


def going_over(world, **fields):
    """The spec asks for another revision, whose pods are not ready yet; all pods have addresses."""
    before = world.stable
    world.edit(**fields)
    for _ in range(3):
        world.run(ready=False)
        world.take_files()
        world.read()
        world.tick(0.5)
    look_at_addresses(world)
    assert world.stable == before
    assert world.status.candidate.revision != before


def look_at_addresses(world):
    for name in world.pods:
        world._set_status(name, podIP="10.0.0.9")
    world.look()


def test_our_own_server_counts_by_itself_until_the_image_that_is_to_be_observed_has_taken_over():
    world = settled(own(serving={"replicas": 2}, monitoring={"window": "5m"}))
    ours = world.stable
    going_over(world, serving__container={"image": "own:1", "port": 5000}, monitoring__observe={})
    assert observer_of(world) is None
    assert not any("typed_per_filter_config" in one for one in routes_of(world))
    assert {(one.pod.name, one.revision) for one in world.last.watching.targets} == {
        (name, ours) for name in world.pods_of(ours)
    }
    world.settle_routed()
    assert world.stable != ours
    assert f"--revision={world.stable}" in container_of(world)["args"]


def test_an_image_is_observed_no_more_when_our_own_server_is_to_follow():
    world = settled()
    theirs = world.stable
    going_over(world, serving__container=None, monitoring__observe=None)
    assert observer_of(world) is None
    assert world.last.watching is None
    assert world.condition("DataDrift").reason == "NotObserved"
    world.settle_routed()
    look_at_addresses(world)
    assert world.stable != theirs
    assert {one.pod.name for one in world.last.watching.targets} == set(world.pods_of(world.stable))


def test_the_observers_pod_is_locked_down_and_gets_credentials_only_where_the_model_is_fetched():
    world = settled(own(model__credentialsSecretRef={"name": "s3"}, model__convert="ONNX"))
    pod = observer_of(world)["spec"]["template"]["spec"]
    (fetch,) = pod["initContainers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container_of(world)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert fetch["envFrom"] == [{"secretRef": {"name": "s3"}}]
    assert "envFrom" not in container_of(world)
    assert "env" not in container_of(world)
    assert not any(one.startswith("--convert") for one in fetch["args"]), "what is said of the model lies beside it"


def test_an_image_that_brings_its_own_model_is_observed_without_fetching_anything():
    world = settled(own(model=None))
    pod = observer_of(world)["spec"]["template"]["spec"]
    assert "initContainers" not in pod
    assert not any(one.startswith("--model-dir") for one in container_of(world)["args"])


def test_only_routers_show_requests_and_only_the_operator_reads_counts():
    world = RoutedSimulation(own(), settings=replace(RoutedSimulation(own()).settings, namespace="modelway-system"))
    world.settle_routed()
    shown, read = observer_of(world, NETWORK_POLICY)["spec"]["ingress"]
    assert [one["port"] for one in shown["ports"]] == [8080, 9000]
    assert "model-router" in str(shown["from"])
    assert [one["port"] for one in read["ports"]] == [8080]
    assert "modelway-system" in str(read["from"])


def test_observers_are_no_pods_of_a_revision():
    world = settled()
    template = observer_of(world)["spec"]["template"]["metadata"]["labels"]
    assert LABEL_REVISION not in template
    assert template[LABEL_COMPONENT] == COMPONENT_OBSERVER
    assert world.status.stable.replicas == 2


class Story:
    """An observed image whose observer is read when the test says so."""

    def __init__(self) -> None:
        self.world = settled()
        self.rng = np.random.default_rng(1)
        (self.pod,) = [name for name, pod in self.world.pods.items() if LABEL_OBSERVES in pod["metadata"]["labels"]]
        look_at_addresses(self.world)
        made_at = self.world.now - timedelta(hours=1)
        watched = Target(PodKey(self.pod, f"uid-of-{self.pod}"), "10.0.0.9", self.world.stable, made_at)
        self.observer = Server(watched, LAYOUT)
        self.trouble = ("", "")

    def window(self, rows=0, *, shift=0.0, times=1):
        for _ in range(times):
            columns = usual_rows(self.rng, rows)
            columns["age"] = columns["age"] + shift
            self.observer.ask(columns, self.rng.beta(2, 5, rows))
            self.world.now += WINDOW
            found = collected(self.world.now, self.observer)
            readings = tuple(replace(one, trouble=self.trouble) for one in found.readings)
            self.world.collected = replace(found, readings=readings)
            self.world.look()

    def nobody_answers(self):
        self.world.now += WINDOW
        self.world.collected = Collected(at=self.world.now)
        self.world.look()

    def said(self, kind="DataDrift"):
        condition = self.world.condition(kind)
        return condition.status, condition.reason, condition.message


def test_a_drift_of_an_observed_image_is_told_by_the_name_of_the_feature():
    story = Story()
    story.window(1000, times=4)
    assert story.said()[:2] == ("False", "AsExpected")
    assert story.said("DataQualityIssue")[:2] == ("False", "AsExpected")
    story.window(1000, shift=8.0, times=3)
    assert story.said()[:2] == ("True", "InputsDrifted")
    assert "age (PSI" in story.said()[2]
    assert story.world.condition("Ready").status == "True"


def test_what_is_in_the_observers_way_is_told_where_nothing_else_can_be():
    story = Story()
    story.trouble = ("requests have nothing at /rows/*: see observe.requestPath", "")
    story.window(times=2)
    for kind in ("DataDrift", "PredictionDrift", "DataQualityIssue"):
        assert story.said(kind) == ("Unknown", "NotObserved", story.trouble[0])


def test_a_wrong_path_to_the_predictions_is_told_of_them_alone():
    story = Story()
    story.trouble = ("", "answers have nothing at /predictions/*: see observe.responsePath")
    story.window(1000, times=4)
    assert story.said("PredictionDrift") == ("Unknown", "NotObserved", story.trouble[1])
    assert story.said()[:2] == ("False", "AsExpected")


def test_what_is_known_outlives_some_requests_that_cannot_be_read():
    story = Story()
    story.window(1000, times=2)
    story.window(1000, shift=8.0, times=3)
    story.trouble = ("requests or answers are no JSON", "")
    story.window()
    assert story.said()[:2] == ("True", "InputsDrifted")


def test_an_observer_that_is_not_ready_is_told():
    story = Story()
    story.world.break_down(story.pod)
    story.nobody_answers()
    assert story.said() == ("Unknown", "NotObserved", "the observer is not ready yet")
    assert story.world.last.watching.targets == frozenset()
    told = builders.words(reason="MetadataInvalid", message="modelway.json is wrong in golden")
    broken = builders.container("observer", builders.waiting("CrashLoopBackOff"), last=builders.ended(1, message=told))
    story.world.pods[story.pod] = changed(story.world.pods[story.pod], {"status.containerStatuses": [broken]})
    story.world.tick(120)
    story.nobody_answers()
    assert story.said()[2] == "the observer is not ready: modelway.json is wrong in golden"


def test_labels_cannot_be_sent_for_an_image_of_the_users_own():
    world = settled(own(monitoring__quality={"metric": "accuracy", "min": 0.5}))
    condition = world.condition("PerformanceDegraded")
    assert (condition.status, condition.reason) == ("Unknown", "NotObserved")
    assert not world.last.watching.quality


def test_the_operator_reads_the_observers_that_are_ready_and_those_that_are_ending():
    world = settled()
    look_at_addresses(world)
    ready = [pod for pod in world.pods.values() if LABEL_OBSERVES in pod["metadata"]["labels"] and is_ready(pod)]
    assert [one.address for one in targets(ready, LABEL_OBSERVES, {world.stable}, ending=True)] == ["10.0.0.9"]
    assert targets(ready, LABEL_OBSERVES, {"bbbbbbbb"}, ending=True) == frozenset()
    ending = changed(ready[0], {"metadata.deletionTimestamp": "2026-11-21T12:00:00Z", "status.conditions": []})
    assert targets([ending], LABEL_OBSERVES, {world.stable}) == frozenset()
    (found,) = targets([ending], LABEL_OBSERVES, {world.stable}, ending=True)
    assert found.is_ending


@pytest.mark.parametrize(
    ("shadow", "expected"),
    [
        (0, [("whole", 100_000), ("head", 100_000), ("not", None)]),
        (
            5,
            [
                *(("whole", 50_000), ("head", 50_000), ("not", 50_000)),
                *(("whole", 100_000), ("head", 100_000), ("not", None)),
            ],
        ),
    ],
    ids=["no copies", "copies of some"],
)
def test_a_share_of_the_requests_is_shown_whether_copied_or_not(shadow, expected):
    backend = replace(STABLE, observer="fraud-observer", observed=0.1)
    split = Split(backend, replace(STABLE, revision="bbbbbbbb"), 0, shadow)
    (file,) = routes_file(split, sticky_header=None)["resources"]
    found = []
    for one in file["virtual_hosts"][0]["routes"][1:]:
        fraction = one["match"].get("runtime_fraction", {}).get("default_value", {})
        found.append((["not", "head", "", "whole"][len(one["match"].get("headers", ()))], fraction.get("numerator")))
    assert found == expected


def test_only_moderate_bodies_of_a_known_length_are_shown_whole():
    whole, heads = (one for one in routes_of(settled()) if "typed_per_filter_config" in one)
    (length,) = [one for one in whole["match"]["headers"] if one["name"] == "content-length"]
    assert length["range_match"] == {"start": "1", "end": str(MOST_BYTES + 1)}

    def mode(route):
        return route["typed_per_filter_config"][FILTER]["overrides"]["processing_mode"]

    assert (mode(whole)["request_body_mode"], mode(whole)["response_body_mode"]) == ("STREAMED", "STREAMED")
    assert (mode(heads)["request_body_mode"], mode(heads)["response_body_mode"]) == ("NONE", "NONE")
