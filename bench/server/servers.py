"""The servers: how each is started, tuned as its documentation says, one worker and one thread of the model.

`serve` starts one on core 0 in a session of its own, so that everything it starts is found, counted and ended.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from hack import peers
from hack.peers import triton

from bench.server import image
from bench.server.models import Models
from bench.server.usage import members
from modelway.server.rpc.inference_pb2 import ModelInferResponse

SERVER_CORE = 0
GRPC_PATH = "/inference.GRPCInferenceService/ModelInfer"
_HERE = Path(__file__).parent / "peers"
_ROOT = Path(__file__).parents[2]
_STARTED_WITHIN = 120.0  # seconds
_PATIENCE = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Server:
    """One server that is compared.

    Args:
        name: as tables show it.
        command: from the models, its port and a folder for its files, how to start it: arguments and environment.
        json_path: where JSON predictions are posted.
        speaks_v2: whether those are V2's (else V1's form).
        binary_path: where V2 with binary tensors is posted; None: it has none.
        is_grpc: it is asked over gRPC, and over nothing else.
        note: what was tuned.

    """

    name: str
    command: Callable[[Models, int, Path], tuple[list[str], dict[str, str]]]
    json_path: str
    speaks_v2: bool = False
    binary_path: str | None = None
    is_grpc: bool = False
    note: str = ""


@dataclass(slots=True)
class Running:
    """A server that runs."""

    server: Server
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    seconds_to_start: float = 0.0
    _stopped: bool = field(default=False, init=False)

    def pause(self) -> None:
        """Let it use no CPU while another is measured."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The opposite."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in members(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self) -> None:
        """Kill all of it."""
        self._signal(signal.SIGKILL)
        self.process.wait()


def modelway(
    model: Path, *options: str, program: Path | None = None
) -> Callable[[Models, int, Path], tuple[list[str], dict[str, str]]]:
    """How modelway serves a model; left out, `program` is that of the image's environment."""

    def start(_models: Models, port: int, _folder: Path) -> tuple[list[str], dict[str, str]]:
        command = [str(program or image.executable("modelway")), "serve", str(model), "--name", "m"]
        return [*command, "--host", "127.0.0.1", "--port", str(port), "--threads", "1", *options], {}

    return start


def _modelway_grpc(models: Models, port: int, folder: Path) -> tuple[list[str], dict[str, str]]:
    return modelway(models.linear, "--grpc-port", str(port))(models, free_port(), folder)


def _gunicorn(*options: str) -> Callable[[Models, int, Path], tuple[list[str], dict[str, str]]]:
    def start(models: Models, port: int, _folder: Path) -> tuple[list[str], dict[str, str]]:
        command = [str(peers.executable("web", "gunicorn")), "--chdir", str(_HERE), "--bind", f"127.0.0.1:{port}"]
        command += ["--timeout", "0"]  # it would kill a worker that was paused while others were measured
        return [*command, *options, "flask_app:app"], {"MODEL": _onnx(models)}

    return start


def _fastapi(models: Models, port: int, _folder: Path) -> tuple[list[str], dict[str, str]]:
    return [*_uvicorn(port), "fastapi_app:app"], {"MODEL": _onnx(models)}


def _onnx_in_asgi(models: Models, port: int, _folder: Path) -> tuple[list[str], dict[str, str]]:
    return [*_uvicorn(port), "onnx_asgi:app"], {"MODEL": _onnx(models)}


def _modelway_on_uvicorn(models: Models, port: int, _folder: Path) -> tuple[list[str], dict[str, str]]:
    # uvicorn from the peers' environment, before which this one's packages are found.
    ours = f"{_ROOT / 'operator'}:{image.packages()}"
    return [*_uvicorn(port), "modelway_asgi:app"], {"MODEL": str(models.linear), "PYTHONPATH": ours}


def _uvicorn(port: int) -> list[str]:
    command = [str(peers.executable("web", "uvicorn")), "--app-dir", str(_HERE), "--port", str(port)]
    return [*command, "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]


def _kserve(*, quiet: bool) -> Callable[[Models, int, Path], tuple[list[str], dict[str, str]]]:
    def start(models: Models, port: int, _folder: Path) -> tuple[list[str], dict[str, str]]:
        environ = {"MODEL": _onnx(models), "PORT": str(port), "GRPC_PORT": str(free_port()), "QUIET": str(int(quiet))}
        return [str(peers.python("kserve")), str(_HERE / "kserve_app.py")], environ

    return start


def _mlserver(models: Models, port: int, folder: Path) -> tuple[list[str], dict[str, str]]:
    settings = {
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "host": "127.0.0.1",
        "parallel_workers": 0,
        "debug": False,
    }
    model = {"name": "m", "implementation": "mlserver_app.Onnx", "parameters": {"uri": _onnx(models)}}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    return [str(peers.executable("mlserver", "mlserver")), "start", str(folder)], {"PYTHONPATH": str(_HERE)}


def _triton(models: Models, port: int, folder: Path) -> tuple[list[str], dict[str, str]]:
    triton.add_onnx_model(folder, "m", Path(_onnx(models)).read_bytes())
    return triton.command(folder, http_port=port, grpc_port=free_port())


def _triton_grpc(models: Models, port: int, folder: Path) -> tuple[list[str], dict[str, str]]:
    triton.add_onnx_model(folder, "m", Path(_onnx(models)).read_bytes())
    return triton.command(folder, http_port=free_port(), grpc_port=port)


def all_servers(models: Models) -> list[Server]:
    """All that are compared, modelway first."""
    v2 = "/v2/models/m/infer"
    return [
        Server("modelway", modelway(models.linear), "/v1/models/m:predict", binary_path=v2, note="as it comes"),
        Server("modelway on uvicorn", _modelway_on_uvicorn, "/v1/models/m:predict", note="its application behind ASGI"),
        Server("onnxruntime in ASGI", _onnx_in_asgi, "/", note="uvicorn; no checks, metrics or limits"),
        Server("FastAPI, pydantic", _fastapi, "/predict", note="async def, uvloop, httptools, no access log"),
        Server("Flask, gunicorn sync", _gunicorn(), "/predict", note="as gunicorn comes, one worker"),
        Server(
            "Flask, gunicorn threads",
            _gunicorn("--worker-class", "gthread", "--threads", "4", "--keep-alive", "60"),
            "/predict",
            note="gthread, 4 threads, keep-alive",
        ),
        Server("KServe", _kserve(quiet=False), "/v1/models/m:predict", binary_path=v2, note="as it comes"),
        Server("KServe, quiet", _kserve(quiet=True), "/v1/models/m:predict", binary_path=v2, note="all its logs off"),
        Server("MLServer", _mlserver, v2, speaks_v2=True, note="parallel_workers 0, debug off"),
        Server("Triton, Python backend", _triton, v2, speaks_v2=True, binary_path=v2, note="onnxruntime in it"),
        Server("modelway, gRPC", _modelway_grpc, GRPC_PATH, is_grpc=True, note="with --grpc-port"),
        Server("Triton, gRPC", _triton_grpc, GRPC_PATH, is_grpc=True, note="onnxruntime in its Python backend"),
    ]


@contextlib.contextmanager
def serve(
    server: Server, models: Models, folder: Path, probe: tuple[str, bytes], *, core: int | None = SERVER_CORE
) -> Iterator[Running]:
    """A server for the length of a block; it has answered `probe` (a path and a body) when the block begins.

    It runs on `core`; None: on all.
    """
    folder.mkdir(parents=True)
    port = free_port()
    command, environ = server.command(models, port, folder)
    log = folder / "log"
    cores = os.sched_getaffinity(0) if core is None else {core}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=_as_images() | threads | environ,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509 no threads here
        )
    running = Running(server, port, process, log)
    try:
        _until_answered(running, began, probe)
        yield running
    finally:
        running.end()


def _as_images() -> dict[str, str]:
    """The environment without what would compile Python's sources at every start: images hold bytecode."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _until_answered(running: Running, began: float, probe: tuple[str, bytes]) -> None:
    path, body = probe
    while time.monotonic() - began < _STARTED_WITHIN:
        if running.process.poll() is not None:
            break
        with contextlib.suppress(OSError, http.client.HTTPException):
            asked = ask_grpc(running.port, body)[0] if path == GRPC_PATH else ask(running.port, path, body)[0]
            if asked == 200:
                running.seconds_to_start = time.monotonic() - began
                return
        time.sleep(0.005)
    tail = running.log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{running.server.name} did not start:\n{tail}")


def ask(port: int, path: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, bytes, int | None]:
    """Post once; gives the status, the answer, and the length of its JSON part where it holds binary tensors."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"} | (headers or {}))
        answer = connection.getresponse()
        length = answer.getheader("inference-header-content-length")
        return answer.status, answer.read(), int(length) if length else None
    finally:
        connection.close()


def ask_grpc(port: int, message: bytes) -> tuple[int, bytes, None]:
    """The same over gRPC; the status is 200 or 500, and the answer the first output's data."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(GRPC_PATH, response_deserializer=ModelInferResponse.FromString)
        try:
            answer = call(message, timeout=_PATIENCE)
        except grpc.RpcError as error:
            return 500, str(error).encode(), None
    return 200, answer.raw_output_contents[0], None


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _onnx(models: Models) -> str:
    return str(models.linear / "model.onnx")
