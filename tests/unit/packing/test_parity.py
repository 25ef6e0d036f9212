"""When two models give the same answers, and what is told when they do not."""

import numpy as np
import pytest

from modelway.packing.parity import between

TOLERANCE = 1e-5
LABELS = np.array([0, 1, 1])
SCORES = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
TEXTS = np.array(["a", "b", "b"], dtype=object)


def judge(expected, got, **options):
    return between(expected, got, 3, TOLERANCE, **options)


@pytest.mark.parametrize(
    ("expected", "got", "holds"),
    [
        pytest.param(LABELS, LABELS, True, id="equal labels"),
        pytest.param(LABELS, np.array([0, 1, 0]), False, id="another label"),
        pytest.param(TEXTS, TEXTS.copy(), True, id="equal texts"),
        pytest.param(TEXTS, np.array(["a", "b", "c"], dtype=object), False, id="another text"),
        pytest.param(SCORES, SCORES + 9e-6, True, id="within the tolerance"),
        pytest.param(SCORES, SCORES + 1.1e-5, False, id="outside it"),
        pytest.param(SCORES * 1e6, SCORES * 1e6 + 0.5, True, id="the tolerance is relative above 1"),
        pytest.param(SCORES, SCORES.astype(np.float32), True, id="in single precision"),
        pytest.param(SCORES, SCORES[:, :1], False, id="another shape"),
        pytest.param(np.array([np.nan, np.inf, 1.0]), np.array([np.nan, np.inf, 1.0]), True, id="no numbers alike"),
        pytest.param(np.array([np.nan, 1.0, 1.0]), np.array([0.0, 1.0, 1.0]), False, id="a number for none"),
        pytest.param(np.array([np.inf, 1.0, 1.0]), np.array([1e300, 1.0, 1.0]), False, id="a number for infinity"),
    ],
)
def test_what_is_the_same(expected, got, holds):
    found = judge({"predict": expected}, {"predict": got})
    assert (found.failing(TOLERANCE) == ()) is holds


def test_labels_that_are_numbers_must_be_equal():
    expected, got = {"predict": np.array([1.0, 2.0, 2.0])}, {"predict": np.array([1.0, 2.0, 2.000001])}
    assert judge(expected, got).failing(TOLERANCE) == ()
    assert judge(expected, got, classes=[1.0, 2.0]).failing(TOLERANCE) == ("predict",)


def test_at_a_tie_of_two_classes_either_label_is_right():
    expected = {"predict": np.array([0, 0, 1]), "predict_proba": SCORES}
    tied = judge(expected, {"predict": np.array([0, 1, 1])})
    assert (tied.failing(TOLERANCE), tied.ties, tied.agreeing) == ((), 1, 2)
    assert "1 at a tie" in tied.told()
    assert judge(expected, {"predict": np.array([1, 0, 1])}).failing(TOLERANCE) == ("predict",)


def test_the_worst_row_is_named_for_each_output():
    wrong = SCORES.copy()
    wrong[2] = [0.4, 0.6]
    found = judge({"predict": LABELS, "scores": SCORES}, {"predict": LABELS, "scores": wrong})
    assert (found.worst.output, found.worst.row, found.worst.got) == ("scores", 2, [0.4, 0.6])
    assert found.worst.size == pytest.approx(0.2)
    assert found.failing(TOLERANCE) == ("scores",)
    assert found.told() == "3 rows, largest difference 0.2, 3 of 3 labels equal"
