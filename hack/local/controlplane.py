"""A real Kubernetes control plane: etcd, API server, controller-manager, scheduler and, on demand, kwok's nodes.

Needs no root and touches nothing outside its folder. Integration tests and the benchmark run it on loopback, several at
once on ports of their own; the local cluster runs the same class on its bridge and adds real nodes.

    with ControlPlane(folder, audit=True, kwok_nodes=4) as control_plane:
        run_against(control_plane.kubeconfig)
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from . import binaries, components, kwok
from .api import Api
from .certificates import Authority, Certificate, Tokens, kubeconfig, token_file
from .components import Endpoints
from .errors import LocalClusterError
from .files import write_json, write_private
from .ports import free_ports
from .processes import Processes
from .progress import Say, silent
from .waiting import wait_until

_ROOT = Path(__file__).resolve().parent.parent.parent
_MASTERS = ("system:masters",)

DEFAULT_USERS: Mapping[str, Sequence[str]] = MappingProxyType({"admin": _MASTERS, "modelway-operator": _MASTERS})
_COMPONENTS: Mapping[str, Sequence[str]] = MappingProxyType(
    {"system:kube-controller-manager": (), "system:kube-scheduler": (), "kwok": _MASTERS}
)


class ControlPlane:
    """One control plane in one folder.

    Used as a context manager it starts on entry, stops on exit, and a watchdog ends its processes should this process
    die. `start` and `stop` by hand leave the processes running when this process ends. Starting in a folder where one
    was left running takes it over; starting where one was stopped continues with its data.

    Args:
        directory: everything it writes is in here, logs in `logs/`.
        address: where the API server listens.
        endpoints: fixed ports; left out, free ones are chosen, and kept for the folder's life.
        audit: write every finished request at level Metadata to `audit_log`.
        audit_users: with `audit`, only the requests of these users.
        client_qps: requests per second that the controller-manager and the scheduler allow themselves (burst is twice
            that); Kubernetes' own 20 and 50 would be all that a benchmark measures.
        users: name to groups of everyone who gets a token and a kubeconfig, besides the components.
        kwok_nodes: simulated nodes to start with.
        pod_range: addresses of the pods on simulated nodes.
        durable: fsync etcd's writes, for a cluster that is to survive a power cut.
    """

    def __init__(
        self,
        directory: Path,
        *,
        address: str = "127.0.0.1",
        endpoints: Endpoints | None = None,
        service_range: str = "10.96.0.0/16",
        audit: bool = False,
        audit_users: Sequence[str] = (),
        client_qps: int = 500,
        users: Mapping[str, Sequence[str]] = DEFAULT_USERS,
        kwok_nodes: int = 0,
        pod_range: str = kwok.POD_RANGE,
        durable: bool = False,
        apiserver_flags: Sequence[str] = (),
        controller_manager_flags: Sequence[str] = (),
        say: Say = silent,
    ) -> None:
        self.directory = Path(directory).resolve()
        self.processes = Processes(self.directory / "run", self.directory / "logs")
        self._address = address
        self._endpoints = endpoints
        self._service_range = service_range
        self._audit = audit
        self._audit_users = audit_users
        self._client_qps = client_qps
        self._users = {"admin": _MASTERS, **users, **_COMPONENTS}
        self._kwok_nodes = kwok_nodes
        self._pod_range = pod_range
        self._durable = durable
        self._apiserver_flags = apiserver_flags
        self._controller_manager_flags = controller_manager_flags
        self._say = say
        self._watchdog: subprocess.Popen[bytes] | None = None
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.pki = Authority(self.directory / "pki")
        self._tokens = Tokens(self.directory / "tokens.json")

    # What a user of the cluster needs

    @property
    def server(self) -> str:
        return self.endpoints.server

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.kubeconfig_of("admin")

    def kubeconfig_of(self, user: str) -> Path:
        """The kubeconfig of one of the users; it stands alone, with token and certificate inside."""
        path = self.directory / "kubeconfigs" / f"{user.replace(':', '-')}.yaml"
        text = kubeconfig(
            server=self.server,
            authority=self.pki.certificate("ca").read_bytes(),
            user=user,
            token=self.token_of(user),
            cluster="modelway-local",
        )
        return write_private(path, text)

    def token_of(self, user: str) -> str:
        if user not in self._users:
            raise LocalClusterError(f"this control plane has no user {user}: it has {', '.join(self._users)}")
        return self._tokens.of(user)

    @property
    def certificate_authority(self) -> Path:
        return self.pki.certificate("ca")

    @property
    def audit_log(self) -> Path:
        return self.directory / "audit.log"

    @property
    def api(self) -> Api:
        return Api(server=self.server, authority=self.certificate_authority, token=self.token_of("admin"))

    @property
    def endpoints(self) -> Endpoints:
        if self._endpoints is None:
            self._endpoints = self._own_endpoints()
        return self._endpoints

    # Life

    def __enter__(self) -> Self:
        module = f"{__package__}.watchdog"
        self._watchdog = subprocess.Popen(
            [sys.executable, "-m", module, str(self.processes.records), str(self.processes.logs)],
            stdin=subprocess.PIPE,
            cwd=_ROOT,
            start_new_session=True,
        )
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop(kill=True)
        if self._watchdog and self._watchdog.stdin:
            self._watchdog.stdin.close()
            self._watchdog.wait()

    def start(self) -> None:
        """Starts what does not run, in order; returns when the API server serves and the controllers work."""
        names = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
        binaries.ensure([*names, *(["kwok"] if self._kwok_nodes else [])], self._say)
        self._make_certificates()
        self.start_etcd()
        self.start_apiserver()
        self.start_controller_manager()
        self.start_scheduler()
        wait_until(
            lambda: self.api.get("/api/v1/namespaces/default/serviceaccounts/default"),
            what="the controller-manager makes the default service account",
            seconds=60,
            details=lambda: self.processes.last_words("kube-controller-manager"),
        )
        if self._kwok_nodes:
            self.start_kwok(self._kwok_nodes)

    def stop(self, *, kill: bool = False) -> None:
        """Stops all, last started first. `kill` saves the seconds of an orderly end where the data is not needed."""
        for name in ("kwok", "kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"):
            self.processes.stop(name, kill=kill)

    def start_etcd(self) -> None:
        flags = components.etcd(
            endpoints=self.endpoints, pki=self.pki, data=self.directory / "etcd", durable=self._durable
        )
        if self.processes.start("etcd", [binaries.path_of("etcd"), *flags]):
            self._say("etcd started")

    def start_apiserver(self) -> None:
        """Starts the API server where it does not run, and returns when it is ready."""
        rows = ((self.token_of(user), user, groups) for user, groups in self._users.items())
        tokens = write_private(self.directory / "config" / "tokens.csv", token_file(rows))
        audit: list[str] = []
        reads = [tokens]
        if self._audit:
            policy = write_json(self.directory / "config" / "audit.json", components.audit_policy(self._audit_users))
            audit = components.audit_flags(policy=policy, log=self.audit_log)
            reads.append(policy)
        flags = components.apiserver(
            endpoints=self.endpoints,
            pki=self.pki,
            tokens=tokens,
            service_range=self._service_range,
            audit=audit,
            extra=self._apiserver_flags,
        )
        began = time.monotonic()
        started = self.processes.start("kube-apiserver", [binaries.path_of("kube-apiserver"), *flags], reads=reads)
        self.processes.wait_for("kube-apiserver", self.api.is_ready, seconds=120)
        if started:
            self._say(f"kube-apiserver ready on {self.server} (took {time.monotonic() - began:.1f} s)")

    def stop_apiserver(self, *, kill: bool = False) -> None:
        """Returns when it is gone and its port is free. Everything else keeps running."""
        self.processes.stop("kube-apiserver", kill=kill, seconds=90)

    def start_controller_manager(self) -> None:
        flags = components.controller_manager(
            kubeconfig=self.kubeconfig_of("system:kube-controller-manager"),
            pki=self.pki,
            client_qps=self._client_qps,
            extra=self._controller_manager_flags,
        )
        self.processes.start("kube-controller-manager", [binaries.path_of("kube-controller-manager"), *flags])

    def start_scheduler(self) -> None:
        config = components.scheduler_config(
            kubeconfig=self.kubeconfig_of("system:kube-scheduler"), client_qps=self._client_qps
        )
        file = write_json(self.directory / "config" / "scheduler.json", config)
        flags = components.scheduler(config=file)
        self.processes.start("kube-scheduler", [binaries.path_of("kube-scheduler"), *flags], reads=[file])

    def start_kwok(self, nodes: int, *, taints: Sequence[dict[str, str]] = ()) -> None:
        """Adds simulated nodes and returns when they are Ready."""
        binary = binaries.ensure(["kwok"], self._say)["kwok"]
        command = kwok.command(binary, kubeconfig=self.kubeconfig_of("kwok"), pod_range=self._pod_range)
        self.processes.start("kwok", command)
        kwok.add_nodes(self.api, nodes, taints=taints)
        self.processes.wait_for("kwok", lambda: kwok.count_ready(self.api) >= nodes, seconds=60)

    # Inside

    def _own_endpoints(self) -> Endpoints:
        file = self.directory / "ports.json"
        if not file.exists():
            apiserver, etcd, etcd_peer = free_ports(self._address, 3)
            write_json(file, {"apiserver": apiserver, "etcd": etcd, "etcd_peer": etcd_peer})
        return Endpoints(address=self._address, **json.loads(file.read_text()))

    def _make_certificates(self) -> None:
        self.pki.make_root("ca")
        self.pki.make_root("front-proxy-ca")
        self.pki.make_signing_key("service-accounts")
        service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
        prefix = self._service_range.split("/", maxsplit=1)[0].rsplit(".", 1)[0]
        addresses = list(dict.fromkeys([self._address, "127.0.0.1", f"{prefix}.1"]))
        for certificate in (
            Certificate("etcd", "etcd", names=["localhost"], addresses=["127.0.0.1"]),
            Certificate("apiserver", "kube-apiserver", names=["localhost", *service], addresses=addresses),
            Certificate("apiserver-to-kubelet", "apiserver-to-kubelet", groups=_MASTERS),
            Certificate("front-proxy", "front-proxy", authority="front-proxy-ca"),
        ):
            self.pki.make(certificate)
