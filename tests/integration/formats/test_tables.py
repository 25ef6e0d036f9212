"""scikit-learn models that pick their columns by name, trained on data frames as notebooks do."""

import pickle

import msgspec
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import sklearn as sklearn_format
from modelway.server.formats import skops as skops_format
from modelway.server.formats import tables
from modelway.server.formats.base import LoadOptions
from modelway.server.metadata import Metadata
from modelway.server.tensors import Batch
from support.formats import described

GENERATOR = np.random.default_rng(2)
TABLE = pd.DataFrame(
    {
        "age": GENERATOR.integers(18, 90, 200),
        "income": GENERATOR.normal(30, 9, 200),
        "city": GENERATOR.choice(["Vigo", "Lugo", "León"], 200),
        "said": GENERATOR.choice(["good day", "bad day", "so so"], 200),
    }
)
LABELS = (TABLE["age"] + TABLE["income"] > 85).to_numpy().astype(int)


def pipeline(numbers=("age", "income"), **texts):
    steps = [
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        ("city", make_pipeline(OneHotEncoder(handle_unknown="ignore")), ["city"]),
        *((name, TfidfVectorizer(), name) for name in texts),
    ]
    return make_pipeline(ColumnTransformer(steps), LogisticRegression()).fit(TABLE, LABELS)


@pytest.fixture(params=["pkl", "skops"])
def load(tmp_path, request):
    def run(estimator, **metadata):
        path = tmp_path / f"model.{request.param}"
        form = sklearn_format if request.param == "pkl" else skops_format
        path.write_bytes(pickle.dumps(estimator) if request.param == "pkl" else skops.io.dumps(estimator))
        return form.load(path, LoadOptions(metadata=msgspec.convert(metadata, Metadata)))

    return run


def ask(model, table, *wanted):
    columns = {
        spec.name: table[spec.name].to_numpy(object if spec.datatype == "BYTES" else float).reshape(-1, 1)
        for spec in model.inputs
    }
    return model.predict(Batch(columns, rows=len(table), wanted=wanted or model.default_outputs))


@pytest.mark.parametrize(
    "numbers", [["age", "income"], make_column_selector(dtype_include="number")], ids=["names", "types"]
)
def test_each_column_is_an_input_and_answers_are_exactly_scikit_learns(load, numbers):
    estimator = pipeline(numbers)
    model = load(estimator)
    assert described(model.inputs) == [
        ("age", "FP64", (-1, 1)),
        ("income", "FP64", (-1, 1)),
        ("city", "BYTES", (-1, 1)),
        ("said", "FP64", (-1, 1)),
    ]
    answers = ask(model, TABLE.assign(said=0.0), "predict", "predict_proba")
    assert np.array_equal(answers["predict"], estimator.predict(TABLE))
    assert np.array_equal(answers["predict_proba"], estimator.predict_proba(TABLE))


def test_columns_of_free_text_are_texts(load):
    estimator = pipeline(said=True)
    model = load(estimator)
    assert {spec.name: spec.datatype for spec in model.inputs}["said"] == "BYTES"
    assert np.array_equal(ask(model, TABLE, "predict_proba")["predict_proba"], estimator.predict_proba(TABLE))


def test_columns_that_are_imputed_take_missing_values(load):
    estimator = pipeline()
    model = load(estimator)
    assert [spec.nullable for spec in model.inputs] == [True, True, False, True]
    holes = TABLE.assign(age=np.where(TABLE["age"] > 60, np.nan, TABLE["age"]), said=0.0)
    assert np.array_equal(ask(model, holes)["predict"], estimator.predict(holes))


def test_metadata_says_datatypes_and_may_leave_out_no_column(load):
    said = [
        {"name": "age", "datatype": "INT64"},
        {"name": "income"},
        {"name": "city"},
        {"name": "said", "datatype": "BYTES"},
    ]
    model = load(pipeline(), inputs=said)
    assert [spec.datatype for spec in model.inputs] == ["INT64", "FP64", "BYTES", "BYTES"]
    with pytest.raises(ModelError, match='inputs leaves out "said"'):
        load(pipeline(), inputs=said[:3])
    with pytest.raises(ModelError, match='inputs names "size"'):
        load(pipeline(), inputs=[*said, {"name": "size"}])


def test_without_pandas_the_error_says_what_to_do(load, monkeypatch):
    monkeypatch.setattr(tables, "find_spec", lambda _: None)
    with pytest.raises(ModelError) as caught:
        load(pipeline())
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED
    assert "modelway-server-full, pip install 'modelway[tables]'" in caught.value.message
