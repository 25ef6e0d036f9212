"""What is measured in a process of its own by `bench.batch`: the bare loop, modelway, and a script of the usual kind.

Each prints rows, how many of them were answered with 1, seconds of the clock and of the CPU, and the most memory; its
start and the loading of the model are left out.
"""

# ruff: noqa: PLC0415 what a process does not measure, it does not import: that would be memory of its own

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

FEATURES: Final = [f"f{index}" for index in range(30)]
BATCH: Final = 4096
BLOCK: Final = 1 << 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arm", choices=ARMS)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", default="in", help="the folder of the rows")
    parser.add_argument("--cores", type=int, required=True)
    given = parser.parse_args()
    print(json.dumps(ARMS[given.arm](given.folder, given.rows, given.cores)))


def bare(folder: Path, source: str, cores: int) -> dict[str, float]:
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
        rows = np.column_stack([batch.column(column).to_numpy() for column in FEATURES])
        found = [session.run(None, {name: rows[at : at + BATCH]}) for at in range(0, len(rows), BATCH)]
        labels = np.concatenate([one[0] for one in found])
        scores = np.concatenate([one[1] for one in found])
        offsets = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * 2)
        lists = pa.ListArray.from_arrays(offsets, pa.array(scores.ravel()))
        return pa.record_batch([batch.column("id"), pa.array(labels), lists], names=_ANSWERS)

    begin, cpu = time.perf_counter(), time.process_time()
    rows, writer = 0, None
    file = pq.ParquetFile(folder / source / "rows.parquet")
    batches = file.iter_batches(BLOCK, columns=["id", *FEATURES], use_threads=False)
    with ThreadPoolExecutor(cores) as pool, tempfile.TemporaryDirectory(dir=folder) as target:
        under_way = []
        for batch in batches:
            under_way.append(pool.submit(score, batch))
            while len(under_way) > cores:
                rows, writer = _write(under_way.pop(0).result(), rows, writer, target)
        for one in under_way:
            rows, writer = _write(one.result(), rows, writer, target)
        writer.close()
        return _usage(rows, time.perf_counter() - begin, time.process_time() - cpu, target)


_ANSWERS: Final = ["id", "prediction", "probabilities"]


def _write(batch: Any, rows: int, writer: Any, folder: str) -> tuple[int, Any]:
    from pyarrow import parquet as pq

    # At its best: with a dictionary of the scores, which is the default, writing takes four times as long.
    writer = writer or pq.ParquetWriter(Path(folder, "out.parquet"), batch.schema, use_dictionary=["prediction"])
    writer.write_batch(batch)
    return rows + batch.num_rows, writer


def modelway(folder: Path, source: str, cores: int) -> dict[str, float]:
    """`modelway batch score`, from the plan to `_SUCCESS`."""
    return _run(folder, source, cores, "model")


def counting(folder: Path, source: str, cores: int) -> dict[str, float]:
    """The same of a model that brings a reference, so that the rows are compared with it."""
    return _run(folder, source, cores, "known")


def _run(folder: Path, source: str, cores: int, model: str) -> dict[str, float]:
    from modelway.batch import run as running
    from modelway.batch.settings import Settings
    from modelway.cli import logs

    logs.configure(level="WARNING")
    loaded = running.load
    spent = [0.0, 0.0]

    def load(options: Any) -> Any:
        begin, cpu = time.perf_counter(), time.process_time()
        made = loaded(options)
        spent[:] = [time.perf_counter() - begin, time.process_time() - cpu]
        return made

    running.load = load
    with tempfile.TemporaryDirectory(dir=folder) as target:
        settings = Settings(
            f"{folder}/{source}/", f"{target}/out/", keys=("id",), features=tuple(FEATURES), rows_per_batch=BATCH
        )
        begin, cpu = time.perf_counter(), time.process_time()
        outcome = running.run(settings, running.ModelOptions(folder / model), threads=cores)
        wall, used = time.perf_counter() - begin - spent[0], time.process_time() - cpu - spent[1]
        return _usage(outcome.rows, wall, used, f"{target}/out")


def script(folder: Path, source: str, cores: int) -> dict[str, float]:
    """What people write: pandas reads all, scikit-learn predicts, pandas writes."""
    import joblib
    import pandas as pd

    del cores
    model = joblib.load(folder / "estimator" / "model.joblib")
    begin, cpu = time.perf_counter(), time.process_time()
    frame = pd.read_parquet(folder / source)
    rows = frame[FEATURES].to_numpy()
    answers = frame[["id"]].assign(prediction=model.predict(rows), probability=model.predict_proba(rows)[:, 1])
    with tempfile.TemporaryDirectory(dir=folder) as target:
        answers.to_parquet(Path(target, "out.parquet"))
        return _usage(len(answers), time.perf_counter() - begin, time.process_time() - cpu, target)


def _usage(rows: int, wall: float, cpu: float, written: str) -> dict[str, float]:
    from pyarrow import compute, parquet

    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    labels = parquet.read_table(written, columns=["prediction"])["prediction"]
    return {"rows": rows, "positives": compute.sum(labels).as_py(), "wall": wall, "cpu": cpu, "mib": memory}


ARMS: Final[dict[str, Callable[[Path, str, int], dict[str, float]]]] = {
    "bare": bare,
    "modelway": modelway,
    "counting": counting,
    "script": script,
}


if __name__ == "__main__":
    main()
