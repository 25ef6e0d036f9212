"""A steady load from inside the cluster, by `examples/load.py` in a pod of its own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hack.demo.kubectl import Kubectl

_SCRIPT = Path(__file__).resolve().parent.parent.parent / "examples" / "load.py"


class ClusterLoad:
    """One load; starts when made and ends by itself after `seconds`. Posts `bodies` in turn, or the one `body`."""

    def __init__(
        self,
        kubectl: Kubectl,
        *,
        name: str,
        image: str,
        url: str,
        body: Any = None,
        bodies: Sequence[Any] = (),
        connections: int = 8,
        rate: float,
        seconds: float,
        count_by: str = "",
    ) -> None:
        self._kubectl = kubectl
        self._name = name
        self._seconds = seconds
        arguments = [
            "/load/load.py",
            f"--url={url}",
            "--bodies=/load/bodies.json",
            f"--connections={connections}",
            f"--rate={rate}",
            f"--seconds={seconds}",
            f"--count-by={count_by}",
        ]
        self.stop()
        kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name},
                "data": {"load.py": _SCRIPT.read_text(), "bodies.json": json.dumps(list(bodies) or [body])},
            },
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "labels": {"app": name}},
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "activeDeadlineSeconds": int(seconds) + 120,
                    "containers": [
                        {
                            "name": "load",
                            "image": image,
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["python3", *arguments],
                            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
                            "volumeMounts": [{"name": "load", "mountPath": "/load"}],
                        }
                    ],
                    "volumes": [{"name": "load", "configMap": {"name": name}}],
                },
            },
        )

    def counts(self) -> dict[str, Any]:
        """The counts so far; empty before the first second is over."""
        lines = self._kubectl.run("logs", self._name, "--tail=1", "--ignore-errors").strip().splitlines()
        try:
            counts: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        except ValueError:
            return {}
        return counts

    def started(self) -> dict[str, Any]:
        """Wait until requests are being answered."""
        return self._waited("the load has begun", lambda: self.counts() if self.counts().get("requests") else {}, 90)

    def finish(self) -> dict[str, Any]:
        """Wait until the load is over; gives its counts."""
        return self._waited(
            "the load is over", lambda: self.counts() if self.counts().get("done") else {}, self._seconds + 60
        )

    def stop(self) -> None:
        """Remove the pod and its script."""
        self._kubectl.run("delete", "pod,configmap", self._name, "--ignore-not-found", "--grace-period=0", "--wait")

    def _waited(self, what: str, holds: Any, seconds: float) -> dict[str, Any]:
        result: dict[str, Any] = self._kubectl.wait(what, holds, seconds=seconds, show=("describe", "pod", self._name))
        return result
