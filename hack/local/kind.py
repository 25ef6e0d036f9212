"""The same cluster in Docker, by kind: for machines where Docker is."""

from pathlib import Path

from . import addons, archive, binaries, layout, s3
from .archive import ProgramImage
from .certificates import Tokens
from .commands import run, succeeds
from .errors import LocalClusterError
from .progress import Say

_NAME = "modelway"
_CONFIG = Path(__file__).resolve().parent.parent / "kind" / "config.yaml"
_PROGRAMS = ("metrics-server", "versitygw")


def up(say: Say) -> None:
    """Makes the cluster where it is missing, and brings its S3 server and metrics up to date."""
    check_machine()
    paths = binaries.ensure(["kubectl", "helm", *_PROGRAMS], say)
    layout.OUTPUT.mkdir(exist_ok=True)
    kubeconfig = layout.OUTPUT / "kubeconfig"
    if _NAME not in run("kind", "get", "clusters").split():
        say("creating the kind cluster (about 60 s once its node image is pulled) …")
        run("kind", "create", "cluster", "--config", _CONFIG, "--kubeconfig", kubeconfig, "--wait=120s")
    run("kind", "export", "kubeconfig", "--name", _NAME, "--kubeconfig", kubeconfig)
    say("loading the images of metrics and S3 …")
    images = [ProgramImage(addons.image(program), program, paths[program]) for program in _PROGRAMS]
    path = layout.image_cache() / "kind.tar"
    archive.write(images, path)
    load_archive(path)
    credentials = s3.Credentials.of(Tokens(binaries.cache_directory() / "kind-s3-credentials.json"))
    addons.apply(addons.manifests_for_kind(credentials), kubeconfig=kubeconfig)
    credentials.write_environment(layout.OUTPUT / "s3.env", endpoint=f"http://127.0.0.1:{s3.PORT}")
    layout.link_tools({name: paths[name] for name in ("kubectl", "helm")})
    for namespace, name in (("kube-system", "metrics-server"), (layout.NAMESPACE, "s3")):
        wait = ["rollout", "status", f"deployment/{name}", f"--namespace={namespace}", "--timeout=120s"]
        run(paths["kubectl"], f"--kubeconfig={kubeconfig}", *wait)
        say(f"{name} is available")


def down(say: Say) -> None:
    check_machine()
    run("kind", "delete", "cluster", "--name", _NAME)
    layout.remove_outputs()
    say("the kind cluster is gone")


def load(reference: str) -> None:
    """Gives all nodes an image that Docker has."""
    run("kind", "load", "docker-image", reference, "--name", _NAME)


def load_archive(archive: Path) -> None:
    """The same with the images of an archive."""
    run("kind", "load", "image-archive", archive, "--name", _NAME)


def check_machine() -> None:
    """Says in one sentence what is missing."""
    if not succeeds("docker", "info"):
        raise LocalClusterError("CLUSTER=kind needs a running Docker: start it, or use CLUSTER=local on Linux.")
    if not succeeds("kind", "version"):
        raise LocalClusterError(
            "Docker is here, and kind is not: install it from kind.sigs.k8s.io, or use CLUSTER=local on Linux as root."
        )
