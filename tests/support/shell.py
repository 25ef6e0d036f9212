"""A user's shell on a real API server, and a status as an operator would write it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hack.local import binaries

from modelway.api.kinds import MODEL_DEPLOYMENT
from support.cluster import Cluster, Deployed, Namespace

_COMMANDS = Path(sys.executable).parent


class Shell:
    """A user's shell: kubectl and modelway in PATH, and a kubeconfig whose context has the test's namespace."""

    def __init__(self, cluster: Cluster, namespace: Namespace, folder: Path, *, user: str = "admin") -> None:
        (folder / "kubectl").symlink_to(binaries.ensure(["kubectl"])["kubectl"])
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(cluster.control_plane.kubeconfig_of(user).read_text())
        self.kubeconfig = str(kubeconfig)
        self._environment = os.environ | {
            "KUBECONFIG": self.kubeconfig,
            "PATH": f"{folder}:{_COMMANDS}:{os.environ['PATH']}",
        }
        self.run("kubectl", "config", "set-context", "--current", f"--namespace={namespace.name}")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, text=True)


def say(deployed: Deployed, told: dict[str, Any]) -> None:
    """Write the status that `told` has."""
    generation = deployed.live["metadata"]["generation"]
    status = told["status"] | {"observedGeneration": generation}
    whole = [{"op": "add", "path": "/status", "value": status}]
    deployed.namespace.patch(MODEL_DEPLOYMENT, deployed.name, whole, subresource="status")
