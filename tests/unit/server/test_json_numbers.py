import re
from unittest import mock

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelway.server import json_numbers, v2
from modelway.server.arrays import at, from_json
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.signature import Signature
from modelway.server.tensors import TensorSpec
from support.fake_model import FakeModel

FLOATS = ["FP16", "FP32", "FP64"]


def quickly(body, datatype):
    numbers = json_numbers.rows(body)
    return None if numbers is None else json_numbers.fitted(numbers, TensorSpec("x", datatype, (-1, -1)))


def slowly(body, datatype):
    """As a whole: None where there is an error to be told."""
    try:
        values = orjson.loads(body)["instances"]
        return from_json(values, TensorSpec("x", datatype, (-1, -1)), at("instances"), has_booleans=True)
    except (orjson.JSONDecodeError, InvalidInputError, KeyError, TypeError):
        return None


def bits(array):
    return array.dtype, array.shape, array.tobytes()


digits = st.integers(0, 2**70).map(str) | st.from_regex(r"[0-9]{1,25}", fullmatch=True)
# Numbers as any client may write them, and some that are none.
spelled = st.builds(
    lambda sign, whole, fraction, exponent: sign + whole + fraction + exponent,
    st.sampled_from(["", "", "-", "+"]),
    digits,
    st.just("") | st.from_regex(r"\.[0-9]{0,25}", fullmatch=True),
    st.just("") | st.from_regex(r"[eE][+-]?[0-9]{1,4}", fullmatch=True),
)
plain = st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.integers(-(2**53), 2**53).map(str)
space = st.sampled_from(["", " ", "\n", "\t", "\r\n"])
ends = (
    st.just("") | st.just(" \n") | st.sampled_from(["x", ",", "}", "]", "\v", "\0", ', "instances": [[1]]', ', "u": 1'])
)


@st.composite
def bodies(draw, number):
    width = draw(st.sampled_from([1, 2, 3, 0]))
    row = st.lists(number, min_size=width, max_size=width).map(lambda values: f"[{draw(space)}{', '.join(values)}]")
    rows = ",".join(draw(st.lists(row, min_size=1, max_size=5)))
    return f'{{"instances"{draw(space)}: [{draw(space)}{rows}]{draw(ends)}}}{draw(ends)}'.encode()


@given(bodies(plain) | bodies(plain | spelled), st.sampled_from(FLOATS))
@example(b'{"instances": [[1, 2.5], [-0, 1e3]]}', "FP32")
@example(b'{"instances": [[9007199254740993, 16777217]]}', "FP32")
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_what_is_read_quickly_is_what_is_read_slowly_to_the_bit(body, datatype):
    quick = quickly(body, datatype)
    if quick is not None:
        assert bits(quick) == bits(slowly(body, datatype))


@given(
    bodies(plain),
    st.integers(0, 10**6),
    st.integers(0, 4),
    st.binary(max_size=4) | st.sampled_from([b"[", b"]", b"{}", b"null", b"true", b"[1]", b'"1"', b"\xef\xbb\xbf"]),
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_nothing_is_read_quickly_that_is_wrong(body, place, removed, added):
    place %= len(body) + 1
    spoiled = body[:place] + added + body[place + removed :]
    quick = quickly(spoiled, "FP64")
    if quick is not None:
        assert bits(quick) == bits(slowly(spoiled, "FP64"))


@pytest.mark.parametrize(
    "body",
    [
        '{"instances": [[1, 2], [3, 4]]}',
        '{"instances":[[1.5,-2e3],[0,-0]]}\n',
        '{"instances": [[1]]}',
        f'{{"instances": [[{2**53}, {-(2**53)}]]}}',
    ],
)
def test_rows_of_numbers_are_read_quickly(body):
    values = orjson.loads(body)["instances"]
    assert json_numbers.rows(body.encode()).tolist() == values


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        '{"instances": 1}',
        '{"instances": []}',
        '{"instances": [[]]}',
        '{"instances": [1, 2]}',
        '{"instances": [[[1]], [[2]]]}',
        '{"instances": [[1, [2]], [3, 4]]}',
        '{"instances": [[1, 2], [3]]}',
        '{"instances": [[1, null]]}',
        '{"instances": [[1, true]]}',
        '{"instances": [[1, false]]}',
        '{"instances": [[1, {}]]}',
        '{"instances": [[1, "2"]]}',
        '{"instances": [{}]}',
        '{"instances": [[1]], "instances": [[2]]}',
        '{"signature_name": "serving_default", "instances": [[1]]}',
        '{"instances": [[1]]} x',
        '{"instances": [[1]]',
        '{"instances": [[1,]]}',
        '{"instances": [[01]]}',
        '{"instances": [[1e999]]}',
        f'{{"instances": [[{2**53 + 2}]]}}',
        '\ufeff{"instances": [[1]]}',
        '{"instances": ' + "[" * 2000 + "]" * 2000 + "}",
    ],
)
def test_whatever_else_there_is_is_left_to_who_decodes_it_as_a_whole(body):
    assert json_numbers.rows(body.encode()) is None


@pytest.mark.parametrize(("datatype", "fits"), [("FP16", False), ("FP32", True), ("FP64", True), ("INT64", False)])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_numbers_are_made_to_fit_floats_that_are_wide_enough(datatype, fits):
    found = json_numbers.fitted(np.array([[1.0, 70_000.0]]), TensorSpec("x", datatype, (-1, 2)))
    assert (found is not None) is fits


MODELS = [
    FakeModel(),
    FakeModel(inputs=(TensorSpec("x", "FP64", (-1, -1), lenient=True),)),
    FakeModel(inputs=(TensorSpec("x", "INT32", (-1, 3)),)),
    FakeModel(inputs=(TensorSpec("x", "FP32", (-1, 3)), TensorSpec("data", "FP32", (-1, 3)))),
]


def outcome(body, signature):
    try:
        request = v2.parse(body, signature)
    except RequestError as error:
        return error.status, error.message
    return request.id, request.batch.wanted, {name: bits(array) for name, array in request.batch.tensors.items()}


tensor = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["x", "x", "data", "q"]),
        "datatype": st.sampled_from(["FP32", "FP32", "FP64", "FP16", "INT32"]),
        "shape": st.sampled_from([[1, 3], [2, 3], [3]]),
    },
    optional={
        "data": st.lists(st.floats(width=16, allow_nan=False, allow_infinity=False) | st.none(), min_size=2, max_size=6)
        | st.just([1, 2, 3])
        | st.just([[1, 2, 3]])
        | st.just([1.5, 2.5, 1e39])
        | st.just([2**60 + 1, 1, 2]),
        "parameters": st.just({"data": [1, 2, 3]}),
    },
)
requests = st.fixed_dictionaries(
    {"inputs": st.lists(tensor, min_size=1, max_size=2)},
    optional={"id": st.sampled_from(["q", "data", '"data":[1]', "\\"]), "data": st.just([1, 2, 3])},
)


@given(requests, st.sampled_from([Signature.of(model) for model in MODELS]), st.data())
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_a_v2_request_is_what_it_is_whichever_way_it_is_read(request_, signature, data):
    body = orjson.dumps(request_)
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(body)))
        body = (
            body[:place]
            + data.draw(st.sampled_from([b"[", b"]", b'"', b"1", b" ", b"\\", b'"data":[1],']))
            + body[place:]
        )
    quick = outcome(body, signature)
    with mock.patch.object(json_numbers, "data", return_value=None):
        assert outcome(body, signature) == quick


def test_the_data_of_a_tensor_are_read_quickly():
    body = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 3], "data" : [1, 2.5, 3, 4, 5, 6]}]}'
    with mock.patch.object(v2, "from_json", side_effect=AssertionError):
        batch = v2.parse(body, Signature.of(FakeModel())).batch
    assert batch.tensors["x"].tolist() == [[1, 2.5, 3], [4, 5, 6]]


def test_what_a_request_says_beside_its_data_is_read_once():
    head = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}]}'
    signature = Signature.of(FakeModel())
    arrays = [np.array([[1, 2, 3]], np.float32), np.array([[4, 5, 6]], np.float32)]
    v2.parse(head + arrays[0].tobytes(), signature, json_length=len(head))
    with mock.patch.object(v2.json_body, "read_object", side_effect=AssertionError):
        request = v2.parse(head + arrays[1].tobytes(), signature, json_length=len(head))
    assert np.array_equal(request.batch.tensors["x"], arrays[1])


def test_what_is_remembered_of_a_request_is_not_believed_of_other_data_or_another_model():
    head = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}]}'
    v2.parse(head + bytes(12), Signature.of(FakeModel()), json_length=len(head))
    with pytest.raises(InvalidInputError, match=re.escape("inputs[0].parameters.binary_data_size: 12, where 8 bytes")):
        v2.parse(head + bytes(8), Signature.of(FakeModel()), json_length=len(head))
    other = Signature.of(FakeModel(inputs=(TensorSpec("x", "FP32", (-1, 4)),)))
    with pytest.raises(InvalidInputError, match=re.escape("does not fit the model's input")):
        v2.parse(head + bytes(12), other, json_length=len(head))


def test_where_simdjson_is_missing_requests_are_what_they_are():
    body = b'{"instances": [[1, 2.5], [3, 4]]}'
    assert json_numbers.rows(body) is not None
    with mock.patch.object(json_numbers, "simdjson", None):
        assert json_numbers.rows(body) is None
        assert json_numbers.data(b'{"inputs": [{"data": [1]}]}') is None
