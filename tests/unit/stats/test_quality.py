"""Metrics from counts: those of scikit-learn, merged exactly, with intervals that hold what they say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from modelway.stats import quality
from modelway.stats.quality import Confidence, Errors, Scores

RNG = np.random.default_rng(1)
LABELS, PREDICTED = RNG.integers(0, 3, 500), RNG.integers(0, 3, 500)
CONFUSION = metrics.confusion_matrix(LABELS, PREDICTED)
P = RNG.beta(2, 3, 5000)
TRUE = RNG.random(5000) < P


def test_metrics_of_a_classifier_are_scikit_learns():
    assert quality.accuracy(CONFUSION).value == pytest.approx(metrics.accuracy_score(LABELS, PREDICTED))
    for label in range(3):
        options = {"labels": [label], "average": None}
        for own, theirs in (
            (quality.precision, metrics.precision_score),
            (quality.recall, metrics.recall_score),
            (quality.f1, metrics.f1_score),
        ):
            found = own(CONFUSION, label)
            assert found.value == pytest.approx(theirs(LABELS, PREDICTED, **options)[0])
            assert found.low < found.value < found.high


def test_metrics_of_scores_are_scikit_learns():
    scores = Scores.of(P, TRUE)
    assert quality.log_loss(scores).value == pytest.approx(metrics.log_loss(TRUE, P), rel=1e-6)
    assert quality.auc(scores).value == pytest.approx(metrics.roc_auc_score(TRUE, P), abs=5e-4)


def test_metrics_of_a_regression_are_scikit_learns():
    values, predictions = RNG.normal(size=500), RNG.normal(size=500)
    errors = Errors.of(predictions, values)
    assert quality.mae(errors).value == pytest.approx(metrics.mean_absolute_error(values, predictions), rel=1e-6)
    assert quality.rmse(errors).value == pytest.approx(metrics.root_mean_squared_error(values, predictions), rel=1e-6)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50), st.integers(0, 50))
def test_scores_are_merged_exactly(rows, cut):
    def of(part):
        return Scores.of(np.array([p for p, _ in part]), np.array([label for _, label in part]))

    merged, whole = of(rows[:cut]) + of(rows[cut:]), of(rows)
    assert merged.counts.tolist() == whole.counts.tolist()
    assert (merged.loss, merged.loss_squares) == (whole.loss, whole.loss_squares)


@settings(max_examples=40)
@given(st.lists(st.floats(-1e15, 1e15), max_size=50), st.integers(0, 50))
def test_errors_are_merged_exactly(values, cut):
    def of(part):
        return Errors.of(np.array(part, dtype=float), np.zeros(len(part)))

    assert of(values[:cut]) + of(values[cut:]) == of(values)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(2)
    held = {"auc": 0, "mae": 0, "rmse": 0, "f1": 0}
    truth = {"auc": 0.760250, "mae": math.sqrt(2 / math.pi), "rmse": 1.0, "f1": 0.8}  # auc of two normals 1 apart
    runs = 300
    for _ in range(runs):
        labels = rng.random(400) < 0.4
        scores = rng.normal(labels.astype(float), 1.0)
        errors = Errors.of(rng.normal(size=400), np.zeros(400))
        confusion = rng.multinomial(400, [0.4, 0.1, 0.1, 0.4]).reshape(2, 2)
        seen = {
            "auc": quality.auc(Scores.of(1 / (1 + np.exp(-scores)), labels)),
            "mae": quality.mae(errors),
            "rmse": quality.rmse(errors),
            "f1": quality.f1(confusion, 1),
        }
        for name, metric in seen.items():
            held[name] += metric.low <= truth[name] <= metric.high
    assert all(0.9 < count / runs <= 1.0 for count in held.values()), held


def test_intervals_are_wider_where_several_are_looked_at_together():
    confusion = np.array([[80, 20], [10, 90]])
    errors = Errors.of(np.arange(100.0), np.zeros(100))
    scores = Scores.of(np.linspace(0, 1, 100), np.arange(100) % 3 == 0)
    for of, name in (
        (lambda z: quality.precision(confusion, 1, z), "precision"),
        (lambda z: quality.recall(confusion, 1, z), "recall"),
        (lambda z: quality.f1(confusion, 1, z), "f1"),
        (lambda z: quality.auc(scores, z), "auc"),
        (lambda z: quality.mae(errors, z), "mae"),
        (lambda z: quality.rmse(errors, z), "rmse"),
    ):
        one, many = of(1.96), of(3.0)
        assert many.low < one.low < one.value == many.value < one.high < many.high, name


def test_without_labels_the_accuracy_of_a_calibrated_classifier_is_estimated():
    sure = np.maximum(P, 1 - P)
    seen = Confidence(len(P), sum(map(quality.whole, sure)), sum(map(quality.whole, sure * (1 - sure))))
    estimated = quality.expected_accuracy(seen)
    right = float(((P >= 0.5) == TRUE).mean())
    assert estimated.value == pytest.approx(float(sure.mean()), abs=1e-9)
    assert estimated.low < right < estimated.high
    assert estimated.rows == len(P)


def test_the_interval_of_an_estimate_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    held, runs = 0, 1000
    for _ in range(runs):
        sure = rng.uniform(0.5, 1.0, 200)
        seen = Confidence(200, sum(map(quality.whole, sure)), sum(map(quality.whole, sure * (1 - sure))))
        metric = quality.expected_accuracy(seen)
        held += metric.low <= (rng.random(200) < sure).mean() <= metric.high
    assert 0.93 < held / runs < 0.97


def test_what_is_not_known_is_none():
    nothing = np.zeros((2, 2), dtype=int)
    assert [quality.accuracy(nothing), quality.precision(nothing, 0), quality.f1(nothing, 1)] == [None] * 3
    only_negative = Scores.of(np.array([0.1, 0.2]), [False, False])
    assert quality.auc(only_negative) is None
    assert quality.log_loss(Scores.of(np.array([]), [])) is None
    assert quality.mae(Errors()) is quality.rmse(Errors()) is None
    assert quality.expected_accuracy(Confidence()) is None


@pytest.mark.parametrize("score", [-0.1, 1.1, math.nan])
def test_what_is_no_probability_is_refused(score):
    with pytest.raises(ValueError, match="from 0 to 1"):
        Scores.of(np.array([score]), [True])


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e200])
def test_errors_beyond_all_measure_are_refused(value):
    with pytest.raises(ValueError, match="an error is not finite, or larger than"):
        Errors.of(np.array([0.0]), np.array([value]))
