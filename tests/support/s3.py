"""A real S3 server (versitygw over a folder) for the length of a test session.

Its binary is built by `make cluster` or `make tools`; without it the tests that need it fail and say so, since an S3
client that was only tried against a mock was not tried.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.ports import free_port

BINARIES = Path.home() / ".cache" / "modelway" / "bin"
ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key"


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server; folders below `root` are its buckets, files in them its objects."""

    port: int
    root: Path

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environ(self, **changes: str) -> dict[str, str]:
        """The environment of a client with the right credentials."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
        } | changes

    def put(self, bucket: str, key: str, content: bytes) -> None:
        path = self.root / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def binary() -> Path:
    """The newest versitygw there is."""
    found = sorted(BINARIES.glob("versitygw-v*"))
    if found:
        return found[-1]
    on_path = shutil.which("versitygw")
    if on_path is None:
        raise RuntimeError(f"no versitygw in {BINARIES}: build it with `make tools` (Go module versity/versitygw)")
    return Path(on_path)


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Start a server over a folder; ends with the block."""
    root, metadata = folder / "buckets", folder / "metadata"
    root.mkdir()
    metadata.mkdir()
    port = free_port()
    process = subprocess.Popen(
        [binary(), "--port", f"127.0.0.1:{port}", "--quiet", "posix", "--sidecar", metadata, root],
        env=os.environ | {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        _wait_for(port, process)
        yield S3Server(port, root)
    finally:
        process.kill()
        process.communicate()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"versitygw ended at once: {process.communicate()[0].decode()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError("versitygw did not listen within 20 s")
