"""A model, and a run over a store in memory."""

from dataclasses import replace

import orjson
import pytest

from modelway.batch import run as running
from modelway.batch.settings import Settings
from modelway.batch.store import Place
from modelway.server.loading import load
from support.batch import NAMES, MemoryStore
from support.models import iris


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Iris as ONNX, with names."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "model.onnx").write_bytes(iris().onnx)
    said = {"featureNames": NAMES, "classes": ["setosa", "versicolor", "virginica"], "version": "3"}
    (folder / "modelway.json").write_bytes(orjson.dumps(said))
    return running.ModelOptions(folder)


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def batch(store, model, monkeypatch):
    """Run over the store; `batch(shards=3, only=1)`."""
    loaded = {}

    def load_once(options):
        if str(options) not in loaded:
            loaded[str(options)] = load(options)
        return loaded[str(options)]

    def place(uri, *, folder=False):
        key = uri.removeprefix("s3://bucket/")
        return Place(store, key + "/" * (folder and not key.endswith("/")))

    monkeypatch.setattr(running, "open_place", place)
    monkeypatch.setattr(running, "load", load_once)

    def run(only=None, threads=2, model=model, meter=None, **changes):
        settings = Settings("s3://bucket/in/", "s3://bucket/out/", keys=("id",), rows_per_batch=16)
        return running.run(replace(settings, **changes), model, only=only, threads=threads, meter=meter)

    return run
