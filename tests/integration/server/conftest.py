import json

import pytest


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """Make a model's folder: the bytes of an ONNX file, and metadata."""

    def make(model: bytes, **metadata: object):
        folder = tmp_path_factory.mktemp("model")
        (folder / "model.onnx").write_bytes(model)
        if metadata:
            (folder / "modelway.json").write_text(json.dumps(metadata))
        return folder

    return make
