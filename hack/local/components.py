"""The command lines and configuration of the control plane's programs, as pure functions of where things are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .certificates import Authority


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the control plane listens: the API server on `address`, etcd always on loopback."""

    address: str
    apiserver: int
    etcd: int
    etcd_peer: int

    @property
    def server(self) -> str:
        return f"https://{self.address}:{self.apiserver}"

    @property
    def is_loopback(self) -> bool:
        return self.address.startswith("127.")


def etcd(*, endpoints: Endpoints, pki: Authority, data: Path, durable: bool) -> list[str]:
    """TLS with client certificates even on loopback: who can write etcd can run anything on the cluster's nodes."""
    client = f"https://127.0.0.1:{endpoints.etcd}"
    peer = f"https://127.0.0.1:{endpoints.etcd_peer}"
    flags = [
        "--name=local",
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=local={peer}",
        "--log-level=warn",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=5m",
        "--quota-backend-bytes=4294967296",
    ]
    for prefix in ("", "peer-"):
        flags += [
            f"--{prefix}client-cert-auth=true",
            f"--{prefix}trusted-ca-file={pki.certificate('ca')}",
            f"--{prefix}cert-file={pki.certificate('etcd')}",
            f"--{prefix}key-file={pki.key('etcd')}",
        ]
    return flags if durable else [*flags, "--unsafe-no-fsync"]


def apiserver(
    *,
    endpoints: Endpoints,
    pki: Authority,
    tokens: Path,
    service_range: str,
    audit: Sequence[str],
    extra: Sequence[str],
) -> list[str]:
    flags = [
        f"--etcd-servers=https://127.0.0.1:{endpoints.etcd}",
        f"--etcd-cafile={pki.certificate('ca')}",
        f"--etcd-certfile={pki.certificate('etcd')}",
        f"--etcd-keyfile={pki.key('etcd')}",
        f"--bind-address={endpoints.address}",
        f"--advertise-address={endpoints.address}",
        f"--secure-port={endpoints.apiserver}",
        f"--tls-cert-file={pki.certificate('apiserver')}",
        f"--tls-private-key-file={pki.key('apiserver')}",
        f"--client-ca-file={pki.certificate('ca')}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--service-cluster-ip-range={service_range}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki.folder / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={pki.key('service-accounts')}",
        f"--kubelet-client-certificate={pki.certificate('apiserver-to-kubelet')}",
        f"--kubelet-client-key={pki.key('apiserver-to-kubelet')}",
        "--kubelet-preferred-address-types=InternalIP",  # the nodes' names resolve nowhere
        f"--requestheader-client-ca-file={pki.certificate('front-proxy-ca')}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki.certificate('front-proxy')}",
        f"--proxy-client-key-file={pki.key('front-proxy')}",
        "--enable-aggregator-routing=true",  # no kube-proxy runs beside the API server: straight to the pods
        "--shutdown-watch-termination-grace-period=1s",  # or an orderly stop waits a minute for open watches
        "--profiling=false",
    ]
    if endpoints.is_loopback:
        # The Service `kubernetes` must not point to a loopback address; without nodes nobody would use it.
        flags.append("--endpoint-reconciler-type=none")
    return [*flags, *audit, *extra]


def audit_flags(*, policy: Path, log: Path) -> list[str]:
    """Blocking mode: when a request was answered, its line is in the log, so a test may count right away."""
    return [
        f"--audit-policy-file={policy}",
        f"--audit-log-path={log}",
        "--audit-log-mode=blocking",
        "--audit-log-maxsize=4096",  # MiB; a rotated log would be counted short
    ]


def audit_policy(users: Sequence[str]) -> dict[str, Any]:
    """Every finished request at level Metadata; with `users`, theirs only."""
    rule: dict[str, Any] = {"level": "Metadata", "omitStages": ["RequestReceived"]}
    rules = [{**rule, "users": list(users)}, {"level": "None"}] if users else [rule]
    return {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}


def controller_manager(*, kubeconfig: Path, pki: Authority, client_qps: int, extra: Sequence[str]) -> list[str]:
    return [
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--secure-port=0",  # nobody asks it anything, and a port less is in nobody's way
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki.key('service-accounts')}",
        f"--root-ca-file={pki.certificate('ca')}",
        f"--cluster-signing-cert-file={pki.certificate('ca')}",
        f"--cluster-signing-key-file={pki.key('ca')}",
        f"--kube-api-qps={client_qps}",
        f"--kube-api-burst={client_qps * 2}",
        "--profiling=false",
        *extra,
    ]


def scheduler(*, config: Path) -> list[str]:
    return [f"--config={config}", "--secure-port=0"]


def scheduler_config(*, kubeconfig: Path, client_qps: int) -> dict[str, Any]:
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "enableProfiling": False,
        "clientConnection": {"kubeconfig": str(kubeconfig), "qps": client_qps, "burst": client_qps * 2},
    }
