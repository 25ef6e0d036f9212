"""Container images of a single static program, written as an OCI archive without any image tool.

The cluster's own pods (pause, CoreDNS, metrics-server) are such images, so a cluster boots before anything can build
one.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_MEDIA = "application/vnd.oci.image"
USER = 65532
"""The user that images run as: nobody on the host, and the number that distroless images made the custom."""


@dataclass(frozen=True, slots=True)
class ProgramImage:
    """An image that holds `program` as `/<name>` and runs it. `reference` is its full name with a tag."""

    reference: str
    name: str
    program: Path


def write(images: Sequence[ProgramImage], target: Path) -> None:
    """Writes the archive of all `images`; the same programs give the same bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    with tarfile.open(unfinished, "w") as out:
        manifests = [_write_image(out, image) for image in images]
        index = {"schemaVersion": 2, "mediaType": f"{_MEDIA}.index.v1+json", "manifests": manifests}
        _add(out, "index.json", io.BytesIO(_json(index)))
        _add(out, "oci-layout", io.BytesIO(_json({"imageLayoutVersion": "1.0.0"})))
    unfinished.replace(target)


def _write_image(out: tarfile.TarFile, image: ProgramImage) -> dict[str, Any]:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files, image.program.open("rb") as program:
        _add(files, image.name, program, mode=0o755)
    layer_blob = _write_blob(out, layer, f"{_MEDIA}.layer.v1.tar")
    config = {
        "architecture": _architecture(),
        "os": "linux",
        "config": {"Entrypoint": [f"/{image.name}"], "User": f"{USER}:{USER}"},
        "rootfs": {"type": "layers", "diff_ids": [layer_blob["digest"]]},
    }
    config_blob = _write_blob(out, io.BytesIO(_json(config)), f"{_MEDIA}.config.v1+json")
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_MEDIA}.manifest.v1+json",
        "config": config_blob,
        "layers": [layer_blob],
    }
    blob = _write_blob(out, io.BytesIO(_json(manifest)), f"{_MEDIA}.manifest.v1+json")
    return {**blob, "annotations": {"io.containerd.image.name": image.reference}}


def _write_blob(out: tarfile.TarFile, content: io.BytesIO, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content.getbuffer()).hexdigest()
    size = content.getbuffer().nbytes
    _add(out, f"blobs/sha256/{digest}", content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def _add(out: tarfile.TarFile, name: str, content: BinaryIO, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)  # no owner and no time: the same content is the same image
    entry.mode = mode
    entry.size = content.seek(0, io.SEEK_END)
    content.seek(0)
    out.addfile(entry, content)


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
