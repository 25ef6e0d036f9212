"""Models that CatBoost itself has trained and saved; answers are compared with its own, bit by bit."""

import pickle
from functools import partial

import numpy as np
import pytest
from catboost import CatBoostClassifier, CatBoostRanker, CatBoostRegressor, Pool

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import catboost as catboost_format
from modelway.server.formats.base import LoadOptions
from modelway.server.tensors import Batch
from support.formats import ask, assert_threads_agree, described, load_saved, threads_of

SETTINGS = {"iterations": 6, "depth": 3, "verbose": 0, "allow_writing_files": False, "thread_count": 1}


@pytest.fixture
def load(tmp_path):
    return partial(load_saved, catboost_format, tmp_path / "model.cbm")


@pytest.fixture(scope="module")
def binary(cancer):
    return CatBoostClassifier(**SETTINGS).fit(*cancer)


def test_a_classifier_of_two_answers_as_its_class(load, binary, cancer, holes):
    model = load(binary)
    for rows in (cancer[0], holes(cancer[0])):
        answers = ask(model, rows, "predict", "predict_proba")
        assert np.array_equal(answers["predict"], binary.predict(rows))
        assert np.array_equal(answers["predict_proba"], binary.predict_proba(rows))
    assert described(model.inputs) == [("X", "FP64", (-1, 30))]
    assert model.inputs[0].nullable
    assert described(model.outputs) == [("predict", "INT64", (-1,)), ("predict_proba", "FP64", (-1, 2))]
    assert list(model.classes) == [0, 1]


def test_a_classifier_of_names_answers_names(load, iris_rows):
    rows, labels = iris_rows
    own = CatBoostClassifier(**SETTINGS).fit(rows, np.array(["a", "b", "c"])[labels])
    model = load(own)
    assert ask(model, rows).tolist() == own.predict(rows)[:, 0].tolist()
    assert np.array_equal(ask(model, rows, "predict_proba"), own.predict_proba(rows))
    assert described(model.outputs) == [("predict", "BYTES", (-1,)), ("predict_proba", "FP64", (-1, 3))]
    assert list(model.classes) == ["a", "b", "c"]


@pytest.mark.parametrize("loss", ["RMSE", "Poisson", "Quantile:alpha=0.3", "MultiRMSE"])
def test_a_regressor_answers_as_its_class(load, iris_rows, loss):
    rows, labels = iris_rows
    own = CatBoostRegressor(loss_function=loss, **SETTINGS).fit(rows, rows[:, :2] if loss == "MultiRMSE" else labels)
    model = load(own)
    assert [spec.name for spec in model.outputs] == ["predict"]
    assert np.array_equal(ask(model, rows), own.predict(rows))


def test_a_ranker_answers_as_its_class(load, iris_rows):
    rows, labels = iris_rows
    own = CatBoostRanker(bootstrap_type="No", **SETTINGS).fit(Pool(rows, labels, group_id=np.arange(150) // 10))
    assert np.array_equal(ask(load(own), rows), own.predict(rows))


def test_categories_and_numbers_are_inputs_of_their_own(load, iris_rows):
    rows, labels = iris_rows
    city = np.array([["Vigo", "Lugo", "León"][label] for label in labels[::-1]], dtype=object)
    table = np.c_[rows[:, :2].astype(object), city]
    own = CatBoostClassifier(**SETTINGS)
    own.fit(Pool(table, labels, cat_features=[2], feature_names=["long", "wide", "city"]))
    model = load(own)
    assert described(model.inputs) == [("long", "FP64", (-1, 1)), ("wide", "FP64", (-1, 1)), ("city", "BYTES", (-1, 1))]
    columns = {"long": rows[:, :1], "wide": rows[:, 1:2], "city": city.reshape(-1, 1)}
    answers = model.predict(Batch(columns, rows=150, wanted=("predict", "predict_proba")))
    assert np.array_equal(answers["predict"], own.predict(table)[:, 0])
    assert np.array_equal(answers["predict_proba"], own.predict_proba(table))
    assert [spec.nullable for spec in model.inputs] == [True, True, False]


def test_texts_are_taken(load):
    texts = np.array([["good day"], ["bad day"], ["very good"], ["so bad"]] * 50, dtype=object)
    own = CatBoostClassifier(bootstrap_type="No", **SETTINGS).fit(
        Pool(texts, [1, 0, 1, 0] * 50, text_features=[0], feature_names=["said"])
    )
    model = load(own)
    assert described(model.inputs) == [("said", "BYTES", (-1, 1))]
    assert np.array_equal(ask(model, texts), own.predict(texts))


def test_a_model_that_forbids_missing_values_takes_none(load, iris_rows):
    assert not load(CatBoostRegressor(nan_mode="Forbidden", **SETTINGS).fit(*iris_rows)).inputs[0].nullable


def test_feature_names_are_the_models(load, iris_rows):
    own = CatBoostRegressor(**SETTINGS).fit(Pool(*iris_rows, feature_names=["a", "b", "c", "d"]))
    assert list(load(own).features) == ["a", "b", "c", "d"]
    assert list(load(CatBoostRegressor(**SETTINGS).fit(*iris_rows)).features) == []


def test_threads_are_as_many_as_told(tmp_path, binary, cancer):
    binary.save_model(tmp_path / "m.cbm")
    many = np.tile(cancer[0], (20, 1))
    with_one, with_three = threads_of(lambda count: catboost_format.load(tmp_path / "m.cbm", LoadOptions(count)), many)
    assert with_one == 0
    assert with_three <= 2


def test_threads_do_not_disturb_each_other(load, binary, cancer):
    assert_threads_agree(load(binary), cancer[0], "predict_proba")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: b"", 'does not begin with "CBM1"'),
        (lambda _: b"nonsense", 'does not begin with "CBM1"'),
        (lambda _: pickle.dumps([1]), 'does not begin with "CBM1"'),
        (lambda _: b"CBM1", "cut short"),
        (lambda _: b"CBM1" + bytes(8), "cut short"),
        (lambda _: b"CBM1" + b"\xff" * 100, "it has 96 bytes, where 4294967295 are expected"),
        (lambda own: own[: len(own) // 2], "cut short"),
        (lambda own: own[:-1], "cut short"),
    ],
)
def test_what_is_broken_is_told(load, binary, tmp_path, make, said):
    binary.save_model(tmp_path / "own.cbm")
    with pytest.raises(ModelError) as caught:
        load(make((tmp_path / "own.cbm").read_bytes()))
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED
    assert said in caught.value.message
    assert "\n" not in caught.value.message
