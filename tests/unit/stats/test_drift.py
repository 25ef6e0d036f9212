"""Verdicts of windows, and when they are an alarm."""

import numpy as np
import pytest
from bench.drift_rules import alarms_of, moved
from bench.drift_worlds import excess_spread, reference
from hypothesis import given
from hypothesis import strategies as st

from modelway.stats.drift import Rule, Streak, Verdict, after, judge, worst
from modelway.stats.drift_cells import FIGURES, Cells
from modelway.stats.drift_distance import Spread
from modelway.stats.drift_reference import Feature

RULE = Rule(min_rows=200)
CELLS = Cells(edges=tuple(float(place) for place in range(1, 20)), lowest=0.0, highest=20.0)
USUAL = tuple(Feature(name, CELLS, (500,) * 20) for name in ("age", "height"))


def counts(cells):
    return np.concatenate([np.zeros(FIGURES, dtype=np.int64), cells])


def drawn(seed, shares=None, rows=1000):
    return counts(np.random.default_rng(seed).multinomial(rows, [0.05] * 20 if shares is None else shares))


SLOPE = np.linspace(0.4, 1.6, 20) / 20


def test_a_feature_that_has_moved_is_told_from_one_that_has_not():
    age, height = judge(USUAL, [drawn(1), drawn(2, SLOPE)], RULE)
    assert (age.feature, age.moved) == ("age", False)
    assert (height.feature, height.moved) == ("height", True)
    assert height.low < height.psi < height.high
    assert worst([age, height]) == [height, age]


def test_probabilities_are_of_all_features_together():
    alone = judge(USUAL[:1], [drawn(3)], RULE)[0]
    assert judge(USUAL, [drawn(3), drawn(4)], RULE)[0].p == pytest.approx(min(1.0, 2 * alone.p))


def test_a_feature_that_cannot_be_compared_is_not_counted_among_them():
    alone = judge(USUAL[:1], [drawn(3)], RULE)[0]
    assert judge(USUAL, [drawn(3), counts(np.zeros(20, dtype=np.int64))], RULE)[0].p == alone.p


def test_too_few_rows_say_nothing():
    verdict = judge(USUAL[:1], [drawn(1, SLOPE, rows=199)], RULE)[0]
    assert verdict == Verdict("age", 199, because="199 rows with a value, fewer than 200")


def test_a_constant_says_nothing():
    constant = Feature("c", Cells(lowest=1.0, highest=1.0), (1000,))
    verdict = judge([constant], [counts([1000])], RULE)[0]
    assert (verdict.moved, verdict.because) == (None, "the reference has all rows in one cell: nothing can move")


def test_a_difference_that_is_certain_and_small_is_no_drift():
    verdict = judge(USUAL[:1], [drawn(1, np.linspace(0.8, 1.2, 20) / 20, rows=200_000)], RULE)[0]
    assert verdict.p < 1e-6
    assert verdict.moved is False


def test_what_stable_windows_have_anyway_is_allowed_for():
    verdict = judge(USUAL[:1], [drawn(2, SLOPE)], RULE, {"age": Spread(0.12, 0.01)})[0]
    assert verdict.moved is False


def test_counts_of_other_cells_are_refused():
    with pytest.raises(ValueError, match="age: counts of 3 cells, where there are 20"):
        judge(USUAL[:1], [counts([1, 2, 3])], RULE)


def told(*windows, rule=RULE):
    streak = Streak()
    for window in windows:
        streak = after(streak, Verdict("age", 1000, moved=window), rule)
    return streak.alarm


@pytest.mark.parametrize(
    ("windows", "alarm"),
    [
        pytest.param([True, True], False, id="two are not yet three"),
        pytest.param([True, True, True], True, id="three in a row"),
        pytest.param([True, True, False, True], False, id="not in a row"),
        pytest.param([True, True, None, True], True, id="one that says nothing does not break the row"),
        pytest.param([True, True, True, False, False], True, id="two quiet ones are no all-clear"),
        pytest.param([True, True, True, False, True, False, False], True, id="nor are three that are not in a row"),
        pytest.param([True, True, True, False, None, False, False], False, id="three quiet ones end it"),
        pytest.param([True, True, True, None, None, None], True, id="silence is no all-clear"),
    ],
)
def test_an_alarm_begins_and_ends_with_windows_in_a_row(windows, alarm):
    assert told(*windows) is alarm


@given(st.lists(st.booleans(), max_size=40))
def test_the_benchmark_counts_alarms_as_the_streaks_do(windows):
    streak, begun, during = Streak(), [], []
    for window in windows:
        last, streak = streak, after(streak, Verdict("age", 1000, moved=window))
        begun.append(streak.alarm and not last.alarm)
        during.append(streak.alarm)
    found = alarms_of(np.array(windows, dtype=bool).reshape(-1, 1), 3)
    assert [one[:, 0].tolist() for one in found] == [begun, during]


def test_the_benchmark_judges_as_the_verdicts_do():
    rng = np.random.default_rng(5)
    usual, windows = reference(rng), excess_spread(0.02)(rng, 1000, 20)
    features = [Feature(f"f{place}", CELLS, tuple(row.tolist())) for place, row in enumerate(usual)]
    verdicts = [[one.moved for one in judge(features, [counts(row) for row in window], RULE)] for window in windows]
    assert moved(usual, windows, RULE).tolist() == verdicts
    assert np.any(verdicts)
