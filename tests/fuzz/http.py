"""A live server is asked whatever its own OpenAPI document allows, and what it forbids, by schemathesis.

Every answer has to be one that the document names, of its content type and schema; what the document forbids has to be
refused; and nothing may be answered with 500 or more. That what it allows is taken is not checked: no JSON Schema says
that a table's columns are equally long, nor how CSV looks.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.models import iris
from support.server_process import ServerProcess, server_process

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
# What the document forbids may be too large as well, which is told first.
_CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = ["400", "404", "405", "406", "413", "415"]
"""
# What a server may come to hold while it is asked: arenas of the allocator and of onnxruntime, and no more with time.
MOST_GROWTH = 48 * 2**20


@contextmanager
def iris_server(folder: Path) -> Iterator[ServerProcess]:
    """A server with an ONNX model that has names for its values."""
    (folder / "model.onnx").write_bytes(iris().onnx)
    names = ["sepal length", "sepal width", "petal length", "petal <width>"]
    (folder / "modelway.json").write_text(json.dumps({"version": "7", "featureNames": names}))
    with server_process(folder, "--name", "iris") as server:
        yield server.wait_until_ready()


def ask(server: ServerProcess, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run schemathesis; its return code is not 0 where a check failed."""
    command = [Path(sys.executable).with_name("schemathesis"), "run", "--no-color", "--output-truncate", "false"]
    with tempfile.TemporaryDirectory() as folder:  # where it leaves what it found
        (Path(folder) / "schemathesis.toml").write_text(_CONFIGURATION)
        return subprocess.run(
            [*command, "--checks", ",".join(CHECKS), *options, f"{server.url}/openapi.json"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def resident(server: ServerProcess) -> int:
    """Bytes of memory that the server holds."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) * 1024
