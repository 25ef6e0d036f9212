"""What is counted of requests and answers, what is left out, and what is told of that."""

import asyncio
import json

import msgspec
import numpy as np
import pytest

from modelway.observer.app import App
from modelway.observer.counting import FIRST_ROWS, FIRST_SECONDS, Counting
from modelway.observer.exchange import Exchange, Room, Unread
from modelway.observer.options import MOST_BYTES, ObserverOptions
from modelway.plan.monitoring import documents
from modelway.plan.routing import observing
from modelway.profiling.profiles import profile
from modelway.server.exchange import HttpRequest
from modelway.server.metadata import Metadata
from modelway.stats.drift_cells import counted

OPTIONS = ObserverOptions(name="fraud", revision="aaaaaaaa", version="7", rate=1000.0)
USUAL = profile({"age": np.arange(20.0, 70.0), "city": ["Oslo", "Bergen"] * 25})
DESCRIBED = msgspec.convert({"featureNames": ["age", "city"], "reference": USUAL.record()}, Metadata)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def exchange(asked, answered, *, status=200):
    found = Exchange(MOST_BYTES, Room(MOST_BYTES))
    found.request, found.answer, found.status, found.is_over = asked, answered, status, True
    return found


def predicted(rows, *predictions):
    return exchange(json.dumps({"instances": rows}).encode(), json.dumps({"predictions": predictions}).encode())


def unread(why):
    found = exchange(b"", b"", status=0)
    found.unread = why
    return found


def told(counting, of="inputs", options=OPTIONS):
    request = HttpRequest("GET", "/v1/observations", f"of={of}".encode(), [], b"", 0.0)
    answer = App(options, counting).respond(request)
    assert answer.status == 200
    return json.loads(answer.body)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def described():
    return Counting(OPTIONS, DESCRIBED)


@pytest.fixture
def learning(clock):
    return Counting(OPTIONS, Metadata(), clock=clock)


async def test_rows_are_counted_in_the_cells_of_the_reference(described):
    rows = [[30 + n % 20, "Oslo" if n % 3 else "Rome"] for n in range(700)]
    for at in range(0, 700, 7):
        described.take(predicted(rows[at : at + 7], 1))
    inputs = told(described)
    layout = documents.layout_in(json.dumps(told(described, "reference")).encode())
    assert (inputs["rows"], inputs["revision"], inputs["version"]) == (700, "aaaaaaaa", "7")
    for place, feature in enumerate(layout.features):
        assert inputs["features"][place] == counted([row[place] for row in rows], feature.cells).tolist()


async def test_each_request_counts_with_its_first_answer(described):
    described.take(predicted([[30, "Oslo"]] * 3, "yes", "no", "no"))
    described.take(predicted([[30, "Oslo"]], "no"))
    described.take(predicted([[30, "Oslo"]], 0.5))
    answers = told(described, "answers")["answers"]
    assert answers.pop("class:yes") == answers.pop("class:no") == 1
    ((key, times),) = answers.items()
    assert key.startswith("value:")
    assert times == 1


@pytest.mark.parametrize(
    ("taken", "reason", "words"),
    [
        (exchange(b"{", b"{}"), "NoJSON", "no JSON"),
        (exchange(b"{}", b"[" * 2000 + b"]" * 2000), "NoJSON", "no JSON"),
        (exchange(b"\xff", b"{}"), "NoJSON", "no JSON"),
        (exchange(b'{"rows": [[1]]}', b'{"predictions": [1]}'), "NoRows", "nothing at /instances/*"),
        (unread(Unread.TOO_LARGE), "TooLarge", "more than 256 KiB"),
        (unread(Unread.ENCODED), "Encoded", "compressed"),
        (unread(Unread.BUSY), "Busy", "memory"),
        (unread(Unread.CUT), "Cut", "connections end"),
    ],
)
async def test_a_request_that_is_not_read_counts_as_a_row_left_out_and_the_cause_is_told(
    described, taken, reason, words
):
    described.take(taken)
    found = told(described)
    assert (found["rows"], found["skipped"], found["unread"]) == (0, 1, {reason: 1})
    assert words in found["trouble"]["requests"]
    assert "answers" not in found["trouble"]


async def test_rows_without_a_column_of_single_values_are_left_out_and_said_to_be(learning):
    learning.take(predicted([[[1, 2]]] * FIRST_ROWS, 1))
    assert told(learning)["trouble"] == {}
    for _ in range(2):
        learning.take(predicted([[[1, 2]]], 1))
    found = told(learning)
    assert (found["rows"], found["unread"]) == (0, {"NoColumns": 2})
    assert "no column" in found["trouble"]["requests"]


async def test_trouble_is_told_while_most_requests_of_late_had_it(described):
    described.take(predicted([[30, "Oslo"]]))
    assert "nothing at /predictions/*" in told(described)["trouble"]["answers"]
    assert told(described)["rows"] == 1
    described.take(predicted([[30, "Oslo"]], "yes"))
    assert told(described)["trouble"] == {}


async def test_what_the_image_refuses_is_counted_as_refused(described):
    described.take(exchange(b"{}", b"", status=422))
    described.take(exchange(b"{}", b"", status=404))
    found = told(described)
    assert (found["refused"], found["rows"], found["skipped"]) == (1, 0, 0)


async def test_without_a_description_columns_are_found_in_the_first_rows_and_these_are_counted_too(learning):
    learning.take(predicted([{"age": 30, "city": "Oslo"}] * (FIRST_ROWS - 1), 1))
    before = told(learning)
    assert (before["rows"], before["features"]) == (0, [])
    learning.take(predicted([{"age": 30, "city": None}], 1))
    found, reference = told(learning), told(learning, "reference")
    assert found["rows"] == FIRST_ROWS
    assert reference["learning"]
    assert [one["name"] for one in reference["features"]] == ["age", "city"]
    assert found["layout"] != before["layout"]


async def test_columns_are_found_in_fewer_rows_when_no_more_come(learning, clock):
    learning.take(predicted([[30]], 1))
    learning.settle()
    assert told(learning)["rows"] == 0
    clock.now = FIRST_SECONDS
    learning.settle()
    assert told(learning)["rows"] == 1


async def test_of_a_request_of_very_many_rows_the_first_are_counted(described):
    described.take(predicted([{}] * 5000, 1))
    for _ in range(10):
        await asyncio.sleep(0)  # they are counted a slice a turn
    found = told(described)
    assert (found["rows"], found["skipped"]) == (2000, 3000)


async def test_columns_are_found_in_fewer_rows_when_these_are_large(learning):
    large = predicted([{"age": 30, "text": "x" * 200_000}], 1)
    for _ in range(30):
        learning.take(large)
    assert 0 < told(learning)["rows"] <= 30


async def test_rows_beyond_the_rate_are_left_out_and_counted_as_such(clock):
    counting = Counting(ObserverOptions(name="fraud", rate=100.0), DESCRIBED)
    for _ in range(4):
        counting.take(predicted([[30, "Oslo"]] * 300, 1))
    counting.settle()
    found = told(counting)
    assert found["rows"] + found["skipped"] == 1200
    assert found["skipped"] >= 600


@pytest.mark.parametrize(
    ("method", "path", "query", "status"),
    [
        ("GET", "/ready", b"", 200),
        ("HEAD", "/ready", b"", 200),
        ("POST", "/v1/observations", b"", 405),
        ("GET", "/metrics", b"", 404),
        ("GET", "/v1/observations", b"of=quality", 400),
    ],
)
def test_only_counts_are_told(learning, method, path, query, status):
    answer = App(OPTIONS, learning).respond(HttpRequest(method, path, query, [], b"", 0.0))
    assert answer.status == status
    assert status == 200 or "error" in json.loads(answer.body)


def test_routers_show_no_more_than_the_observer_takes():
    assert observing.MOST_BYTES == MOST_BYTES
    assert observing.READY_PATH == "/ready"
    assert OPTIONS.port == observing.HEALTH_PORT
    assert OPTIONS.grpc_port == observing.OBSERVER_PORT
