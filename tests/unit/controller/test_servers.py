"""Asking a pod of the model server: what is believed, and how the rest is said."""

import asyncio
from datetime import UTC, datetime
from functools import partial

import pytest
from aiohttp import web

from modelway.controller import servers
from modelway.controller.measuring import UnreachableError
from modelway.controller.servers import Servers
from modelway.plan.measured import ServerReading, Target
from modelway.plan.types import PodKey
from support.web_server import answering

POD = PodKey("fraud-6f1c2a9b-x7", "uid-1")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SAID = {
    "format": 1,
    "epoch": "e1",
    "model": "fraud",
    "version": None,
    "revision": "6f1c2a9b",
    "answers": {"class:no": 3, "value:12": 3},
    "pairs_before": 7,
    "pairs": [["00ff", "no", 0.25], ["00fe", "", None]],
}


@pytest.fixture
def asked():
    """Ask a server that answers so; gives the reading."""

    async def ask(answer):
        async def handle(request):
            assert request.path == "/v1/observations"
            return await answer() if callable(answer) else answer

        async with answering(handle) as (port, session):
            return await Servers(session, clock=lambda: NOW, port=port).ask(Target(POD, "127.0.0.1", "6f1c2a9b", NOW))

    return ask


async def test_what_the_server_said_is_the_reading(asked):
    assert await asked(web.json_response(SAID | {"later": "fields are let be"})) == ServerReading(
        pod=POD,
        taken_at=NOW,
        epoch="e1",
        revision="6f1c2a9b",
        answers={"class:no": 3, "value:12": 3},
        pairs=(("00ff", "no", 0.25), ("00fe", "", None)),
        pairs_before=7,
    )


async def test_a_profile_that_came_with_the_model_is_read(asked):
    assert (await asked(web.json_response(SAID | {"reference": {"class:no": 9}}))).reference == {"class:no": 9}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(partial(web.Response, status=503), "answered with status 503", id="503"),
        pytest.param(partial(web.Response, text="hello"), "Invalid JSON", id="no JSON"),
        pytest.param(partial(web.json_response, SAID | {"epoch": None}), "epoch: Input should be", id="no epoch"),
        pytest.param(
            partial(web.json_response, SAID | {"answers": {"class:no": -1}}), "answers.class:no: Input", id="negative"
        ),
        pytest.param(partial(web.json_response, SAID | {"answers": {"class:no": 1.5}}), "answers.class:no", id="half"),
        pytest.param(partial(web.json_response, SAID | {"pairs": [["00ff"]]}), "pairs.0.1: Field", id="half a pair"),
        pytest.param(
            partial(web.json_response, SAID | {"format": 2}), "counts in format 2, the operator in 1", id="format"
        ),
        pytest.param(
            partial(web.json_response, SAID | {"revision": "0b77d1ce"}),
            "revision 0b77d1ce answered at its address, not 6f1c2a9b",
            id="another pod's address",
        ),
        pytest.param(partial(web.Response, body=b"[" * (2**20 + 1)), "larger than 1048576 bytes", id="huge"),
    ],
)
async def test_what_cannot_be_believed_is_said_with_the_pod(asked, answer, told):
    with pytest.raises(UnreachableError, match=f"^pod {POD.name}: .*{told}"):
        await asked(answer())


async def test_a_server_that_does_not_answer_is_not_waited_for(asked, monkeypatch):
    monkeypatch.setattr(servers, "_SECONDS", 0.05)
    with pytest.raises(UnreachableError, match=f"pod {POD.name}: no answer within 0.05 s"):
        await asked(asyncio.Event().wait)
