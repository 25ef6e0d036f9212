"""A real way in from outside: the Gateway API's CRDs, Contour as controller, and Envoy, as processes on this machine.

Started on demand, by `python3 -m hack.local gateway up` and by the end-to-end tests; `down` leaves nothing of it. The
CRDs alone are what integration tests put on an API server. Manifests are those of the Go modules that Contour is built
from, so their versions stand in `hack/tools/contour/go.mod` only.
"""

import http.client
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import addons, binaries
from .commands import run
from .errors import LocalClusterError
from .files import write_json, write_text
from .layout import NAMESPACE, ROOT
from .processes import Processes
from .progress import Say
from .waiting import wait_until

NAME = "local"
NAMESPACED_NAME = f"{NAMESPACE}/{NAME}"
PROGRAMS = ("contour", "gateway-envoy")

_LISTENER, _PORT = 9080, 17080
"""The Gateway's port, and the one that Envoy listens on for it: with Contour 8000 more."""
_HEALTH, _XDS, _STATS, _ADMIN, _DEBUG = 17000, 17001, 17002, 17003, 17006
"""On loopback; away from the defaults, which other programs like as well."""
_FEATURES_OFF = ("extensionservices", "tlsroutes", "tcproutes", "backendtlspolicies")
"""Of Contour; their CRDs are not among the standard ones."""
_GATEWAY_API = ("sigs.k8s.io/gateway-api", "config/crd/standard/*.yaml")
_CONTOUR = ("github.com/projectcontour/contour", "examples/contour/01-crds.yaml")


def gateway_api_crds() -> str:
    """The standard CRDs of the Gateway API, as a stream of YAML documents."""
    return _manifests(*_GATEWAY_API)


def _manifests(module: str, pattern: str) -> str:
    """Files of a Go module, in the version that Contour requires; downloaded once and kept in the cache."""
    folder = binaries.TOOLS / "contour"
    version = binaries.required_version((folder / "go.mod").read_text(), module)
    kept = binaries.cache_directory() / "manifests" / f"{Path(module).name}-{version}.yaml"
    if not kept.exists():
        command = [binaries.go_program(), "mod", "download", "-json", f"{module}@{version}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LocalClusterError(f"{module}@{version} cannot be downloaded:\n{(done.stdout + done.stderr)[-2000:]}")
        files = sorted(Path(json.loads(done.stdout)["Dir"]).glob(pattern))
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, "\n---\n".join(file.read_text() for file in files))
    return kept.read_text()


@dataclass(frozen=True, slots=True)
class Gateway:
    """Contour and its Envoy, which listens on `address` and writes only into `folder`."""

    address: str
    folder: Path
    kubeconfig: Path
    processes: Processes

    @property
    def url(self) -> str:
        return f"http://{self.address}:{_PORT}"

    def start(self, say: Say) -> None:
        """Starts what does not run, and returns when the Gateway is programmed and Envoy has its configuration."""
        contour = binaries.ensure(["contour"], say)["contour"]
        envoy = _envoy()
        addons.apply(self._crds(), kubeconfig=self.kubeconfig)
        self._kubectl("wait", "--for=condition=Established", "--timeout=60s", "--filename=-", stdin=self._crds())
        addons.apply(self._objects(), kubeconfig=self.kubeconfig)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._start_contour(contour)
        self._start_envoy(contour, envoy)
        wait_until(self._is_programmed, what=f"Gateway {NAMESPACED_NAME} is programmed", seconds=60, interval=0.2)

    def stop(self) -> None:
        """Ends the programs and takes the Gateway and all CRDs off the cluster, with every object of their kinds."""
        for name in reversed(PROGRAMS):
            self.processes.stop(name)
        for documents in (self._objects(), self._crds()):
            self._kubectl("delete", "--ignore-not-found", "--timeout=90s", "--filename=-", stdin=documents)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_contour(self, contour: Path) -> None:
        config = self.folder / "contour.yaml"
        reference = {"namespace": NAMESPACE, "name": NAME}
        write_json(config, {"gateway": {"gatewayRef": reference}, "network": {"admin-port": _ADMIN}})
        flags = [
            "--no-incluster",
            f"--kubeconfig={self.kubeconfig}",
            f"--config-path={config}",
            "--disable-leader-election",
            "--insecure",  # xDS on loopback
            "--xds-address=127.0.0.1",
            f"--xds-port={_XDS}",
            "--health-address=127.0.0.1",
            f"--health-port={_HEALTH}",
            "--http-address=127.0.0.1",
            f"--http-port={_HEALTH}",
            "--debug-http-address=127.0.0.1",
            f"--debug-http-port={_DEBUG}",
            "--stats-address=127.0.0.1",
            f"--stats-port={_STATS}",
            f"--envoy-service-http-address={self.address}",
            f"--ingress-status-address={self.address}",
            "--envoy-http-access-log=/dev/null",
            *(f"--disable-feature={feature}" for feature in _FEATURES_OFF),
        ]
        self.processes.start("contour", [contour, "serve", *flags], reads=[config])
        self.processes.wait_for("contour", lambda: _answers(_HEALTH, "/healthz"), seconds=60)

    def _start_envoy(self, contour: Path, envoy: Path) -> None:
        bootstrap = self.folder / "envoy.json"
        socket = self.folder / "admin.sock"
        run(
            contour, "bootstrap", bootstrap, f"--admin-address={socket}", "--xds-address=127.0.0.1",
            f"--xds-port={_XDS}", f"--namespace={NAMESPACE}",
        )  # fmt: skip
        flags = ["--service-cluster", "gateway", "--service-node", "gateway", "--log-level", "warning"]
        command = [envoy, "--config-path", bootstrap, "--disable-hot-restart", "--concurrency", "2", *flags]
        self.processes.start(
            "gateway-envoy", command, reads=[bootstrap], prepare=lambda: socket.unlink(missing_ok=True)
        )
        self.processes.wait_for("gateway-envoy", lambda: _answers(_STATS, "/ready"), seconds=60)

    def _is_programmed(self) -> bool:
        told = self._kubectl(
            "get", "gateway", NAME, f"--namespace={NAMESPACE}",
            "--output=jsonpath={.status.conditions[?(@.type=='Programmed')].status}",
        )  # fmt: skip
        return told == "True"

    def _crds(self) -> str:
        return "\n---\n".join([gateway_api_crds(), _manifests(*_CONTOUR)])

    def _objects(self) -> str:
        return addons.render("gateway", gateway=NAME, namespace=NAMESPACE, port=_LISTENER)

    def _kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        kubectl = binaries.path_of("kubectl")
        return run(kubectl, f"--kubeconfig={self.kubeconfig}", *arguments, stdin=stdin).strip()


def _envoy() -> Path:
    """Envoy of the development environment, the same that is in the routers' image."""
    for path in sorted((ROOT / ".venv").glob("lib/python3*/site-packages/envoy/_bin/envoy")):
        return path
    raise LocalClusterError("There is no Envoy in .venv: make venv installs it.")


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
