"""What the demo does to the cluster, by kubectl: the same commands that a reader would type."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent.parent
_KUBECTL = _ROOT / ".local" / "bin" / "kubectl"

Object = dict[str, Any]


class KubectlError(RuntimeError):
    """kubectl said no; the message is its own."""


class NotInTimeError(RuntimeError):
    """A condition did not come true in time; the message shows the object."""


class Kubectl:
    """kubectl in one namespace of one cluster."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._binary = str(_KUBECTL) if _KUBECTL.exists() else "kubectl"
        self.kubeconfig = os.environ.get("KUBECONFIG") or str(_ROOT / ".local" / "kubeconfig")
        path = f"{Path(self._binary).parent}:{os.environ['PATH']}"
        self.environment = os.environ | {"KUBECONFIG": self.kubeconfig, "PATH": path}
        """For other programs that are to talk to the same cluster."""

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace; gives what it prints."""
        done = subprocess.run(
            [self._binary, "--namespace", self.namespace, *arguments],
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def get(self, kind: str, name: str) -> Object:
        """One object."""
        obj: Object = json.loads(self.run("get", kind, name, "--output", "json"))
        return obj

    def list(self, kind: str, selector: str) -> list[Object]:
        """Objects by label."""
        items: list[Object] = json.loads(self.run("get", kind, "--selector", selector, "--output", "json"))["items"]
        return items

    def apply(self, *objects: Object) -> None:
        """Apply objects as they are."""
        manifest = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.run("apply", "--filename", "-", stdin=json.dumps(manifest))

    def wait(self, what: str, holds: Callable[[], Any], *, seconds: float, show: tuple[str, ...]) -> Any:
        """Wait until `holds` gives something true; gives that. On failure shows what `kubectl *show` prints."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if result := holds():
                return result
            time.sleep(0.5)
        raise NotInTimeError(f"{what}: not within {seconds:.0f} s\n{self.run(*show)}")
