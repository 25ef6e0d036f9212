"""From `kubectl apply` to ready and to the end: what is written, what is not, and what is left."""

import time
from collections import Counter

import pytest

from modelway.api.kinds import EVENT, MODEL_DEPLOYMENT, POD
from support.cluster import REPLICA_SET, spec_of
from support.operator import DRAIN_SECONDS


@pytest.fixture
def deployed(namespace, operator):
    deployed = namespace.deploy()
    deployed.wait_until_served()
    return deployed


class TestCreate:
    def test_it_takes_the_writes_that_are_needed_and_no_more(self, cluster, namespace, operator):
        mark = cluster.mark()
        deployed = namespace.deploy()
        deployed.wait_until_served()
        namespace.rest()
        written = Counter(
            (write.verb, f"{write.resource}/{write.subresource}".strip("/")) for write in namespace.writes(mark)
        )
        statuses = written.pop(("update", "modeldeployments/status"))
        assert statuses <= 3
        assert written == {
            ("patch", "controllerrevisions"): 1,
            ("patch", "configmaps"): 1,
            ("patch", "services"): 2,
            ("patch", "deployments"): 2,
            ("patch", "networkpolicies"): 1,
            ("patch", "poddisruptionbudgets"): 1,
            ("create", "events"): 1,
        }
        assert statuses + written.total() <= 12

    def test_the_event_tells_what_happened(self, namespace, deployed):
        revision = deployed.status["stable"]["revision"]

        def told():
            found = namespace.find(EVENT)
            return [event for event in found if event.get("reportingController") == "modelway.dev/operator"]

        events = namespace.wait_for(told, what="an Event is there, which comes after the status")
        assert [(event["type"], event["reason"], event["note"]) for event in events] == [
            ("Normal", "Promoted", f"revision {revision}: all pods are ready")
        ]

    def test_kubectl_can_wait_for_it(self, cluster, namespace, operator):
        namespace.deploy()
        waited = cluster.kubectl(
            "wait", "--for=condition=Ready", "mdep/fraud", f"--namespace={namespace.name}", "--timeout=60s"
        )
        assert waited.returncode == 0, waited.stderr

    def test_one_look_tells_how_it_is(self, cluster, namespace, operator):
        namespace.deploy(spec_of(model__version="17")).wait_until_served()
        shown = cluster.kubectl("get", "mdep", f"--namespace={namespace.name}").stdout
        head, row = (line.split() for line in shown.splitlines())
        assert head == [
            "NAME",
            "READY",
            "STATUS",
            "VERSION",
            "CANDIDATE",
            "WEIGHT",
            "DRIFT",
            "REPLICAS",
            "FAILURE",
            "AGE",
        ]
        assert row[:5] == ["fraud", "True", "Serving", "17", "2"]

    def test_it_is_one_of_all(self, cluster, namespace, deployed):
        shown = cluster.kubectl("get", "all", f"--namespace={namespace.name}", "--output=name").stdout
        assert "modeldeployment.modelway.dev/fraud" in shown


class TestRest:
    def test_nothing_is_written(self, namespace, deployed):
        """Not even when the time to drain is over, for which it looks again."""
        mark = namespace.rest()
        promoted = time.monotonic()
        namespace.wait_for(lambda: time.monotonic() > promoted + DRAIN_SECONDS + 1, what="the time is over")
        assert namespace.writes(mark) == []

    def test_a_restart_of_the_operator_writes_nothing(self, cluster, namespace, deployed, operator):
        mark = namespace.rest()
        assert operator.stop() == 0
        operator.start()
        operator.wait_until_leading(cluster)
        namespace.deploy(name="after").wait_until_served()  # by now it has looked at everything
        about_others = [write for write in namespace.writes(mark) if not write.name.startswith("after")]
        assert about_others == []


class TestDelete:
    def test_nothing_is_left_behind(self, namespace, deployed):
        assert "finalizers" not in deployed.live["metadata"]
        deployed.delete()

        def is_empty():
            gone = namespace.get(MODEL_DEPLOYMENT, "fraud") is None
            return gone and not namespace.children() and not namespace.find(REPLICA_SET) and not namespace.find(POD)

        namespace.wait_for(is_empty, what="everything is collected")

    def test_it_can_come_again_under_its_name(self, namespace, deployed):
        """While what belonged to the first is still being collected."""
        first = deployed.live["metadata"]["uid"]
        deployed.delete()
        again = namespace.deploy(spec_of(serving__replicas=1))
        again.wait_until_served()
        assert again.live["metadata"]["uid"] != first
        assert again.condition("NameConflict") == ("", "")

    def test_with_foreground_deletion_as_well(self, cluster, namespace, deployed):
        deleted = cluster.kubectl(
            "delete", "mdep", "fraud", f"--namespace={namespace.name}", "--cascade=foreground", "--timeout=60s"
        )
        assert deleted.returncode == 0, deleted.stderr
        namespace.wait_for(lambda: not namespace.children(), what="all children are gone")
