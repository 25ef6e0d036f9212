"""An ONNX model behind Flask and behind FastAPI, written as their tutorials do. MODEL names the file."""

import os
from pathlib import Path

import numpy as np
import onnxruntime


class Model:
    """One session with one thread, as all servers here have it."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(Path(os.environ["MODEL"])), options)

    def predict(self, rows: list[list[float]]) -> list[list[float]]:
        """Probabilities of each row."""
        array = np.array(rows, dtype=np.float32)
        return self._session.run(["probabilities"], {"X": array})[0].tolist()
