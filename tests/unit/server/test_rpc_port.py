"""The port of a gRPC server: nobody else's, unless it is to be shared."""

from contextlib import asynccontextmanager

import pytest

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.observer import stream
from modelway.server.rpc.port import opened


@asynccontextmanager
async def listening(port=0, **more):
    server, bound = opened("127.0.0.1", port, **more)
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(None)


async def test_a_port_that_somebody_listens_on_is_an_error():
    async with listening() as port:
        with pytest.raises(ModelError, match=f"cannot listen on 127.0.0.1 port {port} for gRPC") as raised:
            opened("127.0.0.1", port)
    assert raised.value.reason == Reason.LISTEN_FAILED


async def test_an_observer_does_not_share_its_port():
    async with stream.listening("127.0.0.1", 0, most_bytes=1, on_exchange=print) as port:
        with pytest.raises(ModelError, match="cannot listen"):
            opened("127.0.0.1", port, share=True)


async def test_workers_share_one():
    async with listening(share=True) as port, listening(port, share=True) as same:
        assert same == port > 0


async def test_an_address_of_ipv6_is_no_name_with_a_port():
    server, port = opened("::1", 0)
    assert port > 0
    await server.stop(None)
