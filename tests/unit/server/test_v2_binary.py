"""The binary tensor data extension of V2."""

import numpy as np
import orjson
import pytest

from modelway.server import v2
from modelway.server.binary import to_bytes
from modelway.server.errors import InvalidInputError
from modelway.server.signature import Signature
from modelway.server.tensors import TensorSpec
from support.fake_model import FakeModel

ROWS = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
MODEL = FakeModel(outputs=(TensorSpec("y", "FP32", (-1,)), TensorSpec("z", "BYTES", (-1,))))
NULLABLE = FakeModel(inputs=(TensorSpec("x", "FP32", (-1, 3), nullable=True),))
OUTPUTS = {"y": np.array([1.5, 2], dtype=np.float32), "z": np.array(["a", "ü"])}


def tensor(array=ROWS, **changes):
    blob = to_bytes(array)
    return {
        "name": "x",
        "datatype": "FP32",
        "shape": list(array.shape),
        "parameters": {"binary_data_size": len(blob)},
    } | changes, blob


def body(*tensors, **request):
    head = orjson.dumps({"inputs": [head for head, _ in tensors]} | request)
    return head + b"".join(blob for _, blob in tensors), len(head)


def parse(content, length, model=MODEL, **options):
    return v2.parse(content, Signature.of(model, **options), json_length=length)


def test_data_follow_the_json():
    assert parse(*body(tensor())).batch.tensors["x"].tolist() == ROWS.tolist()


def test_the_data_of_several_tensors_stand_in_their_order_and_some_may_be_json():
    model = FakeModel(inputs=tuple(TensorSpec(name, "BYTES", (-1,)) for name in "abc"))
    texts = np.array(["ü", ""], dtype=object)
    a, c = (tensor(texts, name=name, datatype="BYTES") for name in "ac")
    b = {"name": "b", "datatype": "BYTES", "shape": [2], "data": ["x", "y"]}, b""
    tensors = parse(*body(c, b, a), model).batch.tensors
    assert {name: array.tolist() for name, array in tensors.items()} == {
        "a": ["ü", ""],
        "b": ["x", "y"],
        "c": ["ü", ""],
    }


@pytest.mark.parametrize(
    ("asked", "binary"),
    [
        ({}, ()),
        ({"parameters": {"binary_data_output": True}}, ("y", "z")),
        ({"outputs": [{"name": "z", "parameters": {"binary_data": True}}, {"name": "y"}]}, ("z",)),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": [{"name": "z", "parameters": {"binary_data": False}}, {"name": "y"}],
            },
            ("y",),
        ),
    ],
)
def test_outputs_are_bytes_where_that_is_asked_for(asked, binary):
    request = parse(*body(tensor(), id="7", **asked))
    answer = v2.render(OUTPUTS, request, name="m", version="1")
    length = int((answer.headers or {}).get(v2.LENGTH_HEADER, len(answer.body)))
    assert answer.content_type == (b"application/octet-stream" if binary else b"application/json")
    head, rest = orjson.loads(answer.body[:length]), answer.body[length:]
    assert head["id"] == "7"
    assert [output["name"] for output in head["outputs"]] == list(request.batch.wanted)
    for output in head["outputs"]:
        if output["name"] in binary:
            blob = to_bytes(OUTPUTS[output["name"]])
            assert output["parameters"] == {"binary_data_size": len(blob)}
            assert "data" not in output
            assert rest.startswith(blob)
            rest = rest[len(blob) :]
        else:
            assert output["data"] == OUTPUTS[output["name"]].tolist()
    assert rest == b""


NOT_FINITE = ROWS.copy()
NOT_FINITE[1, 2] = np.nan
INFINITE = ROWS.copy()
INFINITE[0, 1] = -np.inf


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (body(tensor(NOT_FINITE)), "inputs[0].data[1][2]: nan is not a number; the model takes no missing values"),
        (body(tensor(INFINITE)), "inputs[0].data[0][1]: -inf is not a number; numbers must be finite"),
        (body(tensor(shape=[1, 3])), "inputs[0].data: 24 bytes, where FP32 of shape [1, 3] has 12"),
        ((body(tensor())[0], 10_000), "inference-header-content-length: 10000, where the body has"),
        ((body(tensor())[0][:-1], body(tensor())[1]), "inputs[0].parameters.binary_data_size: 24, where 23 bytes are"),
        ((body(tensor())[0] + b"!!", body(tensor())[1]), "the body has 2 bytes after the data of its last tensor"),
        (body(tensor(parameters={"binary_data_size": -1})), "inputs[0].parameters.binary_data_size: -1 is no number"),
        (body(tensor(parameters={"binary_data_size": "8"})), 'inputs[0].parameters.binary_data_size: "8" is no number'),
        ((body(tensor())[0], 0), "the request has no body"),
    ],
)
def test_what_is_wrong_is_said_with_its_position(request_, message):
    with pytest.raises(InvalidInputError) as caught:
        parse(*request_)
    assert caught.value.message.startswith(message)


def test_without_the_header_all_of_the_body_is_json():
    content, _ = body(tensor())
    with pytest.raises(InvalidInputError, match="the body is not JSON"):
        parse(content, None)


def test_nan_is_a_missing_value_where_the_input_takes_them_and_infinity_is_none():
    assert np.isnan(parse(*body(tensor(NOT_FINITE)), NULLABLE).batch.tensors["x"]).sum() == 1
    with pytest.raises(InvalidInputError, match="numbers must be finite"):
        parse(*body(tensor(INFINITE)), NULLABLE)


def test_a_tensor_that_the_model_has_no_use_for_is_left_out_where_its_maker_says_so():
    extra = tensor(name="other")
    with pytest.raises(InvalidInputError, match='the model has no input "other"'):
        parse(*body(tensor(), extra))
    assert list(parse(*body(extra, tensor()), ignores_extra=True).batch.tensors) == ["x"]
