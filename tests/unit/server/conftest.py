import json
import os
import pickle

import pytest
import uvloop

# scikit-learn's and numpy's threads wait for each other on a busy machine; set before either is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_asyncio_loop_factories(config, item):
    """The server's own event loop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """Make a model's folder: bytes or an estimator under a file name, and metadata."""

    def make(model: object, name: str = "model.onnx", **metadata: object):
        folder = tmp_path_factory.mktemp("model")
        (folder / name).write_bytes(model if isinstance(model, bytes) else pickle.dumps(model))
        if metadata:
            (folder / "modelway.json").write_text(json.dumps(metadata))
        return folder

    return make
