"""Every cause of failure is told by its own name, in the words of whoever knows best."""

import pytest

from modelway.api.conditions import Reason
from modelway.api.kinds import DEPLOYMENT, NETWORK_POLICY, SERVICE
from modelway.plan import ChildKey, Refusal
from modelway.plan.failures import digests, failure_of_pods, failure_of_refusals, has_changed_artifact
from support.builders import (
    DIGEST,
    ended,
    fetched,
    fetching,
    pod,
    running,
    serving,
    unschedulable,
    waiting,
    words,
)

REVISION = "0b77d1ce"
SAID = words(reason="GoldenRequestFailed", message="request 3: got 0.7, recorded 0.2")
OOM = "model-server: used more memory than its limit and was killed; raise resources.limits.memory"

CAUSES = {
    "the fetch says why": (
        pod(REVISION, fetching(ended(1, message=words(reason="ArtifactNotFound", message="no key fraud/1/")))),
        ("ArtifactNotFound", "no key fraud/1/"),
    ),
    "the fetch said why the last time and waits to be tried again": (
        pod(
            REVISION,
            fetching(
                waiting("CrashLoopBackOff", "back-off 10s restarting failed container=fetch-model pod=fraud-x_ml(7)"),
                last=ended(1, message=words(reason="AccessDenied", message="403 by s3")),
            ),
        ),
        ("AccessDenied", "403 by s3"),
    ),
    "the fetch says nothing that we understand": (
        pod(REVISION, fetching(ended(137, message="Killed\n"))),
        (Reason.FETCH_FAILED, "fetch-model: ended with exit code 137: Killed"),
    ),
    "the fetch says nothing at all": (
        pod(REVISION, fetching(ended(2))),
        (Reason.FETCH_FAILED, "fetch-model: ended with exit code 2"),
    ),
    "other bytes than the pin's": (
        pod(REVISION, fetching(ended(1, message=words(reason="DigestMismatch", message="found b, pinned to a")))),
        (Reason.DIGEST_MISMATCH, "found b, pinned to a"),
    ),
    "the server says why": (
        pod(REVISION, fetched(DIGEST), serving(ended(1, message=SAID))),
        ("GoldenRequestFailed", "request 3: got 0.7, recorded 0.2"),
    ),
    "the server said why and is running again": (
        pod(REVISION, fetched(DIGEST), serving(running(), last=ended(1, message=SAID))),
        ("GoldenRequestFailed", "request 3: got 0.7, recorded 0.2"),
    ),
    "a server of somebody else's ends with a log line": (
        pod(REVISION, serving(waiting("CrashLoopBackOff"), last=ended(3, message="ImportError: flask\n"))),
        (Reason.CRASH_LOOP_BACK_OFF, "model-server: ended with exit code 3: ImportError: flask"),
    ),
    "a server that ends well ends nevertheless": (
        pod(REVISION, serving(waiting("CrashLoopBackOff"), last=ended(0))),
        (Reason.CRASH_LOOP_BACK_OFF, "model-server: ended with exit code 0"),
    ),
    "a message that is JSON and not ours": (
        pod(REVISION, serving(ended(1, message='{"level": "fatal"}'))),
        (Reason.CRASH_LOOP_BACK_OFF, 'model-server: ended with exit code 1: {"level": "fatal"}'),
    ),
    "a message whose reason is no reason": (
        pod(REVISION, serving(ended(1, message=words(reason="no reason " * 200, message="m"))), name="p"),
        (Reason.CRASH_LOOP_BACK_OFF, None),
    ),
    "out of memory": (
        pod(REVISION, serving(ended(137, reason="OOMKilled"))),
        (Reason.OOM_KILLED, OOM),
    ),
    "out of memory, and back again": (
        pod(REVISION, serving(running(), last=ended(137, reason="OOMKilled"))),
        (Reason.OOM_KILLED, OOM),
    ),
    "ImagePullBackOff": (
        pod(REVISION, serving(waiting("ImagePullBackOff", 'Back-off pulling image "a:b"'))),
        (Reason.IMAGE_PULL_BACK_OFF, 'model-server: Back-off pulling image "a:b"'),
    ),
    "ErrImagePull": (
        pod(REVISION, serving(waiting("ErrImagePull", "not found"))),
        (Reason.IMAGE_PULL_BACK_OFF, "model-server: not found"),
    ),
    "InvalidImageName": (
        pod(REVISION, serving(waiting("InvalidImageName"))),
        (Reason.IMAGE_PULL_BACK_OFF, "model-server: InvalidImageName"),
    ),
    "ErrImageNeverPull": (
        pod(REVISION, serving(waiting("ErrImageNeverPull"))),
        (Reason.IMAGE_PULL_BACK_OFF, "model-server: ErrImageNeverPull"),
    ),
    "a Secret is missing": (
        pod(REVISION, fetching(waiting("CreateContainerConfigError", 'secret "s3" not found'))),
        (Reason.SECRET_MISSING, 'fetch-model: secret "s3" not found'),
    ),
    "a key of a ConfigMap is missing": (
        pod(REVISION, serving(waiting("CreateContainerConfigError", "couldn't find key a in ConfigMap ml/b"))),
        (Reason.SECRET_MISSING, "model-server: couldn't find key a in ConfigMap ml/b"),
    ),
    "an image that runs as root": (
        pod(
            REVISION,
            serving(
                waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
            ),
        ),
        (Reason.CONTAINER_CANNOT_RUN, "model-server: container has runAsNonRoot and image will run as root"),
    ),
    "an entry point that does not exist": (
        pod(REVISION, serving(waiting("RunContainerError", 'exec: "serve": not found'))),
        (Reason.CONTAINER_CANNOT_RUN, 'model-server: exec: "serve": not found'),
    ),
    "a container that cannot be made": (
        pod(REVISION, serving(waiting("CreateContainerError", "no such device"))),
        (Reason.CONTAINER_CANNOT_RUN, "model-server: no such device"),
    ),
    "no node fits": (
        pod(REVISION, conditions=(unschedulable("insufficient memory"),)),
        (Reason.UNSCHEDULABLE, "insufficient memory"),
    ),
    "a claim is missing": (
        pod(REVISION, conditions=(unschedulable('persistentvolumeclaim "models" not found'),)),
        (Reason.UNSCHEDULABLE, 'persistentvolumeclaim "models" not found'),
    ),
}

NO_CAUSES = {
    "nothing is known yet": pod(REVISION),
    "the model is being fetched": pod(REVISION, fetching(running())),
    "containers are being made": pod(REVISION, serving(waiting("ContainerCreating"))),
    "the model is being loaded": pod(REVISION, fetched(DIGEST), serving(running())),
    "all is well": pod(REVISION, fetched(DIGEST), serving(running(), ready=True), ready=True),
    "ready again after an end": pod(REVISION, serving(running(), last=ended(1), ready=True), ready=True),
    "on its way out": pod(REVISION, serving(ended(137, reason="OOMKilled")), deleted=True),
    "of another revision": pod("ffffffff", serving(ended(137, reason="OOMKilled"))),
}


class TestPods:
    @pytest.mark.parametrize(("seen", "expected"), CAUSES.values(), ids=CAUSES)
    def test_cause(self, seen, expected):
        failure = failure_of_pods([seen], REVISION, None)
        assert failure is not None
        reason, message = expected
        assert (failure.reason, failure.revision) == (reason, REVISION)
        assert message is None or failure.message == message

    @pytest.mark.parametrize("seen", NO_CAUSES.values(), ids=NO_CAUSES)
    def test_no_cause(self, seen):
        assert failure_of_pods([seen], REVISION, None) is None

    def test_the_same_trouble_gives_the_same_words_in_any_order_of_pods(self):
        pods = [
            pod(REVISION, serving(waiting("ErrImagePull", "not found")), name="a"),
            pod(REVISION, serving(waiting("ImagePullBackOff", "back-off")), name="b"),
        ]
        assert failure_of_pods(pods, REVISION, None) == failure_of_pods(pods[::-1], REVISION, None)

    def test_long_words_are_cut(self):
        seen = pod(REVISION, fetching(ended(1, message=words(reason="DownloadFailed", message="x" * 4000))))
        assert len(failure_of_pods([seen], REVISION, None).message) == 2000


def refused_pods(message: str) -> dict:
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    return {"status": {"conditions": [condition]}}


REFUSED_PODS = {
    "a quota": (
        'pods "fraud-0b77d1ce-5d9-x7" is forbidden: exceeded quota: small, requested: pods=1, limited: pods=0',
        Reason.QUOTA_EXCEEDED,
        "forbidden: exceeded quota: small, requested: pods=1, limited: pods=0",
    ),
    "a quota that wants limits": (
        'pods "fraud-0b77d1ce-5d9-x7" is forbidden: failed quota: small: must specify limits.cpu for: model-server',
        Reason.QUOTA_EXCEEDED,
        "forbidden: failed quota: small: must specify limits.cpu for: model-server",
    ),
    "a LimitRange": (
        'pods "fraud-0b77d1ce-5d9-x7" is forbidden: maximum memory usage per Container is 256Mi, but limit is 1Gi',
        Reason.QUOTA_EXCEEDED,
        "forbidden: maximum memory usage per Container is 256Mi, but limit is 1Gi",
    ),
    "a ServiceAccount that is missing": (
        'pods "fraud-0b77d1ce-5d9-" is forbidden: error looking up service account ml/reader: not found',
        Reason.CHILD_REFUSED,
        "forbidden: error looking up service account ml/reader: not found",
    ),
    "Pod Security": (
        'pods "fraud-0b77d1ce-5d9-x7" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
        Reason.CHILD_REFUSED,
        'forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
    ),
}


class TestPodsThatCannotBeMade:
    @pytest.mark.parametrize(("message", "reason", "told"), REFUSED_PODS.values(), ids=REFUSED_PODS)
    def test_cause(self, message, reason, told):
        failure = failure_of_pods([], REVISION, refused_pods(message))
        assert failure.reason == reason
        assert failure.message == f"Deployment: pods cannot be made: {told}"

    def test_what_a_pod_says_comes_first(self):
        seen = pod(REVISION, serving(ended(137, reason="OOMKilled")))
        assert failure_of_pods([seen], REVISION, refused_pods("quota")).reason == Reason.OOM_KILLED


class TestRefusals:
    def test_without_any_nothing_is_wrong(self):
        assert failure_of_refusals({}) is None

    def test_the_message_names_the_child(self):
        refusals = {ChildKey(DEPLOYMENT, "fraud-1"): Refusal(Reason.CHILD_REFUSED, "spec.template.spec.affinity: no")}
        assert failure_of_refusals(refusals).message == "Deployment fraud-1: spec.template.spec.affinity: no"

    def test_the_same_refusals_give_the_same_words(self):
        refusals = {
            ChildKey(SERVICE, "b"): Refusal(Reason.CHILD_REFUSED, "no"),
            ChildKey(NETWORK_POLICY, "a"): Refusal(Reason.CHILD_REFUSED, "no"),
        }
        turned = dict(reversed(refusals.items()))
        assert failure_of_refusals(refusals) == failure_of_refusals(turned)

    def test_long_words_are_cut(self):
        refusals = {ChildKey(DEPLOYMENT, "fraud-1"): Refusal(Reason.CHILD_REFUSED, "x" * 9000)}
        assert len(failure_of_refusals(refusals).message) == 2000


class TestDigests:
    def test_each_pod_tells_what_it_has_fetched(self):
        pods = [pod(REVISION, fetched(DIGEST, at="2026-11-21T12:00:01Z"), name="a"), pod(REVISION, name="b")]
        assert digests(pods, REVISION) == {"a": (DIGEST, "2026-11-21T12:00:01Z")}

    @pytest.mark.parametrize(
        "status",
        [
            fetching(ended(1, message=words(digest=DIGEST))),
            fetching(ended(0, message="done")),
            fetching(ended(0, message='{"digest": 7}')),
            fetching(running()),
            serving(ended(0, message=words(digest=DIGEST))),
        ],
        ids=["failed", "no JSON", "no text", "not yet", "another container"],
    )
    def test_nothing_else_counts(self, status):
        assert digests([pod(REVISION, status)], REVISION) == {}


def test_the_artefact_has_changed_when_a_pod_says_so():
    changed = pod(REVISION, fetching(ended(1, message=words(reason="DigestMismatch", message="found b"))))
    assert has_changed_artifact([changed], REVISION) == "found b"
    assert has_changed_artifact([CAUSES["out of memory"][0]], REVISION) is None
