"""Rows that are made from what a model has learnt meet its branches."""

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway.packing import anchors, probes
from modelway.packing.anchors import Anchors
from modelway.server.tensors import DTYPES, TensorSpec
from support.models import iris

ROWS = iris().rows
SPEC = TensorSpec("X", "FP64", (-1, 4))


def column(array, index):
    return set(array[:, index].tolist())


def test_rows_lie_on_both_sides_of_a_threshold_in_both_precisions():
    rows = probes.make([SPEC], Anchors({2: np.array([0.1])}), rows=512)["X"]
    narrow = np.float32(0.1)
    assert {
        0.1,
        np.nextafter(0.1, 1),
        np.nextafter(0.1, 0),
        float(narrow),
        float(np.nextafter(narrow, np.float32(1))),
    } <= (column(rows, 2))


def test_the_same_rows_are_made_every_time():
    known = anchors.of_estimator(RandomForestClassifier(3, random_state=0).fit(ROWS, iris().labels))
    first, second = (probes.make([SPEC], known)["X"] for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    "estimator",
    [RandomForestClassifier(3, random_state=0), HistGradientBoostingClassifier(max_iter=3)],
    ids=["forest", "histogram"],
)
def test_thresholds_are_found_in_trees(estimator):
    estimator.fit(ROWS[:, [2]], iris().labels == 0)
    found = anchors.of_estimator(estimator).numbers[0]
    assert ((found > 1.9) & (found < 3.0)).any(), "petals of the first class are at most 1.9 long, of others at least 3"


def test_thresholds_behind_a_scaler_are_seen_in_the_columns_own_unit():
    model = make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)).fit(ROWS, iris().labels)
    numbers = anchors.of_estimator(model).numbers[2]
    assert 1 < np.median(numbers) < 7
    scaled = model[-1].estimators_[0].tree_
    first = scaled.threshold[0] * model[0].scale_[scaled.feature[0]] + model[0].mean_[scaled.feature[0]]
    assert np.isclose(anchors.of_estimator(model).numbers[scaled.feature[0]], first).any()


def test_columns_that_are_given_to_parts_keep_their_places():
    table = np.array([["Vigo", 40], ["Lugo", 50], ["Vigo", 60]], dtype=object)
    model = ColumnTransformer([("n", StandardScaler(), [1]), ("c", OneHotEncoder(), [0])]).fit(table)
    found = anchors.of_estimator(model)
    assert list(found.categories[0]) == ["Lugo", "Vigo"]
    assert 50 in found.numbers[1]


def test_texts_are_made_of_known_words_and_of_unknown_ones():
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(["good day", "bad night"], [1, 0])
    texts = probes.make([TensorSpec("X", "BYTES", (-1,))], anchors.of_estimator(model))["X"]
    assert {"", "Ñandú, 42!"} <= set(texts)
    assert any("good" in text for text in texts)


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BYTES"])
def test_rows_are_of_the_inputs_datatype(datatype):
    rows = probes.make([TensorSpec("X", datatype, (-1, 2))], Anchors({0: np.array([1e300, -1e300])}))["X"]
    assert (rows.dtype, rows.shape) == (DTYPES[datatype], (probes.ROWS, 2))
    assert np.isfinite(rows.astype(np.float64)).all()


def test_missing_values_come_where_they_are_taken():
    specs = [TensorSpec("a", "FP64", (-1, 3), nullable=True), TensorSpec("b", "FP64", (-1, 1))]
    plain = probes.make(specs, Anchors())
    holes = probes.with_missing(plain, specs)
    assert np.isnan(holes["a"]).all(axis=1).any(), "a row of nothing"
    assert not np.isnan(holes["b"]).any()
    assert probes.with_missing(plain, specs[1:]) is None
