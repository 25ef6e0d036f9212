"""Which request goes where: the application without a socket, in the event loop that it lives in."""

import asyncio

import orjson
import pytest
from structlog.testing import capture_logs

from modelway.server import v2
from modelway.server.app import App
from modelway.server.options import ServerOptions
from modelway.server.tensors import TensorSpec
from support.asked import answer_to
from support.fake_model import FakeModel, loaded

MODEL = FakeModel(outputs=(TensorSpec("y", "FP32", (-1,)),), features=("a", "b", "c"))
ROWS = b'{"instances": [[1, 2, 3]]}'
TENSOR = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]}'


def served(tmp_path, model=MODEL, *, version="7", is_loaded=True):
    app = App(ServerOptions(tmp_path, "iris"))
    if is_loaded:
        app.serve(loaded(model, version=version))
    return app


@pytest.fixture
def app(tmp_path):
    return served(tmp_path)


async def ask(app, method, path, body=b"", **headers):
    return await answer_to(app, method, path, body, **headers)


def told(answer):
    return orjson.loads(answer.body)["error"]


@pytest.mark.parametrize("suffix", ["", "/versions/7"])
async def test_predictions_have_paths_with_and_without_the_version(app, suffix):
    assert (await ask(app, "POST", f"/v1/models/iris{suffix}:predict", ROWS)).body == b'{"predictions":[1.0]}'
    answer = orjson.loads((await ask(app, "POST", f"/v2/models/iris{suffix}/infer", TENSOR)).body)
    assert answer["outputs"][0]["data"] == [1.0]


@pytest.mark.parametrize("suffix", ["", "/versions/7"])
async def test_the_model_is_described_with_and_without_the_version(app, suffix):
    assert orjson.loads((await ask(app, "GET", f"/v1/models/iris{suffix}")).body) == {
        "name": "iris",
        "ready": True,
        "model_version_status": [
            {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ],
    }
    definition = orjson.loads((await ask(app, "GET", f"/v1/models/iris{suffix}/metadata")).body)
    assert definition["model_spec"] == {"name": "iris", "signature_name": "", "version": "7"}
    assert definition["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"] == {
        "x": {
            "dtype": "DT_FLOAT",
            "tensor_shape": {"dim": [{"size": "-1", "name": ""}, {"size": "3", "name": ""}], "unknown_rank": False},
            "name": "x:0",
        }
    }
    assert orjson.loads((await ask(app, "GET", f"/v2/models/iris{suffix}")).body)["versions"] == ["7"]
    assert (await ask(app, "GET", f"/v2/models/iris{suffix}/ready")).status == 200


async def test_a_model_without_a_version_has_no_paths_with_one(tmp_path):
    app = served(tmp_path, version=None)
    assert (await ask(app, "POST", "/v1/models/iris:predict", ROWS)).status == 200
    assert told(await ask(app, "POST", "/v1/models/iris/versions/1:predict", ROWS)) == (
        "Servable not found for request: Specific(iris, 1); this server's has no version"
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("POST", "/v1/models/iris/versions/8:predict", 404, "Servable not found for request: Specific(iris, 8); this"),
        ("GET", "/v1/models/iris/versions/8", 404, 'this server has version "7"'),
        ("GET", "/v1/models/iris/versions/8/metadata", 404, 'this server has version "7"'),
        ("POST", "/v2/models/iris/versions/8/infer", 404, "Specific(iris, 8)"),
        ("GET", "/v2/models/iris/versions/8/ready", 404, "Specific(iris, 8)"),
        ("POST", "/v1/models/iris/labels/new:predict", 404, 'there are no labels here; leave "/labels/new" out'),
        (
            "POST",
            "/v1/models/iris:classify",
            501,
            '"classify" takes tf.Examples, which this server does not read; send ',
        ),
        ("POST", "/v1/models/iris/versions/7:regress", 501, "send rows to /v1/models/iris/versions/7:predict"),
        ("GET", "/invocations", 405, "GET is not allowed here; use POST"),
        ("GET", "/v1/models/iris2", 404, 'model "iris2" is not served here; this server has "iris"'),
        ("POST", "/v2/models/other/infer", 404, 'model "other" is not served here'),
        ("POST", "/v2/repository/models/other/load", 404, 'model "other" is not served here'),
        ("POST", "/v2/repository/models/iris/load", 501, "this server has one model for its whole life"),
        ("POST", "/v2/repository/models/iris/unload", 501, "this server has one model for its whole life"),
        ("GET", "/v2/repository/index", 405, "GET is not allowed here; use POST"),
        ("GET", "/v1/models/iris/versions/7:predict", 405, "GET is not allowed here; use POST"),
        ("DELETE", "/v2/models/iris", 405, "DELETE is not allowed here; use GET, HEAD"),
        ("POST", "/v2", 405, "POST is not allowed here; use GET, HEAD"),
    ],
)
async def test_other_paths_say_what_there_is_instead(app, method, path, status, said):
    answer = await ask(app, method, path, ROWS)
    assert (answer.status, said in told(answer)) == (status, True), answer.body


async def test_the_repository_has_one_model(app, tmp_path):
    entry = {"name": "iris", "version": "7", "state": "READY", "reason": ""}
    assert orjson.loads((await ask(app, "POST", "/v2/repository/index")).body) == [entry]
    assert orjson.loads((await ask(app, "POST", "/v2/repository/index", b'{"ready": true}')).body) == [entry]
    assert told(await ask(app, "POST", "/v2/repository/index", b'{"ready": 1}')) == "ready: expected true or false"
    loading = served(tmp_path, is_loaded=False)
    assert orjson.loads((await ask(loading, "POST", "/v2/repository/index")).body)[0]["state"] == "UNAVAILABLE"
    assert orjson.loads((await ask(loading, "POST", "/v2/repository/index", b'{"ready": true}')).body) == []


async def test_while_it_loads_nothing_is_known_of_the_model(tmp_path):
    app = served(tmp_path, is_loaded=False)
    assert (await ask(app, "POST", "/v1/models/iris:predict", ROWS)).status == 503
    assert (await ask(app, "GET", "/v1/models/iris/metadata")).status == 503
    assert (await ask(app, "GET", "/v2/models/iris")).status == 503
    status = await ask(app, "GET", "/v1/models/iris")
    assert status.status == 503
    assert orjson.loads(status.body)["model_version_status"][0]["state"] == "LOADING"
    app = served(tmp_path)
    app.drain()
    assert (
        orjson.loads((await ask(app, "GET", "/v1/models/iris")).body)["model_version_status"][0]["state"] == "UNLOADING"
    )


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=UTF-8",
        'Application/JSON;charset="utf-8"',
        "application/vnd.api+json",
        "application/x-www-form-urlencoded",
        "text/plain;charset=UTF-8",
    ],
)
async def test_json_may_be_called_by_many_names(app, content_type):
    assert (await ask(app, "POST", "/v1/models/iris:predict", ROWS, content_type=content_type)).status == 200


@pytest.mark.parametrize("content_type", ["text/csv", "text/csv; charset=utf-8; header=present"])
async def test_csv_is_read_as_what_it_is(app, content_type):
    answer = await ask(app, "POST", "/v1/models/iris:predict", b"c,a,b\n3,1,2\n", content_type=content_type)
    assert answer.body == b'{"predictions":[1.0]}'


@pytest.mark.parametrize(
    ("path", "headers", "said"),
    [
        ("/v1/models/iris:predict", {"content_type": "text/xml"}, "send application/json or text/csv"),
        ("/v1/models/iris:predict", {"content_type": "application/octet-stream"}, "send application/json or text/csv"),
        ("/v1/models/iris:predict", {"content_type": "text/csv;charset=latin-1"}, 'charset "latin-1" is not known'),
        ("/v2/models/iris/infer", {"content_type": "text/csv"}, "send application/json or application/octet-stream"),
        ("/v2/models/iris/infer", {"content_encoding": "gzip"}, 'content-encoding "gzip" is not known here'),
    ],
)
async def test_what_the_body_is_has_to_be_known(app, path, headers, said):
    answer = await ask(app, "POST", path, ROWS, **headers)
    assert (answer.status, said in told(answer)) == (415, True), answer.body
    assert (answer.headers == {"accept-encoding": "identity"}) is ("content_encoding" in headers)


@pytest.mark.parametrize("form", ["instances", "inputs"])
async def test_mlflows_scoring_server_is_answered_for(app, form):
    answer = await ask(app, "POST", "/invocations", orjson.dumps({form: [[5.0, 1, 2], [6.0, 1, 2]]}))
    assert (answer.status, orjson.loads(answer.body)) == (200, {"predictions": [5.0, 6.0]})


@pytest.mark.parametrize("path", ["/ping", "/health", "/v2/health/ready"])
async def test_whether_it_is_ready_is_told_under_the_names_that_others_have_for_it(app, tmp_path, path):
    assert (await ask(app, "GET", path)).status == 200
    assert (await ask(served(tmp_path, is_loaded=False), "GET", path)).status == 503


async def test_binary_data_go_in_and_out(app):
    head = orjson.dumps(
        {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}],
            "parameters": {"binary_data_output": True},
        }
    )
    content = head + b"\0\0\x80\x3f" * 3
    headers = {"content_type": "application/octet-stream", "inference_header_content_length": str(len(head))}
    answer = await ask(app, "POST", "/v2/models/iris/infer", content, **headers)
    assert answer.status == 200
    assert answer.body[int(answer.headers[v2.LENGTH_HEADER]) :] == b"\0\0\x80\x3f"
    for length in ("-1", "x", "9" * 30):
        headers["inference_header_content_length"] = length
        assert (await ask(app, "POST", "/v2/models/iris/infer", content, **headers)).status == 400


async def test_a_model_that_raises_is_a_500_without_a_traceback(tmp_path):
    def broken(_batch):
        raise ZeroDivisionError("by zero\nsecond line")

    app = served(tmp_path, FakeModel(compute=broken))
    answer = await ask(app, "POST", "/v1/models/iris:predict", ROWS)
    assert answer.status == 500
    assert told(answer) == "the model failed on this request: ZeroDivisionError: by zero"


async def test_watchers_hear_of_each_phase(tmp_path):
    app = served(tmp_path, is_loaded=False)
    heard = []

    async def watcher(phase):
        heard.append(phase)

    with app.watched(watcher):
        app.drain()
        await asyncio.sleep(0)  # one turn of the loop, in which tasks that can run do
    app.drain()
    await asyncio.sleep(0)
    assert heard == ["draining"]


async def test_an_answer_is_given_whatever_becomes_of_counting_it(app, monkeypatch):
    def take(*_):
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("modelway.server.observer.Observer.take", take)
    with capture_logs() as logged:
        async with asyncio.timeout(5):
            assert (await ask(app, "POST", "/v1/models/iris:predict", ROWS)).body == b'{"predictions":[1.0]}'
    assert [entry["event"] for entry in logged] == ["answer_not_counted"]
    assert app.in_flight == 0
