"""What a cluster needs inside it: DNS, the metrics API, the way to S3; and the images of those pods."""

import hashlib
import string
from pathlib import Path

from . import archive, binaries, s3
from .addresses import AddressPlan
from .archive import ProgramImage
from .commands import run
from .layout import NAMESPACE, image_cache

_MANIFESTS = Path(__file__).resolve().parent / "manifests"
_PROGRAMS = ("pause", "coredns", "metrics-server")


def image(program: str) -> str:
    """The image's name. The tag is the program's version: a new version is a new image."""
    version = binaries.path_of(program).name.removeprefix(f"{program}-")
    return f"modelway.dev/local-{program}:{version}"


def ensure_archive() -> Path:
    """The archive with the images of all programs, made once and kept in the cache."""
    images = [ProgramImage(image(program), program, binaries.path_of(program)) for program in _PROGRAMS]
    version = hashlib.sha256("\n".join(item.reference for item in images).encode()).hexdigest()[:12]
    path = image_cache() / f"cluster-{version}.tar"
    if not path.exists():
        archive.write(images, path)
    return path


def image_names() -> set[str]:
    return {image(program) for program in _PROGRAMS}


def render(name: str, **values: object) -> str:
    """A manifest with its `$variables` filled in; a variable without a value is an error.

    `$manifest` is its hash: a pod template that names it rolls out when the configuration beside it changes.
    """
    text = (_MANIFESTS / f"{name}.yaml").read_text()
    manifest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return string.Template(text).substitute(values, manifest=manifest)


def manifests(*, plan: AddressPlan, nodes: int, credentials: s3.Credentials) -> str:
    """All of a cluster without Docker, as one stream of YAML documents."""
    return "\n---\n".join(
        [
            render("coredns", image=image("coredns"), dns=plan.dns, nodes=nodes),
            render("metrics-server", image=image("metrics-server")),
            render("s3", address=plan.machine, **_storage_values(credentials)),
        ]
    )


def manifests_for_kind(credentials: s3.Credentials) -> str:
    """What kind's cluster lacks; it has DNS, and nothing of it runs in this machine's own network."""
    return "\n---\n".join(
        [
            render("metrics-server", image=image("metrics-server")),
            render("s3-in-cluster", image=image("versitygw"), bucket=s3.BUCKET, **_storage_values(credentials)),
        ]
    )


def _storage_values(credentials: s3.Credentials) -> dict[str, object]:
    return {
        "namespace": NAMESPACE,
        "access_key": credentials.access_key,
        "secret_key": credentials.secret_key,
        "region": s3.REGION,
        "endpoint": s3.IN_CLUSTER,
        "port": s3.PORT,
    }


def apply(documents: str, *, kubeconfig: Path) -> None:
    """Server-side, so that a second run changes nothing and a changed manifest is taken over."""
    kubectl = (binaries.path_of("kubectl"), f"--kubeconfig={kubeconfig}")
    run(
        *kubectl, "apply", "--server-side", "--force-conflicts", "--field-manager=modelway-local", "--filename=-",
        stdin=documents,
    )  # fmt: skip
