"""What a real server with two workers counts, asked in every protocol, and what the operator reads of it."""

import asyncio
import json
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import grpc
import numpy as np
import pytest

from modelway.controller.servers import Servers
from modelway.plan.measured import Target
from modelway.plan.rollout.answers import fix_bins
from modelway.plan.types import PodKey
from modelway.server.rpc import inference_pb2 as pb
from support.models import iris
from support.ports import free_port
from support.server_process import server_process

EVERY = 15  # of the 150 rows: ten, of all three classes
ROWS = iris().rows[::EVERY].astype(np.float32)
EXPECTED = {"class:0": 4, "class:1": 3, "class:2": 3}
TARGET = Target(PodKey("iris-abc-1", "uid"), "127.0.0.1", "abc", datetime.now(UTC))


@pytest.fixture
def server(model_folder):
    port = free_port()
    options = ("--name", "iris", "--workers", "2", "--revision", "abc", "--grpc-port", port, "--drain", "0")
    with server_process(model_folder(iris().onnx), *options) as running:
        running.grpc_port = port
        yield running.wait_until_ready()


def ask_v1(server, row, headers):
    with server.client(headers=headers) as client:
        client.post("/v1/models/iris:predict", json={"instances": [row.tolist()]}).raise_for_status()


def ask_v2(server, row, headers):
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 4], "data": row.tolist()}
    with server.client(headers=headers) as client:
        client.post("/v2/models/iris/infer", json={"inputs": [tensor]}).raise_for_status()


def ask_v2_binary(server, row, headers):
    tensor = {"name": "X", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": 16}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    length = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    with server.client(headers=headers | length) as client:
        client.post("/v2/models/iris/infer", content=head + row.tobytes()).raise_for_status()


def ask_grpc(server, row, headers):
    request = pb.ModelInferRequest(model_name="iris", raw_input_contents=[row.tobytes()])
    request.inputs.add(name="X", datatype="FP32", shape=[1, 4])
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer", request_serializer=pb.ModelInferRequest.SerializeToString
        )
        infer(request, metadata=list(headers.items()), timeout=30)


ASK = {"v1": ask_v1, "v2": ask_v2, "v2 binary": ask_v2_binary, "grpc": ask_grpc}


def read(server, until, deadline=30.0):
    """What the operator reads, once it is as it should be."""

    async def one():
        async with aiohttp.ClientSession() as session:
            return await Servers(session, clock=lambda: datetime.now(UTC), port=server.port).ask(TARGET)

    end = time.monotonic() + deadline
    while not until(reading := asyncio.run(one())):
        assert time.monotonic() < end, reading
        time.sleep(0.05)
    return reading


def total(reading):
    return sum(count for key, count in reading.answers.items() if key.startswith("class:"))


def classes(reading):
    return {key: count for key, count in reading.answers.items() if key.startswith("class:")}


def test_every_protocol_counts_the_same_in_both_workers(server):
    """Each request on a connection of its own, so that both workers have some."""
    for ask in ASK.values():
        for row in ROWS:
            ask(server, row, {})
    reading = read(server, lambda found: total(found) == 40)
    assert classes(reading) == {key: 4 * count for key, count in EXPECTED.items()}
    scores = [count for key, count in reading.answers.items() if key.startswith("value:")]
    assert sum(scores) == 40
    assert all(count % 4 == 0 for count in scores)
    assert fix_bins(reading.answers, rows=40).sizes[0] == 4


def test_mirrored_requests_are_remembered_in_their_order(server):
    for number, (ask, row) in enumerate(zip([*ASK.values()] * 2, ROWS, strict=False)):
        ask(server, row, {"x-request-id": f"request {number}", "x-modelway-pair": "1"})
        ask(server, row, {"x-request-id": "of a user"})
    reading = read(server, lambda found: len(found.pairs) == 8)
    assert [label for _, label, _ in reading.pairs].count("0") == 4
    assert len({request for request, _, _ in reading.pairs}) == 8
    assert reading.pairs_before == 0


def test_a_worker_that_dies_takes_no_count_with_it(server):
    for row in ROWS:
        ask_v1(server, row, {})
    before = read(server, lambda found: total(found) == 10)
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    for worker in children.read_text().split():
        os.kill(int(worker), signal.SIGKILL)
    end = time.monotonic() + 60
    while len(server.events("ready")) < 4:
        assert time.monotonic() < end
        time.sleep(0.05)
    for row in ROWS:
        ask_v1(server, row, {})
    after = read(server, lambda found: total(found) == 20)
    assert classes(after) == {key: 2 * count for key, count in EXPECTED.items()}
    assert after.epoch == before.epoch
