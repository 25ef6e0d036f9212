"""Feedback with real processes: two workers, the command, a worker that is killed; and what hostile labels cost."""

import os
import random
import resource
import signal
import time
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

import httpx
import orjson
import pytest
from click.testing import CliRunner

from modelway.cli import main
from modelway.server.feedback_counts import MOST_ENTRIES, FeedbackCounts, FullError
from modelway.server.feedback_memory import REMEMBERED, FeedbackMemory
from modelway.server.receipt import CLASS, Prediction, Receipt
from support.models import iris
from support.server_process import server_process

PREDICT, QUALITY = "/v1/models/iris:predict", "/v1/observations?of=quality"
ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def server(model_folder, tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_bytes(b64encode(os.urandom(32)))
    options = ("--name", "iris", "--workers", "2", "--drain", "1s", "--feedback-keys", keys)
    options += ("--feedback-slices", '{"country": ["DE"]}')
    with server_process(model_folder(iris().onnx), *options) as running:
        yield running.wait_until_ready()


def predicted(server, times):
    """Ids and labels of predictions, each over a connection of its own, so from both workers."""
    found = []
    for _ in range(times):
        answer = httpx.post(server.url + PREDICT, json={"instances": [ROW]})
        found.append(answer.headers["x-modelway-prediction-id"])
    return found


def told(server):
    document = orjson.loads(httpx.get(server.url + QUALITY).content)
    return document["outcomes"] | {"rows": sum(one["rows"] for one in document["labelled"])}


def until(holds, seconds=30.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def send(server, ids, tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("id,label\n" + "".join(f"{one},0\n" for one in ids))
    return CliRunner().invoke(main, ["feedback", str(file), "--url", server.url])


def test_labels_of_two_workers_are_counted_once_and_outlive_a_worker(server, tmp_path):
    ids = predicted(server, 40)
    ended = send(server, ids, tmp_path)
    assert (ended.exit_code, ended.output) == (0, "counted: 40\n"), ended.output
    for _ in range(4):  # whichever worker the connection leads to
        assert send(server, ids, tmp_path).output == "counted before: 40\n"
    expected = {"accepted": 40, "duplicate": 160, "rows": 40}
    until(lambda: told(server) == expected)
    workers = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    for worker in workers:
        os.kill(int(worker), signal.SIGKILL)

    def back():
        with suppress(httpx.TransportError):
            return told(server) == expected
        return False

    until(back)
    assert send(server, ids, tmp_path).output == "counted before: 40\n"


def in_slices(server):
    """Labelled rows by value of `country`, of both workers."""
    found = {}
    for one in orjson.loads(httpx.get(server.url + QUALITY).content)["sliced"]:
        found[one["value"]] = found.get(one["value"], 0) + one["rows"]
    return found


def test_labels_count_in_their_slices_whichever_worker_they_reach(server, tmp_path):
    countries = ["DE"] * 12 + ["FR"] * 5 + [""] * 3
    ids = predicted(server, len(countries))
    for begin in range(0, len(ids), 4):  # each file over a connection of its own
        file = tmp_path / f"labels-{begin}.csv"
        rows = zip(ids[begin : begin + 4], countries[begin : begin + 4], strict=True)
        file.write_text("id,label,country\n" + "".join(f"{one},0,{country}\n" for one, country in rows))
        ended = CliRunner().invoke(main, ["feedback", str(file), "--url", server.url, "--slice", "country"])
        assert (ended.exit_code, ended.output) == (0, "counted: 4\n"), ended.output
    until(lambda: in_slices(server) == {"DE": 12, "OTHER": 5})


def test_a_million_labels_cost_bounded_memory():
    """Of random classes, windows and revisions, which is worse than anything that can be sent without a key."""
    memory, counts, chance = FeedbackMemory(), FeedbackCounts(3600.0), random.Random(1)
    now, full = 2_000_000_000.0, 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with memory.locked() as seen:
        for _ in range(1_000_000):
            mark = chance.getrandbits(64)
            assert mark not in seen
            seen.add(mark)
            if full < 1000:
                prediction = Prediction(CLASS, (mark & 0xFFFFFFFF,))
                receipt = Receipt(f"{mark & 0xFF:08x}", int(now - mark % 900_000), prediction)
                try:
                    counts.add(receipt, 0, (f"class {mark & 0xFFF}", None), now)
                except FullError:
                    full += 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert full == 1000
    assert grown < 200 * 1024, f"{grown} KiB"
    assert REMEMBERED * 8 == 8 * 2**20
    assert len(orjson.dumps(counts.told())) < 64 * MOST_ENTRIES
