"""`make install` and `make uninstall`: the operator on the cluster, by Helm, from this tree.

    python3 -m hack.install                         # install or upgrade
    python3 -m hack.install --set replicaCount=1    # further arguments go to Helm
    python3 -m hack.install --uninstall

The cluster is the one of KUBECONFIG; without that the local one (`make cluster`), and without one kubectl's default.
The images are those of OPERATOR_IMAGE, SERVER_IMAGE, SERVER_FULL_IMAGE and ROUTER_IMAGE, in the environment or in
`.local/images.env`, where the local cluster's are named; without them the chart's. Standard library only, so that it
runs before anything is installed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hack.local import LocalClusterError, binaries
from hack.local.commands import run
from hack.local.layout import OUTPUT, ROOT
from hack.local.progress import Progress, Say

RELEASE = "modelway"
NAMESPACE = "modelway-system"
CHART = ROOT / "charts" / "modelway"

_TIMEOUT = "3m"
_IMAGES = {
    "OPERATOR_IMAGE": "image",
    "SERVER_IMAGE": "serverImage",
    "SERVER_FULL_IMAGE": "serverFullImage",
    "ROUTER_IMAGE": "routerImage",
}
_STAYS = f"""\
The operator is gone. What stays, on purpose: the ModelDeployments and all that serves, the CRD, and the namespace.
To remove these as well, every model included:
  kubectl delete modeldeployments --all --all-namespaces
  kubectl delete crd modeldeployments.modelway.dev
  kubectl delete namespace {NAMESPACE}"""


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Install, or uninstall; gives the process' exit code."""
    say = Progress()
    try:
        inside = {**environment, "KUBECONFIG": kubeconfig(environment)}
        helm = find_helm(environment, say)
        if "--uninstall" in arguments:
            return _uninstall(helm, inside)
        images = read_images(environment, OUTPUT / "images.env")
        for name, reference in images.items():
            say(f"{name}={reference}")
        say(f"helm upgrade --install {RELEASE}: waits until the operator is ready, at most {_TIMEOUT} …")
        return _install(install_command(helm, images, arguments, major=_major_version(helm)), inside)
    except LocalClusterError as error:
        print(error, file=sys.stderr)
        return 1


def kubeconfig(environment: Mapping[str, str], *, local: Path = OUTPUT / "kubeconfig") -> str:
    """The kubeconfig to use, as KUBECONFIG has it.

    Raises:
        LocalClusterError: there is none.
    """
    if given := environment.get("KUBECONFIG"):
        return given
    default = Path(environment.get("HOME", "/")) / ".kube" / "config"
    for path in (local, default):
        if path.is_file():
            return str(path)
    raise LocalClusterError("There is no cluster to install into: run `make cluster`, or set KUBECONFIG to yours.")


def find_helm(environment: Mapping[str, str], say: Say) -> str:
    """The program: HELM, the one on the PATH, or the local cluster's own, which is built when it is missing."""
    found = environment.get("HELM") or shutil.which("helm", path=environment.get("PATH"))
    return found or str(binaries.ensure(["helm"], say)["helm"])


def read_images(environment: Mapping[str, str], file: Path) -> dict[str, str]:
    """References of the images by their variables, as far as they are given; the environment wins."""
    lines = file.read_text().splitlines() if file.is_file() else []
    listed = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    found = {name: environment.get(name) or listed.get(name, "").strip() for name in _IMAGES}
    return {name: reference for name, reference in found.items() if reference}


def image_values(reference: str) -> dict[str, str]:
    """A whole image reference as the chart's values: `localhost:5000/m/operator:dev` is a repository and a tag."""
    name, _, digest = reference.partition("@")
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:  # the colon is that of a registry's port
        head, tag = name, ""
    return {"registry": "", "repository": head, "tag": tag, "digest": digest}


def install_command(helm: str, images: Mapping[str, str], further: Sequence[str] = (), *, major: int) -> list[str]:
    """Helm's command line.

    The release takes over a CRD that came by `kubectl apply -f crds/`, and what was changed by hand. Helm 4 writes by
    server-side apply and has to be told to win; Helm 3 always does, and does not know the option.
    """
    command = [helm, "upgrade", "--install", RELEASE, str(CHART), f"--namespace={NAMESPACE}", "--create-namespace"]
    command += ["--wait", f"--timeout={_TIMEOUT}", "--take-ownership"]
    command += ["--force-conflicts"] if major >= 4 else []
    for name, reference in images.items():
        values = image_values(reference)
        command += [f"--set-string={_IMAGES[name]}.{key}={value}" for key, value in values.items()]
    return [*command, *further]


def _major_version(helm: str) -> int:
    return int(run(helm, "version", "--template={{.Version}}").removeprefix("v").split(".")[0])


def _install(command: Sequence[str], environment: Mapping[str, str]) -> int:
    code = subprocess.run(command, env=environment, check=False).returncode
    if code:
        print(
            f"The operator was not installed, or is not ready. What its pods say:\n"
            f"  kubectl --namespace {NAMESPACE} get pods\n"
            f"  kubectl --namespace {NAMESPACE} describe pods\n"
            f"  kubectl --namespace {NAMESPACE} logs deployment/{RELEASE} --all-pods --prefix",
            file=sys.stderr,
        )
    return code


def _uninstall(helm: str, environment: Mapping[str, str]) -> int:
    command = [helm, "uninstall", RELEASE, f"--namespace={NAMESPACE}", "--ignore-not-found", "--wait", "--timeout=2m"]
    code = subprocess.run(command, env=environment, check=False).returncode
    if code == 0:
        print(_STAYS)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
