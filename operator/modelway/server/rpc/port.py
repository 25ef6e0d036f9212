"""The port of a gRPC server, opened in the same way by whoever has one: the model server, and an observer."""

from typing import Any

from grpc import aio

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason


def opened(
    host: str, port: int, *, share: bool = False, at_once: int | None = None, **options: Any
) -> tuple[aio.Server, int]:
    """A gRPC server that has its port and has not been started; and the port.

    Args:
        host: to listen on.
        port: likewise; 0: any that is free.
        share: whether other processes may listen on the port as well. gRPC's own default is that they may: of two
            servers that were given the same port by mistake each would get a part of the calls.
        at_once: calls; the next one is refused.
        options: of the channel, by their names without `grpc.`.

    Raises:
        ModelError: the port cannot be opened.

    """
    named = {"so_reuseport": int(share)} | options
    server = aio.server(
        options=[(f"grpc.{name}", value) for name, value in named.items()], maximum_concurrent_rpcs=at_once
    )
    try:
        return server, server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError as error:
        raise ModelError(Reason.LISTEN_FAILED, f"cannot listen on {host} port {port} for gRPC") from error
