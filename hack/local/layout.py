"""Names and places of the one local cluster that a machine can have. All of them go with `down`; only caches stay."""

import contextlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .binaries import cache_directory

ROOT = Path(__file__).resolve().parent.parent.parent
STATE = Path("/var/lib/modelway-local")
RUN = Path("/run/modelway-local")
CGROUP = "modelway-local"
BRIDGE = "mw-local"
NAMESPACE = "modelway-local"
"""The Kubernetes namespace of what belongs to the cluster and not to modelway: the S3 server's Service and Secret."""

OUTPUT = ROOT / ".local"
"""In the tree, ignored by Git: what a person or a test uses to get at the cluster."""


@dataclass(frozen=True, slots=True)
class NodePlaces:
    """Where one node keeps its things. Sockets are in /run, as their paths must be short."""

    name: str

    @property
    def state(self) -> Path:
        return STATE / self.name

    @property
    def run(self) -> Path:
        return RUN / self.name

    @property
    def containerd_root(self) -> Path:
        return self.state / "containerd"

    @property
    def containerd_state(self) -> Path:
        return self.run / "containerd"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def runc_root(self) -> Path:
        return self.run / "runc"

    @property
    def kubelet_root(self) -> Path:
        return self.state / "kubelet"

    @property
    def pod_logs(self) -> Path:
        return self.state / "pod-logs"

    @property
    def config(self) -> Path:
        return self.state / "config"

    @property
    def network_namespace(self) -> str:
        return f"modelway-{self.name}"

    @property
    def cgroup(self) -> str:
        """Below each control-group root, and the kubelet's `cgroupRoot`."""
        return f"/{CGROUP}/{self.name}"


def image_cache() -> Path:
    """Archives of images that are made once and loaded into every new cluster."""
    return cache_directory() / "images"


def link_tools(tools: Mapping[str, Path]) -> None:
    """Puts the command line tools at hand, in the versions that fit the cluster.

    Under sudo they are copied: the cache is root's then, and the user cannot follow a link into it.
    """
    for name, target in tools.items():
        link = OUTPUT / "bin" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        if "SUDO_UID" in os.environ:
            shutil.copy(target, link)
        else:
            link.symlink_to(target)


def hand_over_outputs(environment: Mapping[str, str]) -> None:
    """Under sudo, gives what is in the tree to the user who called it: they are the ones to use it."""
    if "SUDO_UID" not in environment:
        return
    owner = int(environment["SUDO_UID"]), int(environment["SUDO_GID"])
    for path in (OUTPUT, *OUTPUT.rglob("*")):
        os.chown(path, *owner, follow_symlinks=False)


def remove_outputs() -> None:
    """Removes what the cluster put into the tree."""
    for name in ("kubeconfig", "s3.env", "images.env", "bin/kubectl", "bin/helm"):
        (OUTPUT / name).unlink(missing_ok=True)
    for folder in (OUTPUT / "bin", OUTPUT):
        with contextlib.suppress(OSError):  # somebody keeps something else there
            folder.rmdir()
