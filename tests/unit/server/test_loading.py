"""Whole loads, in this process: what makes a model fit to serve, and how each failure is told."""

import pickle
import subprocess
import sys

import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats.base import Code
from modelway.server.loading import load
from modelway.server.options import ServerOptions
from support.models import iris

GOLDEN = {"instances": [[5.1, 3.5, 1.4, 0.2]], "predictions": [0]}


WHAT_A_LOAD_IMPORTS = """
import pathlib, sys
from modelway.cli import main
from modelway.server import process, worker
from modelway.server.options import ServerOptions
worker.load(ServerOptions(pathlib.Path(sys.argv[1]), "m"))
print(*sys.modules)
"""


@pytest.fixture
def loaded(model_folder):
    def run(model, name="model.onnx", *, code=Code.REFUSE, version=None, format_name=None, **metadata):
        folder = model_folder(model, name, **metadata)
        return load(ServerOptions(folder, "m", version=version, format=format_name, code=code))

    return run


def test_golden_requests_are_asked(loaded):
    model = loaded(iris().onnx, outputs=[{"name": "label"}], golden=[GOLDEN, GOLDEN], version=None)
    assert model.golden == 2
    assert model.format == "onnx"
    assert model.cost_unknown_because == ""


@pytest.mark.parametrize(
    ("given", "said", "shown"), [("2", {"version": "1"}, "2"), (None, {"version": "1"}, "1"), (None, {}, None)]
)
def test_the_version_is_the_options_else_the_metadatas(model_folder, given, said, shown):
    options = ServerOptions(model_folder(iris().onnx, **said), "m", version=given)
    assert load(options).version == shown


def test_a_model_that_cannot_be_timed_still_serves(loaded):
    estimator = make_pipeline(OneHotEncoder(), LogisticRegression()).fit([[7], [8]], [0, 1])
    model = loaded(estimator, "m.pkl", code=Code.ALLOW_LIST)
    assert "unknown categories" in model.cost_unknown_because


@pytest.mark.parametrize(
    ("model", "name", "options", "reason", "said"),
    [
        pytest.param(iris().estimator, "m.pkl", {}, Reason.CODE_REFUSED, "set code: AllowList", id="pickle refused"),
        pytest.param(b"", "m.joblib", {}, Reason.CODE_REFUSED, "m.joblib is of a format", id="joblib refused"),
        pytest.param(
            iris().estimator,
            "m.bin",
            {"format_name": "sklearn"},
            Reason.CODE_REFUSED,
            "m.bin",
            id="refused whatever the suffix",
        ),
        pytest.param(
            pickle.dumps(print),
            "m.pkl",
            {"code": Code.ALLOW_LIST},
            Reason.FORBIDDEN_GLOBAL,
            "builtins.print, which is not on the allow-list",
            id="forbidden global",
        ),
        pytest.param(b"no onnx", "m.onnx", {}, Reason.MODEL_LOAD_FAILED, "cannot load m.onnx", id="broken"),
        pytest.param(
            iris().onnx,
            "m.pkl",
            {"code": Code.ALLOW_LIST},
            Reason.MODEL_LOAD_FAILED,
            "cannot be read",
            id="another format",
        ),
        pytest.param(
            iris().onnx,
            "m.onnx",
            {"golden": [GOLDEN | {"predictions": [{"label": 2, "probabilities": [0, 0, 1]}]}]},
            Reason.GOLDEN_REQUEST_FAILED,
            "golden[0].predictions[0].label: expected 2, got 0",
            id="golden request failed",
        ),
        pytest.param(
            iris().onnx,
            "m.onnx",
            {"golden": [{"instances": [[1]]}]},
            Reason.METADATA_INVALID,
            "golden.0",
            id="metadata",
        ),
        pytest.param(
            iris().estimator,
            "m.pkl",
            {
                "code": Code.ALLOW_LIST,
                "inputs": [{"name": "x", "datatype": "INT64", "shape": [-1, 4], "nullable": True}],
            },
            Reason.METADATA_INVALID,
            'modelway.json: input "x" is nullable and INT64, which has no form for a missing value',
            id="nullable integers",
        ),
        pytest.param(iris().onnx, "m.bin", {}, Reason.FORMAT_UNKNOWN, "m.bin", id="unknown format"),
    ],
)
def test_what_is_wrong_is_told_by_its_cause(loaded, model, name, options, reason, said):
    with pytest.raises(ModelError) as caught:
        loaded(model, name, **options)
    assert caught.value.reason is reason
    assert said in caught.value.message


def test_columns_by_name_without_the_names_are_refused_at_load(loaded):
    estimator = make_pipeline(ColumnTransformer([("n", StandardScaler(), [0])]), LogisticRegression()).fit(
        [[1.0], [2.0]], [0, 1]
    )
    columns = estimator[0]
    columns.transformers_ = [("n", columns.transformers_[0][1], ["age"])]
    columns.transformers = [("n", StandardScaler(), ["age"])]
    columns._columns = [["age"]]
    columns._transformer_to_input_indices = {"n": ["age"]}
    with pytest.raises(ModelError, match="picks its columns by name, and does not tell which there are"):
        loaded(estimator, "m.pkl", code=Code.ALLOW_LIST)


def test_a_format_without_its_library_is_told(loaded, monkeypatch):
    monkeypatch.setattr("modelway.server.formats.Entry.format", lambda _: __import__("no_such_library"))
    with pytest.raises(ModelError, match="has no library for the format onnx") as caught:
        loaded(iris().onnx)
    assert caught.value.reason is Reason.FORMAT_UNKNOWN


def test_an_onnx_server_imports_neither_the_operators_libraries_nor_those_of_other_formats(model_folder):
    folder = model_folder(iris().onnx, version="7", inputs=[{"name": "X", "shape": [-1, 4]}])
    command = [sys.executable, "-c", WHAT_A_LOAD_IMPORTS, folder]
    imported = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert {"onnxruntime", "msgspec", "modelway.server.worker"} <= set(imported)
    others = {
        "pydantic",
        "kopf",
        "aiohttp",
        "kubernetes",
        "sklearn",
        "joblib",
        "yaml",
        "grpc",
        "obstore",
        "httpx",
        "onnx",
        "modelway.server.page",  # and what else is made when somebody first asks for it
        "modelway.server.openapi",
    }
    assert not others & set(imported)
