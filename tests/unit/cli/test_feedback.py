"""`modelway feedback`: what of a file is sent, in which requests, and what is told of it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner

from modelway.cli import feedback_send, feedback_wait, main


class Model(HTTPServer):
    """A server that takes labels, and answers what the test wants."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies = []
        self.paths = []
        self.answers = []
        self.models = ["fraud"]
        self.gates = {}
        self.url = f"http://127.0.0.1:{self.server_port}"

    def rows(self):
        return [json.loads(line) for body in self.bodies for line in body.splitlines()]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self._answer(200, {"models": self.server.models})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.paths.append(self.path)
        status, told = self.server.answers.pop(0) if self.server.answers else (200, None)
        if status == 200:
            self.server.bodies.append(body)
        self._answer(status, told or {"accepted": len(body.splitlines()), "problems": []})

    def _answer(self, status, told):
        if gate := self.server.gates.get(self.path):
            gate.wait(30)
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def model():
    server = Model()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def run(model, tmp_path):
    def call(content, *options, name="labels.csv", url=None):
        file = tmp_path / name
        file.write_text(content)
        return CliRunner().invoke(main, ["feedback", str(file), "--url", url or model.url, *options])

    return call


def test_a_csv_file_is_sent_to_the_only_model(run, model):
    ended = run("day,id,label\n1,a,yes\n2,b,no\n3,c,\n")
    assert (ended.exit_code, ended.output) == (0, "counted: 2\nwithout a label yet: 1\n")
    assert model.paths == ["/v1/models/fraud/feedback"]
    assert model.rows() == [{"id": "a", "label": "yes"}, {"id": "b", "label": "no"}]


def test_columns_have_the_names_that_are_said(run, model):
    ended = run("prediction,amount,nr\na,1.5,2\nb,7,\n", "--id", "prediction", "--value", "amount", "--row", "nr")
    assert ended.exit_code == 0, ended.output
    assert model.rows() == [{"id": "a", "value": 1.5, "row": 2}, {"id": "b", "value": 7.0}]


def test_json_lines_keep_their_types(run, model):
    ended = run('{"id": "a", "label": 1, "x": [1]}\n\n{"id": "b", "label": true}\n', name="labels.jsonl")
    assert ended.exit_code == 0, ended.output
    assert model.rows() == [{"id": "a", "label": 1}, {"id": "b", "label": True}]


@pytest.mark.parametrize(
    ("path", "options", "expected"),
    [
        ("", ("--model", "other"), "/v1/models/other/feedback"),
        ("/v1/models/mine", (), "/v1/models/mine/feedback"),
        ("/v1/models/mine/feedback/", (), "/v1/models/mine/feedback"),
        ("/prefix/", ("--model", "a b"), "/prefix/v1/models/a%20b/feedback"),
    ],
)
def test_the_path_is_completed(run, model, path, options, expected):
    assert run("id,label\na,1\n", *options, url=model.url + path).exit_code == 0
    assert model.paths == [expected]


def test_large_files_are_sent_in_several_requests(run, model, monkeypatch):
    monkeypatch.setattr(feedback_send, "AT_ONCE", 3)
    ended = run("id,label\n" + "".join(f"id{number},1\n" for number in range(7)))
    assert ended.output == "counted: 7\n"
    assert [len(body.splitlines()) for body in model.bodies] == [3, 3, 1]


def test_requests_are_bounded_in_bytes(run, model, monkeypatch):
    monkeypatch.setattr(feedback_send, "_LARGEST", 60)
    assert run("id,label\n" + "".join(f"id{number},1\n" for number in range(5))).output == "counted: 5\n"
    assert all(len(body) <= 60 for body in model.bodies)
    assert len(model.rows()) == 5


def test_what_did_not_count_is_told_with_its_line_in_the_file(run, model, monkeypatch):
    monkeypatch.setattr(feedback_send, "AT_ONCE", 2)
    told = {"accepted": 1, "forged": 1, "problems": [{"where": "line 2", "problem": "id: nobody made it"}]}
    model.answers = [(200, None), (200, told)]
    ended = run("id,label\na,1\n\nb,1\nc,1\nd,1\n")
    assert ended.exit_code == 1
    assert ended.stdout == "counted: 3\nnot made by this model's servers: 1\n"
    assert ended.stderr == "line 6: id: nobody made it\n"


def test_a_refusal_is_told_with_its_line_in_the_file(run, model):
    model.answers = [(400, {"error": "line 2.label: a text of 2000 characters"})]
    ended = run("id,label\n\na,1\nb,1\n")
    assert ended.exit_code == 1
    assert ended.stderr.endswith("labels.csv: line 4.label: a text of 2000 characters\n")


def test_an_overloaded_server_is_asked_again(run, model):
    model.answers = [(503, {"error": "overloaded"})] * 3
    ended = run("id,label\na,1\n")
    assert ended.stdout == "counted: 1\n"
    said = f"{model.url}/v1/models/fraud/feedback: 503: overloaded; trying again in 0 s"
    assert ended.stderr.splitlines() == [said] * 3


def test_a_server_that_stays_overloaded_is_told(run, model):
    model.answers = [(503, {"error": "overloaded"})] * 20
    ended = run("id,label\na,1\n")
    assert ended.exit_code == 1
    assert "did not answer after 8 tries; the last one: 503: overloaded; what was sent counts once" in ended.stderr


@pytest.mark.parametrize("waits_at", ["/v1/models", "/v1/models/fraud/feedback"])
def test_that_a_server_does_not_answer_is_said_while_it_is_waited_for(model, monkeypatch, waits_at):
    """The server answers only once the command has said that it waits."""
    monkeypatch.setattr(feedback_wait, "PATIENCE", 0.01)
    said = threading.Event()
    model.gates[waits_at] = said
    told = []

    def say(what):
        told.append(what)
        said.set()

    url = feedback_send.feedback_url(model.url, None, say=say)
    rows = iter([(2, {"id": "a", "label": "yes"})])
    result = feedback_send.send(rows, feedback_send.Columns("id", "label", "label", None), url, say=say)
    assert result.outcomes["accepted"] == 1
    assert any(one.endswith(": no answer yet") for one in told)


def test_it_is_said_within_two_seconds():
    assert feedback_wait.PATIENCE < 2


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("", (), "the file is empty"),
        ("id,x\na,1\n", (), "it has neither of the columns label and value: say by --label or --value"),
        ("id,label,value\na,1,1\n", (), "it has both of the columns label and value"),
        ("id,label\na,1\n", ("--id", "key"), "it has no column 'key'; there are id, label"),
        ("id,label\na,1\n", ("--label", "x", "--value", "y"), "--label and --value: give one of them"),
        ("id,label\na\n", (), "line 2: 1 cells, where the first line names 2 columns"),
        ("id,label\n,1\n", (), "line 2, id: no prediction id"),
        ("id,value\na,many\n", (), "line 2, value: 'many' is no number"),
        ("id,label,row\na,1,first\n", (), "line 2, row: 'first' is no number of a row"),
        ('id,label\na,"1\n', (), "line 2: "),
    ],
)
def test_what_is_wrong_with_the_file_is_told(run, model, content, options, says):
    ended = run(content, *options)
    assert ended.exit_code == 1
    assert says in ended.stderr
    assert model.bodies == []


def test_which_model_is_meant_must_be_certain(run, model):
    model.models = ["one", "two"]
    assert "which model is meant? Say it by --model" in run("id,label\na,1\n").stderr


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x/", "http://"])
def test_what_is_no_url_is_told(run, url):
    assert "expected a URL such as http://localhost:8080" in run("id,label\na,1\n", url=url).stderr


def test_nobody_at_the_url_is_told(run, model):
    ended = run("id,label\na,1\n", url="http://127.0.0.1:1")
    assert ended.exit_code == 1
    assert "Connection refused" in ended.stderr


def test_an_empty_file_with_a_header_is_told(run):
    assert run("id,label\n").output == "the file has no row\n"


def test_columns_of_slices_are_sent(run, model):
    ended = run("id,label,country,day\na,yes, DE ,1\nb,no,,1\n", "--slice", "country")
    assert ended.exit_code == 0, ended.output
    assert model.rows() == [{"id": "a", "label": "yes", "slices": {"country": "DE"}}, {"id": "b", "label": "no"}]


def test_slices_of_json_lines_keep_their_types(run, model):
    run('{"id": "a", "label": 1, "new": true, "odd": [1]}\n', "--slice", "new", "--slice", "odd", name="labels.jsonl")
    assert model.rows() == [{"id": "a", "label": 1, "slices": {"new": True, "odd": [1]}}]


def test_a_slice_without_a_column_is_refused(run):
    ended = run("id,label\na,yes\n", "--slice", "country")
    assert ended.exit_code == 1
    assert "it has no column 'country'; there are id, label" in ended.output


def test_labels_that_count_in_no_slice_are_told(run, model):
    model.answers = [(200, {"accepted": 1, "unsliced": 1, "problems": []})]
    ended = run("id,label,country\na,yes,DE\n", "--slice", "country")
    assert (ended.exit_code, ended.output) == (0, "counted: 1\ncounted, but not in a slice of theirs: 1\n")
