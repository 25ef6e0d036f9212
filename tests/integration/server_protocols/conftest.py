import json

import pytest
from hack import peers
from hack.local.progress import Progress
from hack.peers import triton

from support.inference_servers import our_server, triton_server
from support.models import iris

VERSION = "1"  # what Triton calls the only version of a model


@pytest.fixture(scope="session")
def iris_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("iris")
    (folder / "model.onnx").write_bytes(iris().onnx)
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    (folder / "modelway.json").write_text(json.dumps({"version": VERSION, "featureNames": names}))
    return folder


@pytest.fixture(scope="session")
def our_iris(iris_folder):
    with our_server(iris_folder, "--name", "iris") as (process, server):
        process.wait_until_ready()
        yield server


@pytest.fixture(scope="session")
def triton_iris(tmp_path_factory):
    """A real Triton with the same model."""
    peers.ensure(["triton"], Progress())
    repository = tmp_path_factory.mktemp("repository")
    triton.add_onnx_model(repository, "iris", iris().onnx)
    with triton_server(repository, repository.with_name("triton.log")) as server:
        yield server
