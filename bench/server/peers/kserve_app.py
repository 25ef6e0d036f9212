"""An ONNX model in kserve's server, V1 and V2. MODEL names the file; QUIET=1 switches its logs off."""

import logging
import os

import numpy as np
import onnxruntime
from kserve import InferOutput, InferResponse, Model, ModelServer
from kserve.protocol.infer_type import InferRequest
from kserve.utils.utils import generate_uuid


class Onnx(Model):
    """The model, as KServe's documentation writes a custom one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["MODEL"], options)
        self.ready = True

    async def predict(self, payload: object, _headers: object = None, _response_headers: object = None) -> object:
        """Answer V1 with lists and V2 with tensors."""
        if isinstance(payload, InferRequest):
            probabilities = self._session.run(["probabilities"], {"X": payload.inputs[0].as_numpy()})[0]
            output = InferOutput("probabilities", list(probabilities.shape), "FP32")
            asked = payload.request_outputs or []
            binary = any((one.parameters or {}).get("binary_data") for one in asked)
            output.set_data_from_numpy(probabilities, binary_data=binary or payload.from_grpc)
            return InferResponse(generate_uuid(), self.name, [output])
        rows = np.array(payload["instances"], dtype=np.float32)
        return {"predictions": self._session.run(["probabilities"], {"X": rows})[0].tolist()}


if __name__ == "__main__":
    quiet = os.environ.get("QUIET") == "1"
    server = ModelServer(
        http_port=int(os.environ["PORT"]),
        grpc_port=int(os.environ["GRPC_PORT"]),
        workers=1,
        enable_latency_logging=not quiet,
    )
    if quiet:
        for name in ("kserve", "kserve.trace", "uvicorn", "uvicorn.access", "uvicorn.error"):
            logging.getLogger(name).setLevel(logging.ERROR)
    server.start([Onnx("m")])
