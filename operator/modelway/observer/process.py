"""The observer as a process: listen, count, drain, end.

On SIGTERM it goes on for the drain time, telling its counts, so that the operator can read the last of them.
"""

import asyncio
import signal
from typing import Final, NoReturn

import structlog
import uvloop

from modelway.artifacts import termination
from modelway.artifacts.errors import ModelwayError
from modelway.observer import stream
from modelway.observer.app import App
from modelway.observer.counting import Counting
from modelway.observer.options import MOST_BYTES, ObserverOptions
from modelway.server import metadata
from modelway.server.process import listen
from modelway.server.reading import Limits
from modelway.server.site import Site

_SETTLE_SECONDS: Final = 1.0
_log = structlog.get_logger()


def run(options: ObserverOptions) -> NoReturn:
    """Observe until a signal. Ends the process: with 0, or with 1 and a termination message."""
    code = 1
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_observe(options))
        code = 0
    except ModelwayError as error:
        _log.error("failed", reason=str(error.reason), message=error.message)
        termination.say_failure(error)
    raise SystemExit(code)


async def _observe(options: ObserverOptions) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    counting = Counting(options, metadata.read(options.model_dir) if options.model_dir else metadata.Metadata())
    listener = listen(options.host, options.port)
    site = Site(App(options, counting), Limits(body=0), loop=loop)
    settling = loop.create_task(_settle(counting))
    try:
        async with stream.listening(
            options.host, options.grpc_port, most_bytes=MOST_BYTES, on_exchange=counting.take
        ) as grpc_port:
            await site.listen(listener)
            _log.info("observing", model=options.name, port=listener.getsockname()[1], grpc_port=grpc_port)
            await stopping.wait()
            _log.info("draining", seconds=options.drain)
            await asyncio.sleep(options.drain)
    finally:
        settling.cancel()
        await site.close(within=1.0)
    _log.info("stopped")


async def _settle(counting: Counting) -> NoReturn:
    while True:
        await asyncio.sleep(_SETTLE_SECONDS)
        counting.settle()
