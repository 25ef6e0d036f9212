"""Folders that MLflow has made, served without it."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats.base import Code
from modelway.server.loading import load
from modelway.server.options import ServerOptions
from modelway.server.tensors import Batch
from support.formats import ask
from support.models import iris

# Else MLflow finds out what the model needs by loading it in another process.
QUICKLY = {"pip_requirements": []}


@pytest.fixture
def named(iris_rows):
    rows, labels = iris_rows
    return pd.DataFrame(rows, columns=["sl", "sw", "pl", "pw"]), labels


def serve(folder, code=Code.REFUSE):
    return load(ServerOptions(folder, "m", code=code))


def test_scikit_learn_in_skops_is_served_under_the_strictest_policy(tmp_path, named):
    table, labels = named
    own = make_pipeline(StandardScaler(), LogisticRegression()).fit(table, labels)
    signature = infer_signature(table, own.predict(table))
    mlflow.sklearn.save_model(own, tmp_path / "m", serialization_format="skops", signature=signature, **QUICKLY)
    loaded = serve(tmp_path / "m")
    assert loaded.format == "skops"
    assert np.array_equal(ask(loaded.model, table.to_numpy(), "predict_proba"), own.predict_proba(table))
    assert list(loaded.model.features) == ["sl", "sw", "pl", "pw"]
    assert loaded.model.notes["mlflow"] == mlflow.__version__


def test_scikit_learn_in_a_pickle_needs_the_allow_list(tmp_path, named):
    table, labels = named
    own = LogisticRegression().fit(table, labels)
    mlflow.sklearn.save_model(own, tmp_path / "m", serialization_format="cloudpickle", **QUICKLY)
    with pytest.raises(ModelError) as caught:
        serve(tmp_path / "m")
    assert caught.value.reason is Reason.CODE_REFUSED
    loaded = serve(tmp_path / "m", Code.ALLOW_LIST)
    assert np.array_equal(ask(loaded.model, table.to_numpy()), own.predict(table))


def test_columns_of_texts_and_numbers_are_taken_by_name(tmp_path):
    table = pd.DataFrame({"age": np.arange(40) % 7, "city": ["Vigo", "Lugo"] * 20})
    steps = [("n", StandardScaler(), ["age"]), ("t", OneHotEncoder(), ["city"])]
    own = make_pipeline(ColumnTransformer(steps), LogisticRegression()).fit(table, np.arange(40) % 2)
    mlflow.sklearn.save_model(
        own, tmp_path / "m", serialization_format="skops", signature=infer_signature(table), **QUICKLY
    )
    model = serve(tmp_path / "m").model
    assert [(spec.name, spec.datatype) for spec in model.inputs] == [("age", "INT64"), ("city", "BYTES")]
    columns = {"age": table[["age"]].to_numpy(), "city": table[["city"]].to_numpy(object)}
    answers = model.predict(Batch(columns, rows=40, wanted=("predict_proba",)))["predict_proba"]
    assert np.array_equal(answers, own.predict_proba(table))


def test_xgboost_is_served(tmp_path, named):
    import xgboost

    table, labels = named
    own = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(table, labels)
    mlflow.xgboost.save_model(own, tmp_path / "m", signature=infer_signature(table), **QUICKLY)
    loaded = serve(tmp_path / "m")
    assert loaded.format == "xgboost"
    assert np.array_equal(ask(loaded.model, table.to_numpy(), "predict_proba"), own.predict_proba(table))


def test_lightgbms_booster_is_served(tmp_path, named):
    import lightgbm

    table, labels = named
    own = lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1).fit(table, labels)
    mlflow.lightgbm.save_model(own.booster_, tmp_path / "m", **QUICKLY)
    loaded = serve(tmp_path / "m")
    assert loaded.format == "lightgbm"
    assert np.array_equal(ask(loaded.model, table.to_numpy(), "predict_proba"), own.predict_proba(table))


def test_catboost_is_served(tmp_path, named):
    import catboost

    table, labels = named
    own = catboost.CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False, thread_count=1)
    own.fit(table, labels)
    mlflow.catboost.save_model(own, tmp_path / "m", **QUICKLY)
    loaded = serve(tmp_path / "m")
    assert loaded.format == "catboost"
    assert np.array_equal(ask(loaded.model, table.to_numpy(), "predict_proba"), own.predict_proba(table))


def test_onnx_is_served(tmp_path):
    import onnx

    mlflow.onnx.save_model(onnx.load_from_string(iris().onnx), tmp_path / "m")
    loaded = serve(tmp_path / "m")
    assert loaded.format == "onnx"
    assert np.array_equal(
        ask(loaded.model, iris().rows.astype(np.float32), "label"), iris().estimator.predict(iris().rows)
    )


def test_a_python_function_alone_is_refused(tmp_path):
    class Own(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input

    mlflow.pyfunc.save_model(tmp_path / "m", python_model=Own(), **QUICKLY)
    with pytest.raises(ModelError) as caught:
        serve(tmp_path / "m", Code.ALLOW_LIST)
    assert caught.value.reason is Reason.CODE_REFUSED
