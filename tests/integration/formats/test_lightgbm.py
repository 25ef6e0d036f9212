"""Models that LightGBM itself has trained and saved; answers are compared with its own, bit by bit."""

import pickle
import re
from functools import partial

import lightgbm
import numpy as np
import pytest

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import lightgbm as lightgbm_format
from modelway.server.formats.base import LoadOptions
from support.formats import ask, assert_threads_agree, described, load_saved, threads_of


@pytest.fixture
def load(tmp_path):
    return partial(load_saved, lightgbm_format, tmp_path / "model.txt")


@pytest.fixture(scope="module")
def binary(cancer):
    return lightgbm.LGBMClassifier(n_estimators=8, num_leaves=7, n_jobs=1, verbose=-1).fit(*cancer)


def trained(rows, labels, rounds=4, categories="auto", **parameters):
    parameters = {"num_leaves": 6, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5, **parameters}
    return lightgbm.train(parameters, lightgbm.Dataset(rows, labels, categorical_feature=categories), rounds)


def test_a_classifier_of_two_answers_as_its_wrapper_and_its_booster(load, binary, cancer, holes):
    model = load(binary.booster_)
    for rows in (cancer[0], holes(cancer[0])):
        answers = ask(model, rows, "predict", "label", "predict_proba")
        assert np.array_equal(answers["predict"], binary.booster_.predict(rows))
        assert np.array_equal(answers["label"], binary.predict(rows))
        assert np.array_equal(answers["predict_proba"], binary.predict_proba(rows))
    assert described(model.inputs) == [("X", "FP64", (-1, 30))]
    assert model.inputs[0].nullable
    assert model.default_outputs == ("predict",)
    assert list(model.classes) == [0, 1]


@pytest.mark.parametrize(
    ("parameters", "outputs"),
    [
        ({"objective": "multiclass", "num_class": 3}, ["predict", "label", "predict_proba"]),
        ({"objective": "multiclassova", "num_class": 3}, ["predict", "label", "predict_proba"]),
        ({"objective": "regression"}, ["predict"]),
        ({"objective": "regression", "boosting": "dart"}, ["predict"]),
        ({"objective": "regression", "linear_tree": True}, ["predict"]),
        ({"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, ["predict"]),
        ({"objective": "poisson"}, ["predict"]),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_every_kind_answers_as_its_booster(load, iris_rows, parameters, outputs):
    rows, labels = iris_rows
    booster = trained(rows, labels, **parameters)
    model = load(booster)
    assert [spec.name for spec in model.outputs] == outputs
    own = booster.predict(rows)
    assert np.array_equal(ask(model, rows, "predict"), own)
    if "label" in outputs:
        assert np.array_equal(ask(model, rows, "label"), own.argmax(axis=1))


def test_categories_by_number_are_taken(load):
    generator = np.random.default_rng(3)
    rows = np.c_[generator.integers(0, 40, 400), generator.random(400)]
    booster = trained(rows, (rows[:, 0] % 3 == 1) + rows[:, 1], categories=[0], objective="regression")
    assert "num_cat=0" not in booster.model_to_string().partition("\nnum_leaves=")[2][:40]
    assert np.array_equal(ask(load(booster), rows), booster.predict(rows))


def test_categories_by_name_are_refused(load):
    import pandas as pd

    table = pd.DataFrame({"city": pd.Categorical(["a", "b", "c"] * 20), "n": np.arange(60.0)})
    model = lightgbm.LGBMRegressor(n_estimators=2, n_jobs=1, verbose=-1).fit(table, np.arange(60))
    with pytest.raises(ModelError, match="categories by name"):
        load(model.booster_)


def test_feature_names_are_the_models(load, iris_rows):
    rows, labels = iris_rows
    data = lightgbm.Dataset(rows, labels, feature_name=["a", "b", "c", "d"])
    booster = lightgbm.train({"verbose": -1, "num_threads": 1}, data, 2)
    assert list(load(booster).features) == ["a", "b", "c", "d"]
    assert list(load(trained(rows, labels)).features) == []
    with pytest.raises(ModelError, match="featureNames has 3 names, the model 4 features"):
        load(booster, featureNames=["a", "b", "c"])


def test_a_model_that_was_told_to_ignore_missing_values_takes_none(load, iris_rows):
    assert not load(trained(*iris_rows, use_missing=False)).inputs[0].nullable


def test_threads_are_as_many_as_told(tmp_path, binary, cancer):
    binary.booster_.save_model(tmp_path / "m.txt")
    assert threads_of(lambda count: lightgbm_format.load(tmp_path / "m.txt", LoadOptions(count)), cancer[0]) == (0, 2)


def test_threads_do_not_disturb_each_other(load, binary, cancer):
    assert_threads_agree(load(binary.booster_), cancer[0], "predict_proba")


def changed(pattern, replacement):
    def make(text):
        assert re.search(pattern, text)
        return re.sub(pattern, replacement, text, count=1).encode()

    return make


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: b"", 'does not begin with "tree"'),
        (lambda _: b"tree\n", "its end is missing"),
        (lambda _: b"tree\nend of trees\n\nend of parameters\n", "it has no 'max_feature_idx'"),
        (lambda _: pickle.dumps([1, 2, "\xff" * 300]), "it is no text"),
        (lambda text: text.encode()[: len(text) // 2], "its end is missing"),
        (lambda text: text.encode()[: text.index("end of parameters")], "its end is missing"),
        (changed(r"left_child=\S+", "left_child=0"), "Tree=0.left_child[0]: leads back to node 0"),
        (changed(r"left_child=\S+", "left_child=1000000"), "Tree=0.left_child[0]: 1000000 is not within"),
        (changed(r"left_child=\S+", "left_child=-1000000"), "Tree=0.left_child[0]: -1000000 is not within"),
        (changed(r"left_child=\S+ ", "left_child="), "left_child: 5 values, where 6 are expected"),
        (changed(r"left_child=\S+", "left_child=999999999999999999999999"), "left_child"),
        (changed(r"split_feature=\S+", "split_feature=30"), "split_feature[0]: 30 is not within 0 and 29"),
        (changed(r"threshold=\S+ ", "threshold="), "threshold: 5 values"),
        (changed(r"leaf_value=\S+ ", "leaf_value="), "leaf_value: another number of leaves than 7"),
        (changed(r"decision_type=\S+", "decision_type=1"), "it has no 'cat_boundaries'"),
        (changed(r"num_leaves=\d+", "num_leaves=100000000"), "leaf_value: another number"),
        (changed(r"num_class=\d+", "num_class=1000000000"), "1000000000 classes, with 1 trees"),
        (changed(r"num_tree_per_iteration=\d+", "num_tree_per_iteration=5"), "8 trees, where 5 make an iteration"),
        (changed(r"max_feature_idx=\d+", "max_feature_idx=3"), "split_feature"),
        (changed(r"tree_sizes=\d+", "tree_sizes=7"), "tree_sizes[1]: no tree begins there"),
        (changed(r"tree_sizes=\d+ ", "tree_sizes="), "tree_sizes: 7 values"),
        (changed(r"objective=\S+", "objective=evil"), "cannot load"),
    ],
)
def test_what_is_broken_or_evil_is_told(load, binary, make, said):
    with pytest.raises(ModelError) as caught:
        load(make(binary.booster_.model_to_string()))
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED
    assert said in caught.value.message
    assert "\n" not in caught.value.message
