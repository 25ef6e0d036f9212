"""ONNX through onnxruntime. No code of the model's runs: operators are onnxruntime's own, no custom library is loaded.

Two things of converters are smoothed over: `ZipMap` outputs (a list with a dictionary per row, scikit-learn converters'
default for probabilities) are given as a tensor of the dictionaries' values in the order of their sorted keys, which is
the order of scikit-learn's `classes_`; and the type names are translated to the Open Inference Protocol's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats.base import LoadOptions
from modelway.server.formats.declared import agreed
from modelway.server.metadata import Metadata
from modelway.server.tensors import DTYPES, Array, Batch, TensorSpec

_DATATYPES: Final = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
_ZIPMAPS: Final = {
    "seq(map(int64,tensor(float)))": "FP32",
    "seq(map(string,tensor(float)))": "FP32",
    "seq(map(int64,tensor(double)))": "FP64",
    "seq(map(string,tensor(double)))": "FP64",
}
_SEVERITY_ERROR: Final = 3  # WARNING repeats itself per call for some converters' models


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A session and what it takes and gives.

    Args:
        run: of the session: names of outputs, arrays by input, options.

    """

    run: Callable[[Sequence[str], Mapping[str, Array], None], list[Any]]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    default_outputs: tuple[str, ...]
    zipmaps: Mapping[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    classes: tuple[str | int | float | bool, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    platform: str = "onnxruntime_onnx"

    def predict(self, batch: Batch) -> dict[str, Array]:
        """Run the session; thread-safe, as onnxruntime's `Run` is."""
        values = self.run(batch.wanted, batch.tensors, None)
        if self.zipmaps:
            return {
                name: self._unzipped(name, value) if name in self.zipmaps else np.asarray(value)
                for name, value in zip(batch.wanted, values, strict=True)
            }
        return dict(zip(batch.wanted, values, strict=True))

    def _unzipped(self, name: str, rows: list[dict[Any, float]]) -> Array:
        return np.array([[row[key] for key in sorted(row)] for row in rows], dtype=DTYPES[self.zipmaps[name]])


def load(path: Path, options: LoadOptions) -> OnnxModel:
    """Load an ONNX file. Raises ModelError."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = _SEVERITY_ERROR
    # A spinning thread burns the pod's CPU quota while it waits, and the throttling shows as 99th percentile.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises some twenty types without a common base
        raise ModelError(
            Reason.MODEL_LOAD_FAILED,
            f"onnxruntime {onnxruntime.__version__} cannot load {path.name}: {_first_line(error)}",
        ) from error
    zipmaps = {node.name: _ZIPMAPS[node.type] for node in session.get_outputs() if node.type in _ZIPMAPS}
    inputs = tuple(_spec(node, path) for node in session.get_inputs())
    outputs = tuple(
        TensorSpec(node.name, zipmaps[node.name], (-1, -1)) if node.name in zipmaps else _spec(node, path)
        for node in session.get_outputs()
    )
    metadata = options.metadata
    inputs = agreed(inputs, metadata.inputs, "inputs")
    declared = agreed(outputs, metadata.outputs, "outputs")
    # onnxruntime's wrapper checks names that were checked, and falls back to what is used here anyway; of one row that
    # takes as long as half the model.
    return OnnxModel(
        getattr(session, "_sess", session).run,
        inputs=inputs,
        outputs=tuple({spec.name: spec for spec in (*outputs, *declared)}.values()),
        default_outputs=tuple(tensor.name for tensor in metadata.outputs or outputs),
        zipmaps=zipmaps,
        features=metadata.feature_names or () if len(inputs) == 1 else (),
        classes=metadata.classes or (),
        notes=_notes(session, metadata),
    )


def _spec(node: Any, path: Path) -> TensorSpec:
    if node.type not in _DATATYPES:
        raise ModelError(
            Reason.MODEL_LOAD_FAILED,
            f'{path.name}: "{node.name}" is of type {node.type}, which has no JSON form; export the model with tensors',
        )
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape or ())
    return TensorSpec(node.name, _DATATYPES[node.type], shape)


def _notes(session: Any, metadata: Metadata) -> dict[str, str]:
    own = session.get_modelmeta()
    notes = {"producer": own.producer_name} if own.producer_name else {}
    return notes | dict(metadata.producer or {})


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:500] if str(error).strip() else type(error).__name__
