"""Where values are counted, and that counts of parts add up to the count of the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.stats.drift_cells import (
    ABOVE,
    BELOW,
    HASHED,
    INVALID,
    MAGNITUDE,
    MISSING,
    NONZERO,
    SQUARES,
    TOTAL,
    UNIT,
    Block,
    Cells,
    cell_counts,
    checksum_cell,
    counted,
    edges_between,
)

NUMBERS = Cells(edges=(0.0, 1.0, 10.0), lowest=-5.0, highest=20.0, mean=1.0, deviation=2.0)
ALONE = Cells(lowest=3.0, highest=3.0)
TEXTS = Cells(categories=("red", "green"))
VALUES = st.lists(st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0, 10.0, -5.0, 20.0, 3.0, np.nan]), max_size=60)


def test_a_number_counts_in_the_cell_from_its_border_on():
    counts = counted(np.array([-0.1, 0.0, 0.9, 1.0, 9.0, 10.0, 11.0]), NUMBERS)
    assert cell_counts(counts).tolist() == [1, 2, 2, 2]


def test_what_is_no_number_is_told_and_not_in_a_cell():
    counts = counted(np.array([np.nan, np.inf, -np.inf, 2.0]), NUMBERS)
    assert (counts[MISSING], counts[INVALID], cell_counts(counts).sum()) == (1, 2, 1)


def test_what_is_out_of_range_counts_in_the_outermost_cells_too():
    counts = counted(np.array([-5.0, -5.1, 20.0, 20.1, 1e30]), NUMBERS)
    assert (counts[BELOW], counts[ABOVE]) == (1, 2)
    assert cell_counts(counts).tolist() == [2, 0, 0, 3]


def test_sums_are_in_deviations_and_bounded():
    counts = counted(np.array([3.0, 1e300]), NUMBERS)
    assert counts[TOTAL] * UNIT == 1.0 + 1024.0
    assert counts[SQUARES] * UNIT == 1.0 + 1024.0**2


def test_sizes_are_told_of_numbers_that_are_not_zero():
    counts = counted(np.array([8.0, -2.0, 0.0]), NUMBERS)
    assert (counts[NONZERO], counts[MAGNITUDE] * UNIT) == (2, 4.0)


def test_a_text_that_the_reference_does_not_have_is_one_of_all_others():
    counts = counted(["red", "green", "red", "blue", "", None, float("nan")], TEXTS)
    assert cell_counts(counts).tolist() == [2, 1, 2]
    assert counts[MISSING] == 2


def test_texts_that_nobody_has_named_are_told_apart_by_a_checksum():
    counts = cell_counts(counted(["a", "b", "a"], Cells(categories=())))
    assert len(counts) == HASHED
    assert (counts[checksum_cell("a")], counts[checksum_cell("b")], counts.sum()) == (2, 1, 3)


@pytest.mark.parametrize("cells", [NUMBERS, ALONE], ids=["numbers", "a constant"])
@settings(max_examples=60)
@given(values=VALUES, parts=st.integers(1, 5), chance=st.randoms(use_true_random=False))
def test_the_counts_of_any_parts_add_up_to_those_of_the_whole(cells, values, parts, chance):
    array = np.array(values, dtype=np.float64)
    owner = np.array([chance.randrange(parts) for _ in values], dtype=int)
    merged = sum(counted(array[owner == part], cells) for part in range(parts))
    assert merged.tolist() == counted(array, cells).tolist()


@given(st.lists(st.sampled_from(["red", "green", "blue", None]), max_size=40), st.integers(0, 40))
def test_those_of_texts_do_likewise(values, cut):
    merged = counted(values[:cut], TEXTS) + counted(values[cut:], TEXTS)
    assert merged.tolist() == counted(values, TEXTS).tolist()


@settings(max_examples=60)
@given(st.lists(st.tuples(*[st.floats(width=32) | st.sampled_from([0.0, np.nan, 1.0, 3.0])] * 3), max_size=50))
def test_a_block_counts_as_each_feature_alone(rows):
    values = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    features = (NUMBERS, ALONE, Cells(edges=(0.5,), lowest=0.0, highest=1.0))
    alone = np.concatenate([counted(row, cells) for row, cells in zip(values, features, strict=True)])
    assert Block(features).counted(values).tolist() == alone.tolist()


class TestEdges:
    def test_cells_hold_about_as_many_values(self):
        values = np.random.default_rng(1).lognormal(size=20_000)
        edges = edges_between(values, bins=20, tail=0.001)
        counts = cell_counts(counted(values, Cells(edges=edges)))
        assert len(counts) == 22
        assert counts[[0, -1]].tolist() == [20, 20]
        assert np.abs(counts[2:-2] - 1000).max() <= 1

    def test_a_value_that_is_a_bin_by_itself_has_a_cell_of_its_own(self):
        values = np.concatenate([np.zeros(600), np.random.default_rng(1).uniform(1, 2, 400)])
        edges = edges_between(values, bins=20, tail=0.001)
        counts = cell_counts(counted(values, Cells(edges=edges)))
        assert counts[0] == 600

    def test_a_flag_has_two_cells(self):
        assert edges_between(np.array([0.0] * 999 + [1.0]), bins=20, tail=0.001) == (0.5,)

    def test_a_constant_has_one(self):
        assert edges_between(np.full(100, 7.0), bins=20, tail=0.001) == ()

    def test_neighbours_without_a_number_between_them_are_told_apart(self):
        low = 1.0
        high = float(np.nextafter(low, 2.0))
        assert edges_between(np.array([low, high]), bins=2, tail=0.001) == (high,)

    @given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=200))
    def test_single_precision_falls_into_the_same_cell(self, values):
        exact = np.array(values) * 1.1
        distinct = np.unique(exact)
        if len(distinct) > 1 and np.diff(distinct).min() < 1e-6 * np.abs(distinct).max():
            return  # so near each other that single precision makes one of them
        cells = Cells(edges=edges_between(exact, bins=20, tail=0.001))
        rounded = exact.astype(np.float32).astype(np.float64)
        assert cell_counts(counted(rounded, cells)).tolist() == cell_counts(counted(exact, cells)).tolist()

    @given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=100))
    def test_they_rise_whatever_the_values(self, values):
        edges = edges_between(np.array(values), bins=20, tail=0.001)
        assert list(edges) == sorted(set(edges))
        assert all(min(values) <= edge <= max(values) for edge in edges)
