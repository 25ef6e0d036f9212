"""skops files, as skops writes them."""

import io
import json
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import skops as skops_format
from modelway.server.formats.base import LoadOptions
from support.formats import ask, described
from support.models import iris

ROWS = iris().rows
LABELS = iris().labels


def own_scaling(rows):
    """A function that no allow-list knows."""
    return rows * 2


@pytest.fixture
def load(tmp_path):
    def run(model, *allowed):
        path = tmp_path / "model.skops"
        path.write_bytes(model if isinstance(model, bytes) else skops.io.dumps(model))
        return skops_format.load(path, LoadOptions(allowed_globals=frozenset(allowed)))

    return run


@pytest.mark.parametrize(
    "estimator",
    [
        iris().estimator,
        RandomForestClassifier(5, random_state=1).fit(ROWS, LABELS),
        HistGradientBoostingClassifier(max_iter=3).fit(ROWS, LABELS),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_answers_are_exactly_scikit_learns(load, estimator):
    model = load(estimator)
    answers = ask(model, ROWS, "predict", "predict_proba")
    assert np.array_equal(answers["predict"], estimator.predict(ROWS))
    assert np.array_equal(answers["predict_proba"], estimator.predict_proba(ROWS))
    assert described(model.inputs) == [("X", "FP64", (-1, 4))]
    assert model.platform == "sklearn_skops"
    assert list(model.classes) == [0, 1, 2]
    assert model.notes == {}


def test_missing_values_are_taken_where_the_estimator_takes_them(load):
    assert load(HistGradientBoostingClassifier(max_iter=3).fit(ROWS, LABELS)).inputs[0].nullable
    assert not load(make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS)).inputs[0].nullable


def test_a_type_that_is_not_on_the_list_is_refused_until_it_is_allowed(load):
    estimator = make_pipeline(FunctionTransformer(own_scaling), LogisticRegression()).fit(ROWS, LABELS)
    name = f"{own_scaling.__module__}.own_scaling"
    with pytest.raises(ModelError) as caught:
        load(estimator)
    assert caught.value.reason is Reason.FORBIDDEN_GLOBAL
    assert name in caught.value.message
    assert np.array_equal(ask(load(estimator, name), ROWS), estimator.predict(ROWS))


def evil(name, module):
    """A file that wants a function called while it is loaded."""
    buffer = io.BytesIO(skops.io.dumps(iris().estimator))
    with zipfile.ZipFile(buffer) as archive:
        schema = json.loads(archive.read("schema.json"))
        others = {item: archive.read(item) for item in archive.namelist() if item != "schema.json"}

    def poison(node):
        if isinstance(node, dict):
            if node.get("__class__") == "StandardScaler":
                node |= {"__class__": name, "__module__": module, "__loader__": "FunctionNode"}
                node["content"] = {"module_path": module, "function": name}
            for value in node.values():
                poison(value)
        elif isinstance(node, list):
            for value in node:
                poison(value)

    poison(schema)
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
        for item, content in others.items():
            archive.writestr(item, content)
    return result.getvalue()


def bomb():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}")
        archive.writestr("array.npy", bytes(80 * 2**20))
    return buffer.getvalue()


def zipped(schema):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json" if schema is not None else "other", schema or b"")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason", "said"),
    [
        (b"", Reason.MODEL_LOAD_FAILED, "cut short"),
        (b"nonsense", Reason.MODEL_LOAD_FAILED, "cut short"),
        (skops.io.dumps(iris().estimator)[:-100], Reason.MODEL_LOAD_FAILED, "cut short"),
        (zipped(None), Reason.MODEL_LOAD_FAILED, "holds no schema.json"),
        (zipped(b"{"), Reason.MODEL_LOAD_FAILED, "cut short"),
        (zipped(b"[]"), Reason.MODEL_LOAD_FAILED, "schema.json holds no object"),
        (zipped(b"{}"), Reason.MODEL_LOAD_FAILED, "cannot read model.skops"),
        (bomb(), Reason.MODEL_LOAD_FAILED, "it would unpack to 80 MiB from 79 KiB"),
        (evil("system", "os"), Reason.FORBIDDEN_GLOBAL, "os.system"),
        (evil("myeval", "numpy.f2py.crackfortran"), Reason.FORBIDDEN_GLOBAL, "numpy.f2py.crackfortran.myeval"),
        (skops.io.dumps({"a": 1}), Reason.MODEL_LOAD_FAILED, "has neither predict nor transform"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_broken_or_evil_is_told(load, content, reason, said):
    with pytest.raises(ModelError) as caught:
        load(content)
    assert caught.value.reason is reason
    assert said in caught.value.message
