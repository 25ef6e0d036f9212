"""The chart on a real API server: what it installs, and that the operator's rights are exactly what it uses.

The operator's pods are simulated (kwok). Where the operator is to do something, it runs here, from this tree, with the
settings of the installed Deployment and a token of the installed ServiceAccount, so every right that it lacks is a 403
in the audit log, and every right that it has and never uses is found there as well.
"""

import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from hack import install
from hack.local import ControlPlane, binaries, gateway
from hack.local.certificates import kubeconfig
from hack.local.waiting import wait_until

from modelway.api.kinds import (
    AUTOSCALER,
    CHILD_KINDS,
    CONFIG_MAP,
    CRON_JOB,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    HTTP_ROUTE,
    LEASE,
    MODEL_DEPLOYMENT,
    NETWORK_POLICY,
    OPTIONAL_KINDS,
    POD,
    SECRET,
    SERVICE,
    Kind,
)
from modelway.api.names import (
    ANNOTATION_ROUTING,
    API_VERSION,
    COMPONENT_ROUTER,
    COMPONENT_SERVER,
    KIND,
    LABEL_COMPONENT,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_REVISION,
    child_labels,
    child_name,
)

pytestmark = pytest.mark.timeout(180)

Object = dict[str, Any]

ROOT = Path(install.__file__).resolve().parent.parent
SYSTEM, MODELS, TENANT, TEAM = "modelway-system", "models", "tenant-system", "team-a"
RIGHTS = "/apis/rbac.authorization.k8s.io/v1"
MERGE, STATUS_PATCH = "application/merge-patch+json", "application/strategic-merge-patch+json"
DEADLINE = 40.0


def account(namespace: str) -> str:
    """The operator's user, as the audit log has it."""
    return f"system:serviceaccount:{namespace}:{install.RELEASE}"


class Cluster:
    """The control plane, with the few verbs that these tests use, as its administrator."""

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        self.control_plane = control_plane
        self.folder = folder
        tools = binaries.ensure(["helm", "kubectl"])
        self._helm, self._kubectl = str(tools["helm"]), str(tools["kubectl"])

    # objects

    def get(self, path: str) -> Any:
        return self.control_plane.api.get(path)

    def create(self, namespace: str, obj: Object, kind: Kind) -> Object:
        return self._ask("POST", kind.path(namespace), obj)

    def patch(self, kind: Kind, namespace: str, name: str, patch: Object) -> Object:
        return self._ask("PATCH", kind.path(namespace, name), patch, MERGE)

    def patch_status(self, kind: Kind, namespace: str, name: str, status: Object) -> Object:
        return self._ask("PATCH", kind.path(namespace, name) + "/status", {"status": status}, STATUS_PATCH)

    def delete(self, kind: Kind, namespace: str, name: str) -> None:
        self.control_plane.api.delete(kind.path(namespace, name))

    def make_namespace(self, name: str, **labels: str) -> None:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        self.control_plane.api.create("/api/v1/namespaces", namespace)

    def may(self, user: str, verb: str, resource: str, *, namespace: str) -> bool:
        resource, _, subresource = resource.partition("/")
        attributes = {"namespace": namespace, "verb": verb, "group": "modelway.dev", "resource": resource}
        spec = {"user": user, "resourceAttributes": attributes | {"subresource": subresource}}
        return bool(
            self._ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})["status"]["allowed"]
        )

    def _ask(self, method: str, path: str, body: Object, content_type: str = "application/json") -> Object:
        answer = self.control_plane.api.request(method, path, body, content_type)
        assert answer.ok, f"{method} {path}: {answer.status} {answer.body.decode()[:1000]}"
        result: Object = answer.json()
        return result

    # programs

    def kubectl(self, *arguments: str, stdin: str | None = None, fails: bool = False) -> str:
        return self._run(self._kubectl, *arguments, stdin=stdin, fails=fails)

    def helm(self, *arguments: str, stdin: str | None = None) -> str:
        return self._run(self._helm, *arguments, stdin=stdin)

    def install(self, *further: str) -> str:
        """What `make install` runs."""
        return self._run(*install.install_command(self._helm, {}, further, major=4))

    def _run(self, *command: str, stdin: str | None = None, fails: bool = False) -> str:
        environment = os.environ | {"KUBECONFIG": str(self.control_plane.kubeconfig)}
        done = subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, check=False)
        told = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, f"{' '.join(command)}: {done.returncode}\n{told}"
        return told

    # the operator

    def token(self, namespace: str, name: str) -> str:
        """A token of the operator's account."""
        answer = self._ask(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}},
        )
        return str(answer["status"]["token"])

    @contextlib.contextmanager
    def operator(self, namespace: str) -> Iterator["Operator"]:
        """The operator that is installed in `namespace`, as a process of this machine, until the block ends."""
        deployment = self.get(DEPLOYMENT.path(namespace, install.RELEASE))
        template = deployment["spec"]["template"]["spec"]
        name = template["serviceAccountName"]
        config = self.folder / f"{namespace}.yaml"
        config.write_text(
            kubeconfig(
                server=self.control_plane.server,
                authority=self.control_plane.certificate_authority.read_bytes(),
                user=name,
                token=self.token(namespace, name),
                cluster="test",
            )
        )
        container = template["containers"][0]
        by_field = {"metadata.namespace": namespace, "metadata.name": f"{install.RELEASE}-0"}
        given = {
            entry["name"]: entry["value"] if "value" in entry else by_field[entry["valueFrom"]["fieldRef"]["fieldPath"]]
            for entry in container["env"]
        }
        environment = os.environ | given | {"KUBECONFIG": str(config), "MODELWAY_HEALTH_PORT": "0"}
        command = [str(Path(sys.executable).parent / "modelway"), *container["args"]]
        log = self.folder / f"{namespace}.log"
        with log.open("wb") as output, subprocess.Popen(command, env=environment, stderr=output) as process:
            operator = Operator(process, log)
            try:
                yield operator
            except BaseException as error:
                error.add_note(f"refused by the API server: {refused(self, namespace)}")
                error.add_note(f"the operator's last words:\n{operator.words()}")
                raise
            finally:
                if process.poll() is None:
                    process.kill()

    def until(self, condition: Callable[[], Any], what: str, *, shows: Callable[[], Any] = lambda: "") -> Any:
        """The first true answer of `condition`; after the deadline a failure that says `shows`."""
        return wait_until(
            condition, what=what, seconds=DEADLINE, details=lambda: json.dumps(shows(), indent=1, default=str)
        )

    def until_ready(self, name: str, *, namespace: str) -> Object:
        path = MODEL_DEPLOYMENT.path(namespace, name)
        return self.until(
            lambda: (found := self.get(path)) if condition(found := self.get(path), "Ready") == "True" else None,
            f"{name} is ready",
            shows=lambda: self.get(path),
        )

    def requests_of(self, user: str) -> list[Object]:
        """Audit events of finished requests of `user`."""
        events = [json.loads(line) for line in self.control_plane.audit_log.read_text().splitlines()]
        return [event for event in events if event["user"]["username"] == user]


@dataclass(frozen=True, slots=True)
class Operator:
    process: subprocess.Popen[bytes]
    log: Path

    def words(self) -> str:
        return self.log.read_text()[-4000:]

    def stop(self) -> None:
        """SIGTERM, as the kubelet sends it."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=25) == 0, self.words()


def condition(obj: Object | None, kind: str) -> str | None:
    conditions = (obj or {}).get("status", {}).get("conditions", ())
    return next((entry["status"] for entry in conditions if entry["type"] == kind), None)


def model_deployment(name: str, *, annotations: dict[str, str] | None = None, **serving: Any) -> Object:
    """A resource with a pinned digest, for kwok's init containers tell none."""
    template = {"podTemplate": {"annotations": annotations}} if annotations else {}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {
            "model": {"uri": "s3://models/iris/1/", "version": "1", "digest": f"sha256:{'0' * 64}"},
            "serving": serving | template,
        },
    }


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("chart")
    control_plane = ControlPlane(
        folder / "control-plane",
        audit=True,
        audit_users=[account(SYSTEM), account(TENANT)],
        kwok_nodes=2,
        controller_manager_flags=["--node-monitor-grace-period=24h"],
    )
    with control_plane:
        yield Cluster(control_plane, folder)


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Cluster:
    """The CRD by kubectl, as some like it, and then the chart as `make install` puts it there.

    In a namespace that takes restricted pods only, or the Deployment would never have a pod.
    """
    cluster.make_namespace(SYSTEM, **{"pod-security.kubernetes.io/enforce": "restricted"})
    cluster.kubectl("apply", "-f", str(ROOT / "crds"))
    cluster.kubectl("apply", "--server-side", "-f-", stdin=gateway.gateway_api_crds())
    cluster.install()
    cluster.make_namespace(MODELS)
    return cluster


def test_the_plain_manifest_is_enough_for_the_resource(installed: Cluster) -> None:
    crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/modeldeployments.modelway.dev"
    assert condition(installed.get(crd), "Established") == "True"
    assert "No resources found" in installed.kubectl("get", "mdep", "--all-namespaces")


def test_the_operator_is_ready_and_a_second_install_changes_nothing(installed: Cluster) -> None:
    path = DEPLOYMENT.path(SYSTEM, install.RELEASE)
    before = installed.get(path)
    assert before["status"]["readyReplicas"] == 2
    told = installed.install()
    assert installed.get(path)["metadata"]["generation"] == before["metadata"]["generation"]
    assert "kubectl get modeldeployments --all-namespaces" in told


def test_an_install_wins_over_what_was_changed_by_hand(installed: Cluster) -> None:
    installed.kubectl("scale", f"deployment/{install.RELEASE}", f"--namespace={SYSTEM}", "--replicas=1")
    installed.install()
    assert installed.get(DEPLOYMENT.path(SYSTEM, install.RELEASE))["spec"]["replicas"] == 2


def test_everything_switched_on_is_accepted_by_the_api_server(installed: Cluster) -> None:
    values = (ROOT / "tests" / "unit" / "chart" / "everything.yaml").read_text()
    chart = str(install.CHART)
    rendered = installed.helm("template", "other", chart, "--values=-", f"--namespace={MODELS}", stdin=values)
    of_prometheus = {"ServiceMonitor", "PrometheusRule"}  # whose CRDs are not here; a real Prometheus reads the rules
    objects = [obj for obj in yaml.safe_load_all(rendered) if obj and obj["kind"] not in of_prometheus]
    told = installed.kubectl("apply", "--dry-run=server", "--validate=strict", "-f-", stdin=yaml.safe_dump_all(objects))
    assert told.count("(server dry run)") == len(objects)


@pytest.mark.parametrize(
    "page", ["batch.md", "feedback.md", "install.md", "monitoring.md", "operator.md", "reference.md", "traffic.md"]
)
def test_examples_in_the_docs_are_accepted_by_the_api_server(installed: Cluster, page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    examples = [
        block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "kind: ModelDeployment" in block
    ]
    for example in examples:
        arguments = ("apply", "--dry-run=server", "--validate=strict", f"--namespace={MODELS}", "-f-")
        assert "(server dry run)" in installed.kubectl(*arguments, stdin=example)


def test_the_example_of_batch_jobs_is_accepted_by_the_api_server(installed: Cluster) -> None:
    arguments = ("apply", "--dry-run=server", "--validate=strict", f"--namespace={MODELS}")
    assert "(server dry run)" in installed.kubectl(*arguments, f"--filename={ROOT / 'examples' / 'batch.yaml'}")


@pytest.mark.parametrize(
    ("role", "allowed", "denied"),
    [
        ("view", ["get", "list", "watch"], ["create", "update", "patch", "delete"]),
        ("edit", ["get", "list", "watch", "create", "update", "patch", "delete"], []),
        ("admin", ["get", "list", "watch", "create", "update", "patch", "delete"], []),
    ],
)
def test_the_clusters_own_roles_hold_for_model_deployments(
    installed: Cluster, role: str, allowed: list[str], denied: list[str]
) -> None:
    user = f"one-who-may-{role}"
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    installed.control_plane.api.create(f"{RIGHTS}/namespaces/{MODELS}/rolebindings", binding)

    def may(verb: str, resource: str = "modeldeployments") -> bool:
        return installed.may(user, verb, resource, namespace=MODELS)

    installed.until(
        lambda: all(may(verb) for verb in allowed),
        f"{user} may {', '.join(allowed)}",
        shows=lambda: installed.get(f"{RIGHTS}/clusterroles/{role}"),
    )
    assert not [verb for verb in denied if may(verb)]
    assert may("get", "modeldeployments/scale")
    assert may("patch", "modeldeployments/scale") == bool(not denied)
    assert not may("update", "modeldeployments/status"), "status is the operator's"


# The operator's rights


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one resource, everywhere or in one namespace, for all names or for one."""

    namespace: str | None
    group: str
    resource: str
    verb: str
    name: str | None = None

    def covers(self, event: Object) -> bool:
        """Whether the request of an audit event needs this right. A patch that creates needs two."""
        what = event.get("objectRef", {})
        resource = "/".join(filter(None, [what.get("resource"), what.get("subresource")]))
        created = event["verb"] == "patch" and event["responseStatus"]["code"] == 201
        return (
            (what.get("apiGroup", ""), resource) == (self.group, self.resource)
            and self.verb in ({"patch", "create"} if created else {event["verb"]})
            and self.namespace in {None, what.get("namespace")}
            and self.name in {None, what.get("name")}
        )

    def __str__(self) -> str:
        return f"{self.verb} {self.group or 'core'}/{self.resource}"


def rights_of(cluster: Cluster, namespace: str) -> list[Right]:
    """All rights that bindings give to the ServiceAccount of the operator in `namespace`, as the API server has them."""
    subject = {"kind": "ServiceAccount", "name": install.RELEASE, "namespace": namespace}
    found = []
    for collection in ("clusterrolebindings", "rolebindings"):
        for binding in cluster.get(f"{RIGHTS}/{collection}")["items"]:
            if subject not in binding.get("subjects", ()):
                continue
            scope, role = binding["metadata"].get("namespace"), binding["roleRef"]
            place = f"{RIGHTS}/namespaces/{scope}/roles" if role["kind"] == "Role" else f"{RIGHTS}/clusterroles"
            for rule in cluster.get(f"{place}/{role['name']}")["rules"]:
                found += [
                    Right(scope, group, resource, verb, name)
                    for group in rule["apiGroups"]
                    for resource in rule["resources"]
                    for verb in rule["verbs"]
                    for name in rule.get("resourceNames", [None])
                ]
    return found


EXCEPTIONS: dict[str, str] = {}
"""Rights that no test here uses, and why the operator has them."""


def unused(cluster: Cluster, namespace: str) -> list[str]:
    events = cluster.requests_of(account(namespace))
    rights = [right for right in rights_of(cluster, namespace) if str(right) not in EXCEPTIONS]
    return [str(right) for right in rights if not any(map(right.covers, events))]


def refused(cluster: Cluster, namespace: str) -> list[str]:
    events = cluster.requests_of(account(namespace))
    return [
        f"{event['verb']} {event['requestURI']}" for event in events if event["responseStatus"]["code"] in {401, 403}
    ]


ADDITIONS: dict[Kind, Object] = {
    CONFIG_MAP: {"data": {"added": "by hand"}},
    DEPLOYMENT: {"spec": {"template": {"metadata": {"labels": {"added": "by-hand"}}}}},
    SERVICE: {"spec": {"sessionAffinity": "ClientIP"}},
    DISRUPTION_BUDGET: {"spec": {"maxUnavailable": None, "minAvailable": 1}},
    NETWORK_POLICY: {"spec": {"egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]}},
    AUTOSCALER: {"spec": {"behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}},
    HTTP_ROUTE: {"spec": {"hostnames": ["added.example.com"]}},
    CRON_JOB: {"spec": {"jobTemplate": {"spec": {"ttlSecondsAfterFinished": 5}}}},
}
"""What server-side apply cannot take out of a child, so that it is put back as a whole. A ControllerRevision's content
is immutable: the API server itself refuses such a change."""


def children_of(cluster: Cluster, name: str) -> dict[tuple[Kind, str], Object]:
    return {
        (kind, obj["metadata"]["name"]): obj
        for kind in (*CHILD_KINDS, *OPTIONAL_KINDS)
        for obj in cluster.get(kind.path(MODELS) + f"?labelSelector={LABEL_NAME}={name}")["items"]
    }


def test_every_right_of_the_operator_is_used_and_it_lacks_none(installed: Cluster) -> None:
    cluster = installed
    with cluster.operator(SYSTEM) as operator:
        live_through_everything(cluster)
        cluster.until(lambda: not unused(cluster, SYSTEM), "every right is used", shows=lambda: unused(cluster, SYSTEM))
        operator.stop()
    assert refused(cluster, SYSTEM) == []
    assert unused(cluster, SYSTEM) == []
    events = cluster.requests_of(account(SYSTEM))
    stale = [
        str(right)
        for right in rights_of(cluster, SYSTEM)
        if str(right) in EXCEPTIONS and any(map(right.covers, events))
    ]
    assert stale == [], "no exception any more"
    lease = cluster.get(LEASE.path(SYSTEM, install.RELEASE))
    assert not lease["spec"].get("holderIdentity"), "the lease is given back"


def live_through_everything(cluster: Cluster) -> None:
    """A ModelDeployment's life: created, repaired, updated, deleted; beside one whose pod is in trouble and a routed one."""
    iris = model_deployment("iris", autoscaling={"minReplicas": 1, "maxReplicas": 3}, revisionHistoryLimit=0)
    traffic = {"parentRefs": [{"name": "public", "namespace": "infra"}]}
    batch = {
        "name": "yearly",
        "schedule": "@yearly",
        "input": {"uri": "s3://lake/a/"},
        "output": {"uri": "s3://lake/b/"},
    }
    container = {"name": "train", "image": "train"}
    pods = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    train = {"schedule": "@yearly", "suspend": True, "jobTemplate": {"spec": {"template": pods}}}
    of_the_user = {"apiVersion": CRON_JOB.api_version, "kind": CRON_JOB.name, "metadata": {"name": "train"}}
    cluster.create(MODELS, of_the_user | {"spec": train}, CRON_JOB)
    monitoring = {
        "quality": {"metric": "accuracy", "min": 0.9},
        "maxModelAge": "720h",
        "onDegraded": {"jobFrom": "train", "conditions": ["ModelStale"]},
    }
    model = iris["spec"]["model"] | {"trainingTime": "2020-01-01T00:00:00Z"}
    whole = iris["spec"] | {"model": model, "traffic": traffic, "batchJobs": [batch], "monitoring": monitoring}
    cluster.create(MODELS, iris | {"spec": whole}, MODEL_DEPLOYMENT)
    by_hand = model_deployment("by-hand", annotations={"test.modelway.dev/status": "by-hand"})
    cluster.create(MODELS, by_hand, MODEL_DEPLOYMENT)
    routed = model_deployment("routed")
    cluster.create(MODELS, routed | {"spec": routed["spec"] | {"traffic": {"router": "Envoy"}}}, MODEL_DEPLOYMENT)
    ready = cluster.until_ready("iris", namespace=MODELS)
    first = ready["status"]["stable"]["revision"]

    repair_additions(cluster)
    repair_lost_labels(cluster)
    remove_leftovers(cluster, owner=ready)
    assert "key" in cluster.get(SECRET.path(MODELS, "iris-feedback-a"))["data"]
    cluster.until(
        lambda: "retraining" in cluster.get(MODEL_DEPLOYMENT.path(MODELS, "iris"))["status"],
        "a Job is made that trains another model",
        shows=lambda: cluster.get(MODEL_DEPLOYMENT.path(MODELS, "iris"))["status"],
    )

    update = {"model": {"version": "2"}, "serving": {"autoscaling": None, "replicas": 1}, "traffic": None}
    update |= {"batchJobs": None}
    cluster.patch(MODEL_DEPLOYMENT, MODELS, "iris", {"spec": update})
    replace_other_bytes(cluster)
    tell_the_same_trouble_twice(cluster)

    def old() -> list[str]:
        children = children_of(cluster, "iris").items()
        return [str(key) for key, obj in children if obj["metadata"]["labels"].get(LABEL_REVISION) == first]

    cluster.until(lambda: not old(), "the first revision is forgotten", shows=old)

    for name in ("iris", "by-hand", "routed"):
        cluster.delete(MODEL_DEPLOYMENT, MODELS, name)
    cluster.until(lambda: not children_of(cluster, "iris"), "the garbage collector takes the children")
    keys = SECRET.path(MODELS) + f"?labelSelector={LABEL_NAME}=iris"
    cluster.until(lambda: not cluster.get(keys)["items"], "and the keys with them")


def repair_additions(cluster: Cluster) -> None:
    """Somebody adds to each child what modelway has not said; it goes again."""
    changed = {}
    for (kind, name), obj in children_of(cluster, "iris").items():
        if kind in ADDITIONS:
            changed[kind, name] = obj
            cluster.patch(kind, MODELS, name, ADDITIONS[kind])
    assert {kind for kind, _ in changed} == set(ADDITIONS)
    for (kind, name), before in changed.items():
        cluster.until(
            lambda kind=kind, name=name, before=before: (
                content(cluster.get(kind.path(MODELS, name))) == content(before)
            ),
            f"{kind.name} {name} is as it was",
            shows=lambda kind=kind, name=name: cluster.get(kind.path(MODELS, name)),
        )


def content(obj: Object) -> Object:
    """What the object says; items of a list carry neither kind nor version."""
    return {key: value for key, value in obj.items() if key not in {"apiVersion", "kind", "metadata", "status"}}


def repair_lost_labels(cluster: Cluster) -> None:
    """A child that has lost the label by which it is watched is found again where it should be made anew."""
    names = [*children_of(cluster, "iris")]
    assert {kind for kind, _ in names} == {*CHILD_KINDS, *OPTIONAL_KINDS}
    # Each that is lost costs a look and a pause that doubles, so not all are lost at once.
    batch = [key for key in names if key[0] == CRON_JOB]
    for lost in ([key for key in names if key not in batch], batch):
        lose_labels(cluster, lost)


def lose_labels(cluster: Cluster, lost: list[tuple[Kind, str]]) -> None:
    for kind, name in lost:
        cluster.patch(kind, MODELS, name, {"metadata": {"labels": {LABEL_MANAGED_BY: None}}})
    for kind, name in lost:
        cluster.until(
            lambda kind=kind, name=name: LABEL_MANAGED_BY in cluster.get(kind.path(MODELS, name))["metadata"]["labels"],
            f"{kind.name} {name} has its label again",
            shows=lambda kind=kind, name=name: cluster.get(kind.path(MODELS, name)),
        )


def remove_leftovers(cluster: Cluster, *, owner: Object) -> None:
    """Children that another version of the operator has made under other names go."""
    reference = {"apiVersion": API_VERSION, "kind": KIND, "name": "iris", "uid": owner["metadata"]["uid"]}
    metadata = {
        "name": "iris-of-another-version",
        "labels": child_labels("iris"),
        "ownerReferences": [reference | {"controller": True}],
    }
    for kind, spec in (
        (DISRUPTION_BUDGET, {"maxUnavailable": 1, "selector": {"matchLabels": {"of": "nobody"}}}),
        (NETWORK_POLICY, {"podSelector": {"matchLabels": {"of": "nobody"}}}),
    ):
        body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}
        cluster.create(MODELS, body, kind)
        path = kind.path(MODELS, metadata["name"])
        cluster.until(
            lambda path=path: cluster.get(path) is None, f"{path} is gone", shows=lambda p=path: cluster.get(p)
        )


def pod_by_hand(cluster: Cluster) -> str:
    """The pod of `by-hand` that is not ending."""
    path = POD.path(MODELS) + f"?labelSelector={LABEL_NAME}=by-hand"

    def names() -> list[str]:
        pods = [pod["metadata"] for pod in cluster.get(path)["items"]]
        return [pod["name"] for pod in pods if "deletionTimestamp" not in pod]

    return str(cluster.until(names, "by-hand has a pod", shows=lambda: cluster.get(path))[0])


def replace_other_bytes(cluster: Cluster) -> None:
    """A pod that has fetched other bytes than those of the pin is deleted."""
    ended = {
        "exitCode": 0,
        "message": json.dumps({"digest": f"sha256:{'1' * 64}"}),
        "finishedAt": "2026-01-01T00:00:00Z",
    }
    fetched = {"name": "fetch-model", "image": "", "imageID": "", "ready": True, "restartCount": 0}
    pod = pod_by_hand(cluster)
    cluster.patch_status(POD, MODELS, pod, {"initContainerStatuses": [fetched | {"state": {"terminated": ended}}]})
    cluster.until(lambda: pod_by_hand(cluster) != pod, f"{pod} is replaced")


def tell_the_same_trouble_twice(cluster: Cluster) -> None:
    """Trouble comes, goes and comes again: one Event, counted."""
    serving = {"name": "model-server", "image": "", "imageID": "", "ready": False, "restartCount": 0}
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    pod, path = pod_by_hand(cluster), MODEL_DEPLOYMENT.path(MODELS, "by-hand")
    for states in ([serving | {"state": {"waiting": waiting}}], [], [serving | {"state": {"waiting": waiting}}]):
        answer = cluster.control_plane.api.request(
            "PATCH", POD.path(MODELS, pod) + "/status", {"status": {"containerStatuses": states}}, MERGE
        )
        assert answer.ok, answer.body
        cluster.until(
            lambda states=states: ("failure" in cluster.get(path)["status"]) == bool(states),
            "status tells of the trouble" if states else "status tells that the trouble is over",
            shows=lambda: [cluster.get(path), cluster.get(POD.path(MODELS, pod))],
        )


ROUTER: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "router",
        "labels": child_labels("iris") | {LABEL_COMPONENT: COMPONENT_ROUTER},
        "annotations": {"theirs": "kept"},
    },
    "spec": {"containers": [{"name": "envoy", "image": "modelway.dev/router:1"}]},
}
SERVER = ROUTER | {
    "metadata": ROUTER["metadata"]
    | {"name": "server", "labels": child_labels("iris") | {LABEL_COMPONENT: COMPONENT_SERVER}}
}
TOLD = {"metadata": {"annotations": {ANNOTATION_ROUTING: "c.r@2026-01-01T00:00:00.000+00:00"}}}


def as_the_operator(cluster: Cluster, pod: str, patch: Object) -> int:
    """The status of the answer to a patch that the operator's account sends."""
    token = cluster.token(SYSTEM, install.RELEASE)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": MERGE}
    with httpx.Client(verify=ssl.create_default_context(cafile=cluster.control_plane.certificate_authority)) as client:
        url = f"{cluster.control_plane.server}{POD.path(MODELS, pod)}"
        return client.patch(url, content=json.dumps(patch), headers=headers).status_code


def test_of_a_pod_the_operator_may_write_one_annotation_of_its_routers(installed: Cluster) -> None:
    for pod in (ROUTER, SERVER):
        installed.create(MODELS, pod, POD)
    # A policy takes a moment to be in force; the annotation of a server is what shows that it is.
    installed.until(lambda: as_the_operator(installed, "server", TOLD) == 422, "the policy is in force")
    assert as_the_operator(installed, "router", TOLD) == 200
    live = installed.get(POD.path(MODELS, "router"))["metadata"]["annotations"]
    assert live == ROUTER["metadata"]["annotations"] | TOLD["metadata"]["annotations"]


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"containers": [{"name": "envoy", "image": "evil.example/miner:1"}]}},
        {"spec": {"activeDeadlineSeconds": 1}},
        {"metadata": {"labels": {LABEL_COMPONENT: COMPONENT_SERVER}}},
        {"metadata": {"labels": {"further": "label"}}},
        {"metadata": {"annotations": {"theirs": "changed"}}},
        {"metadata": {"annotations": {"theirs": None}}},
        {"metadata": {"annotations": {"further": "annotation"}}},
        {"metadata": {"annotations": None}},
        {"metadata": {"finalizers": ["example.com/hangs"]}},
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "y"}]}},
    ],
    ids=[
        "image",
        "deadline",
        "component",
        "label",
        "annotation",
        "no annotation",
        "another",
        "none",
        "finalizer",
        "owner",
    ],
)
def test_anything_else_of_a_pod_is_refused_to_the_operator(installed: Cluster, patch: Object) -> None:
    if installed.get(POD.path(MODELS, "router")) is None:
        installed.create(MODELS, ROUTER, POD)
    before = installed.get(POD.path(MODELS, "router"))
    installed.until(
        lambda: as_the_operator(installed, "router", patch) == 422, f"{patch} is refused", shows=lambda: before
    )
    after = installed.get(POD.path(MODELS, "router"))
    assert [after["spec"], after["metadata"]["labels"]] == [before["spec"], before["metadata"]["labels"]]


def test_an_operator_of_some_namespaces_works_with_rights_in_these_alone(installed: Cluster) -> None:
    cluster = installed
    cluster.make_namespace(TEAM)
    values = {"watchNamespaces": [TEAM], "crds": {"enabled": False}, "rbac": {"aggregateClusterRoles": False}}
    arguments = ("install", install.RELEASE, str(install.CHART), f"--namespace={TENANT}", "--create-namespace")
    cluster.helm(*arguments, "--values=-", stdin=json.dumps(values))
    rights = rights_of(cluster, TENANT)
    assert {right.namespace for right in rights} == {TEAM, TENANT}
    assert {right.resource for right in rights if right.namespace == TENANT} == {"leases"}

    with cluster.operator(TENANT) as operator:
        cluster.create(TEAM, model_deployment("iris"), MODEL_DEPLOYMENT)
        cluster.create(MODELS, model_deployment("not-ours"), MODEL_DEPLOYMENT)
        cluster.until_ready("iris", namespace=TEAM)
        operator.stop()
    assert refused(cluster, TENANT) == []
    assert "status" not in cluster.get(MODEL_DEPLOYMENT.path(MODELS, "not-ours"))


def test_without_the_right_to_routes_the_operator_says_so_and_serves(installed: Cluster) -> None:
    """A role of somebody's own (`rbac.create: false`) that was not kept up to date."""
    cluster = installed
    role = cluster.get(f"{RIGHTS}/clusterroles/{install.RELEASE}")
    role["metadata"].pop("managedFields", None)
    role["rules"] = [rule for rule in role["rules"] if HTTP_ROUTE.plural not in rule["resources"]]
    cluster.kubectl("replace", "-f-", stdin=json.dumps(role))
    try:
        with cluster.operator(SYSTEM) as operator:
            routed = model_deployment("forbidden")
            traffic = {"parentRefs": [{"name": "public"}]}
            cluster.create(MODELS, routed | {"spec": routed["spec"] | {"traffic": traffic}}, MODEL_DEPLOYMENT)
            status = cluster.until_ready("forbidden", namespace=MODELS)["status"]
            told = next(one for one in status["conditions"] if one["type"] == "RouteAccepted")
            assert (told["status"], told["reason"]) == ("False", "GatewayAPIForbidden")
            cluster.delete(MODEL_DEPLOYMENT, MODELS, "forbidden")
            operator.stop()
    finally:
        cluster.install()


def test_uninstalling_leaves_the_models_as_they_are(installed: Cluster) -> None:
    cluster = installed
    with cluster.operator(SYSTEM) as operator:
        cluster.create(MODELS, model_deployment("stays"), MODEL_DEPLOYMENT)
        status = cluster.until_ready("stays", namespace=MODELS)["status"]
        operator.stop()
    cluster.helm("uninstall", install.RELEASE, f"--namespace={SYSTEM}", "--wait")
    try:
        assert cluster.get(MODEL_DEPLOYMENT.path(MODELS, "stays"))["status"] == status
        name = child_name("stays", status["stable"]["revision"])
        assert cluster.get(DEPLOYMENT.path(MODELS, name))["status"]["readyReplicas"] == 1
        assert cluster.get(DEPLOYMENT.path(SYSTEM, install.RELEASE)) is None
        assert rights_of(cluster, SYSTEM) == []
    finally:
        cluster.install()
