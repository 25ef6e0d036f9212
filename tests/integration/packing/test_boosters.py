"""XGBoost, LightGBM and CatBoost models become ONNX that answers as their own libraries do, missing values included."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_breast_cancer, load_iris

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.packing import convert
from modelway.server import loading
from modelway.server.options import ServerOptions
from modelway.server.tensors import Batch

CELLS, MALIGNANT = load_breast_cancer(return_X_y=True)
IRIS, KINDS = load_iris(return_X_y=True)
_RANDOM = np.random.default_rng(0)
HOLES = np.where(_RANDOM.random(CELLS.shape) < 0.05, np.nan, CELLS)
ZEROS = np.where(_RANDOM.random(CELLS.shape) < 0.2, 0.0, CELLS)
MIXED = np.column_stack([_RANDOM.integers(0, 12, 500), _RANDOM.normal(size=500)]).astype(float)
MIXED_LABELS = ((MIXED[:, 0] % 3 == 1) ^ (MIXED[:, 1] > 0)).astype(int)
NAMES = np.array(["a", "b", "c"])

_XGB = {"n_estimators": 10}
_LGB = {"n_estimators": 10, "verbose": -1}
_CAT = {"iterations": 10, "verbose": 0, "allow_writing_files": False}


def xgb_train(rows: Any, labels: Any, **parameters: Any) -> Any:
    return xgboost.train(parameters, xgboost.DMatrix(rows, labels), 10)


def lgb_train(rows: Any, labels: Any, categories: Any = "auto", **parameters: Any) -> Any:
    data = lightgbm.Dataset(rows, labels, categorical_feature=categories)
    return lightgbm.train({"verbose": -1, **parameters}, data, 10)


def xgb_categories() -> Any:
    data = xgboost.DMatrix(MIXED, MIXED_LABELS, feature_types=["c", "q"], enable_categorical=True)
    return xgboost.train({"objective": "binary:logistic", "max_cat_to_onehot": 1}, data, 10)


def xgb_stopped_early() -> Any:
    model = xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=3)
    return model.fit(CELLS[:400], MALIGNANT[:400], eval_set=[(CELLS[400:], MALIGNANT[400:])], verbose=False)


XGBOOST: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
    "classifier": (lambda: xgboost.XGBClassifier(**_XGB).fit(HOLES, MALIGNANT), CELLS),
    "three classes": (lambda: xgboost.XGBClassifier(**_XGB).fit(IRIS, KINDS), IRIS),
    "regressor": (lambda: xgboost.XGBRegressor(**_XGB).fit(CELLS, CELLS[:, 0] * 1000), CELLS),
    "several targets": (lambda: xgboost.XGBRegressor(**_XGB).fit(CELLS, CELLS[:, :2]), CELLS),
    "ranker": (lambda: xgboost.XGBRanker(**_XGB).fit(CELLS, MALIGNANT, qid=np.zeros(569, int)), CELLS),
    "random forest": (lambda: xgboost.XGBRFClassifier(**_XGB).fit(CELLS, MALIGNANT), CELLS),
    "dropout": (lambda: xgboost.XGBRegressor(booster="dart", rate_drop=0.3, **_XGB).fit(CELLS, MALIGNANT), CELLS),
    "stopped early": (xgb_stopped_early, CELLS),
    "booster": (lambda: xgb_train(CELLS, MALIGNANT, objective="binary:logistic", base_score=0.3), CELLS),
    "softmax": (lambda: xgb_train(IRIS, KINDS, objective="multi:softmax", num_class=3), IRIS),
    "softprob": (lambda: xgb_train(IRIS, KINDS, objective="multi:softprob", num_class=3), IRIS),
    "hinge": (lambda: xgb_train(CELLS, MALIGNANT, objective="binary:hinge"), CELLS),
    "counts": (lambda: xgb_train(CELLS, MALIGNANT + 1, objective="count:poisson"), CELLS),
    "categories": (xgb_categories, MIXED),
}
LIGHTGBM: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
    "classifier": (lambda: lightgbm.LGBMClassifier(**_LGB).fit(HOLES, MALIGNANT), CELLS),
    "without missing values": (lambda: lightgbm.LGBMClassifier(**_LGB).fit(CELLS, MALIGNANT), CELLS),
    "zeros are missing": (lambda: lightgbm.LGBMClassifier(zero_as_missing=True, **_LGB).fit(ZEROS, MALIGNANT), ZEROS),
    "three classes": (lambda: lightgbm.LGBMClassifier(**_LGB).fit(IRIS, KINDS), IRIS),
    "one against all": (lambda: lightgbm.LGBMClassifier(objective="multiclassova", **_LGB).fit(IRIS, KINDS), IRIS),
    "regressor": (lambda: lightgbm.LGBMRegressor(**_LGB).fit(CELLS, CELLS[:, 0] * 1000), CELLS),
    "of square roots": (lambda: lgb_train(CELLS, CELLS[:, 3], objective="regression", reg_sqrt=True), CELLS),
    "counts": (lambda: lightgbm.LGBMRegressor(objective="poisson", **_LGB).fit(CELLS, MALIGNANT + 1), CELLS),
    "random forest": (
        lambda: lgb_train(CELLS, MALIGNANT, objective="binary", boosting="rf", bagging_freq=1, bagging_fraction=0.5),
        CELLS,
    ),
    "steeper": (lambda: lgb_train(CELLS, MALIGNANT, objective="binary", sigmoid=2.0), CELLS),
    "categories": (
        lambda: lgb_train(MIXED, MIXED_LABELS, [0], objective="binary", min_data_per_group=5, cat_smooth=1),
        MIXED,
    ),
}
CATBOOST: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
    "classifier": (lambda: catboost.CatBoostClassifier(**_CAT).fit(HOLES, MALIGNANT), CELLS),
    "missing is most": (lambda: catboost.CatBoostClassifier(nan_mode="Max", **_CAT).fit(HOLES, MALIGNANT), CELLS),
    "labels in words": (lambda: catboost.CatBoostClassifier(**_CAT).fit(IRIS, NAMES[KINDS]), IRIS),
    "one against all": (
        lambda: catboost.CatBoostClassifier(loss_function="MultiClassOneVsAll", **_CAT).fit(IRIS, KINDS),
        IRIS,
    ),
    "regressor": (lambda: catboost.CatBoostRegressor(**_CAT).fit(CELLS, CELLS[:, 0] * 1000), CELLS),
    "counts": (lambda: catboost.CatBoostRegressor(loss_function="Poisson", **_CAT).fit(CELLS, MALIGNANT), CELLS),
}


def saved(model: Any, folder: Path, suffix: str) -> Path:
    path = folder / f"model.{suffix}"
    getattr(model, "booster_", model).save_model(str(path))
    return path


@pytest.mark.parametrize(
    ("train", "rows", "suffix"),
    [
        *(pytest.param(*case, "ubj", id=f"xgboost-{name}") for name, case in XGBOOST.items()),
        *(pytest.param(*case, "txt", id=f"lightgbm-{name}") for name, case in LIGHTGBM.items()),
        *(pytest.param(*case, "cbm", id=f"catboost-{name}") for name, case in CATBOOST.items()),
    ],
)
def test_the_converted_model_answers_as_the_library_does(train, rows, suffix, tmp_path):
    path = saved(train(), tmp_path, suffix)
    result = convert(path, tmp_path / "to")
    assert result.left_out == ()
    assert result.takes_missing is True
    original = loading.load(ServerOptions(path, "m")).model
    converted = loading.load(ServerOptions(tmp_path / "to", "m")).model
    assert converted.inputs == original.inputs
    names = tuple(spec.name for spec in original.outputs)
    holes = np.where(np.random.default_rng(1).random(rows.shape) < 0.2, np.nan, rows)
    for asked in (rows, holes):
        batch = Batch({"X": asked}, len(asked), names)
        expected, got = original.predict(batch), converted.predict(batch)
        for name in names:
            if np.asarray(expected[name]).dtype.kind == "f":
                assert got[name] == pytest.approx(expected[name], rel=1e-5, abs=1e-5)
            else:
                assert got[name].tolist() == expected[name].tolist()


@pytest.mark.parametrize(
    ("train", "suffix", "told"),
    [
        pytest.param(
            lambda: xgboost.XGBRegressor(booster="gblinear", **_XGB).fit(IRIS, KINDS), "ubj", "gblinear", id="linear"
        ),
        pytest.param(
            lambda: catboost.CatBoostClassifier(grow_policy="Lossguide", **_CAT).fit(CELLS, MALIGNANT),
            "cbm",
            "symmetric trees",
            id="lopsided trees",
        ),
        pytest.param(
            lambda: lightgbm.LGBMRegressor(linear_tree=True, **_LGB).fit(CELLS, CELLS[:, 0]),
            "txt",
            "linear trees",
            id="linear trees",
        ),
        pytest.param(
            lambda: catboost.CatBoostClassifier(cat_features=[0], **_CAT).fit(
                np.column_stack([NAMES[KINDS], IRIS]).astype(object), KINDS
            ),
            "cbm",
            "categories",
            id="categories in words",
        ),
    ],
)
def test_what_has_no_onnx_form_is_refused_by_name(train, suffix, told, tmp_path):
    path = saved(train(), tmp_path, suffix)
    with pytest.raises(ModelError, match=told) as caught:
        convert(path, tmp_path / "to")
    assert caught.value.reason is Reason.CONVERSION_FAILED
    assert not (tmp_path / "to").exists()
