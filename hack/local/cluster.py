"""The whole local cluster: up, down and status.

`up` may be run at any time: it starts what does not run and leaves the rest alone, after a killed run and a reboot too.
`down` may be run at any time as well, removes everything but the caches, and says so when something is left.
"""

import json
import os
import platform
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from . import addons, binaries, cgroups, gateway, kernel, kwok, layout, mounts, network, node, packages, s3, shims
from .addresses import DEFAULT_RANGE, AddressPlan
from .certificates import Tokens
from .components import Endpoints
from .controlplane import DEFAULT_USERS, ControlPlane
from .errors import LocalClusterError
from .files import write_json, write_private
from .locks import exclusive
from .node import Node
from .processes import boot_id
from .progress import Say
from .waiting import wait_until

_SETTINGS = layout.STATE / "settings.json"
_KERNEL = layout.STATE / "kernel.json"
_KUBELET_FOLDER = Path("/var/lib/kubelet")
_KUBELET_FOLDER_IS_OURS = layout.STATE / "kubelet-folder-is-ours"
_BOOT = layout.STATE / "boot"
_ENDPOINTS = {"apiserver": 6443, "etcd": 2379, "etcd_peer": 2380}

_ON_DEMAND = {"kwok", "contour"}
"""Built when somebody asks for simulated nodes, or for a Gateway."""

# Deviations from Kubernetes' defaults, so that a demonstration of autoscaling takes seconds and not minutes.
_FASTER_AUTOSCALING = (
    "--horizontal-pod-autoscaler-sync-period=5s",
    "--horizontal-pod-autoscaler-initial-readiness-delay=10s",
    "--horizontal-pod-autoscaler-cpu-initialization-period=30s",
)


class Cluster:
    """The cluster of this machine, running or not; made by `existing_or`."""

    def __init__(self, *, nodes: int, plan: AddressPlan, say: Say) -> None:
        self.plan = plan
        self._say = say
        self.control_plane = ControlPlane(
            layout.STATE,
            address=plan.machine,
            endpoints=Endpoints(address=plan.machine, **_ENDPOINTS),
            service_range=str(plan.service_range),
            users={**DEFAULT_USERS, **node.users(nodes)},
            durable=True,
            controller_manager_flags=_FASTER_AUTOSCALING,
            say=say,
        )
        self.processes = self.control_plane.processes
        self.storage = s3.S3(
            address=plan.machine,
            folder=layout.STATE / "s3",
            credentials=s3.Credentials.of(Tokens(layout.STATE / "s3-credentials.json")),
            processes=self.processes,
        )
        self.nodes = [
            Node(
                number,
                plan=plan,
                processes=self.processes,
                control_plane=self.control_plane,
                sandbox_image=addons.image("pause"),
            )
            for number in range(1, nodes + 1)
        ]

    def start(self) -> None:
        """Starts what does not run and returns when pods can be used."""
        kernel.prepare(_KERNEL)
        network.set_up(self.plan, [each.places for each in self.nodes])
        archive = addons.ensure_archive()
        self.control_plane.start()
        self.storage.start()
        self._say(f"S3 answers on {self.storage.endpoint}")
        self._on_all_nodes(lambda each: self._start_node(each, archive))
        kubeconfig = self.write_outputs()
        addons.apply(
            addons.manifests(plan=self.plan, nodes=len(self.nodes), credentials=self.storage.credentials),
            kubeconfig=kubeconfig,
        )
        self._say("waiting for the nodes, DNS and metrics …")
        self._wait_for_nodes()
        self._say(f"nodes Ready: {len(self.nodes)}")
        self._wait_for_deployment("coredns")
        self._say("DNS answers")
        self._wait_for_metrics()
        self._say("the metrics API answers")

    def write_outputs(self) -> Path:
        """What people and tests use: kubeconfig, S3 credentials, kubectl and helm. Gives the kubeconfig."""
        layout.OUTPUT.mkdir(exist_ok=True)
        kubeconfig = write_private(layout.OUTPUT / "kubeconfig", self.control_plane.kubeconfig.read_text())
        self.storage.credentials.write_environment(layout.OUTPUT / "s3.env", endpoint=self.storage.endpoint)
        layout.link_tools({name: binaries.path_of(name) for name in ("kubectl", "helm")})
        return kubeconfig

    def load(self, archive: Path) -> None:
        """Gives all nodes the images of an OCI archive."""
        self._on_all_nodes(lambda each: each.load(archive))

    def images(self) -> set[str]:
        """The images that every node has."""
        return set.intersection(*(each.images() for each in self.nodes))

    def start_kwok(self, nodes: int) -> None:
        self.control_plane.start_kwok(nodes, taints=[kwok.TAINT])

    def stop_kwok(self) -> None:
        kwok.remove_nodes(self.control_plane.api)
        self.processes.stop("kwok")

    def start_gateway(self) -> gateway.Gateway:
        """A Gateway that leads to the cluster's Services; returns when it is programmed."""
        found = self._gateway()
        found.start(self._say)
        return found

    def stop_gateway(self) -> None:
        self._gateway().stop()

    def _gateway(self) -> gateway.Gateway:
        return gateway.Gateway(
            address=self.plan.machine,
            folder=layout.STATE / "gateway",
            kubeconfig=self.control_plane.kubeconfig,
            processes=self.processes,
        )

    def program_names(self) -> list[str]:
        """All that should run, in the order it starts."""
        control_plane = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "s3"]
        return [*control_plane, *(f"{each.name}-{program}" for each in self.nodes for program in node.PROGRAMS)]

    def _start_node(self, each: Node, archive: Path) -> None:
        each.start_containerd()
        if not addons.image_names() <= each.images():
            each.load(archive)
        each.start_kubelet()
        each.start_kube_proxy()
        self._say(f"{each.name}: containerd, kubelet and kube-proxy run")

    def _on_all_nodes(self, work: Callable[[Node], None]) -> None:
        """At the same time, as a containerd unpacks with one processor. Raises the first error when all have ended."""
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(work, each) for each in self.nodes]:
                done.result()

    def _wait_for_nodes(self) -> None:
        """Starts a kubelet again that ended, as an init system would.

        containerd opens its socket before it has found its pods of before again; a kubelet that comes in between ends.
        """
        names = {each.name for each in self.nodes}

        def all_ready() -> bool:
            self._on_all_nodes(Node.start_kubelet)
            items = self.control_plane.api.get("/api/v1/nodes")["items"]
            return names <= {item["metadata"]["name"] for item in items if kwok.is_ready(item)}

        wait_until(all_ready, what="all nodes are Ready", seconds=90, interval=0.3, details=self._words_of_nodes)

    def _wait_for_deployment(self, name: str) -> None:
        path = f"/apis/apps/v1/namespaces/kube-system/deployments/{name}"

        def available() -> bool:
            deployment = self.control_plane.api.get(path)
            status = deployment.get("status", {})
            seen: bool = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
            wanted = deployment["spec"]["replicas"]
            return seen and {status.get("updatedReplicas"), status.get("availableReplicas")} == {wanted}

        wait_until(available, what=f"{name} is available", seconds=120, interval=0.3, details=self._words_of_nodes)

    def _wait_for_metrics(self) -> None:
        names = {each.name for each in self.nodes}

        def all_measured() -> bool:
            answer = self.control_plane.api.request("GET", "/apis/metrics.k8s.io/v1beta1/nodes")
            return answer.ok and names <= {item["metadata"]["name"] for item in answer.json()["items"]}

        wait_until(
            all_measured, what="the metrics API tells of all nodes", seconds=120, interval=0.5,
            details=self._words_of_nodes,
        )  # fmt: skip

    def _words_of_nodes(self) -> str:
        pods = self.control_plane.api.get("/api/v1/namespaces/kube-system/pods")["items"]
        lines = [f"pod {pod['metadata']['name']}: {json.dumps(pod.get('status', {}))[:600]}" for pod in pods]
        return "\n".join([*lines, *(self.processes.last_words(f"{each.name}-kubelet") for each in self.nodes)])


def existing(say: Say) -> Cluster | None:
    """The cluster of this machine as it was made, or None where there is none."""
    if not _SETTINGS.exists():
        return None
    settings = json.loads(_SETTINGS.read_text())
    return Cluster(nodes=settings["nodes"], plan=AddressPlan.of(settings["network"]), say=say)


def up(*, nodes: int | None, say: Say) -> Cluster:
    """Starts the cluster, or what of it does not run. `nodes` is for a new one; default 2."""
    check_machine()
    packages.ensure(packages.FOR_CLUSTER, say)
    binaries.ensure([name for name in binaries.NAMES if name not in _ON_DEMAND], say)
    with _lock(say):
        _forget_before_reboot()
        cluster = existing(say)
        if cluster and nodes and nodes != len(cluster.nodes):
            raise LocalClusterError(
                f"The cluster has {len(cluster.nodes)} node(s), not {nodes}: run make cluster-down first."
            )
        if cluster is None:
            cluster = _new(nodes or 2, os.environ.get("MODELWAY_LOCAL_NETWORK", DEFAULT_RANGE), say)
        cluster.start()
        return cluster


def _new(nodes: int, network_range: str, say: Say) -> Cluster:
    plan = AddressPlan.of(network_range)
    plan.pods(nodes)  # says no to a wrong number before anything is written
    if not _KUBELET_FOLDER.exists():
        _KUBELET_FOLDER_IS_OURS.touch()
    write_json(_SETTINGS, {"nodes": nodes, "network": network_range})
    return Cluster(nodes=nodes, plan=plan, say=say)


def down(say: Say) -> None:
    """Ends and removes everything. Raises LocalClusterError with what is left, if anything is."""
    check_machine()
    with _lock(say):
        processes = ControlPlane(layout.STATE).processes if layout.STATE.exists() else None
        if processes:
            say("stopping the cluster's processes …")
            # The kubelets first, or they would start again what ends below them.
            for name in sorted(processes.names(), key=lambda name: "kubelet" not in name):
                processes.stop(name, kill=True)
        cgroups.kill_all()
        shims.kill_all()
        shims.remove_sockets()
        mounts.unmount_below(layout.STATE, layout.RUN)
        if shutil.which("ip"):
            network.tear_down()
        cgroups.remove_all()
        kernel.restore(_KERNEL)
        node.remove_traces()
        # The kubelet's plugin folder has a fixed place; where the file is missing, it was there before the cluster.
        ours = [_KUBELET_FOLDER] if _KUBELET_FOLDER_IS_OURS.exists() else []
        say("removing its files: every image is unpacked on every node …")
        for folder in (*ours, layout.RUN, layout.STATE):
            shutil.rmtree(folder, ignore_errors=True)
        layout.remove_outputs()
        if left := leftovers():
            raise LocalClusterError("left behind: " + ", ".join(left))
        say("nothing of the cluster is left (binaries and images stay in the cache)")


def leftovers() -> list[str]:
    """What of a cluster is on this machine; empty after `down`."""
    found = [f"process {pid}" for pid in shims.running()]
    found += [f"control group {path}" for path in cgroups.leftovers()]
    found += [f"mount {path}" for path in mounts.below(layout.STATE, layout.RUN)]
    found += [str(folder) for folder in (layout.STATE, layout.RUN) if folder.exists()]
    return found + (network.leftovers() if shutil.which("ip") else [])


def check_machine() -> None:
    """Says in one sentence what stands in the way, before anything is done."""
    if platform.system() != "Linux":
        raise LocalClusterError(
            f"The local cluster without Docker runs on Linux, not on {platform.system()}: "
            "install Docker and kind and use CLUSTER=kind."
        )
    if os.geteuid() != 0:
        raise LocalClusterError(
            "The local cluster without Docker makes network namespaces and mounts, so it needs root: run the command "
            "with sudo, or install Docker and kind and use CLUSTER=kind."
        )


def _forget_before_reboot() -> None:
    """Empties /run after a reboot where that is a disk: containerd would look for processes long gone."""
    layout.STATE.mkdir(parents=True, exist_ok=True, mode=0o711)
    if not _BOOT.exists() or _BOOT.read_text() != boot_id():
        mounts.unmount_below(layout.RUN)
        shutil.rmtree(layout.RUN, ignore_errors=True)
        _BOOT.write_text(boot_id())
    layout.RUN.mkdir(parents=True, exist_ok=True, mode=0o711)


def _lock(say: Say) -> AbstractContextManager[None]:
    return exclusive(binaries.cache_directory() / "cluster.lock", what="another command on the cluster", say=say)
