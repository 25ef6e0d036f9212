"""The gRPC port of a real process: codes, limits, health, metrics, and an end without a lost request."""

import signal
import threading

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from modelway.server.binary import to_bytes
from modelway.server.rpc import inference_pb2 as pb
from modelway.server.rpc.server import SERVICE
from support.gated import gated_model
from support.inference_servers import method, our_server
from support.models import iris
from support.server_process import server_process

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture(scope="module")
def small(iris_folder):
    """A server that takes 100 KB and 50 rows."""
    limits = ("--max-body", "100Ki", "--max-rows", "50", "--drain", "60s")
    with our_server(iris_folder, "--name", "iris", *limits) as (process, server):
        process.wait_until_ready()
        yield server


@pytest.fixture(scope="module")
def channel(small):
    with small.channel() as channel:
        yield channel


def asked(rows, **fields):
    message = pb.ModelInferRequest(**({"model_name": "iris"} | fields))
    message.inputs.add(name="X", datatype="FP32", shape=rows.shape)
    message.raw_input_contents.append(to_bytes(rows.astype(np.float32)))
    return message


def refused(channel, message):
    with pytest.raises(grpc.RpcError) as caught:
        method(channel, "ModelInfer", pb.ModelInferResponse)(message, timeout=30)
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize(
    ("message", "code", "said"),
    [
        (b"\xff", grpc.StatusCode.INVALID_ARGUMENT, "the message is no inference.ModelInferRequest"),
        (asked(iris().rows[:1], model_name="x"), grpc.StatusCode.NOT_FOUND, 'model "x" is not served here'),
        (asked(iris().rows[:1], model_version="9"), grpc.StatusCode.NOT_FOUND, 'version "9" is not served here'),
        (asked(iris().rows[:1, :3]), grpc.StatusCode.INVALID_ARGUMENT, "inputs[0].shape: [1, 3] does not fit"),
        (asked(np.array([[1, np.nan, 2, 3]])), grpc.StatusCode.INVALID_ARGUMENT, "inputs[0].data[0][1]: nan is not"),
        (asked(iris().rows[:51]), grpc.StatusCode.RESOURCE_EXHAUSTED, "inputs: 51 rows, where at most 50 are taken"),
        (asked(np.ones((7000, 4))), grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"),
    ],
    ids=["no message", "another model", "another version", "another width", "NaN", "too many rows", "too large"],
)
def test_errors_are_status_codes_with_the_words_of_http(channel, message, code, said):
    got, details = refused(channel, message)
    assert got is code
    assert said in details


def test_what_the_service_does_not_have_is_unimplemented(channel):
    call = channel.unary_unary(f"/{SERVICE}/RepositoryModelLoad")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_metrics_count_grpc_beside_the_others(small, channel):
    with server_client(small) as client:
        before = counted(client)
        infer = method(channel, "ModelInfer", pb.ModelInferResponse)
        infer(asked(iris().rows[:3]), timeout=30)
        refused(channel, asked(iris().rows[:1, :3]))
        after = counted(client)
    assert after["200"] - before.get("200", 0) == 1
    assert after["400"] - before.get("400", 0) == 1


def server_client(server):
    import httpx

    return httpx.Client(base_url=server.url, trust_env=False, timeout=30)


def counted(client):
    found = {}
    for line in client.get("/metrics").text.splitlines():
        if line.startswith("modelway_server_requests_total{") and 'protocol="grpc"' in line:
            found[line.split('code="')[1].split('"')[0]] = float(line.rpartition(" ")[2])
    return found


def slow_request(number):
    message = pb.ModelInferRequest(model_name="slow")
    tensor = message.inputs.add(name="n", datatype="INT64", shape=[1, 1])
    tensor.contents.int64_contents.append(number)
    return message


@pytest.fixture
def slow(tmp_path):
    """A model whose loading waits, and each answer 2, until the test lets them go."""
    (tmp_path / "model").mkdir()
    return gated_model(tmp_path / "model", loading=True)


def test_health_follows_the_model_and_nothing_in_flight_is_lost_at_the_end(slow):
    with (
        our_server(slow.folder, *slow.arguments, "--timeout", "60s", "--drain", "4s") as (process, server),
        server.channel() as channel,
        server_client(server) as client,
    ):
        seen = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert next(seen).status == NOT_SERVING
        slow.open()
        assert next(seen).status == SERVING
        slow.gate.unlink()
        infer = method(channel, "ModelInfer", pb.ModelInferResponse)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(infer(slow_request(2), timeout=60)))
        thread.start()
        while not is_in_flight(client):
            assert thread.is_alive()
        process.process.send_signal(signal.SIGTERM)
        assert next(seen).status == NOT_SERVING
        infer(slow_request(1), timeout=30)  # still served while it drains
        slow.open()
        assert process.wait() == 0
        thread.join()
    assert list(answers[0].outputs[0].contents.int64_contents) == [2]


def is_in_flight(client):
    lines = client.get("/metrics").text.splitlines()
    return any(line.startswith("modelway_server_requests_in_flight{") and line.endswith(" 1.0") for line in lines)


def test_while_the_model_is_being_loaded_predictions_are_unavailable(slow):
    with our_server(slow.folder, *slow.arguments) as (_, server), server.channel() as channel:
        code, details = refused(channel, slow_request(1))
        assert code is grpc.StatusCode.UNAVAILABLE
        assert details == "the model is still being loaded; try again"
        ready = method(channel, "ModelReady", pb.ModelReadyResponse)(pb.ModelReadyRequest(name="slow"), timeout=30)
        assert ready.ready is False
        assert method(channel, "ServerLive", pb.ServerLiveResponse)(pb.ServerLiveRequest(), timeout=30).live is True


def test_a_port_in_use_is_told(small, iris_folder):
    port = str(small.grpc_port)
    with server_process("--model-dir", iris_folder, "--name", "iris", "--grpc-port", port) as second:
        assert second.wait() == 1
        assert second.wait_for_event("failed")["reason"] == "ListenFailed"
