"""All servers under the same load, in rounds that take turns, so that a neighbour's noise falls on all of them alike.

The main figure is requests per second of the server's own CPU time: what a core is worth. It is the median over the
rounds and hardly minds a busy machine. Latencies do mind: they are those of the quietest round.
"""

import contextlib
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.server import load
from bench.server.models import Models, answered, grpc, v1, v2, v2_binary
from bench.server.servers import GRPC_PATH, Running, Server, all_servers, ask, ask_grpc, serve
from bench.server.usage import cpu_seconds, resident_mib

CONNECTIONS = 16
_TOLERANCE = 1e-4
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request to one server."""

    name: str
    path: str
    body: bytes
    head_length: int | None = None

    @property
    def is_grpc(self) -> bool:
        return self.path == GRPC_PATH

    def check(self, running: Running, models: Models) -> None:
        """Raise RuntimeError unless the server answers as scikit-learn does."""
        headers = {}
        if self.head_length is not None:
            headers = {
                "content-type": "application/octet-stream",
                "inference-header-content-length": str(self.head_length),
            }
        if self.is_grpc:
            status, body, _ = ask_grpc(running.port, self.body)
            head_length = 0
        else:
            status, body, head_length = ask(running.port, self.path, self.body, headers)
        if status != 200:
            raise RuntimeError(f"{running.server.name}, {self.name}: {status} {body[:300]!r}")
        given = answered(body, head_length)
        wrong = np.abs(given - models.probabilities[: len(given)]).max()
        if wrong > _TOLERANCE:
            raise RuntimeError(f"{running.server.name}, {self.name}: an answer is off by {wrong}")

    def load(self, port: int, *, seconds: float) -> load.Loaded:
        """As much as the server can take."""
        if self.is_grpc:
            return load.run_grpc(port, self.path, self.body, seconds=seconds, connections=CONNECTIONS)
        options = {"connections": CONNECTIONS, "head_length": self.head_length}
        return load.run(port, self.path, self.body, seconds=seconds, **options)


def cases(server: Server, models: Models) -> list[Case]:
    """What a server is asked."""
    if server.is_grpc:
        named = {"1 row, gRPC": models.rows[:1], "64 rows, gRPC": models.rows}
        return [Case(name, server.json_path, grpc(rows)) for name, rows in named.items()]
    form = v2 if server.speaks_v2 else v1
    found = [
        Case("1 row, JSON", server.json_path, form(models.rows[:1])),
        Case("64 rows, JSON", server.json_path, form(models.rows)),
    ]
    if server.binary_path is not None:
        body, length = v2_binary(models.rows)
        found.append(Case("64 rows, binary", server.binary_path, body, length))
    return found


def compare(
    models: Models, folder: Path, *, rounds: int, seconds: float, only: str, say: Say
) -> dict[str, dict[str, Any]]:
    """Measure all servers whose name holds a part of `only`; gives figures by server and case."""
    parts = only.lower().split(",")
    chosen = [server for server in all_servers(models) if any(part in server.name.lower() for part in parts)]
    figures: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        running = []
        for index, server in enumerate(chosen):
            say(f"starting {server.name} …")
            starts = _starts(server, models, folder / f"starts-{index}")
            one = stack.enter_context(serve(server, models, folder / f"{index}", _probe(server, models)))
            for case in cases(server, models):
                case.check(one, models)
            figures[server.name] = {"note": server.note, "start_s": statistics.median(starts), "cases": {}}
            one.pause()
            running.append(one)
        for number in range(rounds):
            for one in running:
                say(f"round {number + 1} of {rounds}: {one.server.name} …")
                _measure(one, models, figures[one.server.name]["cases"], seconds)
        for one in running:
            _summarise(figures[one.server.name], one)
        for number in range(min(rounds, 3)):
            for one in [one for one in running if not one.server.is_grpc]:  # h2load asks on all connections at once
                say(f"at half load, {number + 1} of {min(rounds, 3)}: {one.server.name} …")
                _at_half_load(one, models, figures[one.server.name]["cases"], seconds)
    return figures


def _probe(server: Server, models: Models) -> tuple[str, bytes]:
    first = cases(server, models)[0]
    return first.path, first.body


def _starts(server: Server, models: Models, folder: Path) -> list[float]:
    """Seconds from the command to the first answer, of some starts; the first one warms the page cache."""
    seconds = []
    for number in range(3):
        with serve(server, models, folder / f"{number}", _probe(server, models)) as one:
            seconds.append(one.seconds_to_start)
    return seconds[1:]


def _measure(one: Running, models: Models, figures: dict[str, Any], seconds: float) -> None:
    one.go_on()
    for case in cases(one.server, models):
        case.load(one.port, seconds=1)
        before = cpu_seconds(one.process.pid)
        loaded = case.load(one.port, seconds=seconds)
        spent = cpu_seconds(one.process.pid) - before
        figures.setdefault(case.name, {"rounds": []})["rounds"].append(
            asdict(loaded) | {"per_cpu_second": loaded.requests / spent}
        )
    one.pause()


def _summarise(figures: dict[str, Any], one: Running) -> None:
    one.go_on()
    figures["memory_mib"] = round(resident_mib(one.process.pid), 1)
    one.pause()
    for case in figures["cases"].values():
        rounds = case["rounds"]
        quietest = max(rounds, key=lambda each: each["rate"])
        case["per_cpu_second"] = round(statistics.median(each["per_cpu_second"] for each in rounds))
        case |= {"rate": round(quietest["rate"]), "p50_ms": quietest["p50"], "p99_ms": quietest["p99"]}
        case["failed"] = sum(each["failed"] for each in rounds)


def _at_half_load(one: Running, models: Models, figures: dict[str, Any], seconds: float) -> None:
    one.go_on()
    for case in cases(one.server, models):
        figure = figures[case.name]
        pause = load.half_load_pause(figure["rate"], figure["p50_ms"], connections=CONNECTIONS)
        loaded = load.run(
            one.port,
            case.path,
            case.body,
            seconds=seconds,
            connections=load.PACED,
            head_length=case.head_length,
            pause_ms=pause,
        )
        seen = {"rate": round(loaded.rate), "p50_ms": loaded.p50, "p99_ms": loaded.p99}
        if "half_load" not in figure or seen["p99_ms"] < figure["half_load"]["p99_ms"]:
            figure["half_load"] = seen
    one.pause()
    time.sleep(0.05)
