"""Batch scoring beside the bare loop, a script, Ray Data and Spark: how many rows a core scores in a second.

    python -m bench.batch [--rows 2000000] [--rounds 5] [--engines ray,spark] [--large 4] [--save]

The bare loop reads Parquet with pyarrow, gives the rows to onnxruntime and writes Parquet, with nothing of modelway,
the same rows at a time and the same columns out. `counting` is modelway with a model that brings a reference, so that
the rows are compared with it. These run one after the other in processes of their own, in turns, so that what else the
machine does meets all; the CPU time of the process is what counts, its start and the loading of the model left out.
The script is pandas and scikit-learn; it and the engines (`bench.batch_engines`) score once. `--large` is one file of
so many gigabytes, for the memory.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import batch_data as data
from bench import batch_engines as engines
from bench.batch_arms import BATCH, BLOCK
from bench.figures import Figures, tell
from bench.plane import say

_IN_TURNS: Final = ("bare", "modelway", "counting")
_SCALED: Final = ("bare", "modelway")
_ROW_BYTES: Final = 4 * data.FEATURES + 8
_LARGE_GROUP: Final = 1 << 20
"""Rows of a row group of the large file: 128 MiB decoded."""

Runs = dict[str, list[dict[str, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--engines", type=_engines, default="ray,spark", help="with commas between; empty: none")
    parser.add_argument("--large", type=float, default=0.0, help="gigabytes of a file that is scored for its memory")
    parser.add_argument("--save", action="store_true", help="write the figures to bench/results/")
    given = parser.parse_args()
    if given.rows < 2 * data.SMALL:
        parser.error(f"--rows: {2 * data.SMALL} at least, so that the start of an engine can be told from the rows")
    figures: Figures = {"rows": given.rows, "features": data.FEATURES, "cores": given.cores, "rounds": given.rounds}
    with tempfile.TemporaryDirectory(prefix="bench-batch-") as folder:
        for name, estimator in data.MODELS.items():
            place = Path(folder, name.partition(" ")[0])
            say(f"{name}: {given.rows:,} rows …")
            data.prepare(place, estimator, given.rows)
            found = with_forest(place) if "forest" in name else compared(place, given)
            figures |= {f"{name}: {what}": value for what, value in found.items()}
        if given.large:
            figures |= large(Path(folder, "logistic"), given.large)
    tell(figures, name="batch", save=given.save)


def _engines(text: str) -> list[str]:
    named = [name for name in text.split(",") if name]
    if unknown := set(named) - set(engines.ENGINES):
        raise argparse.ArgumentTypeError(
            f"there is no {', '.join(sorted(unknown))}; there are {', '.join(engines.ENGINES)}"
        )
    return named


def compared(folder: Path, given: Any) -> dict[str, Any]:
    """The arms in turns, then on two cores, the script and the engines."""
    found = in_turns(folder, _IN_TURNS, given.rounds, given.cores)
    figures: dict[str, Any] = {}
    for kind, runs in found.items():
        figures[f"{kind}, rows per core-second"] = round(statistics.median(map(_rate, runs)))
        figures[f"{kind}, MiB at most"] = round(max(one["mib"] for one in runs))
    figures["modelway / bare, by pairs, %"] = 100 * ratio(found["modelway"], found["bare"], "cpu")
    figures["counting / modelway, by pairs, %"] = 100 * ratio(found["counting"], found["modelway"], "cpu")
    if given.cores == 1 and len(os.sched_getaffinity(0)) > 1:
        both = in_turns(folder, _SCALED, given.rounds, 2)
        for kind in _SCALED:
            figures[f"{kind}, times as quick on two cores"] = ratio(both[kind], found[kind], "wall")
        gains = [figures[f"{kind}, times as quick on two cores"] for kind in ("modelway", "bare")]
        figures["gain of two cores, modelway / bare, %"] = 100 * gains[0] / gains[1]
    figures["script, rows per core-second"] = round(_rate(measured("script", folder, given.cores, rows="small")))
    for engine in given.engines:
        figures |= by_engine(engine, folder, given.cores, found["bare"][0])
    return figures


def with_forest(folder: Path) -> dict[str, Any]:
    """A random forest, which scikit-learn is slow at: modelway and the script, on fewer rows."""
    ours, theirs = (_rate(measured(arm, folder, 1, rows="small")) for arm in ("modelway", "script"))
    return {
        "modelway, rows per core-second": round(ours),
        "script, rows per core-second": round(theirs),
        "modelway / script": ours / theirs,
    }


def large(folder: Path, gigabytes: float) -> dict[str, Any]:
    """One large file."""
    rows = int(gigabytes * 1e9 / _ROW_BYTES)
    (folder / "large").mkdir()
    path = folder / "large" / "rows.parquet"
    data.write(path, rows, np.random.default_rng(11), group=_LARGE_GROUP)
    found = measured("modelway", folder, 1, rows="large")
    if found["rows"] != rows:
        raise AssertionError(f"{found['rows']} of {rows} rows were scored")
    return {
        "one large file, GB": path.stat().st_size / 1e9,
        "one large file, MiB of memory at most": round(found["mib"]),
    }


def by_engine(engine: str, folder: Path, cores: int, expected: dict[str, float]) -> dict[str, Any]:
    """An engine's figures, or why there are none."""
    say(f"{engine} …")
    try:
        found = engines.measured(engine, folder, names=data.NAMES, cores=cores, batch=BATCH, block=BLOCK)
    except engines.NotMeasuredError as error:
        say(f"{engine}: {error}")
        return {engine: str(error)}
    if (found["rows"], found["positives"]) != (expected["rows"], expected["positives"]):
        return {engine: f"other answers: {found}, where the bare loop has {expected}"}
    say(f"{engine}: {found['counted'] / found['cpu']:,.0f} rows per core-second")
    return {
        f"{engine}, rows per core-second": round(found["counted"] / found["cpu"]),
        f"{engine}, MiB at most": round(found["mib"]),
    }


def in_turns(folder: Path, arms: tuple[str, ...], rounds: int, cores: int) -> Runs:
    """The arms one after the other, in an order that changes."""
    found: Runs = {arm: [] for arm in arms}
    for number in range(rounds):
        for arm in arms if number % 2 else reversed(arms):
            found[arm].append(measured(arm, folder, cores))
    if len(answers := {(run["rows"], run["positives"]) for runs in found.values() for run in runs}) > 1:
        raise AssertionError(f"not all have the same answers (rows, of these with 1): {sorted(answers)}")
    return found


def ratio(ours: list[dict[str, float]], theirs: list[dict[str, float]], per: str) -> float:
    """Median over the rounds of how many rows a second (`cpu`, `wall`) one scores for each of the other."""
    pairs = zip(ours, theirs, strict=True)
    return statistics.median((one["rows"] / one[per]) / (other["rows"] / other[per]) for one, other in pairs)


def measured(arm: str, folder: Path, cores: int, *, rows: str = "in") -> dict[str, float]:
    """One run in a process of its own, on so many cores."""
    command = [sys.executable, "-m", "bench.batch_arms", arm, "--folder", str(folder), "--cores", str(cores)]
    available = sorted(os.sched_getaffinity(0))[:cores]

    def bounded() -> None:
        os.sched_setaffinity(0, available)
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))

    environ = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MODELWAY_LOG_LEVEL": "ERROR"}
    done = subprocess.run(
        [*command, "--rows", rows], check=True, stdout=subprocess.PIPE, env=environ, timeout=600, preexec_fn=bounded
    )
    result: dict[str, float] = json.loads(done.stdout)
    say(f"{arm}, {cores} core(s): {_rate(result):,.0f} rows per core-second")
    return result


def _rate(run: dict[str, float]) -> float:
    return run["rows"] / run["cpu"]


if __name__ == "__main__":
    main()
