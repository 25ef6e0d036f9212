"""Load from wrk on core 1: as much as the server can take, or about a given rate."""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

LOAD_CORE = 1
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local length = os.getenv("HEAD_LENGTH")
if length ~= "" then
  wrk.headers["Content-Type"] = "application/octet-stream"
  wrk.headers["Inference-Header-Content-Length"] = length
end
local file = io.open(os.getenv("BODY"), "rb")
wrk.body = file:read("*a")
file:close()
local pause = tonumber(os.getenv("PAUSE"))
if pause > 0 then
  math.randomseed(1)
  -- A pause before each request whose mean is PAUSE, so that arrivals of many connections come as of independent users.
  function delay() return math.floor(-pause * math.log(1 - math.random()) + 0.5) end
end
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one load gave; latencies in milliseconds, rate in requests per second."""

    requests: int
    rate: float
    p50: float
    p99: float
    failed: int


def require_wrk() -> None:
    """Raise RuntimeError where wrk is missing."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is not installed; apt-get install wrk")


def run(
    port: int,
    path: str,
    body: bytes,
    *,
    seconds: float,
    connections: int,
    head_length: int | None = None,
    pause_ms: float = 0.0,
) -> Loaded:
    """Ask for so many seconds over so many connections, each asking again when it was answered and has paused."""
    with tempfile.TemporaryDirectory() as folder:
        script, content = Path(folder) / "post.lua", Path(folder) / "body"
        script.write_text(_SCRIPT)
        content.write_bytes(body)
        environ = {"BODY": str(content), "HEAD_LENGTH": str(head_length or ""), "PAUSE": str(pause_ms)}
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", "--timeout", "30s"]
        ended = subprocess.run(
            [*command, "-s", str(script), f"http://127.0.0.1:{port}{path}"],
            env=os.environ | environ,
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}),
        )
    return _read(ended.stdout)


def _read(text: str) -> Loaded:
    requests, seconds = re.search(r"(\d+) requests in ([\d.]+)s", text).groups()
    failed = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    failed += sum(map(int, errors.groups())) if errors else 0
    return Loaded(
        requests=int(requests),
        rate=int(requests) / float(seconds),
        p50=_milliseconds(text, "50%"),
        p99=_milliseconds(text, "99%"),
        failed=failed,
    )


def _milliseconds(text: str, percentile: str) -> float:
    number, unit = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s|m)\b", text).groups()
    return float(number) * _UNITS[unit]
