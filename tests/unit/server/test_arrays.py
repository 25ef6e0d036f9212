import contextlib

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelway.server.arrays import MAX_DEPTH, at, from_json
from modelway.server.body import may_hold_booleans
from modelway.server.errors import InvalidInputError
from modelway.server.tensors import DTYPES, TensorSpec, datatype_of


def read(values, datatype, *, has_booleans=True, features=(), nullable=False):
    spec = TensorSpec("x", datatype, (-1,), nullable=nullable)
    return from_json(values, spec, at("instances", features), has_booleans=has_booleans)


def nested(depth):
    value = 1.0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("values", "datatype", "message"),
    [
        ({}, "FP32", "instances: expected an array, found an object"),
        ("abc", "FP32", 'instances: expected an array, found "abc"'),
        ([], "FP32", "instances: empty"),
        ([[]], "FP32", "instances[0]: empty"),
        ([[1, 2], [3]], "FP32", "instances[1]: 1 value, where instances[0] has 2"),
        ([[1], [2, 3]], "FP32", "instances[1]: 2 values, where instances[0] has 1"),
        ([[[1], [2]], [[3], [4, 5]]], "FP32", "instances[1][1]: 2 values, where instances[1][0] has 1"),
        ([[1, 2], 3], "FP32", "instances[1]: 3, where instances[0] is an array"),
        ([1, [2]], "FP32", "instances[1]: an array, where instances[0] is 1"),
        ([[1, "a"]], "FP32", 'instances[0][1]: "a" is not a number'),
        ([["1.5"]], "FP64", 'instances[0][0]: "1.5" is not a number'),
        ([[1, None]], "FP32", "instances[0][1]: null is not a number; the model takes no missing values"),
        ([[1, True]], "FP32", "instances[0][1]: true is not a number"),
        ([[True, False]], "FP64", "instances[0][0]: true is not a number"),
        ([[1, {}]], "FP32", "instances[0][1]: an object is not a number"),
        ([1e39], "FP32", "instances[0]: 1e+39 does not fit FP32"),
        ([70000], "FP16", "instances[0]: 70000 does not fit FP16"),
        ([1, 1.5], "INT64", "instances[1]: 1.5 is not an integer"),
        ([1, 300], "INT8", "instances[1]: 300 does not fit INT8 (-128 to 127)"),
        ([-1], "UINT8", "instances[0]: -1 does not fit UINT8 (0 to 255)"),
        ([2**63], "INT64", "instances[0]: 9223372036854775808 does not fit INT64"),
        ([1e300], "INT64", "instances[0]: 1e+300 does not fit INT64"),
        ([2**63 + 1, -1], "UINT64", "instances[1]: -1 does not fit UINT64"),
        ([1], "BOOL", "instances[0]: 1 is neither true nor false"),
        ([[1, 2], [True, 4]], "INT32", "instances[1][0]: true is not a number"),
        (["a", 1], "BYTES", "instances[1]: 1 is no text"),
        ([["a"], ["b", "c"]], "BYTES", "instances[1]: 2 values, where instances[0] has 1"),
        (["x" * 100, 1], "FP32", f'instances[0]: "{"x" * 37}…" is not a number'),
        (nested(MAX_DEPTH + 1), "FP32", f"instances: nested deeper than {MAX_DEPTH} levels"),
        (nested(1000), "FP32", f"instances: nested deeper than {MAX_DEPTH} levels"),
        (nested(1000), "BYTES", f"instances: nested deeper than {MAX_DEPTH} levels"),
    ],
)
def test_the_first_culprit_is_named_with_its_position(values, datatype, message):
    with pytest.raises(InvalidInputError) as caught:
        read(values, datatype)
    assert caught.value.message.startswith(message)


def test_a_feature_is_named_where_names_are_known():
    with pytest.raises(InvalidInputError) as caught:
        read([[1, 2], [3, "x"]], "FP32", features=["age", "income"])
    assert caught.value.message == 'instances[1][1] (income): "x" is not a number'


@pytest.mark.parametrize(
    ("values", "datatype", "expected"),
    [
        ([[1, 2.5]], "FP32", [[1, 2.5]]),
        ([1, 2], "FP64", [1.0, 2.0]),
        ([1.0, 2.0], "INT64", [1, 2]),
        ([0, 255], "UINT8", [0, 255]),
        ([2**64 - 1], "UINT64", [2**64 - 1]),
        ([-(2**63)], "INT64", [-(2**63)]),
        ([2**63 + 1, 0], "UINT64", [2**63 + 1, 0]),
        ([[2**53 + 1, 1.0]], "INT64", [[2**53 + 1, 1]]),
        ([[True], [False]], "BOOL", [[True], [False]]),
        (["a", "ü"], "BYTES", ["a", "ü"]),
        ([["a"], ["b"]], "BYTES", [["a"], ["b"]]),
    ],
)
def test_values_become_arrays_of_the_asked_type(values, datatype, expected):
    array = read(values, datatype)
    assert array.dtype == DTYPES[datatype]
    assert array.tolist() == expected


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
@pytest.mark.parametrize("values", [[[1, None], [None, 2.5]], [[None, None], [None, None]], [[2**63, None], [None, 0]]])
def test_null_is_a_missing_value_where_the_input_takes_them(values, datatype):
    if datatype == "FP16" and 2**63 in values[0]:
        values = [[1, None], [None, 0]]
    array = read(values, datatype, nullable=True)
    assert array.dtype == DTYPES[datatype]
    assert np.isnan(array).tolist() == [[value is None for value in row] for row in values]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1, None], [None, "a"]], 'instances[1][1]: "a" is not a number'),
        ([[1, None], [None]], "instances[1]: 1 value, where instances[0] has 2"),
        ([[1e39, None]], "instances[0][0]: 1e+39 does not fit FP32"),
        ([[None, True]], "instances[0][1]: true is not a number"),
    ],
)
def test_missing_values_excuse_nothing_else(values, message):
    with pytest.raises(InvalidInputError) as caught:
        read(values, "FP32", nullable=True)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize("values", [[[1, None]], [[None, None]], [[1.0, None]]])
def test_integers_have_no_missing_value_though_the_input_takes_them(values):
    """A client may send integers for an input of floats (`TensorSpec.lenient`)."""
    with pytest.raises(InvalidInputError, match=r"null is not a number; INT32 has none for a missing value, send FP64"):
        read(values, "INT32", nullable=True)


NUMERIC = [name for name in DTYPES if name not in {"BYTES", "FP16"}]


@given(st.data(), st.sampled_from(NUMERIC))
def test_whatever_an_array_holds_survives_json(data, datatype):
    dtype = DTYPES[datatype]
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    array = data.draw(
        hnp.arrays(dtype, hnp.array_shapes(max_dims=3, max_side=3), elements=hnp.from_dtype(dtype, **finite))
    )
    values = orjson.loads(orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY))
    again = read(values, datatype, has_booleans=dtype.kind == "b")
    assert again.dtype == dtype
    assert np.array_equal(again, array)
    assert datatype_of(again) == datatype


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(json_values, st.sampled_from(sorted(DTYPES)))
def test_any_json_becomes_a_finite_array_of_the_type_or_a_told_error(values, datatype):
    with contextlib.suppress(InvalidInputError):
        array = read(values, datatype)
        assert array.dtype == DTYPES[datatype]
        assert array.size > 0
        if array.dtype.kind == "f":
            assert np.isfinite(array).all()


words = st.lists(
    st.sampled_from([b"true", b"false", b"tru", b"ue", b"u", b"l", b"fals", b"e", b"t", b"1.5", b" "]), max_size=40
)


@given(words)
def test_booleans_are_found_wherever_they_stand(parts):
    body = b"".join(parts)
    assert may_hold_booleans(body) == (b"true" in body or b"false" in body)
