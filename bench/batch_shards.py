"""What a run of 10,000 shards costs beside the scoring: `python -m bench.batch_shards [--shards 10000] [--save]`.

Over a real S3 server and over a disk: making the plan, beginning a shard that is done (what each pod pays before its
first row), and the end, which looks at every part. The rows are few, so that the rest can be seen. Beside the seconds
stands the CPU time of the process, which depends less on what else the machine does.
"""

import argparse
import io
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from tests.support.s3 import s3_server

from bench.figures import Figures, tell
from bench.plane import say
from modelway.batch import finish as finishing
from modelway.batch import run as running
from modelway.batch.settings import Settings
from modelway.cli import logs

_NAMES = ("a", "b", "c", "d")
_ROWS = 10
_MOST_BYTES = 4 << 30


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.batch_shards", description=__doc__)
    parser.add_argument("--shards", type=int, default=10_000)
    parser.add_argument("--stores", default="disk,s3", help="where, with commas between (default: disk,s3)")
    parser.add_argument("--save", action="store_true", help="write the figures to bench/results/")
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    logs.configure(level="WARNING")
    figures: Figures = {"shards": given.shards}
    with tempfile.TemporaryDirectory(prefix="bench-shards-") as folder, s3_server(Path(folder)) as s3:
        os.environ.update(s3.environ())
        model = _model(Path(folder, "model"))
        for name, root, base in (
            ("disk", Path(folder, "disk"), f"file://{folder}/disk"),
            ("s3", s3.root / "lake", "s3://lake"),
        ):
            if name in given.stores.split(","):
                _fill(root / "in", given.shards)
                figures |= _measured(name, base, model, given.shards)
    tell(figures, name="batch_shards", save=given.save)


def _measured(name: str, base: str, model: running.ModelOptions, shards: int) -> Figures:
    settings = Settings(f"{base}/in/", f"{base}/out/", keys=("id",), shards=shards)

    def one(number: int | None) -> running.Outcome:
        return running.run(settings, model, only=number)

    say(f"{name}: the plan, and the first shard …")
    found: Figures = {}
    found |= _timed(f"{name}: plan made and the first shard scored", lambda: one(0))
    found |= _timed(f"{name}: a shard that is done, others are not", lambda: one(0))
    say(f"{name}: all {shards} shards …")
    found |= _timed(f"{name}: all shards in one process", lambda: one(None))
    say(f"{name}: the last shard of all …")
    found |= _timed(f"{name}: the end: all parts looked at, manifest and _SUCCESS", lambda: one(shards - 1))
    manifest = json.loads(_read(base, finishing.MANIFEST))
    if len(manifest["parts"]) != shards:
        raise AssertionError(f"{len(manifest['parts'])} parts of {shards}")
    return found | {
        f"{name}: plan, MiB": len(_read(base, "_plan.json")) / 2**20,
        f"{name}: memory at most so far, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _read(base: str, name: str) -> bytes:
    place = running.open_place(f"{base}/out/", folder=True)
    content = place.store.get(place.key(name))
    if content is None:
        raise AssertionError(f"there is no {name}")
    return content


def _timed(what: str, work: Callable[[], Any]) -> Figures:
    began, spent = time.monotonic(), time.process_time()
    work()
    return {f"{what}, s": time.monotonic() - began, f"{what}, CPU s": time.process_time() - spent}


def _fill(folder: Path, shards: int) -> None:
    """A hundred files with as many row groups in all as there are shards."""
    folder.mkdir(parents=True)
    rows = np.random.default_rng(0).normal(size=(_ROWS, len(_NAMES))).astype(np.float32)
    files = min(100, shards)
    for number in range(files):
        groups = shards // files + (number < shards % files)
        table = pa.table({"id": np.arange(_ROWS)} | {name: rows[:, at] for at, name in enumerate(_NAMES)})
        file = io.BytesIO()
        pq.write_table(pa.concat_tables([table] * groups), file, row_group_size=_ROWS)
        (folder / f"{number:03}.parquet").write_bytes(file.getvalue())


def _model(folder: Path) -> running.ModelOptions:
    rows = np.random.default_rng(0).normal(size=(200, len(_NAMES))).astype(np.float32)
    fitted = LogisticRegression().fit(rows, rows[:, 0] > 0)
    folder.mkdir()
    (folder / "model.onnx").write_bytes(to_onnx(fitted, rows[:1], options={"zipmap": False}).SerializeToString())
    (folder / "modelway.json").write_text(json.dumps({"featureNames": _NAMES, "version": "1"}))
    return running.ModelOptions(folder)


if __name__ == "__main__":
    main()
