"""The command that the greeting shows, pasted."""

import json
import shlex

import pytest

from modelway.server import greeting
from modelway.server.app import App
from modelway.server.loading import load
from modelway.server.options import ServerOptions
from support.asked import answer_to
from support.models import iris


def curl(text):
    (line,) = [line for line in text.splitlines() if "curl" in line]
    _, url, _, body = shlex.split(line)
    return url, body


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://localhost:8080"), ("127.0.0.1", "http://127.0.0.1:8080"), ("::1", "http://[::1]:8080")],
)
def test_it_names_the_address(model_folder, host, url):
    options = ServerOptions(model_folder(iris().onnx, version="7"), "iris", host=host)
    said = greeting.text(load(options), options)
    assert f"iris (onnx, version 7) is served at {url}" in said
    assert curl(said)[0] == f"{url}/v1/models/iris:predict"


@pytest.mark.parametrize("golden", [[], [{"instances": [[5.1, 3.5, 1.4, 0.2]], "predictions": [0]}]])
async def test_its_request_is_answered(model_folder, golden):
    options = ServerOptions(model_folder(iris().onnx, golden=golden, outputs=[{"name": "label"}]), "iris")
    loaded = load(options)
    app = App(options)
    app.serve(loaded)
    _, body = curl(greeting.text(loaded, options))
    (row,) = json.loads(body)["instances"]
    assert len(row) == 4
    assert (row[0] == pytest.approx(5.1)) is bool(golden)
    answer = await answer_to(app, "POST", "/v1/models/iris:predict", body.encode())
    assert answer.status == 200
