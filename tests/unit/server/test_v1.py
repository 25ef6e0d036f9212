import json
from contextlib import contextmanager
from unittest import mock

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.server import v1
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.signature import Signature
from modelway.server.tensors import TensorSpec
from support.fake_model import FakeModel

ROWS = FakeModel()
TEXTS = FakeModel(inputs=(TensorSpec("text", "BYTES", (-1,)),))
TABLE = FakeModel(inputs=(TensorSpec("age", "FP32", (-1, 1)), TensorSpec("city", "BYTES", (-1, 1))))


NAMED = FakeModel(features=("age", "income", "debt"))
MISSING = FakeModel(inputs=(TensorSpec("x", "FP32", (-1, 3), nullable=True),), features=("age", "income", "debt"))
BOOLEANS = FakeModel(inputs=(TensorSpec("yes", "BOOL", (-1, 2)),), features=("a", "b"))


def parse(body, model=ROWS, **options):
    return v1.parse(body if isinstance(body, bytes) else orjson.dumps(body), Signature.of(model, **options))


def test_rows_become_one_array():
    batch = parse({"instances": [[1, 2, 3], [4, 5, 6]]}).batch
    assert batch.rows == 2
    assert batch.wanted == ("y",)
    assert batch.tensors["x"].dtype == np.float32
    assert batch.tensors["x"].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_texts_are_rows_of_a_model_of_texts():
    assert parse({"instances": ["a", "b"]}, TEXTS).batch.tensors["text"].tolist() == ["a", "b"]


def test_objects_give_a_value_for_each_input():
    batch = parse({"instances": [{"age": 3, "city": "Vigo"}, {"city": "Lugo", "age": 4}]}, TABLE).batch
    assert batch.tensors["age"].tolist() == [[3], [4]]
    assert batch.tensors["city"].tolist() == [["Vigo"], ["Lugo"]]


def test_objects_may_name_the_only_input():
    assert parse({"instances": [{"x": [1, 2, 3]}]}).batch.tensors["x"].tolist() == [[1, 2, 3]]


def test_values_of_an_input_may_be_rows_themselves():
    batch = parse({"instances": [{"age": [3], "city": ["Vigo"]}]}, TABLE).batch
    assert batch.tensors["age"].tolist() == [[3]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the request has no body; a JSON object is expected"),
        (b"  ", "the request has no body; a JSON object is expected"),
        (b"{", "the body is not JSON: "),
        (b"\xff", "the body is not JSON: "),
        (b'{"instances": [[NaN, 1, 2]]}', "the body is not JSON: unexpected character"),
        (b'{"instances": [[1e999, 1, 2]]}', "the body is not JSON: number is infinity"),
        (b"[1]", "the body should be a JSON object, not an array"),
        (b"null", "the body should be a JSON object, not null"),
        ({}, 'the body has no "instances"'),
        ({"instances": 1}, "instances: expected an array of rows, found 1"),
        ({"instances": []}, "instances: empty; at least one row is needed"),
        ({"instances": [1, 2, 3]}, "instances[0]: 1, where a row of 3 numbers is expected; each row is an array of"),
        ({"instances": [[1, 2]]}, "instances[0]: 2 values, where a row of 3 numbers is expected"),
        ({"instances": [[1, 2, 3], [1, 2]]}, "instances[1]: 2 values, where instances[0] has 3"),
        ({"instances": [[[1], [2], [3]]]}, 'instances: shape [1, 3, 1] does not fit the model\'s input "x" of shape'),
        ({"instances": [[1, 2, "3"]]}, 'instances[0][2]: "3" is not a number'),
        ({"instances": [[1, 2, True]]}, "instances[0][2]: true is not a number"),
        ({"instances": [[[]]]}, "instances[0][0]: empty"),
        ({"instances": [{"z": 1}]}, 'instances[0]: no value for "x"; the model needs x'),
        ({"instances": [{"x": [1, 2, 3], "z": 1}]}, 'instances[0]: the model has no input "z"; it has x'),
        ({"instances": [{"x": [1, 2, 3]}, 5]}, "instances[1]: 5, where an object with a value for each input"),
        ({"instances": [{"x": [1, 2, 3]}, {"x": [1, 2, "a"]}]}, 'instances[1].x[2]: "a" is not a number'),
        ({"instances": [{"x": [1, 2]}]}, "instances[0].x: 2 values, where a row of 3 numbers is expected"),
        ({"instances": [{"x": []}]}, "instances[0].x: empty"),
    ],
)
def test_what_is_wrong_is_said_with_its_position(body, message):
    with pytest.raises(InvalidInputError) as caught:
        parse(body)
    assert caught.value.status == 400
    assert caught.value.message.startswith(message)


def test_nan_is_told_to_be_no_json():
    with pytest.raises(InvalidInputError, match="JSON has no NaN and no Infinity"):
        parse(b'{"instances": [[NaN]]}')


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        ([{"age": "old", "city": "Vigo"}], 'instances[0].age: "old" is not a number'),
        ([{"age": 1, "city": "Vigo"}, {"age": 1, "city": 5}], "instances[1].city: 5 is no text"),
        ([{"age": 1}], 'instances[0]: no value for "city"; the model needs age, city'),
        ([[1, "Vigo"]], "instances[0]: an array, where an object with a value for each input is expected: age, city"),
        ([{"age": [1, 2], "city": "Vigo"}], "instances[0].age: 2 values, where a row of 1 number"),
    ],
)
def test_positions_inside_objects_are_told_too(instances, message):
    with pytest.raises(InvalidInputError) as caught:
        parse({"instances": instances}, TABLE)
    assert caught.value.message.startswith(message)


def test_unknown_fields_of_other_servers_do_no_harm():
    assert parse({"signature_name": "serving_default", "instances": [[1, 2, 3]]}).batch.rows == 1


def render(outputs, *specs):
    request = parse({"instances": [[1, 2, 3], [4, 5, 6]]}, FakeModel(outputs=specs))
    return orjson.loads(v1.render(outputs, request, name="m", version="1").body)


def test_one_output_answers_its_values():
    assert render({"y": np.array([1, 2])}, TensorSpec("y", "INT64", (-1,))) == {"predictions": [1, 2]}


def test_several_outputs_answer_an_object_per_row():
    outputs = {"p": np.array([[0.1, 0.9], [0.2, 0.8]], dtype=np.float32), "label": np.array(["a", "b"])}
    specs = (TensorSpec("label", "BYTES", (-1,)), TensorSpec("p", "FP32", (-1, 2)))
    assert render(outputs, *specs) == {
        "predictions": [{"label": "a", "p": [0.1, 0.9]}, {"label": "b", "p": [0.2, 0.8]}]
    }


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "q", "u1", "u8", "?", "U3", "O"])
@pytest.mark.parametrize("several", [False, True], ids=["alone", "one of two"])
def test_every_type_of_output_has_a_json_form(dtype, several):
    values = np.array([[1], [0]]).astype("U3" if dtype == "O" else dtype).astype(dtype)
    specs = [TensorSpec("y", "FP32", (-1, 1))] + [TensorSpec("z", "FP32", (-1,))] * several
    answer = render({"y": values, "z": np.array([0.5, 0.5])}, *specs)
    assert len(answer["predictions"]) == 2


def test_fortran_order_and_strides_do_not_show():
    values = np.asfortranarray(np.array([[1, 2], [3, 4]]))
    assert render({"y": values}, TensorSpec("y", "INT64", (-1, 2))) == {"predictions": [[1, 2], [3, 4]]}


def test_an_output_without_rows_asks_for_the_other_protocol():
    with pytest.raises(RequestError, match="or the V2 protocol") as caught:
        render({"y": np.array(1.0)}, TensorSpec("y", "FP32", ()))
    assert caught.value.status == 500


# Rows of named values.

BY_NAME = [
    {"instances": [{"debt": 3, "age": 1, "income": 2}, {"age": 4, "income": 5, "debt": 6}]},
    {"dataframe_records": [{"debt": 3, "age": 1, "income": 2}, {"age": 4, "income": 5, "debt": 6}]},
    {"dataframe_split": {"columns": ["debt", "age", "income"], "data": [[3, 1, 2], [6, 4, 5]]}},
    {"dataframe_split": {"columns": ["age", "income", "debt"], "index": [7, 8], "data": [[1, 2, 3], [4, 5, 6]]}},
    {"inputs": {"debt": [3, 6], "age": [1, 4], "income": [2, 5]}},
    {"inputs": [[1, 2, 3], [4, 5, 6]]},
    {"inputs": {"x": [[1, 2, 3], [4, 5, 6]]}},
    {"instances": [{"x": [1, 2, 3]}, {"x": [4, 5, 6]}]},
    {"dataframe_split": {"columns": ["x"], "data": [[[1, 2, 3]], [[4, 5, 6]]]}},
]


@pytest.mark.parametrize("body", BY_NAME)
def test_named_values_find_their_place_in_whatever_order_they_come(body):
    batch = parse(body, NAMED).batch
    assert batch.tensors["x"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert [(name, column.tolist()) for name, column in batch.columns(NAMED.features)] == [
        ("age", [1, 4]),
        ("income", [2, 5]),
        ("debt", [3, 6]),
    ]


@pytest.mark.parametrize("body", [{"dataframe_split": {"columns": ["p", "q", "r"], "data": [[1, 2, 3]]}}])
def test_columns_of_a_model_that_knows_no_names_are_taken_in_their_order(body):
    assert parse(body).batch.tensors["x"].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [{"age": 41, "city": "Vigo"}, {"age": 52, "city": "Lugo"}]},
        {"inputs": {"age": [41, 52], "city": ["Vigo", "Lugo"]}},
        {"inputs": {"age": [[41], [52]], "city": [["Vigo"], ["Lugo"]]}},
        {"dataframe_split": {"columns": ["city", "age"], "data": [["Vigo", 41], ["Lugo", 52]]}},
    ],
)
def test_a_table_of_several_inputs_is_taken_in_every_form(body):
    batch = parse(body, TABLE).batch
    assert batch.tensors["age"].tolist() == [[41], [52]]
    assert batch.tensors["city"].tolist() == [["Vigo"], ["Lugo"]]
    assert [name for name, _ in batch.columns()] == ["age", "city"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"instances": [{"age": 1}]}, 'instances[0]: no value for "income", "debt"; the model needs age, income, debt'),
        (
            {"instances": [{"age": 1, "income": 2, "debt": 3}, {"age": 1, "income": 2, "debt": 3, "b": 1, "c": 2}]},
            'instances[1]: the model has no input "b", "c"; it has age, income, debt ("extraFeatures": "Ignore"',
        ),
        (
            {"instances": [{"age": 1, "income": 2, "debt": 3}, {"age": 1, "income": "x", "debt": 3}]},
            'instances[1].income: "x" is not a number',
        ),
        ({"instances": [{"age": [1], "income": [2], "debt": [3]}]}, "instances: shape [1, 3, 1] does not fit"),
        ({"instances": [{"age": [1], "income": 2, "debt": 3}]}, "instances[0].income: 2, where instances[0].age is an"),
        ({"inputs": {"age": [1], "income": [2]}}, 'inputs: no value for "debt"'),
        ({"inputs": {"age": [1], "income": [2, 3], "debt": [4]}}, "inputs.income: 2 values, where inputs.age has 1"),
        ({"inputs": {"age": [1], "income": 2, "debt": [4]}}, "inputs.income: expected an array, found 2"),
        ({"inputs": {"age": [1], "income": [None], "debt": [4]}}, "inputs.income[0]: null is not a number"),
        ({"inputs": 5}, "inputs: expected an array, found 5"),
        ({"inputs": [1, 2, 3]}, "inputs: shape [3] does not fit the model's input"),
        ({"dataframe_split": []}, 'dataframe_split: expected an object with "columns" and "data", found an array'),
        ({"dataframe_split": {"columns": ["age"]}}, "dataframe_split.data: expected an array of rows, found null"),
        ({"dataframe_split": {"columns": [], "data": []}}, "dataframe_split.columns: empty"),
        ({"dataframe_split": {"columns": [1], "data": [[1]]}}, "dataframe_split.columns[0]: 1 is no text"),
        (
            {"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}},
            "dataframe_split.data[0]: 2 values, where columns",
        ),
        ({"dataframe_split": {"columns": ["age"], "data": [1]}}, "dataframe_split.data[0]: 1, where columns names 1"),
        (
            {"dataframe_split": {"columns": ["age"], "rows": []}},
            'dataframe_split: has "columns", "data" and "index", and',
        ),
        (
            {"dataframe_split": {"columns": ["age", "age"], "data": [[1, 2]]}},
            'dataframe_split: column "age" is named twice',
        ),
        (
            {"dataframe_split": {"columns": ["debt", "age", "income"], "data": [[1, 2, 3], [1, 2, "x"]]}},
            'dataframe_split.data[1][2] (income): "x" is not a number',
        ),
        ({"dataframe_records": {}}, "dataframe_records: expected an array of rows, found an object"),
        ({"dataframe_records": [1]}, "dataframe_records[0]: 1, where an object with a value for each input"),
        ({"instances": [[1, 2, 3]], "inputs": []}, 'the body has "instances", "inputs"; give one of them'),
        ({"signature_name": "other", "instances": [[1, 2, 3]]}, 'signature_name: "other" is not known'),
        ({"signature_name": 1, "instances": [[1, 2, 3]]}, "signature_name: 1 is not known"),
    ],
)
def test_what_is_wrong_with_named_values_is_said_with_its_position(body, message):
    with pytest.raises(InvalidInputError) as caught:
        parse(body, NAMED)
    assert caught.value.message.startswith(message)


def test_positions_are_those_of_the_request_when_columns_are_put_in_order():
    with pytest.raises(InvalidInputError, match=r"5 columns, where the model takes 3"):
        parse({"dataframe_split": {"columns": list("abcde"), "data": [[1, 2, 3, 4, 5]]}})
    with pytest.raises(InvalidInputError, match=r"inputs: an array, where an object with an array for each input"):
        parse({"inputs": []}, TABLE)


@pytest.mark.parametrize("body", BY_NAME[:3] + BY_NAME[4:5])
def test_extra_values_are_left_out_where_the_maker_of_the_model_says_so(body):
    def with_extra(value):
        if isinstance(value, dict) and "data" in value:
            return {"columns": ["z", *value["columns"]], "data": [["?", *row] for row in value["data"]]}
        if isinstance(value, dict):
            return value | {"z": ["?", "?"]}
        return [row | {"z": {"deep": [True]}} for row in value]

    body = {form: with_extra(value) for form, value in body.items()}
    with pytest.raises(InvalidInputError, match='has no input "z"'):
        parse(body, NAMED)
    assert parse(body, NAMED, ignores_extra=True).batch.tensors["x"].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_null_is_a_missing_value_in_rows_and_in_names():
    for body in (
        {"instances": [[1, None, 3]]},
        {"instances": [{"age": 1, "income": None, "debt": 3}]},
        {"inputs": {"age": [1], "income": [None], "debt": [3]}},
    ):
        array = parse(body, MISSING).batch.tensors["x"]
        assert np.isnan(array).tolist() == [[False, True, False]]


def test_too_many_rows_are_413():
    for body in ({"instances": [[1, 2, 3]] * 3}, {"inputs": [[1, 2, 3]] * 3}):
        assert parse(body, max_rows=3).batch.rows == 3
        with pytest.raises(RequestError, match="3 rows, where at most 2 are taken in a request") as caught:
            parse(body, max_rows=2)
        assert caught.value.status == 413


def test_columns_are_answered_by_columns():
    request = parse({"inputs": [[1, 2, 3], [4, 5, 6]]})
    answer = v1.render({"y": np.array([1.5, 2])}, request, name="m", version=None)
    assert orjson.loads(answer.body) == {"outputs": [1.5, 2]}
    several = FakeModel(outputs=(TensorSpec("y", "FP32", (-1,)), TensorSpec("z", "FP32", ())))
    request = parse({"inputs": [[1, 2, 3]]}, several)
    answer = v1.render({"y": np.array([1.5]), "z": np.array(3.0)}, request, name="m", version=None)
    assert orjson.loads(answer.body) == {"outputs": {"y": [1.5], "z": 3.0}}


def test_texts_may_be_sent_in_base64():
    body = {"instances": [{"b64": "VmlnbyDDvA=="}, "Lugo"]}
    assert parse(body, TEXTS).batch.tensors["text"].tolist() == ["Vigo ü", "Lugo"]
    body = {"instances": [{"age": 3, "city": {"b64": "Vmlnbw=="}}]}
    assert parse(body, TABLE).batch.tensors["city"].tolist() == [["Vigo"]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"b64": "???"}, "instances[1].b64: is not base64"),
        ({"b64": "Vmlnbw\u00e9="}, "instances[1].b64: is not base64"),
        ({"b64": 5}, "instances[1].b64: 5 is no text"),
        ({"b64": "/w=="}, "instances[1].b64: the bytes are no UTF-8 text"),
        ({"b64": "", "c": 1}, "instances[1]: an object is no text"),
    ],
)
def test_wrong_base64_is_told(value, message):
    with pytest.raises(InvalidInputError) as caught:
        parse({"instances": ["", value]}, TEXTS)
    assert caught.value.message.startswith(message)


def test_bytes_of_a_model_are_texts_where_they_can_be():
    outputs = {"y": np.array([b"Vigo", b"\xff"], dtype=object)}
    assert render(outputs, TensorSpec("y", "BYTES", (-1,))) == {"predictions": ["Vigo", {"b64": "/w=="}]}


def test_names_that_do_not_fit_the_width_of_a_row_are_not_used():
    assert Signature.of(FakeModel(features=("a", "b"))).features == ()
    assert Signature.of(FakeModel(features=("a", "a", "b"))).features == ()
    assert Signature.of(NAMED).features == NAMED.features


@contextmanager
def every_request_read_the_long_way():
    with mock.patch.object(v1, "_plain", return_value=None):
        yield


def outcome(body, model):
    try:
        request = parse(body, model)
    except RequestError as error:
        return error.status, error.message
    ((name, array),) = request.batch.tensors.items()
    return type(request), request.batch.rows, name, array.dtype, array.shape, array.tobytes()


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53) | st.integers(2**64, 2**70)
anything = (
    st.none() | st.booleans() | st.text(max_size=2) | st.lists(numbers, max_size=3) | st.just({}) | st.just({"x": 1})
)
tables = st.integers(0, 4).flatmap(
    lambda width: st.lists(st.lists(numbers, min_size=width, max_size=width), min_size=1, max_size=8)
)


@st.composite
def spoiled(draw):
    """A table of numbers with something else in it: in place of a value, beside the values, or in place of a row."""
    table = draw(tables)
    row = draw(st.integers(0, len(table) - 1))
    column = draw(st.integers(0, len(table[row])))
    if draw(st.booleans()):
        table[row][column : column + draw(st.integers(0, 1))] = [draw(numbers | anything)]
    else:
        table[row] = draw(numbers | anything)
    return table


@given(
    tables | spoiled(),
    st.sampled_from(["FP16", "FP32", "FP64", "INT64", "BOOL"]),
    st.sampled_from([(-1, 3), (-1, -1), (-1,), (5, 3), (-1, 3, 1)]),
    st.sampled_from(["instances", "inputs"]),
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_rows_of_numbers_are_read_quickly_and_as_all_others_are(table, datatype, shape, form):
    model = FakeModel(inputs=(TensorSpec("x", datatype, shape),))
    body = json.dumps({form: table}).encode()
    quick = outcome(body, model)
    with every_request_read_the_long_way():
        assert outcome(body, model) == quick


def test_a_batch_of_numbers_goes_the_quick_way():
    body = {"instances": [[1, 2.5, 3e9]] * 4}
    with mock.patch.object(v1, "from_json", side_effect=AssertionError):
        assert parse(body).batch.tensors["x"].tolist() == [[1, 2.5, 3e9]] * 4


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "instances[5][1]: null is not a number"),
        (True, "instances[5][1]: true is not a number"),
        ("2", 'instances[5][1]: "2" is not a number'),
        ([2], "instances[5][1]: an array"),
        ({}, "instances[5][1]: an object is not a number"),
        (1e39, "instances[5][1]: 1e+39 does not fit FP32"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_what_is_wrong_in_a_batch_of_numbers_is_said_with_its_position(value, said):
    rows = [[1.5, 2.5, 3.5] for _ in range(8)]
    rows[5][1] = value
    with pytest.raises(InvalidInputError) as caught:
        parse({"instances": rows})
    assert said in caught.value.message
