"""The examples of docs/protocols.md give what the page says."""

import json
import re
import shlex
import time
from pathlib import Path

import orjson
import pytest

from modelway.server.app import App
from modelway.server.exchange import HttpRequest
from modelway.server.loading import load
from modelway.server.options import ServerOptions
from modelway.server.rpc.server import _CODES
from support.asked import answered
from support.models import iris

PAGE = (Path(__file__).parents[3] / "docs" / "protocols.md").read_text()
EXAMPLES = re.findall(r"^\$ (curl .+)\n(.+)$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def options(model_folder):
    metadata = json.loads(re.search(r"```json\n(.+?)```", PAGE, re.DOTALL)[1])
    return ServerOptions(model_folder(iris().onnx, **metadata), "iris")


@pytest.mark.parametrize(("command", "said"), EXAMPLES)
async def test_an_example_is_answered_as_the_page_says(options, command, said):
    app = App(options)
    app.serve(load(options))
    words = shlex.split(command.replace("$'", "'"))
    path, headers, body = words[1].removeprefix("localhost:8080"), [], ""
    for flag, value in zip(words[2::2], words[3::2], strict=True):
        if flag == "-H":
            name, _, content = value.partition(": ")
            headers.append((name.encode(), content.encode()))
        else:
            assert flag == "-d"
            body = value.replace("\\n", "\n") if "$'" in command else value
    answer = await answered(app, HttpRequest("POST", path, b"", headers, body.encode(), time.perf_counter()))
    assert orjson.loads(answer.body) == orjson.loads(said)


def test_there_are_examples():
    assert len(EXAMPLES) == len(re.findall(r"^\$ curl", PAGE, re.MULTILINE)) >= 8


@pytest.mark.parametrize(("status", "code"), _CODES.items())
def test_every_status_code_of_grpc_is_in_the_table(status, code):
    row = next((line for line in PAGE.splitlines() if line.startswith(f"| {status} |")), "")
    assert code.name in row
