import numpy as np
import orjson
import pytest

from modelway.server import v1
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.tensors import TensorSpec
from support.fake_model import FakeModel

ROWS = FakeModel()
TEXTS = FakeModel(inputs=(TensorSpec("text", "BYTES", (-1,)),))
TABLE = FakeModel(inputs=(TensorSpec("age", "FP32", (-1, 1)), TensorSpec("city", "BYTES", (-1, 1))))


def parse(body, model=ROWS):
    return v1.parse(body if isinstance(body, bytes) else orjson.dumps(body), model)


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
        ({"instances": [{"z": 1}]}, 'instances[0]: no value for input "x"'),
        ({"instances": [{"x": [1, 2, 3], "z": 1}]}, "instances[0].z: the model has no such input; it has x"),
        ({"instances": [{"x": [1, 2, 3]}, 5]}, "instances[1]: 5, where an object with a value for each input"),
        ({"instances": [{"x": [1, 2, 3]}, {"x": [1, 2, "a"]}]}, 'instances[1].x[2]: "a" is not a number'),
        ({"instances": [{"x": [1, 2]}]}, "instances[].x[0]: 2 values, where a row of 3 numbers is expected"),
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
        ([{"age": 1}], 'instances[0]: no value for input "city"'),
        ([[1, "Vigo"]], "instances[0]: an array, where an object with a value for each input is expected: age, city"),
        ([{"age": [1, 2], "city": "Vigo"}], "instances[].age[0]: 2 values, where a row of 1 number"),
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
    return orjson.loads(v1.render(outputs, request, name="m", version="1"))


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
    with pytest.raises(RequestError, match="use the V2 protocol") as caught:
        render({"y": np.array(1.0)}, TensorSpec("y", "FP32", ()))
    assert caught.value.status == 500
