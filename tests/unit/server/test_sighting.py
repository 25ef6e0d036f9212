"""What of an answer is counted, for every kind of model."""

import numpy as np
import pytest

from modelway.server.sighting import Look
from modelway.server.tensors import TensorSpec

LABEL = TensorSpec("label", "INT64", (-1,))
TEXT = TensorSpec("label", "BYTES", (-1, 1))
ODDS = TensorSpec("odds", "FP32", (-1, 3))
TWO = TensorSpec("odds", "FP64", (-1, 2))
SCORE = TensorSpec("score", "FP32", (-1,))
COLUMN = TensorSpec("score", "FP32", (-1, 1))

THREE_ROWS = np.array([[0.25, 0.5, 0.25], [1, 0, 0], [0, 0, 1]], dtype=np.float32)
TWO_ROWS = np.array([[0.75, 0.25], [0, 1]])


def floats(*values):
    return np.array(values, dtype=np.float32)


@pytest.mark.parametrize(
    ("specs", "classes", "outputs", "seen"),
    [
        pytest.param([SCORE], (), {"score": floats(1.5, 2)}, (None, 1.5), id="a regression's value"),
        pytest.param([COLUMN], (), {"score": floats(1.5, 2).reshape(2, 1)}, (None, 1.5), id="in a column"),
        pytest.param([LABEL, ODDS], (), {"label": np.array([7, 8]), "odds": THREE_ROWS}, (7, 0.5), id="label and odds"),
        pytest.param([LABEL, ODDS], (), {"label": np.array([7, 8])}, (7, None), id="the label alone was asked for"),
        pytest.param([LABEL, ODDS], (), {"odds": THREE_ROWS}, (1, 0.5), id="the odds alone: the largest of them"),
        pytest.param([LABEL, ODDS], "abc", {"odds": THREE_ROWS}, ("b", 0.5), id="with the class's name"),
        pytest.param([TWO], ("no", "yes"), {"odds": TWO_ROWS}, ("no", 0.25), id="of two classes the second's score"),
        pytest.param([TWO], ("no", "yes"), {"odds": TWO_ROWS[::-1]}, ("yes", 1.0), id="of two classes the likelier"),
        pytest.param([TWO], ("no",), {"odds": TWO_ROWS[::-1]}, (1, 1.0), id="more odds than names"),
        pytest.param(
            [LABEL, TWO], (), {"label": np.array([7]), "odds": TWO_ROWS[:1]}, (7, 0.25), id="one row of two classes"
        ),
        pytest.param(
            [LABEL, TWO], (), {"label": np.array([7, 8]), "odds": floats(0.5, 0.25)}, (7, 0.5), id="a row each, not two"
        ),
        pytest.param(
            [LABEL, TWO],
            (),
            {"label": np.array([7]), "odds": np.array([["x", "y"]], dtype=object)},
            (7, None),
            id="two that are no numbers",
        ),
        pytest.param([TEXT], (), {"label": np.array([["x"], ["y"]], dtype=object)}, ("x", None), id="a text"),
        pytest.param([TEXT], (), {"label": np.array([b"x"])}, (b"x", None), id="bytes"),
        pytest.param(
            [TensorSpec("p", "FP64", (-1,)), TWO],
            (0.0, 1.0),
            {"p": np.array([1.0]), "odds": TWO_ROWS},
            (1.0, 0.25),
            id="labels that are decimals",
        ),
        pytest.param([SCORE], (0.0, 1.0), {"other": floats(1)}, (None, None), id="none of the outputs known"),
        pytest.param([SCORE], (), {"score": floats()}, (None, None), id="no row"),
        pytest.param(
            [LABEL, ODDS], (), {"label": np.array([], dtype=int), "odds": THREE_ROWS[:0]}, (None, None), id="nor here"
        ),
        pytest.param([SCORE], (), {"score": np.float32(3.0).reshape(())}, (None, 3.0), id="no rows at all"),
        pytest.param([SCORE], (), {"score": np.array(["x"], dtype=object)}, (None, None), id="other than was said"),
        pytest.param(
            [TensorSpec("y", "FP32", (-1, -1))], (), {"y": THREE_ROWS[:, :1]}, (None, 0.25), id="a width of any"
        ),
        pytest.param([ODDS, SCORE], (), {"score": floats(9.0), "odds": THREE_ROWS}, (1, 0.5), id="odds before a score"),
        pytest.param([TensorSpec("y", "BOOL", (-1,))], (), {"y": np.array([True])}, (True, None), id="a truth"),
    ],
)
def test_the_first_row_is_seen(specs, classes, outputs, seen):
    assert Look(specs, classes)(outputs, tuple(outputs)) == seen


def test_values_are_pythons_own():
    label, score = Look([LABEL, ODDS])({"label": np.array([7, 8]), "odds": THREE_ROWS}, ("label", "odds"))
    assert (type(label), type(score)) == (int, float)


def test_a_score_that_is_no_number_is_seen_as_such():
    odds = np.array([[0.1, np.nan, 0.2]], dtype=np.float32)
    label, score = Look([ODDS])({"odds": odds}, ("odds",))
    assert label == 1
    assert np.isnan(score)


def test_of_an_image_only_the_beginning_is_looked_at():
    image = np.zeros((1, 3, 100, 100), dtype=np.float32)
    image[0, 2, 99, 99] = 5.0
    assert Look([TensorSpec("y", "FP32", (-1, 3, 100, 100))])({"y": image}, ("y",)) == (0, 0.0)


def test_outputs_that_nobody_asked_for_are_not_looked_at():
    assert Look([LABEL, ODDS])({"label": np.array([7]), "odds": "whatever"}, ("label",)) == (7, None)
