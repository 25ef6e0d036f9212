"""`/v1/observations`: what the server tells of its answers, whatever protocol asked for them."""

import asyncio
import time
from dataclasses import replace

import grpc
import jsonschema
import numpy as np
import orjson
import pytest
from openapi_spec_validator import validate

from modelway.api.names import HEADER_PAIR
from modelway.api.observations import value_key
from modelway.server.app import App
from modelway.server.openapi import document
from modelway.server.options import ServerOptions
from modelway.server.pace import Cost
from modelway.server.rpc import inference_pb2 as pb
from modelway.server.rpc.server import listening
from modelway.server.signature import Signature
from modelway.server.tensors import TensorSpec
from support.asked import answer_to
from support.fake_model import FakeModel, loaded

PREDICT, INFER = "/v1/models/m:predict", "/v2/models/m/infer"
ROW = b'{"instances": [[0.25, 2, 3]]}'
ROWS = b'{"instances": [[0.25, 2, 3], [9, 9, 9]]}'
TENSOR = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [0.25, 2, 3]}]}'


def compute(batch):
    """The likelier of two classes and their odds, from the first column."""
    share = next(iter(batch.tensors.values()))[:, 0]
    if (share < 0).any():
        raise ArithmeticError("negative")
    odds = np.stack([1 - share, share], axis=1)
    outputs = {"odds": odds, "label": np.where(share > 0.5, "yes", "no").astype(object)}
    return {name: outputs[name] for name in batch.wanted}


MODEL = FakeModel(
    outputs=(TensorSpec("label", "BYTES", (-1,)), TensorSpec("odds", "FP32", (-1, 2))),
    classes=("no", "yes"),
    compute=compute,
)


def served(tmp_path, **options):
    app = App(ServerOptions(tmp_path, "m", revision="abc", **options))
    app.serve(loaded(MODEL))
    return app


@pytest.fixture
def app(tmp_path):
    return served(tmp_path)


async def ask(app, path, body=b"", **headers):
    return await answer_to(app, "POST" if body else "GET", path, body, **headers)


async def told(app):
    answer = await ask(app, "/v1/observations")
    assert answer.status == 200
    return orjson.loads(answer.body)


@pytest.mark.parametrize(("path", "body"), [(PREDICT, ROWS), (INFER, TENSOR)])
async def test_a_request_counts_once_with_its_first_row(app, path, body):
    assert (await ask(app, path, body)).status == 200
    assert (await told(app))["answers"] == {"class:no": 1, value_key(0.25): 1}


async def test_who_is_counted_is_told_with_it(app):
    said = await told(app)
    assert (said["format"], said["model"], said["version"], said["revision"]) == (1, "m", "7", "abc")
    assert said["epoch"] == (await told(app))["epoch"] != (await told(served(app.options.model_dir)))["epoch"]


async def test_whatever_outputs_are_asked_for_the_class_is_counted(app):
    tensor = orjson.loads(TENSOR)
    for name in ("label", "odds"):
        assert (await ask(app, INFER, orjson.dumps(tensor | {"outputs": [{"name": name}]}))).status == 200
    assert (await told(app))["answers"] == {"class:no": 2, value_key(0.25): 1}


@pytest.mark.parametrize("body", [b"{", b'{"instances": [[1]]}', b'{"instances": [[-1, 0, 0]]}'])
async def test_errors_are_not_counted(app, body):
    assert (await ask(app, PREDICT, body, x_modelway_pair="1", x_request_id="r")).status >= 400
    assert (await told(app))["answers"] == {}
    assert (await told(app))["pairs_before"] == 0


async def test_requests_that_were_predicted_together_count_one_by_one(tmp_path):
    app = App(ServerOptions(tmp_path, "m", concurrency=1, max_batch=64))
    app.serve(replace(loaded(MODEL), cost=Cost(call=1.0, row=0.0), batchable=True))
    answers = await asyncio.gather(*(ask(app, PREDICT, ROWS) for _ in range(8)))
    assert [answer.status for answer in answers] == [200] * 8
    assert b"batched_requests_total" in app.metrics.render()
    assert (await told(app))["answers"] == {"class:no": 8, value_key(0.25): 8}


async def test_only_mirrored_requests_are_remembered(app, monkeypatch):
    await ask(app, PREDICT, ROWS, x_request_id="user")
    await ask(app, PREDICT, ROWS, x_modelway_pair="0", x_request_id="no")
    await ask(app, PREDICT, ROWS, x_modelway_pair="1")  # nothing to find its other half by
    await ask(app, PREDICT, ROWS, x_modelway_pair="1", x_request_id="yes")
    app.settle()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 2)
    assert (await told(app))["pairs"] == [["8a798890fe938171", "no", 0.25]]


async def test_grpc_counts_as_http_does(app, monkeypatch):
    request = pb.ModelInferRequest(model_name="m")
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, 3])
    tensor.contents.fp32_contents.extend([0.25, 2, 3])
    options = ServerOptions(app.options.model_dir, "m", host="127.0.0.1")
    async with listening(app, options) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        await infer(request)
        await infer(request, metadata=[(HEADER_PAIR, "1"), ("x-request-id", "yes")])
    assert (await told(app))["answers"] == {"class:no": 2, value_key(0.25): 2}
    app.settle()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 2)
    assert (await told(app))["pairs"] == [["8a798890fe938171", "no", 0.25]]


async def test_answers_wait_for_the_second_to_be_over_and_there_is_an_end_to_those_that_are_counted(app):
    for _ in range(1030):
        assert (await ask(app, PREDICT, ROW)).status == 200
    assert app._tally.answers.by_class() == {}
    app.settle()
    assert app._tally.answers.by_class() == {"no": 1024}


async def test_a_server_that_does_not_observe_counts_and_tells_nothing(tmp_path):
    app = served(tmp_path, observe=False)
    assert (await ask(app, PREDICT, ROWS)).status == 200
    answer = await ask(app, "/v1/observations")
    assert answer.status == 404
    assert b"--no-observe" in answer.body
    assert b"/v1/observations" not in (await ask(app, "/openapi.json")).body
    assert app._tally.answers.by_class() == {}


async def test_metrics_tell_the_classes(app):
    await ask(app, PREDICT, ROWS)
    line = b'modelway_server_answers_total{class="no",model="m",revision="abc",version="7"} 1.0'
    assert line in (await ask(app, "/metrics")).body


async def test_what_is_told_is_described(app):
    await ask(app, PREDICT, ROWS)
    described = document(Signature.of(MODEL), "m", None)
    validate(described)
    schema = {"$ref": "#/components/schemas/Observations", "components": described["components"]}
    jsonschema.Draft202012Validator(schema).validate(await told(app))
    assert "/v1/observations" in described["paths"]


async def test_it_can_be_asked_before_the_model_is_there(tmp_path):
    said = await told(App(ServerOptions(tmp_path, "m")))
    assert (said["answers"], said["reference"]) == ({}, {})


async def test_how_the_makers_rows_were_answered_is_told_beside_it(tmp_path):
    app = App(ServerOptions(tmp_path, "m"))
    app.serve(replace(loaded(MODEL), reference={"class:no": 900, "class:yes": 100}))
    assert (await told(app))["reference"] == {"class:no": 900, "class:yes": 100}
