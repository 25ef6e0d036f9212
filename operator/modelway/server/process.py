"""The server as a process: open the port, then serve alone or supervise workers.

Light on purpose: the supervisor stays in here, and what it forks must not have started a thread, so the libraries that
do are imported by `worker`, after the fork.
"""

import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from dataclasses import replace
from types import FrameType
from typing import Final, NoReturn

import structlog

from modelway.artifacts import termination
from modelway.artifacts.errors import ModelError, ModelwayError
from modelway.artifacts.reasons import Reason
from modelway.server import supervisor
from modelway.server.options import ServerOptions
from modelway.server.tally import Tally

BACKLOG: Final = 2048
_log = structlog.get_logger()


def run(options: ServerOptions) -> NoReturn:
    """Serve until a signal. Ends the process: with 0, or with 1 and a termination message."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end_at_once)
    _allow_files()
    code = 1
    try:
        # Open before anything is loaded, so probes are answered 503 instead of refused: a slow load can be told from a
        # dead pod.
        listener = listen(options.host, options.port)
        options = replace(options, port=listener.getsockname()[1])
        _log.info("listening", host=options.host, port=options.port, model=options.name)
        code = supervisor.run(options, listener, work=_work) if options.workers > 1 else _serve_alone(options, listener)
    except ModelwayError as error:
        _log.error("failed", reason=str(error.reason), message=error.message)
        termination.say_failure(error)
    _exit(code)


def _end_at_once(_number: int, _frame: FrameType | None) -> NoReturn:
    """Until there is a loop that knows better: nobody has been answered yet."""
    _exit(0)


def _serve_alone(options: ServerOptions, listener: socket.socket) -> int:
    gc.disable()  # a hundred collections of what libraries are made of, which find nothing; `worker` ends that
    from modelway.server import worker  # noqa: PLC0415 see above

    worker.serve(options, listener)
    return 0


def _work(options: ServerOptions, channel: socket.socket, tally: Tally, index: int) -> NoReturn:
    """Be one of several workers until the supervisor closes the channel. Ends the process."""
    gc.disable()  # likewise
    from modelway.server import worker  # noqa: PLC0415 see above

    code = 1
    try:
        worker.adopt(options, channel, tally, index)
        code = 0
    except ModelwayError as error:
        _log.error("failed", reason=str(error.reason), message=error.message, worker=index)
        termination.say_failure(error)
    finally:
        _exit(code)


def _exit(code: int) -> NoReturn:
    """End without waiting for threads: one may be inside a prediction or a load that never returns."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def _allow_files() -> None:
    """Raise the limit of open files, each connection being one, as far as it may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ModelError when the port cannot be opened."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # "::" is every address, of IPv4 too
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # before anybody is told of it
    except OSError as error:
        raise ModelError(Reason.LISTEN_FAILED, f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener
