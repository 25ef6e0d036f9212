"""Tables for estimators that pick their columns by name, as notebooks and MLflow make them: an input for each column.

pandas makes the tables; it is in the full image only, and imported only for such a model.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats.rows import columns
from modelway.server.metadata import Metadata
from modelway.server.tensors import Array, TensorSpec


def picks_by_name(parts: Iterable[Any]) -> bool:
    """Whether some fitted part of an estimator picks columns by their names."""
    return any(isinstance(name, str) for part in parts for _, picked in _picked(part) for name in picked)


def require(estimator: Any, path: Path) -> None:
    """Raise ModelError unless the estimator knows its columns and pandas is installed."""
    if not hasattr(estimator, "feature_names_in_"):
        raise ModelError(
            Reason.MODEL_LOAD_FAILED,
            f"{path.name} picks its columns by name, and does not tell which there are; "
            "fit the whole of it on a data frame",
        )
    if find_spec("pandas") is None:
        raise ModelError(
            Reason.MODEL_LOAD_FAILED,
            f"{path.name} picks its columns by name, which needs a table and so pandas; serve it with the image "
            "modelway-server-full, pip install 'modelway[tables]', fit it with column numbers, or convert it to ONNX",
        )


def inputs(estimator: Any, parts: Iterable[Any], metadata: Metadata) -> tuple[TensorSpec, ...]:
    """An input of [-1, 1] for each column that the estimator was fitted on. Raises ModelError(METADATA_INVALID).

    Columns are BYTES where texts are encoded or read, else FP64; the metadata may say otherwise.
    """
    return columns([str(name) for name in estimator.feature_names_in_], set(_texts(parts)), metadata)


def table(given: Mapping[str, Array]) -> Any:
    """A data frame with these columns; texts as objects, as every version of pandas reads them."""
    import pandas as pd  # noqa: PLC0415 half a second, for models that need it

    return pd.DataFrame(
        {name: pd.Series(column.reshape(-1), dtype=column.dtype, copy=False) for name, column in given.items()},
        copy=False,
    )


def _picked(part: Any) -> Iterator[tuple[Any, Sequence[Any]]]:
    """The fitted transformers of a ColumnTransformer, each with the columns that it is given."""
    for _name, transformer, picked in getattr(part, "transformers_", ()):
        yield transformer, [picked] if isinstance(picked, str) else list(picked) if np.iterable(picked) else []


def _texts(parts: Iterable[Any]) -> Iterator[str]:
    """Names of columns that hold texts, by what the first encoder in their way knows."""
    for part in parts:
        for transformer, picked in _picked(part):
            for step in [step for _, step in transformer.steps] if hasattr(transformer, "steps") else [transformer]:
                if hasattr(step, "vocabulary_") or hasattr(step, "analyzer"):
                    yield from (name for name in picked if isinstance(name, str))
                known = getattr(step, "categories_", None)
                if isinstance(known, list) and len(known) == len(picked):
                    yield from (
                        name
                        for name, values in zip(picked, known, strict=True)
                        if isinstance(name, str) and values.dtype.kind in "OUT"
                    )
