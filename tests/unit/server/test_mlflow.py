"""`MLmodel` files as MLflow writes them, and wrong ones. Folders that MLflow itself has made: tests/integration."""

import json

import pytest

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.locate import locate

SKLEARN = """
flavors:
  python_function:
    loader_module: mlflow.sklearn
    python_version: 3.11.7
  sklearn:
    code: null
    pickled_model: model.skops
    serialization_format: skops
    sklearn_version: 1.9.1
mlflow_version: 3.18.0
"""
XGBOOST = """
flavors:
  python_function: {loader_module: mlflow.xgboost}
  xgboost: {data: model.ubj, model_class: xgboost.sklearn.XGBClassifier, model_format: ubj, xgb_version: 3.2.0}
"""


def signature(*columns):
    return f"signature:\n  inputs: '{json.dumps(list(columns))}'\n"


@pytest.fixture
def folder(tmp_path):
    def make(text, *files, **metadata):
        (tmp_path / "MLmodel").write_text(text)
        for name in files:
            (tmp_path / name).write_bytes(b"")
        if metadata:
            (tmp_path / "modelway.json").write_text(json.dumps(metadata))
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("text", "file", "format_name"),
    [
        (SKLEARN, "model.skops", "skops"),
        (SKLEARN.replace("model.skops", "model.pkl").replace(": skops", ": cloudpickle"), "model.pkl", "sklearn"),
        (XGBOOST, "model.ubj", "xgboost"),
        ("flavors: {lightgbm: {data: model.lgb, lgb_version: 4.7.0}}", "model.lgb", "lightgbm"),
        ("flavors: {catboost: {data: model.cb, save_format: cbm}}", "model.cb", "catboost"),
        ("flavors: {onnx: {data: model.onnx, onnx_version: 1.23.2}, python_function: {}}", "model.onnx", "onnx"),
    ],
)
def test_the_flavour_tells_file_and_format(folder, text, file, format_name):
    located = locate(folder(text, file, "conda.yaml", "requirements.txt", "input_example.json"))
    assert (located.path.name, located.format) == (file, format_name)
    assert located.entry.runs_code == (format_name == "sklearn")


def test_versions_of_the_producer_are_noted(folder):
    producer = locate(folder(SKLEARN, "model.skops")).metadata.producer
    assert producer == {"mlflow": "3.18.0", "python": "3.11.7", "scikit-learn": "1.9.1"}


def test_a_signature_of_numbers_names_the_features(folder):
    text = XGBOOST + signature({"name": "age", "type": "double"}, {"name": "n", "type": "long", "required": True})
    metadata = locate(folder(text, "model.ubj")).metadata
    assert metadata.feature_names == ("age", "n")
    assert metadata.inputs is None


def test_a_signature_with_texts_makes_inputs_of_the_columns(folder):
    text = SKLEARN + signature({"name": "age", "type": "long"}, {"name": "city", "type": "string"})
    metadata = locate(folder(text, "model.skops")).metadata
    assert [(tensor.name, tensor.datatype) for tensor in metadata.inputs] == [("age", "INT64"), ("city", "BYTES")]


def test_a_signature_of_one_tensor_adds_nothing(folder):
    text = XGBOOST + signature({"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}})
    assert locate(folder(text, "model.ubj")).metadata.inputs is None


def test_what_modelway_json_says_wins(folder):
    text = XGBOOST + signature({"name": "a", "type": "double"})
    metadata = locate(folder(text, "model.ubj", version="3", featureNames=["b"])).metadata
    assert (metadata.version, metadata.feature_names, metadata.producer) == ("3", ("b",), {"xgboost": "3.2.0"})


def test_the_format_may_be_chosen_among_flavours(folder):
    text = "flavors: {onnx: {data: m.onnx}, sklearn: {pickled_model: m.pkl, serialization_format: pickle}}"
    path = folder(text, "m.onnx", "m.pkl")
    assert locate(path).format == "onnx"
    assert locate(path, format_name="sklearn").path.name == "m.pkl"


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "files", "reason", "said"),
    [
        ("", [], Reason.METADATA_INVALID, "MLmodel is wrong: it holds no mapping"),
        ("{", [], Reason.METADATA_INVALID, "while parsing a flow node"),
        ("a: 1", [], Reason.METADATA_INVALID, 'it has no "flavors"'),
        (BOMB, [], Reason.METADATA_INVALID, 'it has no "flavors"'),
        ("!!python/object/apply:os.system [id]", [], Reason.METADATA_INVALID, "could not determine a constructor"),
        ("flavors: {python_function: {}}", [], Reason.CODE_REFUSED, "python_function only, which is Python code"),
        ("flavors: {pytorch: {}, python_function: {}}", [], Reason.FORMAT_UNKNOWN, "has the flavour pytorch; supported"),
        ("flavors: {sklearn: {}}", [], Reason.METADATA_INVALID, "flavors.sklearn has no pickled_model"),
        ("flavors: {onnx: {data: ../m.onnx}}", [], Reason.METADATA_INVALID, "../m.onnx is outside the folder"),
        ("flavors: {onnx: {data: m.onnx}}", [], Reason.MODEL_NOT_FOUND, "names the file m.onnx, which is not there"),
        (
            "flavors: {lightgbm: {data: model.pkl, model_class: lightgbm.sklearn.LGBMClassifier}}",
            ["model.pkl"],
            Reason.FORMAT_UNKNOWN,
            "model.pkl is a pickle of lightgbm.sklearn.LGBMClassifier, which is not served; log its booster",
        ),
        (XGBOOST + signature({"name": "t", "type": "datetime"}), ["model.ubj"], Reason.METADATA_INVALID, "of type datetime"),
        (XGBOOST + "signature: {inputs: '['}", ["model.ubj"], Reason.METADATA_INVALID, "signature.inputs:"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(folder, text, files, reason, said):
    with pytest.raises(ModelError) as caught:
        locate(folder(text, *files))
    assert caught.value.reason is reason
    assert said in caught.value.message


def test_another_format_than_the_folder_has_is_refused(folder):
    with pytest.raises(ModelError, match="the format is said to be lightgbm, and MLmodel has python_function, xgboost"):
        locate(folder(XGBOOST, "model.ubj"), format_name="lightgbm")
