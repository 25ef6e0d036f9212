"""ModelDeployments of the end-to-end tests, and what the tests wait for."""

import ssl
from typing import Any

import httpx
import obstore
from hack.demo.kubectl import Kubectl
from kubernetes import config
from obstore.store import S3Store

Object = dict[str, Any]

SMALL = {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "384Mi"}}


class Bucket:
    """A prefix of the bucket `models` that belongs to one test module."""

    def __init__(self, environment: dict[str, str], prefix: str) -> None:
        self._store = S3Store(
            "models",
            endpoint=environment["AWS_ENDPOINT_URL"],
            access_key_id=environment["AWS_ACCESS_KEY_ID"],
            secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region=environment["AWS_REGION"],
            client_options={"allow_http": True},
        )
        self._prefix = prefix

    def put(self, path: str, content: bytes) -> str:
        """Write an object; gives its URI."""
        obstore.put(self._store, f"{self._prefix}/{path}", content)
        return self.uri(path)

    def get(self, path: str) -> bytes:
        """Read an object."""
        return bytes(obstore.get(self._store, f"{self._prefix}/{path}").bytes())

    def remove(self, path: str) -> None:
        obstore.delete(self._store, f"{self._prefix}/{path}")

    def uri(self, path: str) -> str:
        return f"s3://models/{self._prefix}/{path}"

    def clear(self) -> None:
        for page in obstore.list(self._store, prefix=self._prefix):
            obstore.delete(self._store, [entry["path"] for entry in page])


def model_deployment(name: str, uri: str, *, replicas: int = 1, **model: Any) -> Object:
    """A ModelDeployment of the built-in server, small, with the credentials of the module's namespace."""
    return {
        "apiVersion": "modelway.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": {
            "model": {"uri": uri, "credentialsSecretRef": {"name": "s3"}, **model},
            "serving": {"replicas": replicas, "resources": SMALL},
        },
    }


def status_of(kubectl: Kubectl, name: str) -> Object:
    status: Object = kubectl.get("mdep", name).get("status", {})
    return status


def condition(kubectl: Kubectl, name: str, kind: str) -> Object:
    """One condition; empty when it is not there."""
    conditions = status_of(kubectl, name).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), {})


def wait_until_serving(kubectl: Kubectl, name: str, *, version: str | None = None, seconds: float = 180) -> Object:
    """Wait until the spec's revision is the one that serves; gives the status."""

    def serving() -> Object | None:
        obj = kubectl.get("mdep", name)
        status: Object = obj.get("status", {})
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", ()))
        current = status.get("observedGeneration") == obj["metadata"]["generation"] and "candidate" not in status
        right = version is None or status.get("stable", {}).get("version") == version
        return status if ready and current and right else None

    result: Object = kubectl.wait(f"{name} serves", serving, seconds=seconds, show=_everything(name))
    return result


def wait_for_failure(kubectl: Kubectl, name: str, reason: str, *, seconds: float = 120) -> Object:
    """Wait until `status.failure` has `reason`; gives it."""

    def failed() -> Object | None:
        failure: Object = status_of(kubectl, name).get("failure", {})
        return failure if failure.get("reason") == reason else None

    result: Object = kubectl.wait(f"{name} fails with {reason}", failed, seconds=seconds, show=_everything(name))
    return result


def _everything(name: str) -> tuple[str, ...]:
    return "get", "mdep", name, "--output=yaml"


def ask(kubectl: Kubectl, service: str, path: str, body: Any) -> Any:
    """One JSON request through a Service, from outside of the cluster, by the API server's proxy."""
    cluster = config.new_client_from_config(kubectl.kubeconfig).configuration
    answer = httpx.post(
        f"{cluster.host}/api/v1/namespaces/{kubectl.namespace}/services/{service}:http/proxy{path}",
        json=body,
        headers={"Authorization": next(iter(cluster.api_key.values()), "")},
        verify=ssl.create_default_context(cafile=cluster.ssl_ca_cert),
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()
