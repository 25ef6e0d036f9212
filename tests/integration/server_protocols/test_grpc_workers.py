"""gRPC with several workers: each listens on the one port, and the kernel spreads the connections."""

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from modelway.server.rpc import inference_pb2 as pb
from modelway.server.rpc.server import SERVICE
from support.inference_servers import method, our_server
from support.models import iris

OWN = {"grpc.use_local_subchannel_pool": 1}  # else all channels of this process share a connection


@pytest.fixture
def running(iris_folder):
    with our_server(iris_folder, "--name", "iris", "--workers", "2", "--drain", "1s") as (process, server):
        process.wait_until_ready()
        yield process, server


def asked():
    message = pb.ModelInferRequest(model_name="iris")
    tensor = message.inputs.add(name="X", datatype="FP32", shape=[1, 4])
    tensor.contents.fp32_contents.extend(iris().rows[0].tolist())
    return message


def until(condition, deadline=30.0):
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)  # between two looks; the deadline is above


def workers(process):
    pid = process.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def counted(process):
    with process.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("modelway_server_requests_total{") and 'protocol="grpc"' in line
    )


def test_all_workers_answer_and_their_counts_are_those_of_one_server(running):
    process, server = running
    with ExitStack() as stack:
        channels = [stack.enter_context(server.channel(**OWN)) for _ in range(16)]
        for channel in channels * 2:
            health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=SERVICE))
            assert health.status == health_pb2.HealthCheckResponse.SERVING
            method(channel, "ModelInfer", pb.ModelInferResponse)(asked(), timeout=30)
    until(lambda: counted(process) == 32)  # a worker's counts are at most a second old


def test_a_client_goes_on_when_its_worker_dies(running):
    process, server = running
    with server.channel(**OWN) as channel:
        infer = method(channel, "ModelInfer", pb.ModelInferResponse)
        infer(asked(), timeout=30)
        ready = len(process.events("ready"))
        for worker in workers(process)[:1]:
            os.kill(worker, signal.SIGKILL)
        until(lambda: process.events("worker_died"))
        until(lambda: is_answered(infer))
        until(lambda: len(process.events("ready")) > ready)
        until(lambda: is_answered(infer))


def is_answered(infer):
    try:
        return infer(asked(), timeout=30) is not None
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:  # as the connection was the dead worker's
            raise
        return False
