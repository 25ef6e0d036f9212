"""Building container images from ordinary Dockerfiles without Docker, and giving them to the nodes.

buildah builds; the base image, for which a machine without a registry has no source, is made by debootstrap and given
to the Dockerfile as `--build-arg BASE=…`. So a Dockerfile that is to be built here begins with `ARG BASE=python:…`.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self

from . import mounts
from .binaries import cache_directory
from .commands import run, succeeds
from .layout import image_cache
from .locks import exclusive
from .progress import Say

_SUITE = "bookworm"
_PACKAGES = ("python3", "python3-venv", "ca-certificates")
_NOT_NEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/lib/apt/lists",
    "var/cache/apt",
    "var/cache/debconf",
    "var/log",
)
# Builds trust whom this machine trusts, also where that is a proxy with a certificate of its own; pip and uv bring
# their own lists of authorities and are told to use the system's.
_CONFIGURATION = MappingProxyType(
    {
        "etc/pip.conf": "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n",
        "etc/uv/uv.toml": "system-certs = true\n",
    }
)
BASE = f"localhost/modelway-base:{_SUITE}"


@dataclass(frozen=True, slots=True)
class Build:
    """One image to build. `name` is without a tag; `target` is a stage of the Dockerfile, empty for its last."""

    name: str
    context: Path
    dockerfile: Path
    target: str = ""


def tag_of(image_id: str) -> str:
    """`dev-` and the start of the image's id: other content is another tag, so a Deployment that names it rolls out."""
    return f"dev-{image_id.removeprefix('sha256:')[:12]}"


class Buildah:
    """Builds with buildah and keeps its layers in the cache, so a second build of the same costs seconds."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._home = cache_directory() / "buildah"
        self._work = self._home / "work"

    @contextmanager
    def exclusively(self) -> Iterator[Self]:
        """To be held around the rest: one build at a time, and what a killed one left is gone."""
        with exclusive(cache_directory() / "images.lock", what="another build of images", say=self._say):
            shutil.rmtree(self._work, ignore_errors=True)
            self._work.mkdir(parents=True)
            self._buildah("rm", "--all")
            try:
                yield self
            finally:
                self._buildah("rm", "--all")  # a failed build leaves its working container, mounted
                mounts.unmount_below(self._home)

    def build(self, build: Build) -> str:
        """Builds the image and gives its reference."""
        self._ensure_base()
        self._say(f"building {build.name} (a minute or two the first time, seconds after that) …")
        downloads = self._home / "downloads"
        downloads.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._work) as folder:
            id_file = Path(folder) / "id"
            # A mounted cache: buildah 1.28 has `RUN --mount=type=cache` as well, and empties the image's root with it.
            self._buildah(
                "bud", "--layers", "--isolation=chroot", "--network=host", "--pull-never", "--quiet",
                f"--build-arg=BASE={BASE}", "--build-arg=PIP_NO_CACHE_DIR=false", f"--volume={downloads}:/root/.cache",
                f"--file={build.dockerfile}", f"--iidfile={id_file}",
                *([f"--target={build.target}"] if build.target else []), str(build.context),
            )  # fmt: skip
            image_id = id_file.read_text().strip()
        reference = f"{build.name}:{tag_of(image_id)}"
        self._buildah("tag", image_id, reference)
        return reference

    @contextmanager
    def exported(self, reference: str) -> Iterator[Path]:
        """The image as an archive that containerd imports, for as long as the block runs.

        Docker's format, as buildah writes OCI archives compressed, which takes half a minute and saves nothing here.
        """
        with tempfile.TemporaryDirectory(dir=self._work) as folder:
            archive = Path(folder) / "image.tar"
            self._buildah("push", "--quiet", reference, f"docker-archive:{archive}:{reference}")
            yield archive

    def _ensure_base(self) -> None:
        archive = ensure_base_archive(self._say)
        name = f"{BASE}-{archive.stem[-12:]}"
        if not succeeds(*self._command("inspect", "--type=image", name)):
            self._say("importing the base image …")
            container = self._buildah("from", "scratch").strip()
            self._buildah("add", "--quiet", container, str(archive), "/")
            self._buildah("config", "--cmd=python3", container)
            self._buildah("commit", "--quiet", "--rm", container, name)
        self._buildah("tag", name, BASE)

    def _buildah(self, *arguments: str) -> str:
        return run(*self._command(*arguments))

    def _command(self, *arguments: str) -> list[str]:
        # TMPDIR: images of gigabytes are copied through it, and /tmp may be small.
        return [
            "env", f"TMPDIR={self._work}", "buildah", f"--root={self._home / 'storage'}",
            f"--runroot={self._home / 'run'}", "--storage-driver=overlay", *arguments,
        ]  # fmt: skip


def ensure_base_archive(say: Say) -> Path:
    """The root file system of a small Debian with Python as a tar, made once and kept in the cache."""
    trusted = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
    recipe = repr(
        (_SUITE, _PACKAGES, _NOT_NEEDED, dict(_CONFIGURATION), hashlib.sha256(trusted.read_bytes()).hexdigest())
    )
    archive = image_cache() / f"base-{_SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar"
    if archive.exists():
        return archive
    say("making the base image with debootstrap, once (about 60 s) …")
    folder = image_cache() / "base-unfinished"
    mounts.unmount_below(folder)  # a killed debootstrap leaves its /proc mounted
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run("debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", _SUITE, folder)
    shutil.copy(trusted, folder / "etc/ssl/certs/ca-certificates.crt")
    for name, text in _CONFIGURATION.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    unfinished = archive.with_suffix(".unfinished")
    without = [f"--exclude=./{path}/*" for path in _NOT_NEEDED]
    run(
        "tar", "--create", f"--file={unfinished}", f"--directory={folder}", "--numeric-owner", "--sort=name",
        *without, ".",
    )  # fmt: skip
    unfinished.replace(archive)
    mounts.unmount_below(folder)
    shutil.rmtree(folder)
    return archive


class Docker:
    """The same where Docker is: a user's usual way."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def build(self, build: Build) -> str:
        self._say(f"building {build.name} with Docker …")
        target = [f"--target={build.target}"] if build.target else []
        image_id = run("docker", "build", "--quiet", f"--file={build.dockerfile}", *target, build.context).strip()
        reference = f"{build.name}:{tag_of(image_id)}"
        run("docker", "tag", image_id, reference)
        return reference
