"""A reference learnt from what was counted, without a row of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.stats.drift import Rule, judge
from modelway.stats.drift_cells import cell_counts, counted
from modelway.stats.drift_learning import LearningError, grid, hashed, learn, regrouped
from modelway.stats.drift_reference import from_record, to_record

GRID = grid()
RNG = np.random.default_rng(1)


def test_the_cells_hold_about_as_many_rows():
    feature = learn("x", counted(RNG.lognormal(size=20_000), GRID), GRID)
    assert 15 <= len(feature.counts) <= 21
    assert max(feature.counts) < 2 * 20_000 / 20
    assert sum(feature.counts) == 20_000


def test_zeros_have_a_cell_of_their_own():
    values = np.concatenate([np.zeros(6000), RNG.lognormal(size=6000)])
    assert 6000 in learn("x", counted(values, GRID), GRID).counts


@settings(max_examples=25)
@given(
    st.lists(st.floats(-1e9, 1e9), min_size=20, max_size=200),
    st.lists(st.floats(allow_infinity=False), max_size=100),
)
def test_what_is_regrouped_is_what_would_have_been_counted(past, values):
    feature = learn("x", counted(np.array(past), GRID), GRID, least_rows=1)
    direct = counted(np.array(values, dtype=np.float64), feature.cells)
    again = regrouped(counted(np.array(values, dtype=np.float64), GRID), GRID, feature)
    assert cell_counts(again).tolist() == cell_counts(direct).tolist()


def test_a_drift_is_found_with_it_and_no_drift_is_not():
    feature = learn("x", counted(RNG.normal(0, 1, 20_000), GRID), GRID)
    for shift, moved in ((0.0, False), (0.5, True)):
        window = regrouped(counted(RNG.normal(shift, 1, 2000), GRID), GRID, feature)
        assert judge([feature], [window], Rule())[0].moved is moved


def test_texts_are_learnt_by_their_checksums_alone():
    cells = hashed()
    feature = learn("city", counted(["Vigo", "Lugo"] * 6000, cells), cells)
    assert "Vigo" not in str(to_record([feature]))
    window = counted(["Vigo"] * 900 + ["Ourense"] * 100, cells)
    assert judge([feature], [regrouped(window, cells, feature)], Rule())[0].moved


def test_it_is_a_reference_as_any_other():
    features = [learn("x", counted(RNG.lognormal(size=20_000), GRID), GRID)]
    assert list(from_record(to_record(features))) == features


def test_numbers_that_vary_too_little_for_the_grid_say_so():
    feature = learn("kelvin", counted(RNG.uniform(280, 299, 20_000), GRID), GRID)
    window = regrouped(counted(np.full(1000, 298.0), GRID), GRID, feature)
    assert judge([feature], [window], Rule())[0].because == "the reference has all rows in one cell: nothing can move"


def test_too_few_rows_are_told():
    with pytest.raises(LearningError, match="x: 9 rows with a value, where 10000 are needed"):
        learn("x", counted(np.arange(9.0), GRID), GRID)


def test_a_feature_of_other_borders_is_refused():
    feature = learn("x", counted(RNG.lognormal(size=20_000), GRID), GRID)
    other = type(feature)("x", type(GRID)(edges=(0.123,), lowest=0.0, highest=1.0), (1, 1))
    with pytest.raises(ValueError, match=r"x: the border 0\.123 is none of the grid's"):
        regrouped(counted(np.arange(9.0), GRID), GRID, other)
