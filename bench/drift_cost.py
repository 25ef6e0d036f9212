"""`python -m bench.drift_cost`: what counting inputs and answers costs the model server.

The same model is served four times: nothing is counted, answers alone, inputs of a tenth of the requests, and inputs of
all. Turns are short and come in an order of chance, so that a neighbour's noise falls on all alike; not shorter than
some seconds, as two seconds' worth of rows may be counted at once after a server has paused. Each turn asks first for
as much as the server can take, then for half of that. What is told is the median over the rounds of the
ratio to the server that counts nothing, with an interval from resampled rounds. Requests per second of the server's own
CPU time hardly mind a busy machine; latencies do.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer

from bench.figures import Figures, tell
from bench.server import load, models
from bench.server.servers import Running, Server, modelway, serve
from bench.server.usage import cpu_seconds, resident_mib
from modelway.profiling import profile
from modelway.server.loading import load as load_model
from modelway.server.options import ServerOptions

_PATH = "/v1/models/m:predict"
_CONNECTIONS = 16
_ARMS = {
    "nothing": ("--no-observe",),
    "answers": ("--observe-share", "0%"),
    "tenth": ("--observe-share", "10%"),
    "inputs": (),
}
_CASES = {"one_row": 1, "rows_64": 64}


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn gave; `full` by as many requests as the server can take, `half` by half of them."""

    per_cpu_second: float
    full: load.Loaded
    half: load.Loaded

    @property
    def requests(self) -> int:
        """All of them."""
        return self.full.requests + self.half.requests


_TOLD: dict[str, Callable[[Turn], float]] = {
    "throughput": lambda turn: turn.per_cpu_second,
    "p50": lambda turn: turn.half.p50,
    "p99": lambda turn: turn.half.p99,
    "p99_at_full_load": lambda turn: turn.full.p99,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.drift_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="turns of each server and case (default: 10)")
    parser.add_argument("--seconds", type=int, default=4, help="of a turn (default: 4)")
    parser.add_argument("--save", action="store_true", help="write the figures to bench/results/")
    arguments = parser.parse_args()
    load.require_tools()
    if (os.cpu_count() or 1) < 2:
        sys.exit("two cores are needed: one for the server, one for the load")
    with tempfile.TemporaryDirectory(prefix="modelway-bench-") as folder:
        figures = measure(Path(folder), rounds=arguments.rounds, seconds=arguments.seconds)
    tell(figures, name="drift_cost", save=arguments.save)


def measure(
    folder: Path, *, rounds: int, seconds: int, arms: Mapping[str, tuple[str, ...]] = MappingProxyType(_ARMS)
) -> Figures:
    """All figures.

    Args:
        folder: for the model and the servers' logs.
        rounds: turns of each server and case.
        seconds: of a turn.
        arms: further options of each server, by its name; the first is what the others are compared with.

    """
    made = models.make(folder)
    _describe(made.linear)
    bodies = {case: models.v1(made.rows[:rows]) for case, rows in _CASES.items()}
    turns: dict[str, dict[str, list[Turn]]] = {case: {arm: [] for arm in arms} for case in _CASES}
    figures: Figures = {"rounds": rounds, "seconds": seconds}
    rng = np.random.default_rng(1)
    with contextlib.ExitStack() as stack:
        running: dict[str, Running] = {}
        for arm, options in arms.items():
            start = modelway(made.linear, *options, program=Path(sys.executable).with_name("modelway"))
            server = Server(arm, start, _PATH)
            running[arm] = stack.enter_context(serve(server, made, folder / arm, (_PATH, bodies["one_row"])))
            running[arm].pause()
        for case, body in bodies.items():
            pause = _pause(running[next(iter(arms))], body, seconds)
            for number in range(rounds + 1):
                for arm in rng.permutation(list(arms)).tolist():
                    turn = _turn(running[arm], body, seconds, pause)
                    if number:  # the first is for warming up
                        turns[case][arm].append(turn)
        for arm, one in running.items():
            one.go_on()
            figures[f"{arm}_memory_mib"] = round(resident_mib(one.process.pid), 1)
    for case, by_arm in turns.items():
        figures |= {f"{case}_{name}": value for name, value in _compared(by_arm, rng).items()}
    return figures


def _describe(folder: Path) -> None:
    """Name the model's columns and give it a reference: its own training rows."""
    data = load_breast_cancer()
    width = load_model(ServerOptions(folder, "m")).model.inputs[0].shape[1]
    names = [str(name) for name in data.feature_names]
    assert width == len(names)
    made = profile(data.data, names=names)
    made.write(folder / "modelway.json")
    text = (folder / "modelway.json").read_text()
    quoted = ", ".join(f'"{name}"' for name in names)
    (folder / "modelway.json").write_text(text.replace("{", f'{{"featureNames": [{quoted}],', 1))


def _pause(running: Running, body: bytes, seconds: int) -> float:
    """Milliseconds for which a connection is to pause, so that all of them ask for half of what the server can take."""
    running.go_on()
    loaded = load.run(running.port, _PATH, body, seconds=seconds, connections=_CONNECTIONS)
    running.pause()
    return load.half_load_pause(loaded.rate, loaded.p50, connections=_CONNECTIONS)


def _turn(running: Running, body: bytes, seconds: int, pause: float) -> Turn:
    running.go_on()
    before = cpu_seconds(running.process.pid)
    full = load.run(running.port, _PATH, body, seconds=seconds, connections=_CONNECTIONS)
    spent = cpu_seconds(running.process.pid) - before
    half = load.run(running.port, _PATH, body, seconds=seconds, connections=load.PACED, pause_ms=pause)
    running.pause()
    if failed := full.failed + half.failed:
        raise RuntimeError(f"{running.server.name}: {failed} requests failed")
    return Turn(full.requests / spent, full, half)


def _compared(by_arm: dict[str, list[Turn]], rng: np.random.Generator) -> dict[str, Any]:
    name_of_base, *others = by_arm
    base = by_arm[name_of_base]
    found: dict[str, Any] = {"requests_of_each": min(sum(turn.requests for turn in turns) for turns in by_arm.values())}
    found[f"{name_of_base}_per_cpu_second"] = round(statistics.median(turn.per_cpu_second for turn in base))
    for arm in others:
        for name, of in _TOLD.items():
            ratios = [of(turn) / of(other) for turn, other in zip(by_arm[arm], base, strict=True)]
            found[f"{arm}_{name}_ratio"] = _with_interval(ratios, rng)
    return found


def _with_interval(ratios: list[float], rng: np.random.Generator) -> dict[str, float]:
    """Their median, and the middle 95 % of the medians of resampled ones."""
    medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return {"median": round(statistics.median(ratios), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


if __name__ == "__main__":
    main()
