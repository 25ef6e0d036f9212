"""A random forest of scikit-learn: as it is, with micro-batching, and converted to ONNX. Rows per second."""

import statistics
from pathlib import Path
from typing import Any

from bench.server import load
from bench.server.comparison import Say
from bench.server.models import Models, v1
from bench.server.servers import Server, modelway, serve
from bench.server.usage import cpu_seconds

CLIENTS = 64
_PATH = "/v1/models/m:predict"


def measure(models: Models, folder: Path, *, rounds: int, seconds: float, say: Say) -> dict[str, Any]:
    """Ask for one row at a time from 64 connections; gives figures by way of serving."""
    pickled = modelway(models.pickled, "--code", "AllowList", "--max-batch", "1", "--timeout", "30s")
    batched = modelway(models.pickled, "--code", "AllowList", "--timeout", "30s")
    ways = {
        "scikit-learn, one at a time": Server("unbatched", pickled, _PATH),
        "scikit-learn, micro-batching": Server("batched", batched, _PATH),
        "converted to ONNX": Server("converted", modelway(models.forest), _PATH),
    }
    body = v1(models.rows[:1])
    figures: dict[str, Any] = {name: {"rounds": []} for name in ways}
    for number in range(rounds):
        for name, server in ways.items():
            say(f"forest, round {number + 1} of {rounds}: {name} …")
            with serve(server, models, folder / f"{server.name}-{number}", (_PATH, body)) as one:
                load.run(one.port, _PATH, body, seconds=1, connections=CLIENTS)
                before = cpu_seconds(one.process.pid)
                loaded = load.run(one.port, _PATH, body, seconds=seconds, connections=CLIENTS)
                spent = cpu_seconds(one.process.pid) - before
                figures[name]["rounds"].append(
                    {
                        "rows_per_second": loaded.rate,
                        "rows_per_cpu_second": loaded.requests / spent,
                        "p50_ms": loaded.p50,
                        "p99_ms": loaded.p99,
                        "failed": loaded.failed,
                    }
                )
    for figure in figures.values():
        for key in ("rows_per_second", "rows_per_cpu_second"):
            figure[key] = round(statistics.median(each[key] for each in figure["rounds"]))
        figure["p50_ms"] = min(each["p50_ms"] for each in figure["rounds"])
        figure["p99_ms"] = min(each["p99_ms"] for each in figure["rounds"])
    return figures
