"""A real node: containerd, kubelet and kube-proxy in a network namespace of their own."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from . import binaries, cgroups, layout, nodeconfig
from .addresses import AddressPlan
from .commands import attempt, run, succeeds
from .controlplane import ControlPlane
from .files import write_json, write_text
from .layout import NodePlaces
from .processes import Processes

PROGRAMS = ("containerd", "kubelet", "kube-proxy")


class Node:
    """The node of this number, from 1. Its programs start one by one, each idempotently."""

    def __init__(
        self, number: int, *, plan: AddressPlan, processes: Processes, control_plane: ControlPlane, sandbox_image: str
    ) -> None:
        self.places = places_of(number)
        self._number = number
        self._plan = plan
        self._processes = processes
        self._control_plane = control_plane
        self._sandbox_image = sandbox_image

    @property
    def name(self) -> str:
        return self.places.name

    def start_containerd(self) -> None:
        """Returns when it answers."""
        cgroups.make(self.places)
        self.places.config.mkdir(parents=True, exist_ok=True)
        self.places.run.mkdir(parents=True, exist_ok=True, mode=0o711)
        toml = nodeconfig.containerd(self.places, sandbox_image=self._sandbox_image)
        config = write_text(self.places.config / "containerd.toml", toml)
        write_json(
            self.places.config / "cni" / "10-bridge.conflist",
            nodeconfig.cni(self.places, self._plan, self._number),
        )
        self._start("containerd", ["containerd", "--config", config], reads=config)
        self._processes.wait_for(self._process("containerd"), self._answers, seconds=30)

    def load(self, archive: Path) -> None:
        """Imports the images of an OCI archive."""
        run(*self._ctr("images", "import", "--all-platforms", str(archive)))

    def images(self) -> set[str]:
        """The names of the images it has."""
        return set(run(*self._ctr("images", "list", "--quiet")).split())

    def start_kubelet(self) -> None:
        config = self.places.config
        write_text(config / "resolv.conf", "")  # a pod that asks for the node's resolver gets none: no name leaves
        kubelet = nodeconfig.kubelet(
            self.places, self._plan, self._number, authority=self._control_plane.certificate_authority
        )
        file = write_json(config / "kubelet.json", kubelet)
        self._start(
            "kubelet",
            [
                binaries.path_of("kubelet"),
                f"--config={file}",
                f"--kubeconfig={self._control_plane.kubeconfig_of(f'system:node:{self.name}')}",
                f"--root-dir={self.places.kubelet_root}",
                f"--cert-dir={self.places.kubelet_root / 'pki'}",
                f"--hostname-override={self.name}",
                f"--node-ip={self._plan.node(self._number)}",
            ],
            reads=file,
        )

    def start_kube_proxy(self) -> None:
        proxy = nodeconfig.kube_proxy(
            kubeconfig=self._control_plane.kubeconfig_of("system:kube-proxy"),
            plan=self._plan,
            number=self._number,
            name=self.name,
        )
        config = write_json(self.places.config / "kube-proxy.json", proxy)
        command = (binaries.path_of("kube-proxy"), f"--config={config}")
        self._start("kube-proxy", command, reads=config, prepare=self._forget_services)

    def _forget_services(self) -> None:
        """Removes the rules of the kube-proxy before.

        It empties the chain of an endpoint that went away and deletes it later. A new one takes each chain that is
        there for a filled one, so an endpoint that came back in between, as the API server's own does when both are
        restarted, would refuse connections for good.
        """
        for family in ("ip", "ip6"):
            attempt("nft", "delete", "table", family, "kube-proxy", namespace=self.places.network_namespace)

    def _answers(self) -> bool:
        return succeeds(*self._ctr("version"))

    def _ctr(self, *arguments: str) -> list[str]:
        return ["ctr", "--address", str(self.places.containerd_socket), "--namespace", "k8s.io", *arguments]

    def _process(self, program: str) -> str:
        return f"{self.name}-{program}"

    def _start(
        self,
        program: str,
        command: Sequence[str | Path],
        *,
        reads: Path,
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        namespace = self.places.network_namespace
        name = self._process(program)
        self._processes.start(name, command, reads=[reads], prepare=prepare, network_namespace=namespace)


def places_of(number: int) -> NodePlaces:
    return NodePlaces(f"node-{number}")


def users(count: int) -> dict[str, Sequence[str]]:
    """Who the nodes' programs are to the API server."""
    kubelets = {f"system:node:{places_of(number).name}": ("system:nodes",) for number in range(1, count + 1)}
    return {**kubelets, "system:kube-proxy": ()}


def remove_traces() -> None:
    """Removes what the programs keep where no flag can move it. Called before the nodes' own folders go."""
    results = Path("/var/lib/cni/results")
    for sandbox in _sandboxes(results):
        for path in results.glob(f"*-{sandbox}-*"):
            path.unlink(missing_ok=True)
    logs = Path("/var/log/containers")
    for link in logs.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(layout.STATE):
            link.unlink()
    for folder in (results, results.parent, logs, Path("/run/containerd/s"), Path("/run/containerd")):
        with contextlib.suppress(OSError):  # not there, or somebody else's things are in it
            folder.rmdir()


def _sandboxes(results: Path) -> set[str]:
    """The pods' ids: those that containerd has a folder of, and those that had a place in the cluster's network."""
    known = {path.name for path in layout.RUN.glob("*/containerd/io.containerd.grpc.v1.cri/sandboxes/*")}
    for path in results.glob("modelway-local-node-*"):
        known.add(path.name.split("-")[-2])
    return known
