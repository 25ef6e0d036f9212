"""Batch scoring beside the bare loop: how many rows a core scores in a second, and what modelway costs of it.

    python -m bench.batch [--rows 2000000] [--rounds 5]

The bare loop reads Parquet with pyarrow, gives the rows to onnxruntime and writes Parquet, with nothing of modelway,
the same rows at a time and the same columns out. Both run one after the other in processes of their own, in turns, so
that what else the machine does meets both; the CPU time of the process is what counts, its start and the loading of
the model left out.
"""

# ruff: noqa: PLC0415 what a process does not measure, it does not import: that would be memory of its own

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FEATURES = 30
NAMES = [f"f{index}" for index in range(FEATURES)]
BATCH = 4096
BLOCK = 1 << 15


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rows", type=int, default=2_000_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--cores", type=int, default=1)
    arguments.add_argument("--one", choices=["bare", "modelway"], help=argparse.SUPPRESS)
    arguments.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.one:
        run = {"bare": bare, "modelway": modelway}[given.one]
        print(json.dumps(run(given.folder, given.cores)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-batch-") as folder:
        for name, make in (("logistic regression", logistic), ("gradient-boosted trees", boosted)):
            model = Path(folder, name.partition(" ")[0])
            model.mkdir()
            prepare(model, make, given.rows)
            report(name, model, given)


def report(name: str, folder: Path, given: Any) -> None:
    """Measure in turns and print."""
    found: dict[str, list[dict[str, float]]] = {"bare": [], "modelway": []}
    for number in range(given.rounds):
        for kind in ("bare", "modelway") if number % 2 else ("modelway", "bare"):
            found[kind].append(measured(kind, folder, given.cores))
    rates = {kind: statistics.median(one["rows"] / one["cpu"] for one in runs) for kind, runs in found.items()}
    walls = {kind: statistics.median(one["rows"] / one["wall"] for one in runs) for kind, runs in found.items()}
    memory = {kind: max(one["mib"] for one in runs) for kind, runs in found.items()}
    ratio = statistics.median(
        (own["rows"] / own["cpu"]) / (bare["rows"] / bare["cpu"])
        for own, bare in zip(found["modelway"], found["bare"], strict=True)
    )
    print(f"{name}, {given.rows:,} rows of {FEATURES} features, {given.cores} core(s), median of {given.rounds}:")
    for kind, rate in rates.items():
        print(
            f"  {kind:<9}{rate:>12,.0f} rows per core-second {walls[kind]:>12,.0f} rows per second "
            f"{memory[kind]:>6,.0f} MiB at most"
        )
    print(f"  modelway / bare, by pairs: {ratio:.1%}")


def measured(kind: str, folder: Path, cores: int) -> dict[str, float]:
    """One run in a process of its own, on so many cores."""
    command = [sys.executable, "-m", "bench.batch", "--one", kind, "--folder", str(folder), "--cores", str(cores)]
    available = sorted(os.sched_getaffinity(0))[:cores]

    def bounded() -> None:
        os.sched_setaffinity(0, available)
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))

    environ = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MODELWAY_LOG_LEVEL": "ERROR"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environ, timeout=600, preexec_fn=bounded)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def prepare(folder: Path, make: Any, rows: int) -> None:
    """Write the model and the rows."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet as pq

    chance = np.random.default_rng(7)
    sample = chance.normal(size=(2000, FEATURES)).astype(np.float32)
    labels = (sample[:, :3].sum(axis=1) + chance.normal(size=2000) > 0).astype(int)
    (folder / "model").mkdir()
    (folder / "model" / "model.onnx").write_bytes(make(sample, labels))
    (folder / "in").mkdir()
    with pq.ParquetWriter(folder / "in" / "rows.parquet", _schema()) as writer:
        for start in range(0, rows, 250_000):
            count = min(250_000, rows - start)
            columns = [pa.array(column) for column in chance.normal(size=(FEATURES, count)).astype(np.float32)]
            writer.write_table(pa.table([pa.array(np.arange(start, start + count)), *columns], _schema()))


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema([("id", pa.int64()), *((name, pa.float32()) for name in NAMES)])


def logistic(rows: Any, labels: Any) -> bytes:
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit(rows, labels)
    return to_onnx(fitted, rows[:1], options={"zipmap": False}).SerializeToString()  # type: ignore[no-any-return]


def boosted(rows: Any, labels: Any) -> bytes:
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingClassifier

    fitted = GradientBoostingClassifier(n_estimators=100, max_depth=4, random_state=0).fit(rows, labels)
    return to_onnx(fitted, rows[:1], options={"zipmap": False}).SerializeToString()  # type: ignore[no-any-return]


def bare(folder: Path, cores: int) -> dict[str, float]:
    """pyarrow, onnxruntime and nothing else; on several cores a thread for each."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    import onnxruntime
    import pyarrow as pa
    from pyarrow import parquet as pq

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model" / "model.onnx", settings)
    [name] = [one.name for one in session.get_inputs()]

    def score(batch: Any) -> Any:
        rows = np.column_stack([batch.column(column).to_numpy() for column in NAMES])
        found = [session.run(None, {name: rows[at : at + BATCH]}) for at in range(0, len(rows), BATCH)]
        labels = np.concatenate([one[0] for one in found])
        scores = np.concatenate([one[1] for one in found])
        lists = pa.ListArray.from_arrays(
            pa.array(np.arange(len(rows) + 1, dtype=np.int32) * 2), pa.array(scores.ravel())
        )
        return pa.record_batch(
            [batch.column("id"), pa.array(labels), lists], names=["id", "prediction", "probabilities"]
        )

    begin, cpu = time.perf_counter(), time.process_time()
    rows, writer = 0, None
    source = pq.ParquetFile(folder / "in" / "rows.parquet")
    batches = source.iter_batches(BLOCK, columns=["id", *NAMES], use_threads=False)
    with ThreadPoolExecutor(cores) as pool, tempfile.TemporaryDirectory(dir=folder) as target:
        under_way = []
        for batch in batches:
            under_way.append(pool.submit(score, batch))
            while len(under_way) > cores:
                rows, writer = _write(under_way.pop(0).result(), rows, writer, target)
        for one in under_way:
            rows, writer = _write(one.result(), rows, writer, target)
        writer.close()
    return _usage(rows, time.perf_counter() - begin, time.process_time() - cpu)


def _write(batch: Any, rows: int, writer: Any, folder: str) -> tuple[int, Any]:
    from pyarrow import parquet as pq

    # At its best: with a dictionary of the scores, which is the default, writing takes four times as long.
    writer = writer or pq.ParquetWriter(Path(folder, "out.parquet"), batch.schema, use_dictionary=["prediction"])
    writer.write_batch(batch)
    return rows + batch.num_rows, writer


def modelway(folder: Path, cores: int) -> dict[str, float]:
    """`modelway batch score`, from the plan to `_SUCCESS`."""
    from modelway.batch import run as running
    from modelway.batch.settings import Settings
    from modelway.cli import logs

    logs.configure(level="WARNING")
    loaded = running.load
    spent = [0.0, 0.0]

    def load(options: Any) -> Any:
        begin, cpu = time.perf_counter(), time.process_time()
        model = loaded(options)
        spent[:] = [time.perf_counter() - begin, time.process_time() - cpu]
        return model

    running.load = load
    with tempfile.TemporaryDirectory(dir=folder) as target:
        settings = Settings(
            f"{folder}/in/", f"{target}/out/", keys=("id",), features=tuple(NAMES), rows_per_batch=BATCH
        )
        begin, cpu = time.perf_counter(), time.process_time()
        outcome = running.run(settings, running.ModelOptions(folder / "model"), threads=cores)
        return _usage(outcome.rows, time.perf_counter() - begin - spent[0], time.process_time() - cpu - spent[1])


def _usage(rows: int, wall: float, cpu: float) -> dict[str, float]:
    return {
        "rows": rows,
        "wall": wall,
        "cpu": cpu,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()
