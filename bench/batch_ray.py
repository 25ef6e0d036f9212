"""Ray Data's `map_batches` over the rows of `bench.batch`. Run by `bench.batch_engines` with Ray's own Python.

As its documentation advises for inference on CPUs: an actor for each core keeps the model, batches are Arrow tables
that are not copied, only the needed columns are read.
"""

from functools import partial
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext

from bench import batch_turns


class Scorer:
    """The model in an actor."""

    def __init__(self, model: str, names: list[str], batch: int) -> None:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, settings)
        self.input = self.session.get_inputs()[0].name
        self.names = names
        self.batch = batch

    def __call__(self, table: pa.Table) -> pa.Table:
        rows = np.column_stack([table.column(name).to_numpy() for name in self.names])
        found = [
            self.session.run(None, {self.input: rows[at : at + self.batch]}) for at in range(0, len(rows), self.batch)
        ]
        scores = np.concatenate([one[1] for one in found])
        offsets = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * scores.shape[1])
        lists = pa.ListArray.from_arrays(offsets, pa.array(scores.ravel()))
        labels = pa.array(np.concatenate([one[0] for one in found]))
        return pa.table([table.column("id"), labels, lists], names=["id", "prediction", "probabilities"])


def main() -> None:
    given = batch_turns.asked(__doc__)
    # A slot more than there are cores: reading and writing are tasks of their own beside the actors.
    ray.init(
        num_cpus=given.cores + 1,
        object_store_memory=1 << 30,
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=given.scratch,
    )
    context = DataContext.get_current()
    context.enable_progress_bars = False
    batch_turns.play(given.folder, partial(run, given))
    ray.shutdown()


def run(given: Any, source: str, target: str) -> None:
    """Score a folder."""
    scored = (
        ray.data.read_parquet(source)
        .select_columns(["id", *given.names])
        .map_batches(
            Scorer,
            fn_constructor_args=(str(given.folder / "model" / "model.onnx"), given.names, given.batch),
            compute=ActorPoolStrategy(size=given.cores),
            batch_format="pyarrow",
            batch_size=given.block,
            zero_copy_batch=True,
        )
    )
    scored.write_parquet(target, use_dictionary=["prediction"])


if __name__ == "__main__":
    main()
