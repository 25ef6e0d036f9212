"""Spark's pandas UDF over the rows of `bench.batch`. Run by `bench.batch_engines` with Spark's own Python.

As its documentation advises for inference: an iterator of batches, so that a Python worker loads the model once, and
Arrow batches as large as those of the others.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, pandas_udf, struct

from bench import batch_turns

_ANSWER = "prediction long, probabilities array<float>"


def main() -> None:
    given = batch_turns.asked(__doc__)
    settings = {
        "spark.driver.memory": "2g",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(given.block),
        "spark.ui.enabled": "false",
        "spark.local.dir": given.scratch,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }
    builder = SparkSession.builder.master(f"local[{given.cores}]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    batch_turns.play(given.folder, partial(run, given, spark))
    spark.stop()


def run(given: Any, spark: Any, source: str, target: str) -> None:
    """Score a folder."""
    batch, model = given.batch, str(given.folder / "model" / "model.onnx")

    @pandas_udf(_ANSWER)
    def score(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model, settings)
        name = session.get_inputs()[0].name
        for frame in frames:
            rows = frame.to_numpy(np.float32)
            found = [session.run(None, {name: rows[at : at + batch]}) for at in range(0, len(rows), batch)]
            scores = np.concatenate([one[1] for one in found])
            labels = np.concatenate([one[0] for one in found])
            yield pd.DataFrame({"prediction": labels, "probabilities": list(scores)})

    rows = spark.read.parquet(source)
    scored = rows.select(col("id"), score(struct(*given.names)).alias("answer")).select("id", "answer.*")
    scored.write.option("parquet.enable.dictionary", "false").parquet(target)


if __name__ == "__main__":
    main()
