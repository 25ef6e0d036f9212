"""The programs that Debian does not have, built from the Go modules in `hack/tools`, kept in a cache outside the tree.

A version stands in one place only, the module's `go.mod`; a binary is `<cache>/bin/<name>-<version>` and is built when
it is missing. A killed build leaves nothing that looks finished, and two builds at once do not disturb each other.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import LocalClusterError
from .locks import exclusive
from .progress import Say, silent

TOOLS = Path(__file__).resolve().parent.parent / "tools"
_REQUIRE = re.compile(r"^(?:require)?\s*(\S+) (v\S+)(?: // indirect)?$", re.MULTILINE)


def cache_directory() -> Path:
    """Where binaries, images and downloads are kept between clusters."""
    return Path(os.environ.get("MODELWAY_CACHE") or Path.home() / ".cache" / "modelway")


@dataclass(frozen=True, slots=True)
class Tool:
    """A program and where its source is.

    `seconds` is a build on two cores with an empty Go cache: what the progress line promises.
    """

    name: str
    folder: str
    package: str
    module: str
    seconds: int


def _kubernetes(name: str, seconds: int) -> Tool:
    return Tool(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", "k8s.io/kubernetes", seconds)


_ALL = (
    Tool("etcd", "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", 25),
    # The first of Kubernetes' programs compiles what the others share.
    _kubernetes("kube-apiserver", 180),
    _kubernetes("kubectl", 20),
    _kubernetes("kube-controller-manager", 50),
    _kubernetes("kube-scheduler", 15),
    _kubernetes("kubelet", 50),
    _kubernetes("kube-proxy", 10),
    Tool("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", "sigs.k8s.io/kwok", 70),
    Tool(
        "versitygw",
        "versitygw",
        "github.com/versity/versitygw/cmd/versitygw",
        "github.com/versity/versitygw",
        50,
    ),
    Tool("coredns", "coredns", ".", "github.com/coredns/coredns", 80),
    Tool(
        "metrics-server",
        "metrics-server",
        "sigs.k8s.io/metrics-server/cmd/metrics-server",
        "sigs.k8s.io/metrics-server",
        110,
    ),
    Tool(
        "contour",
        "contour",
        "github.com/projectcontour/contour/cmd/contour",
        "github.com/projectcontour/contour",
        180,
    ),
    Tool("helm", "helm", "helm.sh/helm/v4/cmd/helm", "helm.sh/helm/v4", 105),
    Tool("pause", "pause", ".", "", 5),
)
NAMES = tuple(tool.name for tool in _ALL)


def required_version(go_mod: str, module: str) -> str:
    """The version of `module` in the text of a go.mod."""
    versions: dict[str, str] = dict(_REQUIRE.findall(go_mod))
    try:
        return versions[module]
    except KeyError:
        raise LocalClusterError(f"hack/tools: no go.mod line requires {module}") from None


def version(tool: Tool) -> str:
    """The module's version, and a hash of the Go files where `hack/tools` has some of its own."""
    folder = TOOLS / tool.folder
    parts = [required_version((folder / "go.mod").read_text(), tool.module)] if tool.module else []
    if source := b"".join(path.read_bytes() for path in sorted(folder.glob("*.go"))):
        parts.append(hashlib.sha256(source).hexdigest()[:8])
    return "-".join(parts)


def linker_flags(tool: Tool, its_version: str) -> str:
    """Stripped; Kubernetes' own programs are told their version, which `kubectl version` and the API report."""
    flags = "-s -w"
    if tool.module == "k8s.io/kubernetes":
        major, minor = its_version.removeprefix("v").split(".")[:2]
        variable = "k8s.io/component-base/version.git"
        flags += f" -X {variable}Version={its_version} -X {variable}Major={major} -X {variable}Minor={minor}"
    return flags


def path_of(name: str) -> Path:
    """Where the binary is, or will be once built."""
    tool = next(tool for tool in _ALL if tool.name == name)
    return cache_directory() / "bin" / f"{tool.name}-{version(tool)}"


def ensure(names: Iterable[str], say: Say = silent) -> dict[str, Path]:
    """Builds what is missing of `names` and gives all their paths."""
    wanted = set(names)
    tools = [tool for tool in _ALL if tool.name in wanted]
    if missing := [tool for tool in tools if not path_of(tool.name).exists()]:
        go = go_program()
        total = sum(tool.seconds for tool in missing)
        say(f"{len(missing)} programs to build, once: about {max(1, round(total / 60))} min in all")
        with exclusive(cache_directory() / "bin" / ".lock", what="another build", say=say):
            for tool in missing:
                _build(go, tool, say)
    return {tool.name: path_of(tool.name) for tool in tools}


def _build(go: str, tool: Tool, say: Say) -> None:
    target = path_of(tool.name)
    if target.exists():  # another process built it while this one waited for the lock
        return
    say(f"building {tool.name} {version(tool)} (about {tool.seconds} s) …")
    unfinished = target.with_name(f".{target.name}.unfinished")
    command = [go, "build", "-trimpath", "-ldflags", linker_flags(tool, version(tool)), "-o", str(unfinished)]
    command.append(tool.package)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    built = subprocess.run(
        command, cwd=TOOLS / tool.folder, env=environment, capture_output=True, text=True, check=False
    )
    if built.returncode:
        raise LocalClusterError(f"building {tool.name} failed:\n{built.stderr.strip()[-2000:]}")
    unfinished.replace(target)


def go_program() -> str:
    """The Go toolchain; raises LocalClusterError where there is none."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not found:
        wanted = re.findall(r"^go (\S+)$", (TOOLS / "metrics-server" / "go.mod").read_text(), re.MULTILINE)
        raise LocalClusterError(
            f"The local cluster builds Kubernetes from source and needs Go {wanted[0]} or newer on the PATH: "
            "install it from go.dev/dl and run the command again."
        )
    return found
