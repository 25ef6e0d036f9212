"""Asking a pod of the model server for its labels: what is believed, and how the rest is said."""

from datetime import UTC, datetime
from functools import partial

import pytest
from aiohttp import web

from modelway.controller.labels import Labels
from modelway.plan.measured import LabelReading, Target
from modelway.plan.types import PodKey
from modelway.stats.quality_counts import Labelled, Place
from support.web_server import answering

POD = PodKey("fraud-6f1c2a9b-x7", "uid-1")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SAID = {
    "format": 1,
    "epoch": "e1",
    "model": "fraud",
    "version": None,
    "revision": "6f1c2a9b",
    "window": 60.0,
    "horizon": 256,
    "keys": 1,
    "outcomes": {"accepted": 5},
    "answered": [{"revision": "6f1c2a9b", "window": 10, "rows": 9, "scored": 0, "sure": "0", "spread": "0"}],
    "labelled": [
        {"revision": "0b77d1ce", "window": 9, "age": 0, "rows": 1, "right": 1, "pairs": {"a": {"a": 1}}},
        {"revision": "0b77d1ce", "window": 10, "age": 1, "rows": 4, "right": 3, "pairs": {"a": {"a": 3, "b": 1}}},
    ],
}


@pytest.fixture
def asked():
    """Ask a server that answers so for labels since a time; gives the reading, and the query."""

    async def ask(answer, *, since=0.0):
        queries = []

        async def handle(request):
            queries.append(request.rel_url.raw_query_string)
            return answer

        async with answering(handle) as (port, session):
            reader = Labels(session, clock=lambda: NOW, port=port)
            return await reader.ask(Target(POD, "127.0.0.1", "6f1c2a9b", NOW), since), queries

    return ask


async def test_what_the_server_said_is_the_reading_whichever_revision_it_is_of(asked):
    reading, queries = await asked(web.json_response(SAID))
    assert queries == ["of=quality&since=0"]
    assert reading == LabelReading(
        pod=POD,
        taken_at=NOW,
        epoch="e1",
        window=60.0,
        labelled={
            Place("0b77d1ce", 9, 0): Labelled(1, 1, {("a", "a"): 1}),
            Place("0b77d1ce", 10, 1): Labelled(4, 3, {("a", "a"): 3, ("a", "b"): 1}),
        },
    )


async def test_windows_that_had_ended_before_are_left_out_even_by_a_server_that_tells_them(asked):
    reading, queries = await asked(web.json_response(SAID), since=600.0)
    assert queries == ["of=quality&since=600"]
    assert list(reading.labelled) == [Place("0b77d1ce", 10, 1)]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(partial(web.Response, status=503), "answered with status 503", id="503"),
        pytest.param(partial(web.Response, text="hello"), "cannot be read: JSONDecodeError", id="no JSON"),
        pytest.param(partial(web.json_response, []), "cannot be read: TypeError", id="a list"),
        pytest.param(partial(web.json_response, SAID | {"labelled": [{}]}), "KeyError: 'window'", id="no window"),
        pytest.param(
            partial(web.json_response, SAID | {"labelled": [SAID["labelled"][0] | {"rows": -1}]}),
            "-1 is no count",
            id="negative",
        ),
        pytest.param(partial(web.json_response, SAID | {"revision": "77777777"}), "revision 77777777", id="another's"),
        pytest.param(partial(web.Response, body=b"[" * (4 * 2**20 + 1)), "larger than 4194304 bytes", id="huge"),
    ],
)
async def test_what_cannot_be_believed_is_a_failure_with_the_pod(asked, answer, told):
    reading, _ = await asked(answer())
    assert reading.failure.startswith(f"pod {POD.name}: ")
    assert told in reading.failure
    assert reading.labelled == {}
