"""A transform before the model: requests bring what it takes, and errors name it."""

import json
import pickle

import joblib
import numpy as np
import pytest
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.code import Code
from modelway.server.loading import load
from modelway.server.options import ServerOptions
from modelway.server.tensors import Batch
from modelway.server.transform import TransformError

PEOPLE = np.array([[25, "Vigo"], [61, "Lugo"], [44, "Vigo"], [70, "Vigo"], [33, "Lugo"]], dtype=object)
INPUTS = [
    {"name": "age", "datatype": "FP64", "shape": [-1, 1]},
    {"name": "city", "datatype": "BYTES", "shape": [-1, 1]},
]
ASKED = {"age": PEOPLE[:, :1].astype(float), "city": PEOPLE[:, 1:]}
FEATURES = ColumnTransformer([("n", StandardScaler(), [0]), ("c", OneHotEncoder(), [1])]).fit(PEOPLE)
INNER = LogisticRegression().fit(FEATURES.transform(PEOPLE), [0, 1, 0, 1, 1])
ONNX = to_onnx(INNER, np.zeros((1, 3), np.float32), options={"zipmap": False}).SerializeToString()
GOOD = "import numpy\ndef transform(tensors):\n    return numpy.hstack([tensors['age']] * 3)\n"


@pytest.fixture
def folder(tmp_path):
    """An ONNX model behind a transform: an estimator under a file name, or a module's text."""

    def make(before, name="features.joblib", **metadata):
        (tmp_path / "model.onnx").write_bytes(ONNX)
        if isinstance(before, str):
            (tmp_path / name).write_text(before)
        elif name.endswith("joblib"):
            joblib.dump(before, tmp_path / name)
        else:
            (tmp_path / name).write_bytes(pickle.dumps(before))
        kind = "module" if isinstance(before, str) else "file"
        said = {"transform": {kind: name}, "inputs": INPUTS, "file": "model.onnx"} | metadata
        said = {key: value for key, value in said.items() if value is not None}
        (tmp_path / "modelway.json").write_text(json.dumps(said))
        return tmp_path

    return make


def loaded(folder, code=Code.ALLOW_LIST):
    return load(ServerOptions(folder, "m", code=code)).model


def test_an_onnx_model_behind_a_column_transformer_answers_as_the_two_do(folder):
    model = loaded(folder(FEATURES))
    answers = model.predict(Batch(ASKED, 5, ("label", "probabilities")))
    given = FEATURES.transform(PEOPLE)
    assert answers["label"].tolist() == INNER.predict(given).tolist()
    assert answers["probabilities"] == pytest.approx(INNER.predict_proba(given), abs=1e-5)
    assert [spec.name for spec in model.inputs] == ["age", "city"]
    assert [spec.name for spec in model.outputs] == ["label", "probabilities"]
    assert model.notes["transform"] == "features.joblib"


def test_golden_requests_go_through_the_transform(folder):
    expected = INNER.predict_proba(FEATURES.transform(PEOPLE))[0].tolist()
    rows = [{"age": 25, "city": "Vigo"}]
    good = {"instances": rows, "predictions": [{"label": 0, "probabilities": expected}], "tolerance": 1e-5}
    assert load(ServerOptions(folder(FEATURES, golden=[good]), "m", code=Code.ALLOW_LIST)).golden == 1
    wrong = good | {"predictions": [{"label": 0, "probabilities": expected[::-1]}]}
    with pytest.raises(ModelError, match="golden") as caught:
        loaded(folder(FEATURES, golden=[wrong]))
    assert caught.value.reason is Reason.GOLDEN_REQUEST_FAILED


def test_the_models_file_is_found_beside_the_transforms(folder):
    assert loaded(folder(FEATURES, file=None)).notes["transform"] == "features.joblib"


def test_a_module_is_run_when_it_is_trusted(folder):
    model = loaded(folder(GOOD, "features.py"), Code.TRUST)
    answers = model.predict(Batch(ASKED, 5, ("label",)))
    assert answers["label"].tolist() == INNER.predict(np.hstack([ASKED["age"]] * 3)).tolist()


class TestOneRequest:
    def test_a_row_that_the_transform_refuses_is_told_by_its_name(self, folder):
        asked = ASKED | {"city": np.array([["Oslo"]] * 5, dtype=object)}
        with pytest.raises(TransformError, match=r"transform features\.joblib: ValueError: Found unknown categories"):
            loaded(folder(FEATURES)).predict(Batch(asked, 5, ("label",)))

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            ("return tensors['age']", r"gives shape \[5, 1\] for 5 rows, where the model's input \"X\" has \[-1, 3\]"),
            ("return {'x': 1}", "gives x, where the model takes X"),
            ("return numpy.zeros((2, 3))", r"gives shape \[2, 3\] for 5 rows"),
            ("return numpy.full((5, 3), 'a')", "gives <U1"),
            ("return 1 / 0", "ZeroDivisionError"),
        ],
    )
    def test_what_the_model_cannot_take_is_told(self, folder, body, told):
        model = loaded(folder(f"import numpy\ndef transform(tensors):\n    {body}\n", "features.py"), Code.TRUST)
        with pytest.raises(TransformError, match=told):
            model.predict(Batch(ASKED, 5, ("label",)))


WRONG = {
    "a pickle, and the policy is to refuse": (FEATURES, "f.pkl", {}, Code.REFUSE, Reason.CODE_REFUSED, "the transform f.pkl"),
    "a module, and only a list is allowed": (GOOD, "f.py", {}, Code.ALLOW_LIST, Reason.CODE_REFUSED, "code: Trust"),
    "a module, and nobody knows its inputs": (
        GOOD, "f.py", {"inputs": None}, Code.TRUST, Reason.METADATA_INVALID, "declares no inputs",
    ),
    "an input without a type": (
        GOOD, "f.py", {"inputs": [{"name": "a"}]}, Code.TRUST, Reason.METADATA_INVALID, "needs a datatype and a shape",
    ),
    "a module that does not run": ("1/0", "f.py", {}, Code.TRUST, Reason.MODEL_LOAD_FAILED, "cannot be run: ZeroDiv"),
    "a module without the function": ("x = 1", "f.py", {}, Code.TRUST, Reason.MODEL_LOAD_FAILED, "no function transform"),
    "no Python file": ("x = 1", "f.txt", {}, Code.TRUST, Reason.MODEL_LOAD_FAILED, "must end with .py"),
    "no transformer": (INNER, "f.pkl", {"inputs": None}, Code.ALLOW_LIST, Reason.MODEL_LOAD_FAILED, "no transformer"),
    "another width": (
        StandardScaler().fit(np.zeros((2, 2))), "f.pkl", {"inputs": None}, Code.ALLOW_LIST, Reason.METADATA_INVALID,
        "gives shape [-1, 2], where the model takes [-1, 3]",
    ),
    "a file that is not there": (
        FEATURES, "f.pkl", {"transform": {"file": "g.pkl"}}, Code.ALLOW_LIST, Reason.MODEL_NOT_FOUND, "g.pkl, which is not",
    ),
    "a file outside": (
        FEATURES, "f.pkl", {"transform": {"file": "../f.pkl"}}, Code.ALLOW_LIST, Reason.METADATA_INVALID, "outside",
    ),
    "two at once": (
        FEATURES, "f.pkl", {"transform": {"file": "f.pkl", "module": "f.py"}}, Code.ALLOW_LIST, Reason.METADATA_INVALID,
        "either file or module",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("transform", "name", "said", "code", "reason", "told"), WRONG.values(), ids=WRONG)
def test_a_transform_that_cannot_be_is_told_at_load(folder, transform, name, said, code, reason, told):
    with pytest.raises(ModelError) as caught:
        loaded(folder(transform, name, **said), code)
    assert (caught.value.reason, told in caught.value.message) == (reason, True), caught.value.message
