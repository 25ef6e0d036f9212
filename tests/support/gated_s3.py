"""A real S3 server that pods reach through a gate: writes of parts are held half-written until a test lets them go.

So a pod that is to be killed while it writes is there for as long as that takes, whatever the machine's speed.
"""

import contextlib
import os
import queue
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from hack.local.ports import free_ports

from support.s3 import ACCESS_KEY, SECRET_KEY, binary

_PART = re.compile(rb"^PUT /\S*/part-[0-9a-f]{12}-(\d{5})\S* ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNK = 1 << 16


class GatedS3:
    """The server and its gate.

    Attributes:
        held: numbers of shards, as their writes are held; one for each try.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self.root = folder / "buckets"
        self._metadata = folder / "metadata"
        for path in (self.root / "lake", self._metadata):
            path.mkdir(parents=True)
        self._address = address
        self._listener = socket.create_server((address, 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        (self._inner,) = free_ports(address, 1)
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = threading.Condition()
        self._holds: Callable[[int], bool] = lambda _shard: False
        self.held: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.start()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def environ(self) -> dict[str, str]:
        """What a client needs, in a pod or here."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{self._address}:{self.port}",
        }

    def hold(self, holds: Callable[[int], bool]) -> None:
        """Hold the writes of parts of those shards, from now on; those that are held and are not to be any more break.

        Whoever writes tries again.
        """
        with self._changed:
            self._holds = holds
            self._changed.notify_all()

    def look(self) -> None:
        """Ask anew which of the held are to be held."""
        with self._changed:
            self._changed.notify_all()

    def start(self) -> None:
        command = [binary(), "--port", f"{self._address}:{self._inner}", "--quiet", "posix"]
        self._process = subprocess.Popen(
            [*command, "--sidecar", self._metadata, self.root],
            env=os.environ | {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """Kill the server; the gate refuses what comes."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.hold(lambda _shard: False)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.stop()

    def put(self, path: str, content: bytes) -> None:
        place = self.root / "lake" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One request a connection: that is all the HTTP that is needed."""
        with contextlib.suppress(OSError), client:
            head, body = self._request(client)
            if not head:
                return
            with socket.create_connection((self._address, self._inner)) as server:
                part = _PART.match(head)
                server.sendall(_closing(head))
                if part and self._is_held(int(part[1]), server, body):
                    return
                server.sendall(body)
                answer = _until(server, b"\r\n\r\n")
                client.sendall(_closing(answer))
                while chunk := server.recv(_CHUNK):
                    client.sendall(chunk)

    def _is_held(self, shard: int, server: socket.socket, body: bytes) -> bool:
        """Hold a write half-done, if it is to be held; such a write never ends well."""
        with self._changed:
            if not self._holds(shard):
                return False
            server.sendall(body[: len(body) // 2])
            self.held.put(shard)
            self._changed.wait_for(lambda: not self._holds(shard))
        return True

    @staticmethod
    def _request(client: socket.socket) -> tuple[bytes, bytes]:
        got = _until(client, b"\r\n\r\n")
        head, separator, body = got.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        while length and len(body) < int(length[1]):
            chunk = client.recv(_CHUNK)
            if not chunk:
                return b"", b""
            body += chunk
        return head + separator, body


def _until(line: socket.socket, end: bytes) -> bytes:
    got = b""
    while end not in got:
        chunk = line.recv(_CHUNK)
        if not chunk:
            return got
        got += chunk
    return got


def _closing(got: bytes) -> bytes:
    """A head that says that the connection ends with this request; what follows it stays."""
    head, separator, rest = got.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close"]) + separator + rest


@contextlib.contextmanager
def gated_s3(folder: Path, address: str) -> Iterator[GatedS3]:
    """A server for the length of the block."""
    server = GatedS3(folder, address)
    try:
        yield server
    finally:
        server.close()
