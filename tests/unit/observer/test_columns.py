"""Which columns rows have, and what their values are."""

import msgspec
import numpy as np
import pytest

from modelway.observer import columns
from modelway.profiling.profiles import profile
from modelway.server.metadata import Metadata
from modelway.server.observed_layout import lay_out_columns


def laid_out(**kinds):
    return lay_out_columns(kinds, tuple(kinds), None)


def names_of(layout):
    return [one.name for one in layout.numbers], [one.name for one in layout.texts]


@pytest.mark.parametrize(
    ("rows", "numbers", "texts"),
    [
        ([[1, 2.5, "a"], [3, None, None]], ["[0]", "[1]"], ["[2]"]),
        ([{"b": 1, "a": "x"}, {"a": None, "b": 2}], ["b"], ["a"]),
        ([1, 2.5, None], ["[0]"], []),
        ([[True], [False]], ["[0]"], []),
        ([[1, [2, 3]], [4, {}]], ["[0]"], []),
        ([[1], ["x"]], [], ["[0]"]),
        ([[1], [1, 2]], ["[0]", "[1]"], []),
        ([[]], [], []),
        ([{}], [], []),
    ],
    ids=["lists", "objects", "values", "booleans", "nested", "mixed", "ragged", "empty lists", "empty objects"],
)
def test_columns_are_found_in_the_first_rows(rows, numbers, texts):
    assert names_of(columns.found(rows)) == (numbers, texts)
    assert columns.found(rows).learning


def test_columns_are_told_by_the_names_of_the_model_where_there_are_as_many():
    assert names_of(columns.found([[1, 2]], ("age", "pay"))) == (["age", "pay"], [])
    assert names_of(columns.found([[1, 2]], ("age",))) == (["[0]", "[1]"], [])


def test_the_order_in_which_rows_name_their_values_makes_no_other_layout():
    one, other = columns.found([{"a": 1, "b": 2}]), columns.found([{"b": 3, "a": 4}])
    assert one.id == other.id


def test_a_name_that_hardly_any_row_has_is_no_column():
    rows = [{"a": 1}] * 300 + [{"a": 1, "typo": 2}]
    assert names_of(columns.found(rows)) == (["a"], [])


def test_of_very_many_columns_some_are_looked_at_and_of_very_long_names_none():
    wide = columns.found([[0.5] * 100_000])
    assert len(wide.counted) == 100
    assert len(wide.uncounted) == 900
    named = columns.found([{f"column {place}": 1 for place in range(20_000)} | {"a" * 100_000: 1}])
    assert len(named.counted) + len(named.uncounted) == 1000
    assert all(len(name) < 20 for name in named.uncounted)


def test_a_described_model_has_the_columns_of_its_reference_by_their_kind():
    usual = profile({"age": [30.0, 40.0, 50.0], "city": ["Oslo", "Oslo", "Bergen"]})
    read = msgspec.convert({"reference": usual.record()}, Metadata)
    layout = columns.described(read)
    assert layout is not None
    assert names_of(layout) == (["age"], ["city"])
    assert layout.features == ("age", "city")
    assert (layout.uncounted, layout.learning) == ({}, False)
    assert columns.described(Metadata()) is None


def test_a_name_of_the_reference_that_the_rows_have_not_is_missing_in_each():
    layout = laid_out(age="f", pay="f")
    found = columns.tensors([{"age": 1}, {"age": 2, "more": 3}], layout)
    np.testing.assert_array_equal(found["pay"], [np.nan, np.nan])
    np.testing.assert_array_equal(found["age"], [1, 2])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2.5, None], [1, 2.5, np.nan]),
        ([True, False, None], [1, 0, np.nan]),
        (["3.5", "abc", None], [3.5, np.inf, np.nan]),
        ([[1], {}, 10**400], [np.inf, np.inf, np.inf]),
        ([[1, 2], [3, 4]], [np.inf, np.inf]),
    ],
    ids=["numbers", "booleans", "texts", "neither", "lists of equal length"],
)
def test_numbers_have_nan_where_there_is_none_and_infinity_where_it_is_something_else(values, expected):
    found = columns.tensors([[value] for value in values], laid_out(a="f"))
    np.testing.assert_array_equal(found["a"], np.array(expected))


def test_whatever_stands_where_a_text_should_is_told_as_a_text():
    found = columns.tensors([["Oslo"], [None], [3], [[1]]], laid_out(city="U"))
    assert found["city"].tolist() == ["Oslo", None, "3", "[1]"]


def test_rows_of_different_kinds_are_read_each_in_its_own():
    found = columns.tensors([[1, 2], {"b": 4, "a": 3}, [5], 6, [7, 8, 9]], laid_out(a="f", b="f"))
    np.testing.assert_array_equal(found["a"], [1, 3, 5, 6, 7])
    np.testing.assert_array_equal(found["b"], [2, 4, np.nan, np.nan, 8])
