"""What of a prediction counts."""

from math import inf

import pytest

from modelway.observer.predictions import Kind, kind_of, sighting


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ("cat", ("cat", None)),
        (True, (True, None)),
        (3, (3, None)),
        (0.25, (None, 0.25)),
        ([0.25], (None, 0.25)),
        ([7], (7, None)),
        ([0.9, 0.1], (0, 0.1)),
        ([0.2, 0.3, 0.5], (2, 0.5)),
        ([1, 0, 0], (0, 1.0)),
        (None, (None, None)),
        ([], (None, None)),
        ({"label": "cat"}, (None, None)),
        (["a", "b"], (None, None)),
        ([[0.1, 0.9]], (1, 0.9)),
        ([True, False], (None, None)),
    ],
)
def test_a_class_and_a_score_are_told_by_what_the_json_has(prediction, expected):
    assert sighting(prediction) == expected


def test_probabilities_have_the_names_of_the_classes():
    assert sighting([0.2, 0.3, 0.5], classes=("a", "b", "c")) == ("c", 0.5)
    assert sighting([0.2, 0.3, 0.5], classes=("a",)) == (2, 0.5)


def test_what_the_model_says_of_its_answers_counts_before_what_the_json_looks_like():
    assert sighting(1, Kind.SCORES) == (None, 1.0)
    assert sighting(1.0, Kind.CLASSES) == (1.0, None)
    assert sighting("cat", Kind.SCORES) == ("cat", None)
    assert sighting(10**400, Kind.SCORES) == (None, inf)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ({}, Kind.BY_TYPE),
        ({"class:a": 3}, Kind.CLASSES),
        ({"value:7": 3}, Kind.SCORES),
        ({"class:a": 3, "value:7": 3}, Kind.BY_TYPE),
    ],
)
def test_the_kind_is_that_of_the_makers_answers(answers, kind):
    assert kind_of(answers) is kind
