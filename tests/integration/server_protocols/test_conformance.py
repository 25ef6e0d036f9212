"""The same 200 requests to us and to a real Triton, over REST and gRPC: the same are refused, and answers are equal.

Where the two differ on purpose, we do what is written:
  - A request whose JSON cannot be read is the client's fault (400); Triton 2.51 says 500.
  - `binary_data_output` holds for outputs that are named, too, as Triton's own documentation has it; Triton 2.51 answers
    those as JSON. So values are compared there, and not their form.
  - More raw contents than inputs are refused; Triton drops the rest.
  - NaN and infinities are refused unless the model takes them; Triton lets them pass.
"""

import random

import grpc
import httpx
import numpy as np
import orjson
import pytest

from modelway.server.binary import from_bytes, to_bytes
from modelway.server.rpc.inference_pb2 import ModelInferRequest, ModelInferResponse
from support.inference_servers import method
from support.models import iris

REQUESTS = 200
PATH = "/v2/models/iris/infer"
LENGTH = "inference-header-content-length"


def rows(chance):
    return np.array([chance.choice(iris().rows) for _ in range(chance.randint(1, 5))], dtype=np.float32)


def rest_request(chance):
    """(headers, body) of a request that is right or wrong in one of the ways in which requests are."""
    array = rows(chance)
    tensor = {"name": "X", "datatype": "FP32", "shape": list(array.shape)}
    request = {"inputs": [tensor]}
    if chance.random() < 0.5:
        request["id"] = f"q{chance.randint(0, 99)}"
    names = chance.choice([None, ["label"], ["probabilities"], ["probabilities", "label"]])
    if names:
        request["outputs"] = [{"name": name} for name in names]
    if chance.random() < 0.3:
        request["parameters"] = {"binary_data_output": True}
    blob = b""
    if chance.random() < 0.4:
        blob = to_bytes(array)
        tensor["parameters"] = {"binary_data_size": len(blob)}
    else:
        tensor["data"] = array.tolist() if chance.random() < 0.5 else array.ravel().tolist()
    if chance.random() < 0.5:
        blob = chance.choice(MISTAKES)(request, tensor, blob)
    head = orjson.dumps(request)
    return ({LENGTH: str(len(head))} if blob else {}), head + blob


def _other_name(_request, tensor, blob):
    tensor["name"] = "Y"
    return blob


def _other_datatype(_request, tensor, blob):
    tensor["datatype"] = "FP64"
    return blob + blob


def _unknown_datatype(_request, tensor, blob):
    tensor["datatype"] = "FP33"
    return blob


def _other_width(_request, tensor, blob):
    tensor["shape"][1] = 3
    return blob


def _more_rows(_request, tensor, blob):
    tensor["shape"][0] += 1
    return blob


def _negative_size(_request, tensor, blob):
    tensor["shape"][0] = -1
    return blob


def _another_rank(_request, tensor, blob):
    tensor["shape"] = [tensor["shape"][0], 2, 2]
    return blob


def _unknown_output(request, _tensor, blob):
    request["outputs"] = [{"name": "q"}]
    return blob


def _twice(request, tensor, blob):
    request["inputs"].append(tensor)
    return blob + blob


def _no_inputs(request, _tensor, _blob):
    request["inputs"] = []
    return b""


def _inputs_missing(request, _tensor, _blob):
    del request["inputs"]
    return b""


def _texts(_request, tensor, _blob):
    tensor.pop("parameters", None)
    tensor["data"] = ["a"] * 4 * tensor["shape"][0]
    return b""


def _no_data(_request, tensor, _blob):
    tensor.pop("data", None)
    tensor.pop("parameters", None)
    return b""


def _fewer_data(_request, tensor, blob):
    if "parameters" in tensor:
        tensor["parameters"]["binary_data_size"] -= 4
        return blob[:-4]
    tensor["data"] = [1.0]
    return blob


def _too_large_binary_size(_request, tensor, blob):
    tensor["parameters"] = {"binary_data_size": 10_000}
    tensor.pop("data", None)
    return blob


MISTAKES = (
    _other_name, _other_datatype, _unknown_datatype, _other_width, _more_rows, _negative_size, _another_rank,
    _unknown_output, _twice, _no_inputs, _inputs_missing, _texts, _no_data, _fewer_data, _too_large_binary_size,
)  # fmt: skip


def read(answer, body):
    """Id, and name, datatype, shape and values of each output; and whether they came as bytes, where that is sure."""
    compares_form = not (b'"outputs"' in body and b'"binary_data_output"' in body)
    length = int(answer.headers.get(LENGTH, len(answer.content)))
    head, rest = orjson.loads(answer.content[:length]), answer.content[length:]
    outputs = []
    for output in head["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        shape = tuple(output["shape"])
        if size is None:
            values = np.array(output["data"], dtype="i8" if output["datatype"] == "INT64" else "f4").reshape(shape)
        else:
            values, rest = from_bytes(rest[:size], output["datatype"], shape, str), rest[size:]
        outputs.append((output["name"], output["datatype"], shape, values.tolist(), compares_form and size is not None))
    return head.get("id", ""), sorted(outputs)


def test_rest_answers_and_refusals_are_tritons(our_iris, triton_iris):
    chance = random.Random(20)
    answered = refused = 0
    with httpx.Client(trust_env=False, timeout=30) as client:
        for number in range(REQUESTS):
            headers, body = rest_request(chance)
            ours = client.post(our_iris.url + PATH, content=body, headers=headers)
            theirs = client.post(triton_iris.url + PATH, content=body, headers=headers)
            assert ours.is_success == theirs.is_success, (number, headers, body, ours.text, theirs.text)
            if ours.is_success:
                assert read(ours, body) == read(theirs, body), (number, body)
                answered += 1
            else:
                assert ours.status_code == 400
                assert theirs.status_code in {400, 500}, theirs.text  # see above
                refused += 1
    assert min(answered, refused) > REQUESTS / 4


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/iris/versions/1/infer", 200),
        ("/v2/models/iris/versions/9/infer", 404),
        ("/v2/models/no/infer", 404),
    ],
)
def test_other_models_and_versions_are_refused_alike(our_iris, triton_iris, path, status):
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}
    for server in (our_iris, triton_iris):
        assert httpx.post(server.url + path, json={"inputs": [tensor]}, trust_env=False).status_code == status


@pytest.mark.parametrize(
    "path", ["/v2/health/live", "/v2/health/ready", "/v2/models/iris/ready", "/v2/models/iris/versions/1/ready"]
)
def test_health_is_told_at_the_same_places(our_iris, triton_iris, path):
    for server in (our_iris, triton_iris):
        assert httpx.get(server.url + path, trust_env=False).status_code == 200


def test_metadata_say_the_same(our_iris, triton_iris):
    said = [httpx.get(f"{server.url}/v2/models/iris", trust_env=False).json() for server in (our_iris, triton_iris)]
    for key in ("name", "versions", "inputs", "outputs"):
        assert said[0][key] == said[1][key]
    index = [
        httpx.post(f"{server.url}/v2/repository/index", trust_env=False).json()[0] for server in (our_iris, triton_iris)
    ]
    assert {key: index[0][key] for key in ("name", "version", "state")} == index[1]


def grpc_request(chance):
    array = rows(chance)
    message = ModelInferRequest(model_name="iris", id=f"q{chance.randint(0, 99)}")
    tensor = message.inputs.add(name="X", datatype="FP32", shape=array.shape)
    if chance.random() < 0.5:
        message.raw_input_contents.append(to_bytes(array))
    else:
        tensor.contents.fp32_contents.extend(array.ravel().tolist())
    for name in chance.choice([[], ["label"], ["probabilities", "label"]]):
        message.outputs.add(name=name)
    if chance.random() < 0.5:
        chance.choice(GRPC_MISTAKES)(message, tensor)
    return message


def _both_contents(message, tensor):
    tensor.contents.fp32_contents.extend([1.0] * 4)
    message.raw_input_contents[:] = [to_bytes(np.ones((1, 4), np.float32))]


def _wrong_list(message, tensor):
    del message.raw_input_contents[:]
    tensor.ClearField("contents")
    tensor.contents.fp64_contents.extend([1.0] * 4)


def _grpc_no_data(message, tensor):
    del message.raw_input_contents[:]
    tensor.ClearField("contents")


GRPC_MISTAKES = (
    lambda message, _: setattr(message, "model_name", "other"),
    lambda message, _: setattr(message, "model_version", "9"),
    lambda _, tensor: setattr(tensor, "name", "Y"),
    lambda _, tensor: setattr(tensor, "datatype", "FP33"),
    lambda _, tensor: setattr(tensor, "datatype", "FP64"),
    lambda _, tensor: tensor.shape.append(1),
    lambda _, tensor: tensor.shape.__setitem__(0, 7),
    lambda _, tensor: tensor.shape.__setitem__(1, 3),
    lambda message, _: message.outputs.add(name="q"),
    lambda message, _: message.inputs.add(name="Y", datatype="FP32", shape=[1]),
    lambda message, _: message.ClearField("inputs"),
    _both_contents,
    _wrong_list,
    _grpc_no_data,
)


def outcome(infer, message):
    """The status code, and the outputs with their raw values where there are any."""
    try:
        response = infer(message, timeout=30)
    except grpc.RpcError as error:
        return error.code(), error.details()
    raw = list(response.raw_output_contents)
    outputs = []
    for index, output in enumerate(response.outputs):
        listed = output.contents.int64_contents if output.datatype == "INT64" else output.contents.fp32_contents
        data = raw[index] if raw else np.array(listed, "i8" if output.datatype == "INT64" else "f4").tobytes()
        outputs.append((output.name, output.datatype, tuple(output.shape), data))
    return grpc.StatusCode.OK, (response.model_name, response.model_version, response.id, sorted(outputs))


def test_grpc_answers_and_refusals_are_tritons(our_iris, triton_iris):
    chance = random.Random(21)
    answered = refused = 0
    with our_iris.channel() as our_channel, triton_iris.channel() as their_channel:
        ours, theirs = (method(channel, "ModelInfer", ModelInferResponse) for channel in (our_channel, their_channel))
        for number in range(REQUESTS):
            message = grpc_request(chance)
            (our_code, we_said), (their_code, they_said) = outcome(ours, message), outcome(theirs, message)
            assert our_code == their_code, (number, message, we_said, they_said)
            if our_code is grpc.StatusCode.OK:
                assert we_said == they_said, number
                answered += 1
            else:
                refused += 1
    assert min(answered, refused) > REQUESTS / 4


# The differences that are on purpose, so that they are known should one side change.


def codes(servers, message):
    found = []
    for server in servers:
        with server.channel() as channel:
            found.append(outcome(method(channel, "ModelInfer", ModelInferResponse), message)[0])
    return found


def test_values_that_are_not_finite_are_refused_where_triton_lets_them_pass(our_iris, triton_iris):
    for value in (np.nan, np.inf):
        array = np.array([[1, value, 3, 4]], dtype=np.float32)
        message = ModelInferRequest(model_name="iris", raw_input_contents=[to_bytes(array)])
        message.inputs.add(name="X", datatype="FP32", shape=[1, 4])
        assert codes([our_iris, triton_iris], message) == [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OK]


def test_more_raw_contents_than_inputs_are_refused_where_triton_drops_them(our_iris, triton_iris):
    message = ModelInferRequest(model_name="iris", raw_input_contents=[to_bytes(np.ones((1, 4), np.float32)), b"1234"])
    message.inputs.add(name="X", datatype="FP32", shape=[1, 4])
    assert codes([our_iris, triton_iris], message) == [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OK]


def test_binary_data_output_holds_for_named_outputs_where_triton_answers_json(our_iris, triton_iris):
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}
    request = {"inputs": [tensor], "outputs": [{"name": "label"}], "parameters": {"binary_data_output": True}}
    answers = [httpx.post(server.url + PATH, json=request, trust_env=False) for server in (our_iris, triton_iris)]
    assert [LENGTH in answer.headers for answer in answers] == [True, False]


def test_json_that_cannot_be_read_is_the_clients_fault_where_triton_takes_it_on_itself(our_iris, triton_iris):
    answers = [httpx.post(server.url + PATH, content=b"{", trust_env=False) for server in (our_iris, triton_iris)]
    assert [answer.status_code for answer in answers] == [400, 500]
