"""What is wrong with inputs, told in the window in which it happens."""

import numpy as np
import pytest

from modelway.profiling import profile
from modelway.stats.drift_cells import FIGURES, counted
from modelway.stats.drift_findings import Finding, Kind, findings, wilson
from modelway.stats.drift_learning import grid, learn, regrouped

RNG = np.random.default_rng(1)
AGE = RNG.normal(50.0, 10.0, 10_000)
COLOURS = RNG.choice(["red", "green"], 10_000).tolist()
USUAL = profile({"age": np.where(np.arange(10_000) % 100 == 0, np.nan, AGE), "colour": COLOURS}).features


def told(age=None, colour=None, rows=1000):
    values = [AGE[:rows] if age is None else age, COLOURS[:rows] if colour is None else colour]
    return findings(USUAL, [counted(column, one.cells) for one, column in zip(USUAL, values, strict=True)])


def test_usual_rows_are_no_finding():
    assert told() == []


@pytest.mark.parametrize(
    ("changed", "kind", "share"),
    [
        pytest.param({"age": np.full(1000, np.nan)}, Kind.MISSING, 1.0, id="a feature gone null"),
        pytest.param({"age": np.where(np.arange(1000) % 10 == 0, np.nan, AGE[:1000])}, Kind.MISSING, 0.1, id="a tenth"),
        pytest.param({"age": np.where(np.arange(1000) % 5 == 0, np.inf, AGE[:1000])}, Kind.INVALID, 0.2, id="infinity"),
        pytest.param({"age": np.where(np.arange(1000) % 10 == 0, 500.0, AGE[:1000])}, Kind.RANGE, 0.1, id="range"),
        pytest.param({"colour": ["blue"] * 100 + COLOURS[:900]}, Kind.CATEGORY, 0.1, id="a new category"),
        pytest.param({"colour": [None] * 100 + COLOURS[:900]}, Kind.MISSING, 0.1, id="texts that are missing"),
    ],
)
def test_what_is_wrong_is_told_with_its_share(changed, kind, share):
    (found,) = told(**changed)
    assert (found.feature, found.kind, found.share) == (next(iter(changed)), kind, share)


@pytest.mark.parametrize(("factor", "words"), [(1000.0, "1,000 times as large"), (0.001, "1,000 times as small")])
def test_another_unit_is_told_with_its_factor(factor, words):
    found = {one.kind: one for one in told(age=AGE[:1000] * factor)}
    assert found[Kind.UNIT].factor == pytest.approx(factor, rel=0.05)
    assert words in str(found[Kind.UNIT])


def test_a_drift_is_no_finding():
    assert told(age=AGE[:1000] + 5.0) == []


def test_a_few_rows_beyond_what_is_usual_are_put_up_with():
    assert told(age=np.where(np.arange(1000) % 50 == 0, np.nan, AGE[:1000])) == []


def test_too_few_rows_say_nothing():
    assert told(age=np.full(29, np.nan), colour=COLOURS[:29]) == []


def test_a_finding_tells_no_value():
    text = str(Finding("age", Kind.RANGE, 0.125, 0.0))
    assert text == "age: 12.5% of the rows lie outside the range of the reference, usually 0.0%"


def test_false_findings_are_rarer_than_one_window_of_a_thousand():
    rng = np.random.default_rng(2)
    windows = 2000
    missing = rng.random((windows, 300)) < 0.03  # above the reference's 1 %, within the margin
    false = 0
    for row in missing:
        window = [counted(np.where(row, np.nan, AGE[:300]), USUAL[0].cells), counted(COLOURS[:300], USUAL[1].cells)]
        false += bool(findings(USUAL, window))
    assert false <= 5


def test_ranges_are_known_of_a_learnt_reference_too():
    cells = grid()
    feature = learn("age", counted(AGE, cells), cells)
    window = regrouped(counted(np.concatenate([AGE[:900], np.full(100, 1e6)]), cells), cells, feature)
    assert [one.kind for one in findings([feature], [window])] == [Kind.RANGE]
    assert len(window) == FIGURES + feature.cells.size


@pytest.mark.parametrize(
    ("times", "rows", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)],
)
def test_the_interval_is_wilsons(times, rows, low, high):
    assert wilson(times, rows, 1.959964) == pytest.approx((low, high), abs=1e-4)
