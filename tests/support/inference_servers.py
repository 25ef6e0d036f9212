"""Inference servers that speak HTTP and gRPC: ours, and a real Triton; and official clients in Pythons of their own."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
from hack import peers
from hack.local.progress import Progress
from hack.peers import triton

from modelway.server.rpc.server import SERVICE
from support.ports import free_port, free_ports
from support.server_process import ServerProcess, server_process


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is."""

    http_port: int
    grpc_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @contextlib.contextmanager
    def channel(self, **options: Any) -> Iterator[grpc.Channel]:
        """A gRPC channel that takes answers of any size."""
        settings = {"grpc.max_receive_message_length": -1} | options
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}", options=list(settings.items())) as channel:
            yield channel


def method(channel: grpc.Channel, name: str, response: Any) -> Any:
    """A method of the inference service: a function from a message, or its bytes, to the response."""
    return channel.unary_unary(
        f"/{SERVICE}/{name}",
        request_serializer=lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
        response_deserializer=response.FromString,
    )


@contextlib.contextmanager
def our_server(folder: Path, *arguments: str) -> Iterator[tuple[ServerProcess, Server]]:
    """Our server for a model's folder, over HTTP and gRPC; not waited for until it is ready."""
    port = free_port()
    with server_process("--model-dir", folder, "--grpc-port", str(port), *arguments) as process:
        process.wait_for_event("listening_grpc")
        yield process, Server(process.port, port)


@contextlib.contextmanager
def triton_server(repository: Path, log: Path) -> Iterator[Server]:
    """A real Triton for the models of a repository; its group of peers is installed."""
    http_port, grpc_port = free_ports(2)
    arguments, environ = triton.command(repository, http_port=http_port, grpc_port=grpc_port)
    server = Server(http_port, grpc_port)
    with log.open("w") as file:
        process = subprocess.Popen(arguments, env=environ, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 120
        while not _is_ready(server):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"Triton did not start:\n{log.read_text()[-5000:]}")
            time.sleep(0.1)  # between two looks; the deadline is above
        yield server
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(server: Server) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{server.url}/v2/health/ready", trust_env=False).status_code == 200
    return False


def run_client(group: str, script: Path, *arguments: str) -> Any:
    """Run a script with the Python of a group of peers; gives what it prints, which is JSON."""
    peers.ensure([group], Progress())
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run(
        [peers.python(group), script, *arguments], env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
