"""An ONNX file in Triton's Python backend. Copied into repositories by `hack.peers.triton`; runs inside Triton."""

import json
from pathlib import Path

import onnxruntime
import triton_python_backend_utils as pb_utils

_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(string)": "TYPE_STRING",
}


def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(Path(__file__).with_name("model.onnx")), options)


def _described(node: onnxruntime.NodeArg) -> dict[str, object]:
    dims = [size if isinstance(size, int) else -1 for size in node.shape]
    return {"name": node.name, "data_type": _TYPES[node.type], "dims": dims}


class TritonPythonModel:
    """What Triton's Python backend asks of a model."""

    @staticmethod
    def auto_complete_config(config: object) -> object:
        """Tell Triton the inputs and outputs that the ONNX file has."""
        session = _session()
        for node in session.get_inputs():
            config.add_input(_described(node))
        for node in session.get_outputs():
            config.add_output(_described(node))
        config.set_max_batch_size(0)
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the file."""
        self._session = _session()
        self._config = json.loads(args["model_config"])

    def execute(self, requests: list[object]) -> list[object]:
        """Answer each request by itself."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: object) -> object:
        feed = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        wanted = list(request.requested_output_names())
        try:
            values = self._session.run(wanted, feed)
        except Exception as error:  # noqa: BLE001 whatever onnxruntime raises is the answer
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
        tensors = [pb_utils.Tensor(name, value) for name, value in zip(wanted, values, strict=True)]
        return pb_utils.InferenceResponse(output_tensors=tensors)
