"""The configuration files of a node's programs, as pure functions of where things are."""

import json
from pathlib import Path
from typing import Any

from .addresses import AddressPlan
from .layout import NodePlaces

CNI_PLUGINS = Path("/usr/lib/cni")
"""Where Debian's package containernetworking-plugins puts them."""


def containerd(places: NodePlaces, *, sandbox_image: str) -> str:
    """The TOML of containerd.

    `restrict_oom_score_adj`: a machine without CAP_SYS_RESOURCE, as containers and some virtual machines are, may not
    lower a process' score, and every sandbox would fail with "can't get final child's PID".
    """
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = {json.dumps(str(places.containerd_root))}
state = {json.dumps(str(places.containerd_state))}

[grpc]
  address = {json.dumps(str(places.containerd_socket))}

[{cri}]
  sandbox_image = {json.dumps(sandbox_image)}
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true

[{cri}.cni]
  bin_dir = {json.dumps(str(CNI_PLUGINS))}
  conf_dir = {json.dumps(str(places.config / "cni"))}

[{cri}.containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"

[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
  Root = {json.dumps(str(places.runc_root))}
  SystemdCgroup = false
"""


def cni(places: NodePlaces, plan: AddressPlan, number: int) -> dict[str, Any]:
    """Pods on a bridge inside the node's namespace. No masquerading: there is nothing outside to talk to."""
    return {
        "cniVersion": "0.4.0",
        "name": cni_network(places),
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "ipMasq": False,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": str(plan.pods(number))}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": str(places.run / "addresses"),
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def cni_network(places: NodePlaces) -> str:
    """The network's name; CNI keeps its results in /var/lib/cni under it."""
    return f"modelway-local-{places.name}"


def kubelet(places: NodePlaces, plan: AddressPlan, number: int, *, authority: Path) -> dict[str, Any]:
    """Kubernetes' defaults, but for what this kind of machine needs and what only costs time on it."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": plan.node(number),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [plan.dns],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{places.containerd_socket}",
        "resolvConf": str(places.config / "resolv.conf"),
        "podLogsDir": str(places.pod_logs),
        "volumePluginDir": str(places.state / "volume-plugins"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": places.cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        # A developer's disk is often nearly full, and an image that was loaded by hand cannot be pulled again.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": False,
    }


def kube_proxy(*, kubeconfig: Path, plan: AddressPlan, number: int, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": name,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": str(plan.pods(number)),
        "detectLocalMode": "ClusterCIDR",
        "healthzBindAddress": f"{plan.node(number)}:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "nodePortAddresses": [f"{plan.node(number)}/32"],
        "oomScoreAdj": 0,
        # The machine's connection tracking limits are not the cluster's to change.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
