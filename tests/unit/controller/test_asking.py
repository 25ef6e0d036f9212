"""One question to a pod of the model server: what is no answer, and how it is said."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from modelway.api.observations import PATH
from modelway.controller.asking import Asker
from modelway.controller.measuring import UnreachableError
from support.web_server import answering

POD = "fraud-6f1c2a9b-x7"


@asynccontextmanager
async def asker(handle, *, within=60.0):
    async with answering(handle) as (port, session):
        yield Asker(session, port=port, within=within, most=10)


async def asked(handle, **limits):
    async with asker(handle, **limits) as one:
        with one.reaching(POD):
            return await one.get("127.0.0.1", PATH)


async def test_what_is_answered_is_given_whole():
    async def handle(request):
        assert request.path == PATH
        return web.Response(body=b"0123456789")

    assert await asked(handle) == b"0123456789"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(
            {"status": 404}, f"it has no {PATH}: it is of another version than the operator, or runs with", id="404"
        ),
        pytest.param({"status": 503}, f"{PATH} was answered with status 503", id="503"),
        pytest.param({"status": 302, "headers": {"location": "/"}}, "with status 302", id="redirect"),
        pytest.param({"body": b"0123456789a"}, f"{PATH} is larger than 10 bytes", id="large"),
    ],
)
async def test_what_is_no_answer_is_said_with_the_pod(answer, told):
    async def handle(_request):
        return web.Response(**answer)

    with pytest.raises(UnreachableError, match=f"^pod {POD}: .*{told}"):
        await asked(handle)


async def test_silence_is_not_waited_for():
    async def handle(_request):
        await asyncio.Event().wait()

    with pytest.raises(UnreachableError, match=f"pod {POD}: no answer within 0.05 s"):
        await asked(handle, within=0.05)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_pod_that_is_gone_is_said_with_the_reason(address):
    async with aiohttp.ClientSession() as session:
        one = Asker(session, port=1, within=60.0, most=10)
        with (
            pytest.raises(UnreachableError, match=f"pod {POD}: .*annot connect to host {address}:1"),
            one.reaching(POD),
        ):
            await one.get(address, PATH)
