"""The load that the demos and the end-to-end tests send."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

LOAD = Path(__file__).parents[3] / "examples" / "load.py"


class Server(ThreadingHTTPServer):
    """Answers 500 to every body that says so, and remembers all of them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[object] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.bodies.append(body)
        answer = b'{"model_version": "7"}'
        self.send_response(500 if body == "bad" else 200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def load(server, *arguments):
    url = f"http://127.0.0.1:{server.server_port}/v2/models/m/infer"
    command = [sys.executable, LOAD, "--url", url, "--rate", "40", "--seconds", "0.5", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_bodies_are_posted_in_turn_and_every_answer_is_counted(server, tmp_path):
    file = tmp_path / "bodies.json"
    file.write_text(json.dumps(["good", "bad", {"rows": [1]}, "good"]))
    done = load(server, "--bodies", str(file), "--count-by", "model_version")
    counts = json.loads(done.stdout.splitlines()[-1])
    assert (counts["requests"], counts["done"]) == (20, True)
    assert (counts["codes"], counts["failed"]) == ({"200": 15, "500": 5}, 5)
    assert counts["answers"] == {"7": 20}
    assert server.bodies.count({"rows": [1]}) == 5


def test_one_body_is_posted_again_and_again(server):
    counts = json.loads(load(server, "--body", '"good"').stdout.splitlines()[-1])
    assert counts["codes"] == {"200": 20}
    assert server.bodies == ["good"] * 20


@pytest.mark.parametrize("arguments", [(), ("--body", "{}", "--bodies", "f")], ids=["neither", "both"])
def test_there_is_one_way_to_say_what_is_posted(server, arguments):
    ended = load(server, *arguments)
    assert (ended.returncode, "give either --body or --bodies" in ended.stderr) == (2, True)
