"""What goes wrong stands in `status.failure`, with its true cause and in the words of whoever knows best."""

import pytest

from modelway.api.kinds import CONFIG_MAP, POD, SERVICE
from support.builders import (
    DIGEST,
    OTHER_DIGEST,
    ended,
    fetched,
    fetching,
    running,
    serving,
    waiting,
    words,
)
from support.cluster import BY_HAND, RESOURCE_QUOTA, spec_of

BAD_TERM = {"matchExpressions": [{"key": "a", "operator": "Near"}]}
OOM = "model-server: used more memory than its limit and was killed; raise resources.limits.memory"

SAID = {
    "the model is not there": (
        (fetching(ended(1, message=words(reason="ArtifactNotFound", message="no key fraud/1/ in bucket models"))),),
        ("ArtifactNotFound", "no key fraud/1/ in bucket models"),
    ),
    "wrong credentials": (
        (
            fetching(
                waiting("CrashLoopBackOff", "back-off 40s restarting failed container"),
                last=ended(1, message=words(reason="AccessDenied", message="403 Forbidden by s3")),
            ),
        ),
        ("AccessDenied", "403 Forbidden by s3"),
    ),
    "other bytes than the pin's": (
        (fetching(ended(1, message=words(reason="DigestMismatch", message="found sha256:2, pinned to sha256:1"))),),
        ("DigestMismatch", "found sha256:2, pinned to sha256:1"),
    ),
    "a fetch that says nothing": (
        (fetching(ended(137, message="Killed")),),
        ("FetchFailed", "fetch-model: ended with exit code 137: Killed"),
    ),
    "a model that cannot be loaded": (
        (fetched(DIGEST), serving(ended(1, message=words(reason="ModelLoadFailed", message="opset 99 is unknown")))),
        ("ModelLoadFailed", "opset 99 is unknown"),
    ),
    "a golden request that fails": (
        (
            fetched(DIGEST),
            serving(running(), last=ended(1, message=words(reason="GoldenRequestFailed", message="request 0: got 1"))),
        ),
        ("GoldenRequestFailed", "request 0: got 1"),
    ),
    "somebody else's server": (
        (fetched(DIGEST), serving(waiting("CrashLoopBackOff"), last=ended(3, message="ImportError: flask"))),
        ("CrashLoopBackOff", "model-server: ended with exit code 3: ImportError: flask"),
    ),
    "out of memory": (
        (fetched(DIGEST), serving(waiting("CrashLoopBackOff"), last=ended(137, reason="OOMKilled"))),
        ("OOMKilled", OOM),
    ),
    "an image that is not there": (
        (serving(waiting("ImagePullBackOff", 'Back-off pulling image "a:b"')),),
        ("ImagePullBackOff", 'model-server: Back-off pulling image "a:b"'),
    ),
    "a Secret that is not there": (
        (fetching(waiting("CreateContainerConfigError", 'secret "s3" not found')),),
        ("SecretMissing", 'fetch-model: secret "s3" not found'),
    ),
    "a container that cannot run": (
        (serving(waiting("RunContainerError", 'exec: "serve": not found')),),
        ("ContainerCannotRun", 'model-server: exec: "serve": not found'),
    ),
}


@pytest.fixture(scope="class")
def mute(cluster, operator):
    """One pod whose status is written by the test, and that never gets ready."""
    with cluster.namespace() as namespace:
        deployed = namespace.deploy(spec_of(serving__replicas=1, serving__podTemplate=BY_HAND))
        namespace.wait_for(deployed.pods, what="there is a pod")
        yield deployed


class TestSaidByThePod:
    @pytest.mark.parametrize(("containers", "expected"), SAID.values(), ids=SAID)
    def test_cause(self, mute, containers, expected):
        (pod,) = mute.pods()
        mute.say(pod, *containers)
        reason, message = expected
        failure = mute.wait_for_failure(reason)
        assert failure == {"reason": reason, "message": message, "revision": mute.status["candidate"]["revision"]}
        assert mute.condition("Stalled") == ("True", reason)
        assert mute.condition("Reconciling") == ("False", "NewRevision")
        assert mute.condition("Ready") == ("False", "NotYetServing")

    def test_it_goes_when_the_pod_gets_ready(self, mute):
        (pod,) = mute.pods()
        mute.say(pod, fetched(DIGEST), serving(running(), ready=True), ready=True)
        assert "failure" not in mute.wait_until_served()
        assert mute.condition("Stalled") == ("False", "AsExpected")


class TestSaidByKubernetes:
    def test_no_node_has_room(self, namespace, operator):
        deployed = namespace.deploy(spec_of(serving__resources={"requests": {"cpu": "9000"}}))
        failure = deployed.wait_for_failure("Unschedulable")
        assert "Insufficient cpu" in failure["message"]

    def test_a_claim_is_missing(self, namespace, operator):
        deployed = namespace.deploy(spec_of(model__uri="pvc://models/fraud"))
        failure = deployed.wait_for_failure("Unschedulable")
        assert 'persistentvolumeclaim "models" not found' in failure["message"]

    def test_a_quota_and_then_none(self, namespace, operator):
        namespace.create(quota({"pods": "0"}))
        deployed = namespace.deploy(spec_of(serving__replicas=1))
        failure = deployed.wait_for_failure("QuotaExceeded")
        assert failure["message"].startswith("Deployment: pods cannot be made: forbidden: exceeded quota: small")
        namespace.delete(RESOURCE_QUOTA, "small")
        deployed.wait_until_served()

    def test_a_limit_on_memory(self, namespace, operator):
        limit = {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]}
        namespace.create({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": limit})
        failure = namespace.deploy().wait_for_failure("QuotaExceeded")
        assert "maximum memory usage per Container is 64Mi" in failure["message"]
        assert "fraud-" not in failure["message"], "it names no pod"

    def test_a_service_account_is_missing(self, namespace, operator):
        failure = namespace.deploy(spec_of(serving__serviceAccountName="reader")).wait_for_failure("ChildRefused")
        assert "reader" in failure["message"]

    def test_a_quota_on_services(self, namespace, operator):
        namespace.create(quota({"services": "0"}))
        failure = namespace.deploy().wait_for_failure("QuotaExceeded")
        assert failure["message"].startswith("Service fraud")

    @pytest.mark.parametrize(
        ("affinity", "named"),
        [
            (
                {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [BAD_TERM]}}},
                "operator",
            ),
            ({"nodeAffinities": {}}, "affinity.nodeAffinities"),
            ({"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": "much"}]}}, "weight"),
        ],
        ids=["a wrong word", "an unknown field", "a wrong type"],
    )
    def test_an_affinity_that_makes_no_sense(self, namespace, operator, affinity, named):
        failure = namespace.deploy(spec_of(serving__podTemplate={"affinity": affinity})).wait_for_failure(
            "ChildRefused"
        )
        assert failure["message"].startswith("Deployment fraud-")
        assert named in failure["message"]

    def test_it_heals_with_the_next_spec(self, namespace, operator):
        deployed = namespace.deploy(spec_of(serving__podTemplate={"labels": {"team": "not a label!"}}))
        deployed.wait_for_failure("ChildRefused")
        deployed.edit(serving__podTemplate=None)
        assert "failure" not in deployed.wait_until_served()


def quota(hard):
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": hard}}


class TestUpdate:
    def test_a_broken_version_takes_no_traffic_and_the_old_one_stays_ready(self, namespace, operator):
        deployed = namespace.deploy(spec_of(model__version="1"))
        first = deployed.wait_until_served()["stable"]["revision"]
        deployed.edit(model__version="2", serving__podTemplate=BY_HAND)
        revision = deployed.wait(lambda status: "candidate" in status, what="is updated")["candidate"]["revision"]
        namespace.wait_for(lambda: deployed.pods(revision), what="pods of the candidate")
        deployed.say(deployed.pods(revision)[0], serving(waiting("ImagePullBackOff", "not found")))
        failure = deployed.wait_for_failure("ImagePullBackOff")
        assert failure["revision"] == revision
        assert deployed.condition("Ready") == ("True", "Serving")
        assert deployed.condition("Stalled") == ("True", "ImagePullBackOff")
        assert namespace.get(SERVICE, "fraud")["spec"]["selector"]["modelway.dev/revision"] == first


class TestPin:
    """No digest is given: what the first pods find is the pin."""

    @pytest.fixture
    def deployed(self, namespace, operator):
        deployed = namespace.deploy(spec_of(model__digest=None, serving__podTemplate=BY_HAND))
        namespace.wait_for(lambda: len(deployed.pods()) == 2, what="two pods")
        return deployed

    def test_what_all_found_is_recorded_and_served(self, namespace, deployed):
        revision = deployed.status["candidate"]["revision"]
        assert namespace.get(SERVICE, "fraud") is None, "nobody knows yet what would answer"
        for pod in deployed.pods():
            deployed.say(pod, fetched(DIGEST), serving(running(), ready=True), ready=True)
        status = deployed.wait_until_served()
        assert status["stable"]["digest"] == DIGEST
        pin = namespace.wait_for(
            lambda: namespace.get(CONFIG_MAP, f"fraud-{revision}"), what="the pin, after the decision"
        )
        assert pin["data"] == {"digest": DIGEST}

    def test_who_found_something_else_fetches_again(self, namespace, deployed):
        early, late = deployed.pods()
        deployed.say(
            early, fetched(OTHER_DIGEST, at="2026-11-21T12:00:00Z"), serving(running(), ready=True), ready=True
        )
        deployed.say(late, fetched(DIGEST, at="2026-11-21T12:00:05Z"), serving(running(), ready=True), ready=True)
        gone = early["metadata"]["name"]
        namespace.wait_for(lambda: gone not in {pod["metadata"]["name"] for pod in namespace.find(POD)}, what="evicted")
        namespace.wait_for(lambda: len(deployed.pods()) == 2, what="another pod in its place")
        for pod in deployed.pods():
            deployed.say(pod, fetched(DIGEST), serving(running(), ready=True), ready=True)
        assert deployed.wait_until_served()["stable"]["digest"] == DIGEST

    def test_other_bytes_later_stop_the_new_pod_only(self, namespace, deployed):
        for pod in deployed.pods():
            deployed.say(pod, fetched(DIGEST), serving(running(), ready=True), ready=True)
        deployed.wait_until_served()
        known = {pod["metadata"]["name"] for pod in deployed.pods()}
        deployed.edit(serving__replicas=3)
        namespace.wait_for(lambda: len(deployed.pods()) == 3, what="a third pod")
        (third,) = [pod for pod in deployed.pods() if pod["metadata"]["name"] not in known]
        deployed.say(third, fetching(ended(1, message=words(reason="DigestMismatch", message="found b"))))
        deployed.wait_for_failure("DigestMismatch")
        assert deployed.condition("ArtifactChanged") == ("True", "DigestMismatch")
        assert deployed.condition("Ready") == ("True", "Serving")
