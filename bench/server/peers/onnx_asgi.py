"""The least that ASGI needs, without checks, metrics and limits: `uvicorn onnx_asgi:app`. MODEL names the file."""

import os
from typing import Any

import numpy as np
import onnxruntime
import orjson

_OPTIONS = onnxruntime.SessionOptions()
_OPTIONS.intra_op_num_threads = 1
_SESSION = onnxruntime.InferenceSession(os.environ["MODEL"], _OPTIONS)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer whatever is asked as a V1 prediction."""
    if scope["type"] != "http":
        return
    message = await receive()
    body = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    rows = np.asarray(orjson.loads(body)["instances"], dtype=np.float32)
    probabilities = _SESSION.run(["probabilities"], {"X": rows})[0]
    answer = orjson.dumps({"predictions": probabilities}, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
