import numpy as np
import pytest

from modelway.server.binary import to_bytes
from modelway.server.errors import RequestError
from modelway.server.rpc import messages
from modelway.server.rpc.inference_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse
from modelway.server.signature import Signature
from modelway.server.tensors import TensorSpec
from support.fake_model import FakeModel

MODEL = FakeModel()
ROWS = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)


def request(*, raw=None, contents=None, **changes):
    message = ModelInferRequest(model_name="m", id="q1")
    message.inputs.add(**({"name": "x", "datatype": "FP32", "shape": [2, 3], "contents": contents} | changes))
    message.raw_input_contents.extend(raw or [])
    return message


def parse(message, model=MODEL, **options):
    return messages.parse(message.SerializeToString(), Signature.of(model, **options), name="m", version="1")


def listed(*values):
    return InferTensorContents(fp32_contents=values)


@pytest.mark.parametrize(
    "message", [request(raw=[to_bytes(ROWS)]), request(contents=listed(*ROWS.ravel()))], ids=["raw", "lists"]
)
def test_data_come_raw_or_in_lists_and_go_as_they_came(message):
    asked = parse(message)
    assert asked.batch.tensors["x"].tolist() == ROWS.tolist()
    answer = messages.render({"y": np.array([1.5, 2], np.float32)}, asked, name="m", version="1")
    response = ModelInferResponse.FromString(answer.body)
    assert (response.model_name, response.model_version, response.id) == ("m", "1", "q1")
    assert (response.outputs[0].name, response.outputs[0].datatype, response.outputs[0].shape) == ("y", "FP32", [2])
    if message.raw_input_contents:
        assert list(response.raw_output_contents) == [to_bytes(np.array([1.5, 2], np.float32))]
    else:
        assert list(response.outputs[0].contents.fp32_contents) == [1.5, 2]


def test_an_answer_with_half_floats_is_raw_as_they_have_no_list():
    model = FakeModel(outputs=(TensorSpec("h", "FP16", (-1,)), TensorSpec("y", "INT64", (-1,))))
    outputs = {"h": np.array([0.5], np.float16), "y": np.array([7])}
    asked = parse(request(contents=listed(1, 2, 3), shape=[1, 3]), model)
    response = ModelInferResponse.FromString(messages.render(outputs, asked, name="m", version=None).body)
    assert list(response.raw_output_contents) == [to_bytes(outputs["h"]), to_bytes(outputs["y"])]
    assert not any(output.HasField("contents") for output in response.outputs)


@pytest.mark.parametrize(
    ("message", "status", "said"),
    [
        (ModelInferRequest(model_name="m"), 400, "inputs: expected tensors, found none"),
        (ModelInferRequest(model_name="other"), 404, 'model "other" is not served here; this server has "m"'),
        (ModelInferRequest(model_name="m", model_version="2"), 404, 'version "2" is not served here'),
        (request(raw=[b"", b""]), 400, "raw_input_contents: 2 of them, where inputs has 1; give one each, or none"),
        (request(raw=[b"1234"]), 400, "inputs[0].data: 4 bytes, where FP32 of shape [2, 3] has 24"),
        (request(raw=[b""], contents=listed(1)), 400, "inputs[0]: has contents beside raw_input_contents"),
        (request(), 400, "inputs[0].data: 0 values, where shape [2, 3] has 6"),
        (request(contents=listed(1, 2)), 400, "inputs[0].data: 2 values, where shape [2, 3] has 6"),
        (
            request(contents=InferTensorContents(fp64_contents=[1] * 6)),
            400,
            "inputs[0].contents: has fp64_contents, where FP32 stands in fp32_contents",
        ),
        (
            request(contents=listed(1, 2, 3, float("nan"), 5, 6)),
            400,
            "inputs[0].contents.fp32_contents[3]: nan is not a number; the model takes no missing values",
        ),
        (
            request(contents=listed(1), parameters={"shared_memory_region": {"string_param": "r"}}),
            400,
            "inputs[0].parameters.shared_memory_region: this server does not have that extension",
        ),
        (request(contents=listed(1), shape=[0, 3]), 400, "inputs[0].shape[0]: 0 is no size of 1 or more"),
        (request(contents=listed(1), datatype="BF16"), 400, 'inputs[0].datatype: "BF16" is none of BOOL'),
    ],
)
def test_what_is_wrong_is_said_with_its_position(message, status, said):
    with pytest.raises(RequestError) as caught:
        parse(message)
    assert caught.value.status == status
    assert caught.value.message.startswith(said)


@pytest.mark.parametrize(
    ("datatype", "contents", "said"),
    [
        ("INT8", {"int_contents": [1, 300]}, "inputs[0].contents.int_contents[1]: 300 does not fit INT8"),
        ("UINT16", {"uint_contents": [65536, 1]}, "inputs[0].contents.uint_contents[0]: 65536 does not fit UINT16"),
        ("BYTES", {"bytes_contents": [b"a", b"\xff"]}, "inputs[0].contents.bytes_contents[1]: the bytes are no UTF-8"),
        ("FP16", {}, "inputs[0].contents: FP16 has no list; send raw_input_contents"),
    ],
)
def test_every_list_has_its_own_mistakes(datatype, contents, said):
    model = FakeModel(inputs=(TensorSpec("x", datatype, (-1,)),))
    with pytest.raises(RequestError) as caught:
        parse(request(datatype=datatype, shape=[2], contents=InferTensorContents(**contents)), model)
    assert caught.value.message.startswith(said)


def test_too_many_rows_are_413():
    with pytest.raises(RequestError) as caught:
        parse(request(raw=[to_bytes(ROWS)]), max_rows=1)
    assert caught.value.status == 413
