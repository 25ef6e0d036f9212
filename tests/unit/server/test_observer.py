"""Counting answers together gives what counting them one by one does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.server.answers import Answers
from modelway.server.observations import counted
from modelway.server.observer import Observer
from modelway.server.sighting import Look
from modelway.server.tensors import TensorSpec

ANY = TensorSpec("y", "FP32", (-1, -1))
NUMBERS = st.floats(width=32) | st.sampled_from([0.0, -0.0, 0.25, 0.5, 0.75, 1.0, 1 - 2**-24, 1e-7])


def observed(specs, answers, *, one_by_one, classes=()):
    shared = Answers()
    observer = Observer(Look(specs, classes), shared.region(0))
    for number, outputs in enumerate(answers):
        observer.take(outputs, tuple(outputs), b"%d" % number if number % 3 else None)
        if one_by_one:
            observer.settle()
    observer.settle()
    return counted(shared.regions()), sorted(map(repr, (pair for _, pair in shared.region(0).ring().found)))


def same(specs, answers, **options):
    alone, together = (observed(specs, answers, one_by_one=each, **options) for each in (True, False))
    assert together == alone
    return together


@settings(max_examples=40)
@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(NUMBERS, min_size=width, max_size=width), max_size=150))
)
def test_scores_and_the_classes_they_tell(rows):
    counts, ring = same([ANY], [{"y": np.array([row], dtype=np.float32)} for row in rows], classes=("a", "b"))
    assert sum(count for key, count in counts.items() if key.startswith("value:")) == len(rows)
    assert len(ring) == len(rows) - (len(rows) + 2) // 3


@settings(max_examples=40)
@given(st.lists(st.lists(st.tuples(st.integers(0, 5), NUMBERS), max_size=4), max_size=30))
def test_the_first_of_several_rows_is_looked_at(answers_of_rows):
    specs = [TensorSpec("label", "INT64", (-1,)), TensorSpec("odds", "FP64", (-1, 2))]
    answers = [
        {
            "label": np.array([label for label, _ in rows], dtype=np.int64),
            "odds": np.array([[0.5, score] for _, score in rows]).reshape(-1, 2),
        }
        for rows in answers_of_rows
    ]
    counts, _ = same(specs, answers)
    firsts = [rows[0][0] for rows in answers_of_rows if rows]
    assert {key: count for key, count in counts.items() if key.startswith("class:")} == {
        f"class:{label}": firsts.count(label) for label in set(firsts)
    }


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.text(max_size=3) | st.none() | st.just("long" * 30), st.booleans(), NUMBERS), max_size=150)
)
def test_labels_with_whatever_else_was_asked_for(given_answers):
    specs = [TensorSpec("label", "BYTES", (-1,)), TensorSpec("odds", "FP64", (-1, 2))]
    answers = []
    for label, has_odds, score in given_answers:
        outputs = {"label": np.array([label], dtype=object)}
        answers.append(outputs | {"odds": np.array([[0.5, score]])} if has_odds else outputs)
    counts, _ = same(specs, answers)
    assert sum(count for key, count in counts.items() if key.startswith(("class:", "other:"))) == sum(
        label is not None or has_odds for label, has_odds, _ in given_answers
    )


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.float64([[0.1, 0.7, 0.2]]), id="one row"),
        pytest.param(np.float32([1.0, 2.0, 3.0]), id="numbers that are no rows"),
        pytest.param(np.float32(3.0).reshape(()), id="no dimension"),
        pytest.param(np.float32([]), id="nothing"),
        pytest.param(np.zeros((1, 0), dtype=np.float32), id="an empty row"),
        pytest.param(np.zeros((1, 2, 2, 2), dtype=np.float32), id="an image"),
        pytest.param(np.int8([[3]]), id="whole numbers"),
        pytest.param(np.array([["x"]], dtype=object), id="no numbers"),
    ],
)
@pytest.mark.parametrize("others", [0, 20], ids=["alone", "among others"])
def test_every_form_of_an_answer(array, others):
    plain = {"y": np.float64([[0.9, 0.05, 0.05]])}
    same([ANY], [*[{"y": array}] * 10, *[plain] * others])


def test_texts_that_are_no_classes_do_not_wait():
    shared = Answers()
    observer = Observer(Look([TensorSpec("text", "BYTES", (-1,))]), shared.region(0))
    for text in ("short", "long" * 30):
        observer.take({"text": np.array([text], dtype=object)}, ("text",), None)
    assert sum(counted(shared.regions()).values()) == 1
    observer.settle()
    assert sum(counted(shared.regions()).values()) == 2


def test_of_a_second_with_very_many_answers_the_first_are_counted():
    shared = Answers()
    observer = Observer(Look([ANY], ("a", "b")), shared.region(0))
    odds = np.float32([[0.25, 0.75]])
    for number in range(3000):
        observer.take({"y": odds}, ("y",), b"%d" % number if number % 3 == 2 else None)
    observer.settle()
    assert counted(shared.regions())["class:b"] == 1024
    assert shared.region(0).ring().written == 1000, "mirrored requests are remembered all the same"
    observer.take({"y": odds}, ("y",), None)
    observer.settle()
    assert counted(shared.regions())["class:b"] == 1025


def test_each_answer_is_looked_at_for_what_was_asked():
    shared = Answers()
    specs = [TensorSpec("label", "INT64", (-1,)), TensorSpec("odds", "FP64", (-1, 2))]
    observer = Observer(Look(specs), shared.region(0))
    outputs = {"label": np.array([7]), "odds": np.array([[0.75, 0.25]])}
    for wanted in (("label", "odds"), ("odds",), ("label",), ("label", "odds")):
        observer.take(outputs, wanted, None)
    observer.settle()
    counts = counted(shared.regions())
    assert {key: count for key, count in counts.items() if key.startswith("class:")} == {"class:7": 3, "class:0": 1}
    assert sum(count for key, count in counts.items() if key.startswith("value:")) == 3


def test_labels_that_are_no_keys_are_counted():
    label = np.empty(1, dtype=object)
    label[0] = ["a", "b"]
    counts, _ = same([TensorSpec("label", "BYTES", (-1,))], [{"label": label}] * 10)
    assert counts == {"class:['a', 'b']": 10}
