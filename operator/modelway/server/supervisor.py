"""Several workers behind one port: accepts connections and hands each to the worker that has the fewest.

Why not let the workers share the listening socket: with SO_REUSEPORT the kernel deals connections by a hash, and with
an inherited socket whoever wakes first takes them; either way a proxy's few long-lived connections can all end up in
one worker (of 4 connections to 2 workers, once in 8 times). Dealt from one hand they never do, and what waits in the
listening socket outlives any worker.

Workers are forked before any library is imported that starts threads (numpy, onnxruntime), and this process stays
small and single-threaded, so it can fork again whenever one is to be replaced. Life of a worker: forked, loaded (it
says so), told to begin once all are loaded, and at the end its channel is closed, upon which it finishes what it has. A
worker that dies, or whose event loop or threads hang, is replaced; only before all have begun that ends the server,
since the next one would fail to load the same model.
"""

import contextlib
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

import structlog

from modelway.artifacts import termination
from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.options import ServerOptions
from modelway.server.source import BEGIN, CONNECTION, LOADED
from modelway.server.tally import CLOSED, DEAD_CPU, PULSE, RESTARTS, STUCK, SUPERVISOR, Tally

Work = Callable[[ServerOptions, socket.socket, Tally, int], NoReturn]
"""What a worker does in its process, with its end of the channel, the tally, and its index."""

_LOOK_EVERY: Final = 1.0  # seconds
_LEAST_SILENCE: Final = 30.0  # seconds without a heartbeat before a worker is taken for stuck
_FIRST_PAUSE: Final = 0.1  # seconds before a worker is replaced; doubled each time that it dies young
_LONGEST_PAUSE: Final = 30.0
_YOUNG: Final = 60.0  # seconds
_BUFFER: Final = 2**20
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)

_log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker's process and its channel."""

    index: int
    pid: int
    channel: socket.socket
    born: float
    sent: int = 0
    is_loaded: bool = False
    kill_at: float | None = None  # it was asked to end, and is made to at that time


class Supervisor:
    """All workers of one server.

    Args:
        options: the server's; `workers` says how many.
        listener: the listening socket.
        work: what each worker does.

    """

    def __init__(self, options: ServerOptions, listener: socket.socket, work: Work) -> None:
        self._options = options
        self._listener = listener
        self._work = work
        self._tally = Tally(options.workers, feedback=options.feedback_keys is not None)
        self._tally.header[SUPERVISOR] = os.getpid()
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, _Worker] = {}
        self._leaving: list[_Worker] = []
        self._pauses = [_FIRST_PAUSE] * options.workers
        self._due: dict[int, float] = {}  # when a worker is to be forked again
        self._has_begun = False
        self._asked: list[int] = []
        self._wakeup = socket.socketpair()
        self._end_at: float | None = None
        listener.setblocking(False)

    def run(self) -> int:
        """Supervise until a signal; gives the exit code."""
        self._take_signals()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        for index in range(self._options.workers):
            self._fork(index)
        while self._workers or self._leaving or self._end_at is None:
            for key, _ in self._selector.select(self._until_next()):
                key.data()
            code = self._reap()
            if code is not None:
                return code
            self._tend()
            self._heed_signals()
        return 0

    # Signals.

    def _take_signals(self) -> None:
        reader, writer = self._wakeup
        for end in self._wakeup:
            end.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)

        def take() -> None:
            with contextlib.suppress(BlockingIOError):
                self._asked += [number for number in reader.recv(64) if number != signal.SIGCHLD]

        self._selector.register(reader, selectors.EVENT_READ, take)

    def _heed_signals(self) -> None:
        for number in self._asked:
            if self._end_at is not None:  # asked twice: somebody is in a hurry
                self._kill_all()
                return
            drains = number == signal.SIGTERM and self._has_begun
            self._end_at = time.monotonic() + (self._options.drain if drains else 0.0)
            for worker in self._workers.values():
                if drains:
                    os.kill(worker.pid, signal.SIGTERM)
        self._asked.clear()
        if self._end_at is not None and self._workers and time.monotonic() >= self._end_at:
            self._selector.unregister(self._listener)
            self._listener.close()
            for worker in list(self._workers.values()):
                self._let_go(worker)

    # Connections.

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:  # it is gone, or there are too many open files
            return
        with accepted:
            for worker in sorted(self._workers.values(), key=self._load):
                try:
                    socket.send_fds(worker.channel, [CONNECTION], [accepted.fileno()])
                except OSError:  # its channel is full, or it has just died
                    continue
                worker.sent += 1
                return

    def _load(self, worker: _Worker) -> tuple[bool, float]:
        return not worker.is_loaded, worker.sent - self._tally.region(worker.index).fields[CLOSED]

    # Workers.

    def _fork(self, index: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._tally.region(index).begin()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._become_worker(index, theirs)
        theirs.close()
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        worker = _Worker(index, pid, ours, time.monotonic())
        self._workers[index] = worker
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._hear(worker))

    def _become_worker(self, index: int, channel: socket.socket) -> NoReturn:
        """In the child: leave everything of the supervisor's behind; a channel has ended when nobody holds its end."""
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()
        channel.setblocking(False)
        self._work(self._options, channel, self._tally, index)

    def _hear(self, worker: _Worker) -> None:
        try:
            word = worker.channel.recv(1)
        except OSError:
            word = b""
        if word == LOADED:
            worker.is_loaded = True
            if self._has_begun:
                worker.channel.send(BEGIN)
            elif len(self._workers) == self._options.workers and all(w.is_loaded for w in self._workers.values()):
                self._has_begun = True
                for each in self._workers.values():
                    each.channel.send(BEGIN)
        elif not word and self._workers.get(worker.index) is worker:
            self._let_go(worker)  # it is ending; `_reap` learns how

    def _let_go(self, worker: _Worker) -> None:
        """Send it nothing more; it answers what it has and ends."""
        self._selector.unregister(worker.channel)
        worker.channel.close()
        del self._workers[worker.index]
        worker.kill_at = time.monotonic() + self._options.timeout + 2
        self._leaving.append(worker)

    def _reap(self) -> int | None:
        """Take note of workers that have ended; gives an exit code when the server has to end with them."""
        for worker in [*self._workers.values(), *self._leaving]:
            pid, status, usage = os.wait4(worker.pid, os.WNOHANG)
            if pid == 0:
                continue
            self._tally.header[DEAD_CPU] += usage.ru_utime + usage.ru_stime
            if self._workers.get(worker.index) is worker:
                self._let_go(worker)
            self._leaving.remove(worker)
            if self._end_at is not None:
                continue
            if not self._has_begun:
                return self._give_up(status)
            self._replace(worker, status)
        return None

    def _replace(self, worker: _Worker, status: int) -> None:
        now = time.monotonic()
        young = now - worker.born < _YOUNG
        pause = min(2 * self._pauses[worker.index], _LONGEST_PAUSE) if young else _FIRST_PAUSE
        self._pauses[worker.index] = pause
        self._due[worker.index] = now + pause
        self._tally.header[RESTARTS] += 1
        _log.error("worker_died", worker=worker.index, how=_told(status), replaced_in=pause)

    def _give_up(self, status: int) -> int:
        """A worker ended before all had loaded. It has told why, unless it was killed."""
        self._kill_all()
        if os.WIFSIGNALED(status):
            error = ModelError(
                Reason.MODEL_LOAD_FAILED,
                f"a worker was ended by {_told(status)} while it loaded the model; "
                f"{self._options.workers} workers need memory for as many copies of it",
            )
            _log.error("failed", reason=str(error.reason), message=error.message)
            termination.say_failure(error)
        return 1

    def _kill_all(self) -> None:
        for worker in [*self._workers.values(), *self._leaving]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)

    def _tend(self) -> None:
        """End what hangs, and fork what is due."""
        now = time.monotonic()
        silence = max(_LEAST_SILENCE, 4 * self._options.timeout)
        for worker in list(self._workers.values()) if self._end_at is None else ():
            fields = self._tally.region(worker.index).fields
            if worker.is_loaded and fields[PULSE] and now - fields[PULSE] > silence:
                _log.error("worker_stuck", worker=worker.index, what="its event loop")
                os.kill(worker.pid, signal.SIGKILL)
            elif fields[STUCK]:
                _log.error("worker_stuck", worker=worker.index, what="all its threads")
                self._let_go(worker)
        for worker in self._leaving:
            if worker.kill_at is not None and now > worker.kill_at:
                os.kill(worker.pid, signal.SIGKILL)
        for index in [index for index, when in self._due.items() if now >= when and self._end_at is None]:
            del self._due[index]
            self._fork(index)

    def _until_next(self) -> float:
        """Seconds until something is to be done whatever happens."""
        times = [*self._due.values(), *([self._end_at] if self._end_at is not None else [])]
        return max(0.0, min([_LOOK_EVERY, *(when - time.monotonic() for when in times)]))


def run(options: ServerOptions, listener: socket.socket, *, work: Work) -> int:
    """Serve with several workers until a signal. Gives the exit code of the process."""
    code = Supervisor(options, listener, work).run()
    if code == 0:
        _log.info("all_stopped")
    return code


def _told(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"signal {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit code {os.WEXITSTATUS(status)}"
