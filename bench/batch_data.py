"""The models and the rows of `bench.batch`: 30 features, two classes, one Parquet file with row groups of 250,000."""

from pathlib import Path
from typing import Any, Final

import joblib
import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from bench.batch_arms import FEATURES as NAMES
from modelway.profiling import profile

FEATURES: Final = len(NAMES)
SMALL: Final = 100_000
"""Rows of the folder `small`: for the start of an engine, and for what is slow."""
GROUP: Final = 250_000
"""Rows of a row group: 30 MB decoded."""
MODELS: Final = {
    "logistic regression": LogisticRegression(),
    "gradient-boosted trees": GradientBoostingClassifier(n_estimators=100, max_depth=4, random_state=0),
    "random forest": RandomForestClassifier(n_estimators=100, random_state=0),
}


def schema() -> Any:
    """The columns of the rows."""
    return pa.schema([("id", pa.int64()), *((name, pa.float32()) for name in NAMES)])


def prepare(folder: Path, estimator: Any, rows: int) -> None:
    """Write the model, as `model`, as `known` with a reference, as `estimator`; and the rows, as `in` and `small`."""
    chance = np.random.default_rng(7)
    sample = chance.normal(size=(2000, FEATURES)).astype(np.float32)
    labels = (sample[:, :3].sum(axis=1) + chance.normal(size=2000) > 0).astype(int)
    fitted = estimator.fit(sample, labels)
    converted = to_onnx(fitted, sample[:1], options={"zipmap": False}).SerializeToString()
    for place in ("model", "known", "estimator", "in", "small"):
        (folder / place).mkdir(parents=True)
    for place in ("model", "known"):
        (folder / place / "model.onnx").write_bytes(converted)
    profile({name: sample[:, index] for index, name in enumerate(NAMES)}).write(folder / "known" / "modelway.json")
    joblib.dump(fitted, folder / "estimator" / "model.joblib")
    write(folder / "in" / "rows.parquet", rows, chance)
    write(folder / "small" / "rows.parquet", SMALL, chance)


def write(path: Path, rows: int, chance: Any, *, group: int = GROUP) -> None:
    """Write so many rows, a row group at a time."""
    with pq.ParquetWriter(path, schema(), use_dictionary=False) as writer:
        for start in range(0, rows, group):
            count = min(group, rows - start)
            columns = [pa.array(column) for column in chance.normal(size=(FEATURES, count)).astype(np.float32)]
            table = pa.table([pa.array(np.arange(start, start + count)), *columns], schema())
            writer.write_table(table, row_group_size=group)
