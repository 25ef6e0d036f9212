"""What the operator reads of a real server with two workers, and comes to: every row counts once, whoever counted it."""

import asyncio
from datetime import UTC, datetime, timedelta

import aiohttp
import numpy as np
import pytest

from modelway.controller.observed import Observed
from modelway.plan.measured import PodKey, Target
from modelway.plan.monitoring.answers import requests_in
from modelway.plan.monitoring.counting import counted
from modelway.plan.monitoring.packing import parts
from modelway.plan.monitoring.readings import Watching
from modelway.profiling.profiles import profile
from modelway.stats.drift import judge
from modelway.stats.drift_cells import cell_counts
from modelway.stats.drift_cells import counted as cells_of
from support.models import iris
from support.server_process import server_process

NOW = datetime.now(UTC)
POD = Target(PodKey("iris-abc-1", "uid-1"), "127.0.0.1", "abc", NOW)
WATCHING = Watching(frozenset({POD}), every=300.0, served=True)
NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
RNG = np.random.default_rng(1)
USUAL = iris().rows[RNG.integers(0, 150, 5000)].astype(np.float32)


def read(server, until, *, deadline=30.0):
    """A reading and its layout, once it is as it should be."""

    async def look():
        async with aiohttp.ClientSession() as session:
            observed = Observed(session, clock=lambda: datetime.now(UTC), port=server.port)
            end = asyncio.get_running_loop().time() + deadline
            while True:
                reading, layout = await observed.read(POD, WATCHING, {})
                if until(reading):
                    return reading, layout
                assert asyncio.get_running_loop().time() < end, reading
                await asyncio.sleep(0.05)

    return asyncio.run(look())


def ask(server, rows):
    """Each in a connection of its own, so that both workers have some."""
    for part in np.array_split(rows, 10):
        with server.client() as client:
            client.post("/v1/models/iris:predict", json={"instances": part.tolist()}).raise_for_status()


@pytest.fixture
def server(model_folder):
    described = {"featureNames": list(NAMES), "reference": profile(dict(zip(NAMES, USUAL.T, strict=True))).record()}
    options = ("--name", "iris", "--workers", "2", "--revision", "abc", "--drain", "0", "--observe-rate", "10000")
    with server_process(model_folder(iris().onnx, **described), *options) as running:
        yield running.wait_until_ready()


def test_the_rows_of_a_window_are_those_that_were_asked_about_in_it(server):
    first, second = USUAL[:1000], USUAL[1000:3000] + np.float32([0.0, 0.0, 2.0, 0.0])
    ask(server, first)
    before, layout = read(server, lambda reading: reading.rows == 1000)
    ask(server, second)
    after, _ = read(server, lambda reading: reading.rows == 3000)
    size, began = sum(layout.sizes()), NOW - timedelta(hours=1)
    _, marks = counted({}, [before], layout=layout.id, size=size, began_at=began, present={"uid-1"})
    window, _ = counted(marks, [after], layout=layout.id, size=size, began_at=began, present={"uid-1"})
    found = parts(window.inputs.all(), layout.sizes())
    for place, feature in enumerate(layout.features):
        direct = cells_of(second[:, place].astype(np.float64), feature.cells)
        assert cell_counts(found[place]).tolist() == cell_counts(direct).tolist()
    assert (window.rows, requests_in(window.answers), window.served.requests) == (2000, 10, 10)
    assert [one.feature for one in judge(layout.features, found) if one.moved] == ["petal_length"]


def test_what_was_refused_and_how_long_answers_took_is_read(server):
    ask(server, USUAL[:10])
    with server.client() as client:
        assert client.post("/v1/models/iris:predict", json={"instances": [["a", 1, 2, 3]]}).status_code == 400
    reading, _ = read(server, lambda reading: reading.refused == 1)
    assert reading.served.failed == 0
    assert reading.served.requests == 11
    assert dict(reading.served.at_most)[60_000] == 11
