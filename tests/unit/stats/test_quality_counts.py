"""Counts of labels: written, read, merged and subtracted exactly; and scikit-learn's metrics come out of them."""

from collections import Counter
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from modelway.server.feedback_counts import FeedbackCounts
from modelway.server.receipt import BINARY, CLASS, SEVERAL, VALUE, Prediction, Receipt, class_mark, class_name
from modelway.stats.quality_counts import HORIZON, OTHER, Labelled, Place, QualityCounts, age_of, oldest_within
from modelway.stats.quality_figures import METRICS, figures, mark_of, metric, metric_of, rows_in, size_of

WINDOW = 60.0
NOW = 100_000.0
SECOND = class_mark("yes")


def said(counts):
    """What a server tells, after the way over the wire."""
    return QualityCounts.of(msgspec.json.decode(msgspec.json.encode(counts.told())))


def marked(counts):
    """The same with predicted classes by their marks: by what name one is told hangs on who has heard of it by then."""

    def of(labelled):
        pairs = Counter()
        for (was, predicted), times in labelled.pairs.items():
            pairs[was, predicted if predicted.startswith("#") else mark_of(predicted)] += times
        return replace(labelled, pairs=dict(pairs))

    parts = ({place: of(one) for place, one in part.items()} for part in (counts.labelled, counts.sliced))
    return replace(counts, **dict(zip(("labelled", "sliced"), parts, strict=True)))


def count(rows, classes=("no", "yes")):
    """Rows as (seconds before now, prediction, truth), counted by one server; every second one in a slice by itself."""
    counts = FeedbackCounts(WINDOW, classes, {"second": ("even",)})
    for before, prediction, truth in rows:
        receipt = Receipt("aaaaaaaa", int(NOW - before), prediction)
        counts.answered([receipt])
        counts.check(prediction, 0, truth)
        assert counts.add(receipt, 0, truth, NOW, {"second": "odd" if before % 2 else "even"})
        counts.outcomes["accepted"] += 1
    return counts


def binary(p):
    return Prediction(BINARY, (class_mark("yes" if p >= 0.5 else "no"),), (p,), SECOND)


def several(name, p):
    return Prediction(SEVERAL, (class_mark(name),), (p,))


names = st.sampled_from(["no", "yes", "maybe", "a" * 65])
probabilities = st.floats(0, 1, width=32)
rows = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3000), st.builds(binary, probabilities), st.builds(lambda n: (n, None), names)),
        st.tuples(
            st.integers(0, 3000), st.builds(several, names, probabilities), st.builds(lambda n: (n, None), names)
        ),
        st.tuples(
            st.integers(0, 3000),
            st.builds(lambda v: Prediction(VALUE, (), (v,)), st.floats(-1e15, 1e15)),
            st.builds(lambda v: (None, v), st.floats(-1e15, 1e15)),
        ),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(0, 30))
@example([(0, several("maybe", 0.0), ("no", None)), (0, several("no", 0.0), ("maybe", None))], 1)
def test_counts_of_two_servers_are_those_of_one(rows, cut):
    assert marked(said(count(rows[:cut])) + said(count(rows[cut:]))) == marked(said(count(rows)))


@settings(max_examples=40, deadline=None)
@given(rows)
def test_slices_are_parts_of_the_whole(rows):
    read = said(count(rows))
    whole: dict[Place, Labelled] = {}
    for sliced, one in read.sliced.items():
        assert sliced.value in {"even", OTHER}
        place = Place(*sliced[:3])
        whole[place] = whole.get(place, Labelled()) + one
    assert whole == read.labelled


def test_what_a_server_without_slices_tells_is_read():
    told = msgspec.json.decode(msgspec.json.encode(count([(0, binary(0.9), ("yes", None))]).told()))
    del told["sliced"]
    assert QualityCounts.of(told).sliced == {}


@settings(max_examples=40, deadline=None)
@given(rows, st.integers(0, 30))
def test_what_came_since_a_reading_is_the_difference(rows, cut):
    before, after = said(count(rows[:cut])), said(count(rows))
    added = after.less(before)
    assert before + added == after
    assert all(one.rows for one in added.labelled.values())


@settings(max_examples=40, deadline=None)
@given(rows)
def test_a_written_form_is_read_as_it_was(rows):
    read = said(count(rows))
    assert QualityCounts.of(read.told()) == read
    resumed = FeedbackCounts(WINDOW)
    resumed.resume(msgspec.json.decode(msgspec.json.encode(count(rows).told())))
    assert said(resumed) == read


@settings(max_examples=40, deadline=None)
@given(rows, rows, st.sampled_from(METRICS))
def test_the_numbers_of_a_metric_are_merged_by_addition(one, other, name):
    counts = [sum(said(count(part)).labelled.values(), Labelled()) for part in (one, other)]
    parts = [figures(part, name, "yes") for part in counts]
    assert [len(part) for part in parts] == [size_of(name)] * 2
    merged = tuple(map(sum, zip(*parts, strict=True)))
    assert merged == figures(counts[0] + counts[1], name, "yes")
    found = metric_of(merged, name)
    assert found is None or found.low <= found.value <= found.high
    assert found is None or name in {"precision", "recall"} or found.rows <= rows_in(merged, name)


def test_metrics_are_scikit_learns():
    rng = np.random.default_rng(3)
    p = rng.beta(2, 3, 2000).astype(np.float32).astype(float)
    labels = rng.random(2000) < p
    sent = [(0, binary(one), ("yes" if label else "no", None)) for one, label in zip(p.tolist(), labels, strict=True)]
    found = sum(said(count(sent)).labelled.values(), Labelled())
    predicted = p >= 0.5
    expected = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "precision": metrics.precision_score(labels, predicted),
        "recall": metrics.recall_score(labels, predicted),
        "f1": metrics.f1_score(labels, predicted),
        "logLoss": metrics.log_loss(labels, p),
    }
    assert {name: metric(found, name, "yes").value for name in expected} == pytest.approx(expected)
    assert metric(found, "auc").value == pytest.approx(metrics.roc_auc_score(labels, p), abs=5e-4)


def test_labels_count_in_the_window_of_their_prediction_by_their_age():
    places = said(count([(before, binary(0.9), ("yes", None)) for before in (0, 59, 60, 121, 241)])).labelled
    window = int(NOW // WINDOW)
    assert {place: one.rows for place, one in places.items()} == {
        Place("aaaaaaaa", window, 0): 1,
        Place("aaaaaaaa", window - 1, 0): 1,
        Place("aaaaaaaa", window - 1, 1): 1,
        Place("aaaaaaaa", window - 2, 2): 1,
        Place("aaaaaaaa", window - 4, 3): 1,
    }


@pytest.mark.parametrize(
    ("windows", "age"), [(-1, 0), (0, 0), (0.99, 0), (1, 1), (1.99, 1), (2, 2), (3.99, 2), (4, 3), (255.9, 8)]
)
def test_ages_double(windows, age):
    assert age_of(windows * WINDOW, WINDOW) == age


@given(st.floats(0, HORIZON * WINDOW), st.floats(0, 0.999))
def test_the_oldest_age_within_a_delay_holds_every_label_that_came_within_it(delay, part):
    assert age_of(delay * part, WINDOW) <= oldest_within(delay, WINDOW)


@pytest.mark.parametrize(("windows", "age"), [(0.5, 0), (1, 0), (1.1, 1), (2, 1), (4, 2), (4.1, 3), (256, 8), (999, 8)])
def test_no_later_age_than_needed_is_within_a_delay(windows, age):
    assert oldest_within(windows * WINDOW, WINDOW) == age


def test_a_class_that_nobody_names_is_told_apart_by_its_mark():
    found = said(count([(0, Prediction(CLASS, (class_mark("new"),)), ("yes", None))], classes=()))
    (one,) = found.labelled.values()
    assert one.pairs == {("yes", f"#{class_mark('new'):08x}"): 1}
    assert metric(one, "precision", "new").value == 0.0


def test_more_classes_than_are_told_apart_are_one_and_accuracy_stays_right():
    sent = [(0, Prediction(CLASS, (class_mark(str(n)),)), (class_name(n), None)) for n in range(150)]
    (one,) = said(count(sent, classes=())).labelled.values()
    assert one.pairs["OTHER", "OTHER"] == 50
    assert metric(one, "accuracy").value == 1.0


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"outcomes": {}, "answered": [], "labelled": [{}]},
        {"outcomes": {"accepted": -1}, "answered": [], "labelled": []},
        {"outcomes": {}, "answered": [{"revision": "a", "window": 1, "rows": "x"}], "labelled": []},
        {"outcomes": {}, "answered": [], "labelled": [{"revision": "a", "window": 1, "age": 0, "rows": True}]},
        {
            "outcomes": {},
            "answered": [],
            "labelled": [{"revision": "a", "window": 1, "age": 0, "rows": 1, "scores": {"no": [[100, 1]]}}],
        },
        {
            "outcomes": {},
            "answered": [],
            "labelled": [{"revision": "a", "window": 1, "age": 0, "rows": 1, "errors": {"rows": 1, "total": "x"}}],
        },
    ],
)
def test_what_is_no_document_is_refused(told):
    with pytest.raises(ValueError, match=r"counts|invalid literal"):
        QualityCounts.of(told)
