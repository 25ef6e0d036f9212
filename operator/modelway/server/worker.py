"""A serving process: load, serve, drain, end.

Order that matters:
  - Connections are taken before the model is loaded, so probes are answered 503 instead of refused.
  - On SIGTERM the server goes on accepting and answering, with `Connection: close` on every response, for the drain
    time: Kubernetes takes the pod out of its Services only while, not before, it is told to end.
  - Then it takes no more connections, waits for what is in flight (at most the request timeout) and ends.
"""

import asyncio
import contextlib
import ctypes
import gc
import os
import resource
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final, NoReturn

import structlog
import uvloop

from modelway.artifacts.errors import ModelError, ModelwayError
from modelway.artifacts.reasons import Reason
from modelway.server import greeting
from modelway.server.app import App
from modelway.server.loading import Loaded, load
from modelway.server.options import ServerOptions
from modelway.server.reading import Limits
from modelway.server.site import Site
from modelway.server.source import Adopting, Listening, Source
from modelway.server.tally import IN_FLIGHT, PULSE, STUCK, Region, Tally

_PULSE_EVERY: Final = 1.0  # seconds
_LARGE_BODIES: Final = 8  # of the largest size, in memory at once
_LEAST_IN_FLIGHT: Final = 64 * 2**20
_OTHER_FILES: Final = 64  # open files that are no connections
_log = structlog.get_logger()


def serve(options: ServerOptions, listener: socket.socket) -> None:
    """Serve alone, from a listening socket, until a signal. Raises ModelwayError when there is nothing to serve."""
    _run(_serve(options, lambda _: Listening(listener), Tally(), 0))


def adopt(options: ServerOptions, channel: socket.socket, tally: Tally, worker: int) -> None:
    """Serve the connections that come through a channel, until it is closed. Raises ModelwayError likewise."""
    structlog.contextvars.bind_contextvars(worker=worker)
    _run(_serve(options, lambda stopping: Adopting(channel, stopping.set), tally, worker))


def _run(serving: Coroutine[Any, Any, None]) -> None:
    # A number that does not fit FP32 is answered with its position; numpy need not tell the log as well.
    warnings.filterwarnings("ignore", message="overflow encountered in cast")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving)


class _Stopping:
    """The signal that ends the process, once there was one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.signal: signal.Signals | None = None
        self.event = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

    def set(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End in order."""
        self.signal = self.signal or number
        self.event.set()

    def _on_signal(self, number: signal.Signals) -> None:
        if self.event.is_set():  # asked twice: somebody is in a hurry
            os._exit(0)
        self.set(number)


async def _serve(options: ServerOptions, source_of: Callable[[_Stopping], Source], tally: Tally, worker: int) -> None:
    loop = asyncio.get_running_loop()
    stopping = _Stopping(loop)
    source = source_of(stopping)
    region = tally.region(worker)
    region.begin()
    app = App(options, tally=tally, worker=worker)
    site = Site(app, _limits(options), loop=loop, region=region)
    await source.open(site)
    stopped = loop.create_task(stopping.event.wait())
    pulse = loop.create_task(_pulse(app, region))
    try:
        loading = _load_in_thread(options, loop)
        async with _grpc(app, options):
            await _first_of(loading, stopped)
            if not stopped.done():
                loaded = loading.result()
                await source.all_loaded()
                app.serve(loaded)
                _tell(loaded, options)
                if worker == 0 and sys.stdout.isatty():
                    print(greeting.text(loaded, options), flush=True)  # noqa: T201 for the person who started it
                await stopped
                app.drain()
                site.drain()
                _log.info("draining", seconds=options.drain, in_flight=app.in_flight)
                await source.drained(stopping.signal, options.drain)
    finally:
        pulse.cancel()
        if not await site.close(within=options.timeout + 1):
            _log.warning("unanswered", requests=app.in_flight)
        if app.engine is not None:
            app.engine.stop()
    _log.info("stopped")


@contextlib.asynccontextmanager
async def _grpc(app: App, options: ServerOptions) -> AsyncIterator[None]:
    """The gRPC port, where there is to be one, for the length of a block."""
    if not options.grpc_port:
        yield
        return
    # gRPC costs some 15 MiB and a tenth of a second, so only those pay who want it.
    from modelway.server.rpc.server import listening  # noqa: PLC0415

    async with listening(app, options, share_port=options.workers > 1) as port:
        _log.info("listening_grpc", host=options.host, port=port)
        yield


async def _pulse(app: App, region: Region) -> NoReturn:
    """Tell the supervisor, if there is one, that this loop turns and that threads come back; and others the counts."""
    while True:
        app.settle()
        region.fields[PULSE] = time.monotonic()
        region.fields[IN_FLIGHT] = app.in_flight
        region.fields[STUCK] = app.engine is not None and app.engine.pool.is_stuck
        await asyncio.sleep(_PULSE_EVERY)


async def _first_of(*events: "asyncio.Future[Any]") -> None:
    await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)


def _limits(options: ServerOptions) -> Limits:
    return Limits(
        body=options.max_body,
        in_flight=max(_LARGE_BODIES * options.max_body, _LEAST_IN_FLIGHT),
        timeout=options.timeout,
        keep_alive=options.keep_alive,
        connections=min(options.max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_FILES),
    )


def _load_in_thread(options: ServerOptions, loop: asyncio.AbstractEventLoop) -> "asyncio.Future[Loaded]":
    """Load in a daemon thread, which an executor's would not be: SIGTERM must not wait for a load that hangs."""
    future: asyncio.Future[Loaded] = loop.create_future()

    def finish(loaded: Loaded | None, error: ModelwayError | None) -> None:
        if not future.done():
            if error is not None:
                future.set_exception(error)
            elif loaded is not None:
                future.set_result(loaded)

    def work() -> None:
        loaded, error = None, None
        try:
            loaded = load(options)
            _settle()
        except ModelwayError as expected:
            error = expected
        except BaseException as unforeseen:  # noqa: BLE001 a thread's exception is lost unless it is carried over
            _log.exception("load_crashed")
            error = ModelError(Reason.INTERNAL_ERROR, f"loading failed: {type(unforeseen).__name__}: {unforeseen}")
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            loop.call_soon_threadsafe(finish, loaded, error)

    threading.Thread(target=work, name="load", daemon=True).start()
    return future


def _settle() -> None:
    """Come to rest after the load: libraries and model live as long as the process, and what made them does not."""
    gc.collect()
    gc.freeze()  # no collection need look at them again, and the pauses of full ones (tens of milliseconds) go
    gc.enable()
    # glibc keeps what a parsed model file took and gave back, up to twice its size, where it is never needed again.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # another C library
        trim(0)


def _tell(loaded: Loaded, options: ServerOptions) -> None:
    _log.info(
        "ready",
        model=options.name,
        version=loaded.version,
        format=loaded.format,
        seconds=round(loaded.seconds, 3),
        golden=loaded.golden,
        threads=options.threads,
        batches=loaded.batchable and options.max_batch > 1,
        call_us=round(loaded.cost.call * 1e6, 1) if not loaded.cost_unknown_because else None,
        row_us=round(loaded.cost.row * 1e6, 2) if not loaded.cost_unknown_because else None,
    )
    for key, note in loaded.model.notes.items():
        if key.startswith("warning"):
            _log.warning("model_warning", model=options.name, warning=note)
    if loaded.cost_unknown_because:
        _log.info("cost_unknown", because=loaded.cost_unknown_because, effect="predictions run in threads")
