"""What the server says about itself and its model when it is asked, in each protocol's own words. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from modelway.server.formats.base import Model
from modelway.server.signature import Signature
from modelway.server.tensors import TensorSpec
from modelway.server.v1 import DEFAULT_SIGNATURE

SERVER_EXTENSIONS: Final = ("binary_tensor_data",)

# https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/types.proto
_TENSORFLOW_TYPES: Final = {
    "BOOL": "DT_BOOL",
    "UINT8": "DT_UINT8",
    "UINT16": "DT_UINT16",
    "UINT32": "DT_UINT32",
    "UINT64": "DT_UINT64",
    "INT8": "DT_INT8",
    "INT16": "DT_INT16",
    "INT32": "DT_INT32",
    "INT64": "DT_INT64",
    "FP16": "DT_HALF",
    "FP32": "DT_FLOAT",
    "FP64": "DT_DOUBLE",
    "BYTES": "DT_STRING",
}


def v1_status(*, name: str, version: str | None, ready: bool, state: str) -> dict[str, Any]:
    """`GET /v1/models/{name}`: KServe's name and ready, and TensorFlow Serving's `model_version_status`.

    `state` is one of TensorFlow Serving's: LOADING, AVAILABLE, UNLOADING.
    """
    status = {"error_code": "OK", "error_message": ""}
    return {
        "name": name,
        "ready": ready,
        "model_version_status": [{"version": version or "", "state": state, "status": status}],
    }


def v1_metadata(signature: Signature, *, name: str, version: str | None) -> dict[str, Any]:
    """`GET /v1/models/{name}/metadata`, as TensorFlow Serving has it."""
    definition = {
        "inputs": {spec.name: _tensorflow(spec) for spec in signature.inputs},
        "outputs": {spec.name: _tensorflow(spec) for spec in signature.outputs},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": version or ""},
        "metadata": {"signature_def": {"signature_def": {DEFAULT_SIGNATURE: definition}}},
    }


def v2_metadata(model: Model, *, name: str, version: str | None) -> dict[str, Any]:
    """`GET /v2/models/{name}`."""
    described: dict[str, Any] = {"name": name}
    if version:
        described["versions"] = [version]
    described["platform"] = model.platform
    described["inputs"] = _v2(model.inputs)
    described["outputs"] = _v2(model.outputs)
    if model.notes:
        described["parameters"] = dict(model.notes)
    return described


def v2_index(*, name: str, version: str | None, ready: bool) -> dict[str, str]:
    """The model's entry of `POST /v2/repository/index`."""
    state, reason = ("READY", "") if ready else ("UNAVAILABLE", "loading or draining")
    return {"name": name, "version": version or "", "state": state, "reason": reason}


def _v2(specs: Sequence[TensorSpec]) -> list[dict[str, Any]]:
    return [{"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)} for spec in specs]


def _tensorflow(spec: TensorSpec) -> dict[str, Any]:
    dimensions = [{"size": str(size), "name": ""} for size in spec.shape]
    return {
        "dtype": _TENSORFLOW_TYPES[spec.datatype],
        "tensor_shape": {"dim": dimensions, "unknown_rank": False},
        "name": f"{spec.name}:0",
    }
