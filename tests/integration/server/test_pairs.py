"""Two real servers answer the same mirrored requests, and the operator finds each pair once, whoever dies meanwhile."""

import asyncio
import contextlib
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from modelway.controller.servers import Servers
from modelway.plan.measured import Target
from modelway.plan.rollout.answers import fix_bins
from modelway.plan.rollout.pairing import Paired, join, with_pairs
from modelway.plan.types import PodKey
from support.models import iris
from support.server_process import server_process

ROWS = iris().rows[::5].astype(np.float32)  # 30 of all three classes
PAIR = "x-modelway-pair"


@pytest.fixture
def servers(model_folder):
    """One of the stable revision, with two workers, and one of the candidate."""
    folder = model_folder(iris().onnx)
    with contextlib.ExitStack() as stack:
        yield {
            revision: stack.enter_context(
                server_process(folder, "--name", "iris", "--workers", workers, "--revision", revision, "--drain", "0")
            ).wait_until_ready()
            for revision, workers in (("old", "2"), ("new", "1"))
        }


def send(server, request, row):
    with server.client(headers={"x-request-id": request, PAIR: "1"}) as client:
        client.post("/v1/models/iris:predict", json={"instances": [row.tolist()]}).raise_for_status()


def read(servers):
    """What the operator reads of both."""

    async def all_of_them():
        async with aiohttp.ClientSession() as session:
            return [
                await Servers(session, clock=lambda: datetime.now(UTC), port=server.port).ask(
                    Target(PodKey(f"iris-{revision}", f"uid-{revision}"), "127.0.0.1", revision, datetime.now(UTC))
                )
                for revision, server in servers.items()
            ]

    return asyncio.run(all_of_them())


def test_each_pair_is_found_once_while_both_answer_and_a_worker_dies(servers):
    marks, found = {}, []

    def look():
        nonlocal marks
        readings = read(servers)
        marks, pairs = join(marks, readings, candidate="new", stable="old")
        found.extend(pairs)
        return readings

    def look_until(number):
        deadline = time.monotonic() + 30
        while len(found) < number:
            assert time.monotonic() < deadline, f"{len(found)} pairs of {number}"
            look()
            time.sleep(0.05)

    for number, row in enumerate(ROWS):
        other = ROWS[(number + 15) % len(ROWS)] if number % 5 == 0 else row  # of another class: the candidate errs
        send(servers["old"], f"request {number}", row)
        send(servers["new"], f"request {number}", other)
        if number % 7 == 0:
            look()
        if number == 20:  # what a worker has counted outlives it, and what it has not yet is lost
            look_until(21)
            kill_a_worker(servers["old"])
    look_until(len(ROWS))
    readings = look()
    look()
    assert len(found) == len(ROWS)
    stable = next(one for one in readings if one.revision == "old")
    paired = with_pairs(Paired.begin(0.1), found, fix_bins(stable.answers, rows=20))
    assert (paired.disagreement.pairs, paired.disagreement.total) == (30, 6)
    assert paired.shift.pairs == 30
    assert 0 < paired.shift.mean < 1


def kill_a_worker(server):
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
    deadline = time.monotonic() + 60
    while len(server.events("ready")) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
