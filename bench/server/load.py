"""Load on core 1, from wrk over HTTP/1.1 and from h2load over gRPC: as much as the server can take, or about a rate."""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

LOAD_CORE = 1
PACED = 64
"""Connections of the paced load: each pauses long, so they hardly wait for each other."""
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


def require_cores() -> None:
    """Exit where there are too few."""
    if (os.cpu_count() or 1) < 2:
        sys.exit("two cores are needed: one for the server, one for the load")


def require_tools() -> None:
    """Raise RuntimeError where one is missing."""
    for name, package in (("wrk", "wrk"), ("h2load", "nghttp2-client")):
        if shutil.which(name) is None:
            raise RuntimeError(f"{name} is not installed; apt-get install {package}")


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


def half_load_pause(rate: float, p50: float, *, connections: int) -> float:
    """Milliseconds for which each of `PACED` connections is to pause, so that all ask for half of `rate`.

    Args:
        rate: requests per second that the server has answered at most.
        p50: milliseconds, of these: the answer's time is part of a connection's cycle.
        connections: over which they were asked.

    """
    return max(1e3 * PACED / (rate / 2) - p50 / connections, 0.5)


def run_grpc(port: int, path: str, message: bytes, *, seconds: float, connections: int) -> Loaded:
    """The same over gRPC: one request at a time on each connection. `failed` are those without a status of 2xx."""
    with tempfile.TemporaryDirectory() as folder:
        content, log = Path(folder) / "body", Path(folder) / "log"
        content.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
        command = ["h2load", "--threads=1", f"--clients={connections}", "--max-concurrent-streams=1"]
        command += [f"--duration={seconds:.0f}", f"--data={content}", f"--log-file={log}"]
        command += ["--header=content-type: application/grpc", "--header=te: trailers"]
        ended = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{path}"],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}),
        )
        lines = [line.split("\t") for line in log.read_text().splitlines()]
    rate = re.search(r"finished in [^,]+, ([\d.]+) req/s", ended.stdout)[1]
    took = statistics.quantiles([int(microseconds) for _, _, microseconds in lines], n=100)
    return Loaded(
        requests=len(lines),
        rate=float(rate),
        p50=took[49] / 1e3,
        p99=took[98] / 1e3,
        failed=sum(not status.startswith("2") for _, status, _ in lines),
    )


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
