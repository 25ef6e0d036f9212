"""ModelDeployments of the end-to-end tests, and what the tests wait for."""

from typing import Any

from hack.demo.kubectl import Kubectl

Object = dict[str, Any]

SMALL = {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "384Mi"}}


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
