"""A real server process, asked as clients ask."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import numpy as np
import pytest

from modelway.server.options import every_address
from support.gated import gated_model
from support.models import iris
from support.server_process import server_process

ROW = [5.1, 3.5, 1.4, 0.2]
TENSOR = {"name": "X", "shape": [1, 4], "datatype": "FP32", "data": ROW}


@pytest.fixture(scope="module")
def server(model_folder):
    folder = model_folder(
        iris().onnx,
        version="7",
        outputs=[{"name": "label"}, {"name": "probabilities"}],
        golden=[{"inputs": [TENSOR], "outputs": [{"name": "label", "data": [0]}]}],
    )
    arguments = ["--model-dir", folder, "--name", "iris", "--max-body", "1Mi", "--drain", "60s"]
    with server_process(*arguments, environ={"MODELWAY_REVISION": "0b77d1ce"}) as running:
        yield running.wait_until_ready()


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


def samples(client, name):
    """A metric's values by labels."""
    found = {}
    for line in client.get("/metrics").text.splitlines():
        if line.startswith(name + "{"):
            labels, _, value = line.removeprefix(name + "{").rpartition("} ")
            found[labels] = float(value)
    return found


def test_v1_answers_are_scikit_learns(client):
    rows = iris().rows
    answer = client.post("/v1/models/iris:predict", json={"instances": rows.tolist()})
    assert answer.status_code == 200
    predictions = answer.json()["predictions"]
    assert [row["label"] for row in predictions] == iris().estimator.predict(rows).tolist()
    assert np.abs([row["probabilities"] for row in predictions] - iris().estimator.predict_proba(rows)).max() < 1e-5


def test_v2_answers_are_scikit_learns(client):
    rows = iris().rows
    tensor = TENSOR | {"shape": list(rows.shape), "data": rows.ravel().tolist()}
    answer = client.post("/v2/models/iris/infer", json={"id": "q1", "inputs": [tensor]}).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("iris", "7", "q1")
    label, probabilities = answer["outputs"]
    assert label["data"] == iris().estimator.predict(rows).tolist()
    assert np.abs(np.reshape(probabilities["data"], (-1, 3)) - iris().estimator.predict_proba(rows)).max() < 1e-5


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v1/models", {"models": ["iris"]}),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/iris/ready", {"name": "iris", "ready": True}),
    ],
)
def test_questions_about_the_server(client, path, answer):
    assert client.get(path).json() == answer
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")


def test_what_the_server_and_the_model_are(client):
    assert client.get("/v2").json().keys() == {"name", "version", "extensions"}
    model = client.get("/v2/models/iris").json()
    assert model["versions"] == ["7"]
    assert model["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/v1/models/iris:predict", b"{", 400, "the body is not JSON"),
        ("POST", "/v1/models/iris:predict", b'{"instances": [[NaN]]}', 400, "JSON has no NaN"),
        ("POST", "/v1/models/iris:predict", b'{"instances": [[1, 2]]}', 400, "instances[0]: 2 values"),
        ("POST", "/v1/models/iris:predict", b"[" * 100_000, 400, "depth limit exceeded"),
        (
            "POST",
            "/v1/models/iris:predict",
            b'{"instances": [' + b"[1,2,3,4]," * 9000 + b"[1]]}",
            400,
            "instances[9000]",
        ),
        ("POST", "/v2/models/iris/infer", b"{}", 400, "inputs: expected an array of tensors"),
        ("POST", "/v1/models/other:predict", b"{}", 404, 'model "other" is not served here; this server has "iris"'),
        ("POST", "/v2/models/other/infer", b"{}", 404, 'model "other" is not served here'),
        ("GET", "/v2/models/iris/nonsense", b"", 404, "there is nothing at /v2/models/iris/nonsense"),
        ("GET", "/", b"", 404, "there is nothing at /"),
        ("GET", "/v1/models/iris:predict", b"", 405, "GET is not allowed here; use POST"),
        ("POST", "/v2/health/ready", b"", 405, "POST is not allowed here; use GET"),
        ("POST", "/v1/models/iris:predict", b" " * 1_100_000, 413, "larger than 1048576 bytes"),
    ],
)
def test_errors_are_json_with_the_position(client, method, path, body, status, said):
    answer = client.request(method, path, content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == {"error"}
    assert said in answer.json()["error"]
    assert "Traceback" not in answer.text


def test_405_names_what_is_allowed(client):
    assert client.get("/v1/models/iris:predict").headers["allow"] == "POST"
    assert client.put("/v2").headers["allow"] == "GET, HEAD"


def test_a_body_in_chunks_is_read(client):
    content = json.dumps({"instances": [ROW]}).encode()
    answer = client.post("/v1/models/iris:predict", content=(content[i : i + 7] for i in range(0, len(content), 7)))
    assert answer.status_code == 200


def test_garbage_is_answered_and_harms_nobody(server, client):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"\x16\x03\x01 this is no http\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    assert client.get("/v2/health/ready").status_code == 200


def test_metrics_count_what_was_asked(client):
    common = 'model="iris",version="7",revision="0b77d1ce"'
    before = samples(client, "modelway_server_requests_total")
    client.post("/v1/models/iris:predict", json={"instances": [ROW, ROW]})
    client.post("/v1/models/iris:predict", content=b"{")
    client.get("/nowhere")
    after = samples(client, "modelway_server_requests_total")
    grown = {labels: value - before.get(labels, 0) for labels, value in after.items() if value != before.get(labels)}

    def key(code, protocol):
        return ",".join(sorted(f'{common},protocol="{protocol}",code="{code}"'.split(",")))

    assert {",".join(sorted(labels.split(","))): value for labels, value in grown.items()} == {
        key(200, "v1"): 1,
        key(400, "v1"): 1,
        key(404, "other"): 1,
    }
    assert sum(samples(client, "modelway_server_request_duration_seconds_count").values()) >= 2
    assert list(samples(client, "modelway_server_requests_in_flight").values()) == [0]
    assert list(samples(client, "modelway_server_model_info").values()) == [1]
    assert sum(samples(client, "modelway_server_rows_total").values()) >= 2


def test_metrics_follow_the_naming_rules(client):
    families = [
        line.split()[2] for line in client.get("/metrics").text.splitlines() if line.startswith("# TYPE modelway")
    ]
    assert "modelway_server_request_duration_seconds" in families
    for family in families:
        assert family.endswith(("_total", "_seconds", "_info", "_in_flight", "_workers")), family


def test_many_clients_at_once_all_get_their_own_answer(server):
    wrong = []

    def work(number):
        with server.client() as own:
            for index in range(20):
                row = iris().rows[(number * 20 + index) % 150]
                answer = own.post(
                    "/v2/models/iris/infer",
                    json={"id": f"{number}-{index}", "inputs": [TENSOR | {"data": row.tolist()}]},
                )
                right = iris().estimator.predict([row]).tolist()
                if answer.json()["id"] != f"{number}-{index}" or answer.json()["outputs"][0]["data"] != right:
                    wrong.append(answer.text)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def slowly(client, number, **options):
    return client.post("/v1/models/slow:predict", json={"instances": [[number]]}, **options)


@pytest.fixture
def gated(tmp_path):
    """A model that answers 1 at once, and 2 when the test lets it."""
    (tmp_path / "model").mkdir()
    return gated_model(tmp_path / "model")


def test_while_it_loads_it_lives_and_is_not_ready(tmp_path):
    (tmp_path / "model").mkdir()
    slow = gated_model(tmp_path / "model", loading=True)
    with server_process(slow.folder, *slow.arguments, "--drain", "0s") as server, server.client() as client:
        assert client.get("/v2/health/live").status_code == 200
        for path in ("/v2/health/ready", "/v1/models/slow", "/v2/models/slow", "/v2/models/slow/ready"):
            assert client.get(path).status_code == 503
        assert client.get("/v1/models/slow").json()["ready"] is False
        predicted = slowly(client, 1)
        assert predicted.status_code == 503
        assert predicted.headers["retry-after"] == "1"
        assert predicted.json() == {"error": "the model is still being loaded; try again"}
        slow.open()
        server.wait_until_ready()
        assert slowly(client, 1).json() == {"predictions": [[1]]}


def test_health_is_answered_while_predictions_run_and_what_is_in_flight_at_the_end_is_answered(gated):
    answers = []

    def work():
        with server.client() as client:
            answers.append(slowly(client, 2).status_code)

    arguments = [*gated.arguments, "--timeout", "30s", "--drain", "0s"]
    with server_process(gated.folder, *arguments) as server, server.client() as client:
        server.wait_until_ready()
        thread = threading.Thread(target=work)
        thread.start()
        in_flight(client, 1)
        for _ in range(20):
            assert client.get("/v2/health/ready").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        server.wait_for_event("draining")
        gated.open()
        assert server.wait() == 0
        thread.join()
    assert answers == [200]


def in_flight(client, number):
    """Wait until so many requests are being answered."""
    deadline = time.monotonic() + 20
    while list(samples(client, "modelway_server_requests_in_flight").values()) != [float(number)]:
        assert time.monotonic() < deadline


def test_overload_is_refused_and_timeouts_are_told(gated):
    answers = []

    def work(server):
        with server.client() as client:
            answers.append(slowly(client, 2))

    arguments = [*gated.arguments, "--timeout", "2s", "--concurrency", "1", "--queue", "1"]
    with server_process(gated.folder, *arguments) as server:
        server.wait_until_ready()
        threads = [threading.Thread(target=work, args=(server,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        with socket.create_connection(("127.0.0.1", server.port)) as dawdler:
            dawdler.sendall(b"POST /v1/models/slow:predict HTTP/1.1\r\ncontent-length: 100\r\n\r\n{")
            assert dawdler.recv(1000).startswith(b"HTTP/1.1 408")
        for thread in threads:
            thread.join()
    # One runs, one waits, both too long; the others find the queue full.
    assert sorted(answer.status_code for answer in answers) == [503, 503, 504, 504]
    for answer in answers:
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "1"
            assert "overloaded" in answer.json()["error"]
        else:
            assert "longer than 2 s" in answer.json()["error"]


class Evil:
    """Leaves a trap behind if it is unpickled as pickle does it."""

    def __init__(self, trap) -> None:
        self.trap = trap

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.trap}",)


@pytest.fixture(scope="module")
def pickles(model_folder, tmp_path_factory):
    """An evil and a good pickle, each in a server of its own; they load side by side."""
    here = tmp_path_factory.mktemp("pickles")
    allowing = ["--name", "iris", "--code", "AllowList", "--model-dir"]
    evil_folder = model_folder(Evil(here / "trap"), "model.pkl")
    good_folder = model_folder(iris().estimator, "model.pkl")
    with (
        server_process(*allowing, evil_folder, termination=here / "words") as evil,
        server_process(*allowing, good_folder) as good,
    ):
        yield here, evil, good


def test_an_evil_pickle_ends_the_process_harmlessly_with_its_last_words(pickles):
    here, evil, _ = pickles
    assert evil.wait() == 1
    evil.wait_for_event("failed")
    assert [line["event"] for line in evil.lines] == ["listening", "failed"]
    assert evil.lines[-1]["reason"] == "ForbiddenGlobal"
    said = json.loads((here / "words").read_text())
    assert said.keys() == {"reason", "message"}
    assert said["reason"] == "ForbiddenGlobal"
    assert "posix.system" in said["message"]
    assert not (here / "trap").exists()


def test_a_pickle_is_served_with_the_allow_list(pickles):
    _, _, good = pickles
    good.wait_until_ready()
    with good.client() as client:
        answer = client.post("/v1/models/iris:predict", json={"instances": iris().rows.tolist()})
        assert answer.json() == {"predictions": iris().estimator.predict(iris().rows).tolist()}
        tensor = TENSOR | {"datatype": "FP64", "shape": [150, 4], "data": iris().rows.tolist()}
        asked = {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}
        probabilities = client.post("/v2/models/iris/infer", json=asked).json()["outputs"][0]["data"]
        assert probabilities == iris().estimator.predict_proba(iris().rows).ravel().tolist()


def test_it_listens_on_ipv4_and_ipv6_by_default(gated):
    with server_process(gated.folder, *gated.arguments, "--host", every_address()) as server:
        for host in ("127.0.0.1", "[::1]"):
            assert httpx.get(f"http://{host}:{server.port}/v2/health/live", trust_env=False).status_code == 200


def test_a_port_in_use_is_told(model_folder, tmp_path, server):
    where = ["--host", "127.0.0.1", "--port", str(server.port)]
    ended = subprocess.run(
        [sys.executable, "-m", "modelway.cli", "serve", "--model-dir", model_folder(b""), "--name", "m", *where],
        check=False,
        env=os.environ | {"MODELWAY_TERMINATION_LOG": str(tmp_path / "words")},
        capture_output=True,
        timeout=30,
    )
    assert ended.returncode == 1
    assert json.loads((tmp_path / "words").read_text())["reason"] == "ListenFailed"


def test_sigterm_while_loading_ends_at_once(tmp_path):
    (tmp_path / "model").mkdir()
    slow = gated_model(tmp_path / "model", loading=True)
    with server_process(slow.folder, *slow.arguments, "--drain", "600s") as running:
        running.process.send_signal(signal.SIGTERM)
        assert running.wait() == 0


def test_a_process_whose_threads_all_hang_is_not_alive(gated):
    arguments = [*gated.arguments, "--timeout", "50ms", "--concurrency", "2", "--drain", "0s"]
    with server_process(gated.folder, *arguments) as server:
        server.wait_until_ready()
        with server.client() as client:
            assert client.get("/v2/health/live").status_code == 200
            assert [slowly(client, 2).status_code for _ in range(2)] == [504, 504]
            # After half a second, ten timeouts.
            deadline = time.monotonic() + 20
            while client.get("/v2/health/live").status_code == 200:
                assert time.monotonic() < deadline
            assert client.get("/v2/health/live").status_code == 503


def test_who_hangs_up_makes_room_in_the_queue(gated):
    arguments = [*gated.arguments, "--timeout", "60s", "--concurrency", "1", "--queue", "1", "--drain", "0s"]
    body = b'{"instances": [[2]]}'
    request = b"POST /v1/models/slow:predict HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    with server_process(gated.folder, *arguments) as server, server.client() as client:
        server.wait_until_ready()
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", server.port)) as impatient:
                impatient.sendall(request)
        deadline = time.monotonic() + 20
        while sum(samples(client, "modelway_server_requests_total").values()) < 5:
            assert time.monotonic() < deadline
        codes = samples(client, "modelway_server_requests_total")
        assert sum(value for labels, value in codes.items() if 'code="499"' in labels) >= 1
        gated.open()
        # The first may still run; of the others none is left waiting, or this one would find the queue full.
        assert slowly(client, 1).status_code == 200


def test_a_slow_model_answers_many_clients_in_batches(model_folder):
    folder = model_folder(iris().estimator, "model.pkl")
    with server_process(folder, "--name", "iris", "--code", "AllowList", "--drain", "0s") as server:
        ready = server.wait_until_ready().wait_for_event("ready")
        # Whether it is slow enough for batches depends on the machine; what it says it does, it does.
        wrong = []

        def work(number):
            with server.client() as own:
                for index in range(10):
                    row = iris().rows[(number * 10 + index) % 150]
                    answer = own.post("/v1/models/iris:predict", json={"instances": [row.tolist()]}).json()
                    if answer != {"predictions": iris().estimator.predict([row]).tolist()}:
                        wrong.append(answer)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        with server.client() as client:
            batches = sum(samples(client, "modelway_server_batches_total").values())
        assert ready["batches"] or not batches


def test_ctrl_c_does_not_drain(server):
    server.process.send_signal(signal.SIGINT)
    assert server.wait(deadline=5) == 0
