"""The server as a process: listen, load, serve, drain, end.

Order that matters:
  - The port is open before the model is loaded, so probes are answered 503 instead of refused and a slow load can be
    told from a dead pod.
  - On SIGTERM the server goes on accepting and answering, with `Connection: close` on every response, for the drain
    time: Kubernetes takes the pod out of its Services only while, not before, it is told to end.
  - Then it stops listening, waits for what is in flight (at most the request timeout) and ends with 0.
uvicorn's own handlers would stop at the signal; they are replaced.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any, Final, NoReturn

import structlog
import uvicorn
import uvloop

from modelway.artifacts import termination
from modelway.artifacts.errors import ModelError, ModelwayError
from modelway.artifacts.reasons import Reason
from modelway.server.app import App
from modelway.server.loading import Loaded, load
from modelway.server.options import ServerOptions

BACKLOG: Final = 2048
_log = structlog.get_logger()


class _Server(uvicorn.Server):
    """uvicorn, without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(options: ServerOptions) -> NoReturn:
    """Serve until a signal. Ends the process: with 0, or with 1 and a termination message."""
    # A number that does not fit FP32 is answered with its position; numpy need not tell the log as well.
    warnings.filterwarnings("ignore", message="overflow encountered in cast")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(options))
    except ModelwayError as error:
        _log.error("failed", reason=str(error.reason), message=error.message)
        termination.say_failure(error)
        _exit(1)
    _exit(0)


def _exit(code: int) -> NoReturn:
    """End without waiting for threads: one may be inside a prediction or a load that never returns."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


async def _serve(options: ServerOptions) -> None:
    app = App(options)
    server = _Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=int(options.keep_alive),
            timeout_graceful_shutdown=int(options.timeout) + 1,
        )
    )
    listener = _listen(options)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[signal.Signals] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, stopping, number)
    _log.info("listening", host=options.host, port=listener.getsockname()[1], model=options.name)
    try:
        loading = _load_in_thread(options, loop)
        await _first_of(loading, stopping)
        if not stopping.done():
            loaded = loading.result()
            app.serve(loaded)
            _tell(loaded, options)
            await _first_of(stopping, serving)
            await _drain(app, options, stopping)
    finally:
        server.should_exit = True
        await serving
        if app.engine is not None:
            app.engine.stop()
    _log.info("stopped")


async def _first_of(*events: "asyncio.Future[Any]") -> None:
    await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)


def _stop(stopping: "asyncio.Future[signal.Signals]", number: signal.Signals) -> None:
    if stopping.done():  # asked twice: somebody is in a hurry
        _exit(0)
    stopping.set_result(number)


async def _drain(app: App, options: ServerOptions, stopping: "asyncio.Future[signal.Signals]") -> None:
    app.drain()
    # Ctrl-C on a workstation: nobody routes to us, there is nothing to wait for.
    seconds = options.drain if stopping.done() and stopping.result() is signal.SIGTERM else 0.0
    _log.info("draining", seconds=seconds, in_flight=app.in_flight)
    await asyncio.sleep(seconds)


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
            # Libraries and model live as long as the process: no collection need look at them again, and the pauses
            # of full collections (tens of milliseconds) go.
            gc.collect()
            gc.freeze()
        except ModelwayError as expected:
            error = expected
        except BaseException as unforeseen:  # noqa: BLE001 a thread's exception is lost unless it is carried over
            _log.exception("load_crashed")
            error = ModelError(Reason.INTERNAL_ERROR, f"loading failed: {type(unforeseen).__name__}: {unforeseen}")
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            loop.call_soon_threadsafe(finish, loaded, error)

    threading.Thread(target=work, name="load", daemon=True).start()
    return future


def _listen(options: ServerOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
        listener.listen(BACKLOG)  # before anybody is told of it
    except OSError as error:
        raise ModelError(
            Reason.LISTEN_FAILED, f"cannot listen on {options.host} port {options.port}: {error.strerror}"
        ) from error
    return listener


def _tell(loaded: Loaded, options: ServerOptions) -> None:
    _log.info(
        "ready",
        model=options.name,
        version=loaded.version,
        format=loaded.format,
        seconds=round(loaded.seconds, 3),
        golden=loaded.golden,
        threads=options.threads,
        call_us=round(loaded.cost.call * 1e6, 1) if not loaded.cost_unknown_because else None,
        row_us=round(loaded.cost.row * 1e6, 2) if not loaded.cost_unknown_because else None,
    )
    for key, note in loaded.model.notes.items():
        if key.startswith("warning"):
            _log.warning("model_warning", model=options.name, warning=note)
    if loaded.cost_unknown_because:
        _log.info("cost_unknown", because=loaded.cost_unknown_because, effect="predictions run in threads")
