"""Models that XGBoost itself has trained and saved; answers are compared with its own, bit by bit."""

import json
import pickle

import numpy as np
import pytest
import xgboost

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import xgboost as xgboost_format
from modelway.server.formats.base import LoadOptions
from support.formats import ask, assert_threads_agree, described, load_saved


@pytest.fixture(params=["json", "ubj"])
def load(tmp_path, request):
    def run(model, **metadata):
        saved = json.dumps(model).encode() if isinstance(model, dict) else model
        return load_saved(xgboost_format, tmp_path / f"model.{request.param}", saved, **metadata)

    return run


@pytest.fixture(scope="module")
def binary(cancer):
    rows, labels = cancer
    return xgboost.XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1).fit(rows, labels)


@pytest.fixture(scope="module")
def several(iris_rows):
    rows, labels = iris_rows
    return xgboost.XGBClassifier(n_estimators=5, max_depth=3, n_jobs=1).fit(rows, labels)


def trained(rows, labels, rounds=4, **parameters):
    return xgboost.train({"max_depth": 3, "nthread": 1, **parameters}, xgboost.DMatrix(rows, labels), rounds)


def test_a_classifier_of_two_answers_as_its_wrapper(load, binary, cancer, holes):
    model = load(binary)
    for rows in (cancer[0], holes(cancer[0])):
        answers = ask(model, rows, "predict", "predict_proba")
        assert np.array_equal(answers["predict"], binary.predict(rows))
        assert np.array_equal(answers["predict_proba"], binary.predict_proba(rows))
    assert described(model.inputs) == [("X", "FP64", (-1, 30))]
    assert model.inputs[0].nullable
    assert described(model.outputs) == [("predict", "INT64", (-1,)), ("predict_proba", "FP32", (-1, 2))]
    assert model.default_outputs == ("predict",)
    assert list(model.classes) == [0, 1]


def test_a_classifier_of_several_answers_as_its_wrapper(load, several, iris_rows):
    model = load(several)
    answers = ask(model, iris_rows[0], "predict", "predict_proba")
    assert np.array_equal(answers["predict"], several.predict(iris_rows[0]))
    assert np.array_equal(answers["predict_proba"], several.predict_proba(iris_rows[0]))
    assert list(model.classes) == [0, 1, 2]


def test_training_that_stopped_early_answers_up_to_the_best_iteration(load, cancer):
    rows, labels = cancer
    model = xgboost.XGBRegressor(n_estimators=60, early_stopping_rounds=3, learning_rate=0.9, n_jobs=1)
    model.fit(rows[:300], labels[:300], eval_set=[(rows[300:], labels[300:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    assert np.array_equal(ask(load(model), rows), model.predict(rows))


@pytest.mark.parametrize(
    ("parameters", "outputs"),
    [
        ({"objective": "binary:logistic"}, ["predict", "label", "predict_proba"]),
        ({"objective": "multi:softprob", "num_class": 3}, ["predict", "label", "predict_proba"]),
        ({"objective": "multi:softmax", "num_class": 3}, ["predict", "label"]),
        ({"objective": "reg:squarederror"}, ["predict"]),
        ({"objective": "reg:squarederror", "booster": "dart", "rate_drop": 0.3}, ["predict"]),
        ({"objective": "reg:squarederror", "booster": "gblinear"}, ["predict"]),
        ({"objective": "count:poisson"}, ["predict"]),
        ({"objective": "rank:pairwise"}, ["predict"]),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_a_bare_booster_answers_as_it_does_itself(load, iris_rows, parameters, outputs):
    rows, labels = iris_rows
    if parameters["objective"] == "binary:logistic":
        labels = (labels == 1).astype(int)
    booster = trained(rows, labels, **parameters)
    model = load(booster)
    own = booster.predict(xgboost.DMatrix(rows))
    assert np.array_equal(ask(model, rows, "predict"), own)
    assert [spec.name for spec in model.outputs] == outputs
    if "predict_proba" in outputs:
        probabilities = np.c_[1 - own, own] if own.ndim == 1 else own
        assert np.array_equal(ask(model, rows, "predict_proba"), probabilities)
        assert np.array_equal(ask(model, rows, "label"), probabilities.argmax(axis=1))


def test_several_targets_have_a_column_each(load, iris_rows):
    rows, labels = iris_rows
    targets = np.c_[labels == 1, labels == 2].astype(int)
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(rows, targets)
    answers = ask(load(model), rows, "predict", "predict_proba")
    assert np.array_equal(answers["predict"], model.predict(rows))
    assert np.array_equal(answers["predict_proba"], model.predict_proba(rows))


def test_feature_names_are_the_models(load, iris_rows):
    rows, labels = iris_rows
    data = xgboost.DMatrix(rows, labels, feature_names=["a", "b", "c", "d"])
    booster = xgboost.train({"nthread": 1}, data, 2)
    assert list(load(booster).features) == ["a", "b", "c", "d"]
    with pytest.raises(ModelError, match=r'featureNames\[0\] is "b", where the model has "a"') as caught:
        load(booster, featureNames=["b", "a", "c", "d"])
    assert caught.value.reason is Reason.METADATA_INVALID


def test_metadata_chooses_the_output_and_names_columns(load, iris_rows):
    rows, labels = iris_rows
    names = ["a", "b", "c", "d"]
    booster = trained(rows, labels, objective="multi:softprob", num_class=3)
    model = load(
        booster, outputs=[{"name": "label"}], inputs=[{"name": name} for name in names], classes=["x", "y", "z"]
    )
    assert model.default_outputs == ("label",)
    assert described(model.inputs) == [(name, "FP64", (-1, 1)) for name in names]
    assert model.classes == ("x", "y", "z")


def test_categories_by_number_are_taken(load):
    generator = np.random.default_rng(3)
    rows = np.c_[generator.integers(0, 12, 300), generator.random(300)]
    data = xgboost.DMatrix(rows, rows[:, 0] % 3 + rows[:, 1], feature_types=["c", "float"], enable_categorical=True)
    booster = xgboost.train({"max_cat_to_onehot": 2, "nthread": 1}, data, 3)
    assert np.array_equal(ask(load(booster), rows), booster.predict(data))


def test_categories_by_name_are_refused(load):
    import pandas as pd

    table = pd.DataFrame({"city": pd.Categorical(["a", "b", "c"] * 20), "n": np.arange(60.0)})
    model = xgboost.XGBRegressor(n_estimators=2, enable_categorical=True, n_jobs=1).fit(table, np.arange(60))
    with pytest.raises(ModelError, match="categories by name"):
        load(model)


def test_threads_are_as_many_as_told(tmp_path, binary, monkeypatch):
    binary.save_model(tmp_path / "m.ubj")
    boosters = []
    own = xgboost.Booster
    monkeypatch.setattr(xgboost, "Booster", lambda *given: boosters.append(own(*given)) or boosters[-1])
    xgboost_format.load(tmp_path / "m.ubj", LoadOptions(threads=3))
    assert json.loads(boosters[0].save_config())["learner"]["generic_param"]["nthread"] == "3"


def test_threads_do_not_disturb_each_other(load, binary, cancer):
    assert_threads_agree(load(binary), cancer[0], "predict_proba")


def document(model):
    return json.loads(bytes(model.get_booster().save_raw("json")))


def forest(content):
    return content["learner"]["gradient_booster"]["model"]


def evil(change):
    def make(model):
        content = document(model)
        change(content, forest(content)["trees"][0])
        return content

    return make


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: b"", "cut short"),
        (lambda _: b"nonsense", "no type of UBJSON"),
        (lambda _: b"{}", "it has no 'learner'"),
        (lambda _: b"[1]", "cannot load"),
        (pickle.dumps, "it is a pickle"),
        (lambda _: b"binf" + bytes(100), "binary form"),
        (lambda model: bytes(model.get_booster().save_raw("ubj"))[:-300], "cut short"),
        (lambda model: bytes(model.get_booster().save_raw("json"))[:-300], "cut short"),
        (lambda _: b"{" + b"L" + (2**40).to_bytes(8, "big") + b"learner", "a length of 1099511627776"),
        (lambda _: b'{"learner":' * 100000, "cut short"),
        (lambda _: b"{i\x01a[" + b"[" * 100000, "nested deeper"),
        (evil(lambda _, tree: tree["left_children"].__setitem__(1, 0)), "node 0 is no child of it"),
        (evil(lambda _, tree: tree["left_children"].__setitem__(1, 10**6)), "left_children[1]: 1000000 is not within"),
        (evil(lambda _, tree: tree["left_children"].__setitem__(1, 1)), "is no child of it"),
        (evil(lambda _, tree: tree["left_children"].__setitem__(1, 2**70)), "left_children"),
        (evil(lambda _, tree: tree["split_indices"].__setitem__(0, 10**6)), "split_indices[0]: 1000000 is not within"),
        (evil(lambda _, tree: tree.update(parents=tree["parents"][:3])), "parents: 3 values"),
        (evil(lambda _, tree: tree.update(split_conditions=[])), "cannot load"),
        (evil(lambda _, tree: tree.update(split_type=[1] * len(tree["split_type"]))), "categories that are not listed"),
        (evil(lambda _, tree: tree.pop("left_children")), "it has no 'left_children'"),
        (evil(lambda all_, _: forest(all_)["tree_info"].__setitem__(0, 7)), "tree_info[0]: 7"),
        (evil(lambda all_, _: forest(all_).update(iteration_indptr=[0, 99])), "iteration_indptr[1]: 99"),
        (
            evil(lambda all_, _: all_["learner"]["learner_model_param"].update(num_class="1000000000")),
            "1000000000 outputs",
        ),
        (evil(lambda all_, _: all_["learner"]["learner_model_param"].update(num_feature="3")), "split_indices"),
        (evil(lambda all_, _: all_["learner"]["objective"].update(name="evil:objective")), "cannot load"),
    ],
)
def test_what_is_broken_or_evil_is_told(tmp_path, binary, make, said):
    content = make(binary)
    path = tmp_path / "model.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(ModelError) as caught:
        xgboost_format.load(path, LoadOptions())
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED
    assert said in caught.value.message
    assert "\n" not in caught.value.message
