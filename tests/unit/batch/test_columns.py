"""Columns into the model's inputs: what fits, what fails by row, what is refused as a whole."""

import numpy as np
import pyarrow as pa
import pytest

from modelway.batch.columns import Binding, Column, bind, mistyped
from modelway.batch.errors import BatchError
from modelway.batch.settings import Settings
from modelway.batch.typed import from_json, from_texts
from modelway.server.signature import Signature
from modelway.server.tensors import TensorSpec

MISSING = "no value, and the model takes no missing values"


def asked(array, datatype="FP32", shape=(-1, 1), nullable=False):
    """The values and the problems of one column."""
    spec = TensorSpec("x", datatype, shape, nullable=nullable)
    column = Column("x", "x", spec, 0 if shape[1:] in {(), (1,)} else shape[1])
    assert not mistyped(array.type, column)
    tensors, problems = Binding((column,), None, ()).tensors(pa.record_batch([array], names=["x"]))
    assert tensors["x"].dtype == column.dtype
    assert len(tensors["x"]) == len(array)
    return tensors["x"], {row: told for row, (_, told) in problems.items()}


@pytest.mark.parametrize(
    ("array", "datatype", "values", "problems"),
    [
        (pa.array([1.5, None, float("nan")]), "FP64", [1.5], {1: MISSING, 2: MISSING}),
        (
            pa.array([1.5, float("inf"), 1e39]),
            "FP32",
            [1.5],
            {1: "inf is not a finite FP32", 2: "1e+39 is not a finite FP32"},
        ),
        (pa.array([1, 2, None]), "FP32", [1, 2], {2: MISSING}),
        (
            pa.array([1.0, 2.5, float("nan"), None]),
            "INT64",
            [1],
            {1: "2.5 is no INT64", 2: "nan is no INT64", 3: MISSING},
        ),
        (pa.array([-1, 255, 256]), "UINT8", [255], {0: "-1 is no UINT8", 2: "256 is no UINT8"}),
        (pa.array([2.0**63, -(2.0**63)]), "INT64", [-(2**63)], {0: "9.223372036854776e+18 is no INT64"}),
        (pa.array([2**64 - 1], pa.uint64()), "INT64", [], {0: "18446744073709551615 is no INT64"}),
        (pa.array([True, None, False]), "BOOL", [True, False], {1: MISSING}),
        (pa.array(["a", None, ""]), "BYTES", ["a", ""], {1: MISSING}),
        (pa.array(["a", "b", "a"]).dictionary_encode(), "BYTES", ["a", "b", "a"], {}),
        (pa.array([1.5, 2.5]).cast(pa.decimal128(5, 2)), "FP32", [1.5, 2.5], {}),
        (pa.nulls(2), "FP32", [], {0: MISSING, 1: MISSING}),
    ],
    ids=lambda value: str(value)[:30].replace("\n", " "),
)
def test_values_that_the_model_cannot_take_fail_by_row(array, datatype, values, problems):
    found, told = asked(array, datatype)
    assert told == problems
    assert [value for row, value in enumerate(found.reshape(-1).tolist()) if row not in problems] == values


def test_missing_values_are_nan_where_the_model_takes_them():
    found, problems = asked(pa.array([1.0, None, float("inf")]), nullable=True)
    assert np.isnan(found[1, 0])
    assert problems == {2: "inf is not a finite FP32"}


def test_a_column_of_the_models_own_type_is_not_copied():
    values = np.arange(4, dtype=np.float32)
    found, _ = asked(pa.array(values))
    assert np.shares_memory(found, values)


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 2), pa.large_list(pa.float64())], ids=str
)
def test_a_column_of_lists_is_an_input_of_several_values(kind):
    found, problems = asked(pa.array([[1, 2], None, [3, 4]], kind), shape=(-1, 2))
    assert found[[0, 2]].tolist() == [[1, 2], [3, 4]]
    assert problems == {1: MISSING}


def test_lists_of_another_length_fail_by_row():
    _, problems = asked(pa.array([[1, 2], [1], [1, None]], pa.list_(pa.float32())), shape=(-1, 2))
    assert problems == {1: "a list of 1, where 2 are needed", 2: f"[1]: {MISSING}"}


def test_a_matrix_of_mixed_types_is_the_same_as_one_of_floats():
    spec = TensorSpec("X", "FP32", (-1, 2))
    binding = Binding((Column("a", "a", spec), Column("b", "b", spec)), spec, ())
    plain, none = binding.tensors(pa.record_batch([pa.array([1.0, 2.0]), pa.array([3.0, 4.0])], names=["a", "b"]))
    mixed, also = binding.tensors(pa.record_batch([pa.array([1.0, 2.0]), pa.array([3, 4])], names=["a", "b"]))
    assert plain["X"].tolist() == mixed["X"].tolist() == [[1, 3], [2, 4]]
    assert none == also == {}


def test_floats_that_are_finite_and_whose_sum_is_not_are_fine():
    spec = TensorSpec("X", "FP32", (-1, 2))
    binding = Binding((Column("a", "a", spec), Column("b", "b", spec)), spec, ())
    large = np.array([3e38], np.float32)
    tensors, problems = binding.tensors(pa.record_batch([large, large], names=["a", "b"]))
    assert (tensors["X"].tolist()[0][0] > 2.9e38, problems) == (True, {})


@pytest.mark.parametrize(
    ("kind", "datatype", "said"),
    [
        (pa.string(), "FP32", "string, where the model takes FP32"),
        (pa.bool_(), "INT64", "bool, where the model takes INT64"),
        (pa.int64(), "BYTES", "int64, where the model takes BYTES"),
        (pa.timestamp("us"), "FP64", "timestamp[us], where the model takes FP64"),
        (pa.int8(), "BOOL", "int8, where the model takes BOOL"),
    ],
    ids=str,
)
def test_types_that_can_never_fit_are_refused_as_a_whole(kind, datatype, said):
    assert mistyped(kind, Column("x", "x", TensorSpec("x", datatype, (-1, 1)))) == said


def read(function, values, datatype):
    problems = {}
    array = function(values, Column("x", "x", TensorSpec("x", datatype, (-1, 1))), problems)
    return array.to_pylist(), {row: told for row, (_, told) in problems.items()}


@pytest.mark.parametrize(
    ("cells", "datatype", "values", "wrong"),
    [
        ([" 1.5 ", "", "1e3", "nan"], "FP64", [1.5, None, 1000.0, None], set()),
        (["1.5", "x", "1_0", "0x1"], "FP64", [1.5, None, None, None], {1, 2, 3}),
        (["7", "9007199254740993", ""], "INT64", [7, 9007199254740993, None], set()),
        (["3.0", "3.5", "1e3", "inf"], "INT64", [3, None, 1000, None], {1, 3}),
        (["true", "False", "1", ""], "BOOL", [True, False, None, None], {2}),
        (["", "x"], "BYTES", ["", "x"], set()),
    ],
    ids=str,
)
def test_cells_are_read_as_the_servers_csv_is(cells, datatype, values, wrong):
    found, problems = read(from_texts, pa.array(cells), datatype)
    assert problems.keys() == wrong
    assert [None if one != one else one for one in found] == values  # noqa: PLR0124 NaN


@pytest.mark.parametrize(
    ("given", "datatype", "values", "wrong"),
    [
        ([1, 2.5, None], "FP64", [1.0, 2.5, None], set()),
        ([1, True, "2"], "FP64", [1.0, None, None], {1, 2}),
        ([1, 3.0, 3.5, 2**70], "INT64", [1, 3, None, None], {2, 3}),
        ([True, 1], "BOOL", [True, None], {1}),
        (["a", 1, None], "BYTES", ["a", None, None], {1}),
    ],
    ids=str,
)
def test_json_values_are_read_as_the_servers_are(given, datatype, values, wrong):
    found, problems = read(from_json, given, datatype)
    assert (found, problems.keys()) == (values, wrong)


@pytest.mark.parametrize(
    ("specs", "changes", "said"),
    [
        ([("X", (-1, 3))], {"features": ("a", "b")}, "2 features, where the model takes 3"),
        (
            [("a", (-1, 1)), ("b", (-1, 1))],
            {"mapping": {"c": "d"}},
            'the mapping names "c", which the model has not; it has a, b',
        ),
        ([("image", (-1, 3, 8, 8))], {}, "has no form as a column"),
    ],
    ids=["too few features", "unknown input", "images"],
)
def test_what_cannot_be_bound_is_told(specs, changes, said):
    inputs = tuple(TensorSpec(name, "FP32", shape) for name, shape in specs)
    signature = Signature(
        inputs, (), (), (), {one.name: one for one in inputs}, inputs[0] if len(inputs) == 1 else None, False, 10
    )
    with pytest.raises(BatchError) as caught:
        bind(signature, Settings("/in/", "/out/", **changes))
    assert said in caught.value.message
