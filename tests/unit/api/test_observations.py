"""The grid of scores: the same everywhere, so nothing about it may change without another format."""

import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelway.api.observations import (
    FORMAT,
    LAST,
    OTHERS,
    VALUE,
    bucket_bounds,
    bucket_in,
    bucket_of,
    other_of,
    value_key,
)

finite = st.floats(allow_nan=False, allow_infinity=False)


def test_the_grid_of_format_1_is_what_it_was():
    assert FORMAT == 1
    assert LAST == 5250
    at = {0.0: 0, 1e-7: 0, 0.001: 643, 0.25: 1153, 0.5: 1217, 0.75: 1281, 0.999: 1791, 1.0: 2434, 2.0: 2498, 1e30: 5250}
    assert {value: bucket_of(value) for value in at} == at
    assert [other_of(name) for name in ("a", "b", "été")] == [3, 9, 4]


@given(finite)
@example(5e-324)
@example(-0.0)
@example(1.7976931348623157e308)
def test_a_number_lies_within_the_bounds_of_its_bucket(value):
    low, high = bucket_bounds(bucket_of(value))
    assert low <= value <= high


@given(finite, finite)
def test_buckets_rise_with_numbers(one, other):
    low, high = sorted((one, other))
    assert bucket_of(low) <= bucket_of(high)


@given(finite)
def test_negative_numbers_mirror_positive_ones(value):
    assert bucket_of(-value) == -bucket_of(value)


@given(st.integers(1, 2**20 - 1).map(lambda number: number / 2**20))
def test_a_probability_mirrors_that_of_the_other_class(probability):
    assert bucket_of(probability) + bucket_of(1 - probability) == 2 * bucket_of(0.5)


def test_buckets_adjoin_and_leave_nothing_out():
    borders = [bucket_bounds(bucket) for bucket in range(-LAST, LAST + 1)]
    assert borders[0][0] == -math.inf
    assert borders[-1][1] == math.inf
    assert all(low < high for low, high in borders)
    assert all(left[1] == right[0] for left, right in pairwise(borders))


def test_a_bucket_is_narrow_below_a_half_and_narrower_still_near_one():
    for value in (0.001, 0.1, 0.3, 3.0, 1e6):
        low, high = bucket_bounds(bucket_of(value))
        assert (high - low) / low <= 1 / 64 + 1e-12
    low, high = bucket_bounds(bucket_of(0.999))
    assert high - low < 2e-5


@pytest.mark.parametrize("most", [2, 3, 7, 10, 64, 100, 128, 1000])
def test_fractions_are_no_borders_so_that_rounding_moves_none(most):
    for number in range(1, most):
        share = number / most
        assert bucket_of(share) == bucket_of(share * (1 - 1e-6)) == bucket_of(share * (1 + 1e-6))


@pytest.mark.parametrize("value", [math.inf, -math.inf, 0.25, -1e300, 0.0])
def test_a_key_says_which_bucket_it_is(value):
    assert bucket_in(value_key(value)) == (bucket_of(value) if math.isfinite(value) else value)


def test_what_is_no_number_has_a_key():
    assert value_key(math.nan) == "value:nan"
    assert math.isnan(bucket_in("value:nan"))


@pytest.mark.parametrize("key", [f"{VALUE}{LAST + 1}", f"{VALUE}x", "value:", "class:3"])
def test_a_key_of_no_bucket_is_refused(key):
    with pytest.raises(ValueError, match=f"{key}: there are buckets from -5250 to 5250"):
        bucket_in(key)


def test_there_are_no_bounds_of_a_bucket_beyond_the_last():
    with pytest.raises(ValueError, match="5251 is not between -5250 and 5250"):
        bucket_bounds(LAST + 1)


@given(st.text())
def test_every_name_has_a_group(name):
    assert 0 <= other_of(name) < OTHERS
