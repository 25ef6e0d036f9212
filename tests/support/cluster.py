"""A real API server as tests talk to it: objects as JSON, waits with a deadline, and all there is to see when one fails.

`Cluster` wraps a control plane that is shared by the whole session; `Namespace` is one test's part of it. Every request
is made as the administrator; the operator has users of its own, so the audit log tells its writes apart.
"""

import http.client
import json
import ssl
import subprocess
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from hack.local import ControlPlane, binaries, gateway

from modelway.api.crd import render
from modelway.api.kinds import (
    CHILD_KINDS,
    DEPLOYMENT,
    EVENT,
    HTTP_ROUTE,
    JOB,
    LEASE,
    MODEL_DEPLOYMENT,
    OPTIONAL_KINDS,
    POD,
    Kind,
)
from modelway.api.names import CONTAINER_FETCH
from modelway.plan import Object
from support.builders import DIGEST, changed

T = TypeVar("T")

OPERATORS = ("modelway-operator", "replica-a", "replica-b")
"""Users that operators run as."""
NAMESPACE = Kind("v1", "Namespace", "namespaces")
CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions")
REPLICA_SET = Kind("apps/v1", "ReplicaSet", "replicasets")
RESOURCE_QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
LIMIT_RANGE = Kind("v1", "LimitRange", "limitranges")
KINDS = {
    kind.name: kind
    for kind in (
        *(*CHILD_KINDS, *OPTIONAL_KINDS, MODEL_DEPLOYMENT, JOB, POD, EVENT, LEASE),
        *(NAMESPACE, CRD, REPLICA_SET, RESOURCE_QUOTA, LIMIT_RANGE),
    )
}
BY_HAND = {"annotations": {"test.modelway.dev/status": "by-hand"}}
"""A podTemplate whose pods' status is left to the test."""
CRD_NAME = "modeldeployments.modelway.dev"
_WRITES = {"create", "update", "patch", "delete", "deletecollection"}


class Refused(Exception):
    """The API server said no. `code`, and `message` in its own words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Write:
    """One write in the audit log."""

    user: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    at: str

    def __str__(self) -> str:
        what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return f"{self.at} {self.user} {self.verb} {what} {self.namespace}/{self.name} {self.code}"


class Cluster:
    """The control plane of a test session.

    Args:
        control_plane: started, with an audit log.
    """

    def __init__(self, control_plane: ControlPlane) -> None:
        self.control_plane = control_plane
        self.witnesses: list[Callable[[], str]] = []
        """What else is to be shown when a test fails: the last words of the operators that run."""
        url = urllib.parse.urlsplit(control_plane.server)
        self._address = (url.hostname or "", url.port)
        self._tls = ssl.create_default_context(cafile=str(control_plane.certificate_authority))
        self._local = threading.local()
        self._kubectl = binaries.ensure(["kubectl"])["kubectl"]

    # Requests

    def request(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> Any:
        """One request as the administrator; what was answered.

        Raises:
            Refused: the answer is no success.
        """
        headers = {
            "Authorization": f"Bearer {self.control_plane.token_of('admin')}",
            "Content-Type": content_type,
            "Accept": "application/json",
        }
        data = None if body is None else json.dumps(body)
        for attempt in (1, 2):
            connection = self._connection()
            try:
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException):
                connection.close()
                self._local.connection = None
                if attempt == 2:
                    raise
        if answer.status >= 400:
            raise Refused(answer.status, json.loads(text).get("message", "") if text.startswith(b"{") else str(text))
        return json.loads(text)

    def _connection(self) -> http.client.HTTPSConnection:
        if getattr(self._local, "connection", None) is None:
            self._local.connection = http.client.HTTPSConnection(*self._address, timeout=30, context=self._tls)
        connection: http.client.HTTPSConnection = self._local.connection
        return connection

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """An object, or None where there is none."""
        try:
            obj: Object = self.request("GET", kind.path(namespace, name))
        except Refused as error:
            if error.code == 404:
                return None
            raise
        return obj

    def find(self, kind: Kind, namespace: str | None, *, selector: str = "") -> list[Object]:
        query = f"?labelSelector={urllib.parse.quote(selector)}" if selector else ""
        items: list[Object] = self.request("GET", kind.path(namespace) + query)["items"]
        return items

    def create(self, obj: Object, *, strict: bool = False) -> Object:
        query = "?fieldValidation=Strict" if strict else ""
        path = KINDS[obj["kind"]].path(obj["metadata"].get("namespace")) + query
        created: Object = self.request("POST", path, obj)
        return created

    def patch(self, kind: Kind, namespace: str | None, name: str, patch: Any, *, subresource: str = "") -> Object:
        """A merge patch, or, given a list, a JSON patch."""
        content_type = f"application/{'json' if isinstance(patch, list) else 'merge'}-patch+json"
        path = kind.path(namespace, name) + (f"/{subresource}" if subresource else "")
        patched: Object = self.request("PATCH", path, patch, content_type=content_type)
        return patched

    def delete(self, kind: Kind, namespace: str | None, name: str) -> None:
        """Delete an object; nothing there is fine."""
        try:
            self.request("DELETE", kind.path(namespace, name), {"propagationPolicy": "Background"})
        except Refused as error:
            if error.code != 404:
                raise

    def kubectl(self, *arguments: str, given: Object | None = None, user: str = "admin") -> subprocess.CompletedProcess:
        """Kubectl as a user would call it; with `given` on its standard input."""
        command = [str(self._kubectl), f"--kubeconfig={self.control_plane.kubeconfig_of(user)}", *arguments]
        text = None if given is None else yaml.safe_dump(given)
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)

    # The audit log

    def mark(self) -> int:
        """A place in the audit log: now."""
        return self.control_plane.audit_log.stat().st_size

    def writes(self, mark: int, *, users: Sequence[str] = OPERATORS, leases: bool = False) -> list[Write]:
        """The writes of `users` since `mark`, refused ones included; renewals of leases only when asked for."""
        with self.control_plane.audit_log.open("rb") as log:
            log.seek(mark)
            entries = [json.loads(line) for line in log if line.endswith(b"\n")]
        found = [_write_of(entry) for entry in entries if entry["verb"] in _WRITES and entry["stage"] != "Panic"]
        return [write for write in found if write.user in users and (leases or write.resource != "leases")]

    # Namespaces and the CRD

    @contextmanager
    def namespace(self) -> Iterator["Namespace"]:
        """A namespace of its own, deleted with all that is in it."""
        name = f"t-{uuid.uuid4().hex[:8]}"
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        try:
            yield Namespace(self, name)
        finally:
            self.request("DELETE", MODEL_DEPLOYMENT.path(name))
            self.delete(NAMESPACE, None, name)

    def install_crd(self) -> None:
        """The CRD as the models say, established."""
        try:
            self.create(render())
        except Refused as error:
            if error.code != 409:
                raise
        self.wait_for(self._is_established, what="the CRD is established")
        self.wait_for(lambda: self.serves(MODEL_DEPLOYMENT), what="ModelDeployments are served")

    def remove_crd(self) -> None:
        """Delete the CRD, and with it all ModelDeployments."""
        self.delete(CRD, None, CRD_NAME)
        self.wait_for(lambda: self.get(CRD, None, CRD_NAME) is None, what="the CRD is gone")
        self.wait_for(lambda: not self.serves(MODEL_DEPLOYMENT), what="ModelDeployments are served no more")

    def install_gateway_api(self) -> None:
        """The standard CRDs of the Gateway API, and no controller for them."""
        for crd in yaml.load_all(gateway.gateway_api_crds(), yaml.CSafeLoader):
            self.create(crd)
        self.wait_for(lambda: self.serves(HTTP_ROUTE), what="HTTPRoutes are served")

    def remove_gateway_api(self) -> None:
        """Delete them, and with them all objects of their kinds."""
        names = [crd["metadata"]["name"] for crd in yaml.load_all(gateway.gateway_api_crds(), yaml.CSafeLoader)]
        for name in names:
            self.delete(CRD, None, name)
        # The API server tries again after a minute when an operator has made a route in between.
        self.wait_for(
            lambda: not any(self.get(CRD, None, name) for name in names), what="the CRDs are gone", seconds=180
        )
        self.wait_for(lambda: not self.serves(HTTP_ROUTE), what="HTTPRoutes are served no more")

    def _is_established(self) -> bool:
        crd = self.get(CRD, None, CRD_NAME) or {}
        conditions = crd.get("status", {}).get("conditions") or ()
        return any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions)

    def serves(self, kind: Kind) -> bool:
        try:
            self.find(kind, None)
        except Refused:
            return False
        return True

    # Waiting

    def wait_for(
        self,
        condition: Callable[[], T],
        *,
        what: str,
        seconds: float = 90,
        namespace: str | None = None,
        interval: float = 0.05,
    ) -> T:
        """The first true answer of `condition`; else fails, with everything that can be seen."""
        deadline = time.monotonic() + seconds
        while not (answer := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {seconds:g} s\n{self.describe(namespace)}")
            time.sleep(interval)
        return answer

    def describe(self, namespace: str | None) -> str:
        """The resources as YAML, what belongs to them, and the operators' last words."""
        parts = []
        if namespace is not None:
            for resource in self.find(MODEL_DEPLOYMENT, namespace):
                resource["metadata"].pop("managedFields", None)
                parts.append(yaml.safe_dump(resource, sort_keys=False))
            for kind in (*CHILD_KINDS, POD):
                parts += [_one_line(kind, obj) for obj in self.find(kind, namespace)]
        parts += [witness() for witness in self.witnesses]
        return "\n".join(parts)


class Namespace:
    """One test's part of the cluster. Names of objects are within it."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def deploy(self, spec: Object | None = None, *, name: str = "fraud") -> "Deployed":
        """Create a ModelDeployment."""
        body = {
            "apiVersion": "modelway.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": name, "namespace": self.name},
            "spec": spec if spec is not None else spec_of(),
        }
        self.cluster.create(body, strict=True)
        return Deployed(self, name)

    def create(self, obj: Object) -> Object:
        """Create any other object here."""
        return self.cluster.create(obj | {"metadata": obj["metadata"] | {"namespace": self.name}})

    def get(self, kind: Kind, name: str) -> Object | None:
        return self.cluster.get(kind, self.name, name)

    def find(self, kind: Kind, *, selector: str = "") -> list[Object]:
        return self.cluster.find(kind, self.name, selector=selector)

    def patch(self, kind: Kind, name: str, patch: Any, *, subresource: str = "") -> Object:
        return self.cluster.patch(kind, self.name, name, patch, subresource=subresource)

    def delete(self, kind: Kind, name: str) -> None:
        self.cluster.delete(kind, self.name, name)

    def wait_for(self, condition: Callable[[], T], *, what: str, seconds: float = 90) -> T:
        return self.cluster.wait_for(condition, what=what, seconds=seconds, namespace=self.name)

    def writes(self, mark: int, *, users: Sequence[str] = OPERATORS) -> list[Write]:
        """What operators wrote here since `mark`."""
        return [write for write in self.cluster.writes(mark, users=users) if write.namespace == self.name]

    def rest(self, *, seconds: float = 1.5) -> int:
        """A place in the audit log: no operator has written here for a while."""
        since = [self.cluster.mark(), time.monotonic()]

        def is_quiet() -> bool:
            if self.writes(int(since[0])):
                since[:] = [self.cluster.mark(), time.monotonic()]
            return time.monotonic() - since[1] >= seconds

        self.wait_for(is_quiet, what=f"nothing is written for {seconds:g} s")
        return self.cluster.mark()

    def children(self) -> dict[tuple[str, str], Object]:
        """All children of all ModelDeployments here, as they are, by kind and name."""
        found = [(kind, obj) for kind in CHILD_KINDS for obj in self.find(kind)]
        return {(kind.name, obj["metadata"]["name"]): obj for kind, obj in found if _is_child(obj)}


class Deployed:
    """A ModelDeployment on the cluster."""

    def __init__(self, namespace: Namespace, name: str) -> None:
        self.namespace = namespace
        self.name = name

    @property
    def live(self) -> Object:
        obj = self.namespace.get(MODEL_DEPLOYMENT, self.name)
        assert obj is not None, f"ModelDeployment {self.name} is gone"
        return obj

    @property
    def status(self) -> Object:
        status: Object = self.live.get("status", {})
        return status

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition; empty while there is none."""
        found = [one for one in self.status.get("conditions", ()) if one["type"] == kind]
        return (found[0]["status"], found[0]["reason"]) if found else ("", "")

    def edit(self, **fields: Any) -> int:
        """Change the spec, `edit(model__version="2")`; gives the new generation."""
        patch: Object = {}
        for path, value in fields.items():
            *way, last = path.split("__")
            inner = patch
            for step in way:
                inner = inner.setdefault(step, {})
            inner[last] = value
        generation: int = self.namespace.patch(MODEL_DEPLOYMENT, self.name, {"spec": patch})["metadata"]["generation"]
        return generation

    def delete(self) -> None:
        self.namespace.delete(MODEL_DEPLOYMENT, self.name)

    def wait(self, condition: Callable[[Object], Any], *, what: str, seconds: float = 90) -> Object:
        """Wait until `condition` holds of the status; gives the status."""

        def answer() -> Object | None:
            status = self.status
            return status if status and condition(status) else None

        found = self.namespace.wait_for(answer, what=f"{self.name}: {what}", seconds=seconds)
        assert found is not None
        return found

    def wait_until_served(self, *, seconds: float = 90) -> Object:
        """Wait until the present spec serves with all its pods, and all is told."""
        generation = self.live["metadata"]["generation"]

        def serves(status: Object) -> bool:
            stable = status.get("stable", {})
            return (
                status.get("observedGeneration", 0) >= generation
                and is_true(status, "Ready")
                and "candidate" not in status
                and stable.get("replicas") == stable.get("readyReplicas")
            )

        return self.wait(serves, what=f"generation {generation} serves", seconds=seconds)

    def wait_for_failure(self, reason: str, *, seconds: float = 90) -> Object:
        """Wait for `status.failure` with that reason; gives it."""
        failure: Object = self.wait(
            lambda status: status.get("failure", {}).get("reason") == reason,
            what=f"fails with {reason}",
            seconds=seconds,
        )["failure"]
        return failure

    def deployment(self, revision: str | None = None) -> Object:
        """The Deployment of a revision; of the stable one unless said otherwise."""
        name = f"{self.name}-{revision or self.status['stable']['revision']}"
        found = self.namespace.get(DEPLOYMENT, name)
        assert found is not None, f"there is no Deployment {name}"
        return found

    def say(self, pod: Object, *containers: Object, ready: bool = False, conditions: Sequence[Object] = ()) -> None:
        """What a kubelet would say of a pod; for pods whose status is left to the test (`BY_HAND`)."""
        told = [one | {"image": "a", "imageID": "a", "restartCount": 0} for one in containers]
        init = [one for one in told if one["name"] == CONTAINER_FETCH]
        status = {
            "phase": "Running" if ready else "Pending",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}, *conditions],
            "initContainerStatuses": init,
            "containerStatuses": [one for one in told if one not in init],
        }
        self.namespace.patch(POD, pod["metadata"]["name"], {"status": status}, subresource="status")

    def pods(self, revision: str | None = None) -> list[Object]:
        """Pods that are not on their way out."""
        selector = f"modelway.dev/name={self.name}" + (f",modelway.dev/revision={revision}" if revision else "")
        pods = self.namespace.find(POD, selector=selector)
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def spec_of(**fields: Any) -> Object:
    """A spec that a simulated kubelet can serve: pinned, for it fetches no model. `spec_of(model__version="2")`."""
    base = {
        "model": {"uri": "s3://models/fraud/1/", "format": "onnx", "digest": DIGEST},
        "serving": {"replicas": 2, "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}},
    }
    return changed(base, {path.replace("__", "."): value for path, value in fields.items()})


def is_true(status: Object, kind: str) -> bool:
    return any(one["type"] == kind and one["status"] == "True" for one in status.get("conditions", ()))


def content(obj: Object) -> Object:
    """What an object is, without what every write changes."""
    transient = {"resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"}
    metadata = {key: value for key, value in obj["metadata"].items() if key not in transient}
    annotations = {
        key: value for key, value in metadata.get("annotations", {}).items() if not key.startswith("deployment.k")
    }
    kept = obj | {"metadata": metadata | {"annotations": annotations}}
    kept.pop("status", None)
    spec = {key: value for key, value in kept.get("spec", {}).items() if key not in {"clusterIP", "clusterIPs"}}
    return kept | ({"spec": spec} if spec else {})


def _is_child(obj: Object) -> bool:
    references = obj["metadata"].get("ownerReferences", ())
    return any(reference["kind"] == MODEL_DEPLOYMENT.name for reference in references)


def _write_of(entry: Any) -> Write:
    reference = entry.get("objectRef", {})
    return Write(
        user=entry["user"]["username"],
        verb=entry["verb"],
        resource=reference.get("resource", ""),
        subresource=reference.get("subresource", ""),
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        code=entry.get("responseStatus", {}).get("code", 0),
        at=entry["requestReceivedTimestamp"],
    )


def _one_line(kind: Kind, obj: Object) -> str:
    metadata, status = obj["metadata"], obj.get("status", {})
    told = {key: status[key] for key in ("phase", "readyReplicas", "reason") if key in status}
    conditions = [f"{one['type']}={one['status']}" for one in status.get("conditions", ())]
    leaving = " leaving" if "deletionTimestamp" in metadata else ""
    return f"{kind.name} {metadata['name']}{leaving} {told} {' '.join(conditions)}"
