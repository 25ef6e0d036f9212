"""The gRPC side: routers open a stream for each request, and send what they see of it and of its answer.

Nothing is answered: whoever only listens has nothing to say, and the router waits for nothing. A stream is ended as
soon as there is nothing more to be read, so a router does not go on sending what nobody wants.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc
from grpc import aio

from modelway.observer import ext_proc_pb2 as pb
from modelway.observer.exchange import Exchange, Room
from modelway.server.rpc.port import opened

SERVICE: Final = "envoy.service.ext_proc.v3.ExternalProcessor"
_AT_ONCE: Final = 1024
"""Streams; the next one is refused."""
_IN_MEMORY: Final = 64 * 2**20
"""Bytes of all bodies that are being read."""
_Context = aio.ServicerContext[Any, Any]


@contextlib.asynccontextmanager
async def listening(
    host: str, port: int, *, most_bytes: int, on_exchange: Callable[[Exchange], None]
) -> AsyncIterator[int]:
    """A gRPC server for the length of a block; gives its port.

    Args:
        host: to listen on.
        port: likewise; 0: any.
        most_bytes: of a body.
        on_exchange: told each request that was shown, when there is nothing more to be read of it.

    Raises:
        ModelError: the port cannot be opened.

    """
    server, bound = opened(host, port, at_once=_AT_ONCE)
    handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
        _process(most_bytes, on_exchange), request_deserializer=pb.ProcessingRequest.FromString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Process": handler}),))
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(None)


def _process(most_bytes: int, on_exchange: Callable[[Exchange], None]) -> Any:
    room = Room(_IN_MEMORY)

    async def process(messages: AsyncIterator[pb.ProcessingRequest], _context: _Context) -> AsyncIterator[bytes]:
        exchange = Exchange(most_bytes, room)
        try:
            async for message in messages:
                exchange.take(message)
                if exchange.is_over:
                    break
        finally:
            exchange.close()
            on_exchange(exchange)
        return
        yield b""  # which makes it a stream

    return process
