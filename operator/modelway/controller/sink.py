"""Posts transitions of a model's health to the sink that `spec.monitoring.sink` names, as CloudEvents over HTTP.

Beside the queue: `send` returns at once, and a sink that is slow, dead or hostile delays no look. Each ModelDeployment
has a task while something of it is to be told, so its events come in their order. Each event is tried for five minutes,
with growing pauses; of what waits, a bounded number is kept, the oldest of a model going first. What is given up is
counted, and told by one Event until something gets through again. Status says the same at any time; what is in memory
when the operator ends is not told.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import orjson
import structlog
from prometheus_client import Counter
from yarl import URL

from modelway.controller.reachable import Address, NotAllowedError, Resolver, check_literal, is_named, is_off_limits
from modelway.controller.tasks import end
from modelway.kube.recorder import Recorder
from modelway.kube.store import Owner
from modelway.plan import Object
from modelway.plan.types import Notice

MOST: Final = 1000
"""Events that wait, of all models together; each is less than 8 kB."""
MOST_OF_ONE: Final = 32
_AT_ONCE: Final = 16
_SECONDS: Final = 5.0
"""For one try."""
_PATIENCE: Final = 300.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_TYPE: Final = "application/cloudevents+json; charset=utf-8"
_AGAIN: Final = frozenset({408, 425, 429})
"""Refusals that are worth another try; so is 500 and above."""

_log = structlog.get_logger(__name__)


class _FailedError(Exception):
    """An event did not get through; says why, for people."""

    def __init__(self, message: str, *, is_final: bool) -> None:
        super().__init__(message)
        self.is_final = is_final


@dataclass(slots=True)
class _Waiting:
    resource: Object
    notice: Notice
    until: float


@dataclass(slots=True)
class _Line:
    waiting: deque[_Waiting] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class Sinks:
    """Tells the sinks of all ModelDeployments. Close it when done.

    Args:
        hosts: that may be called, as the administrator names them (`reachable.is_named`).
        counter: of events, by `result`.
        recorder: writes an Event where a sink does not take what it is sent.
        refuses: whether an address may not be called, whatever the host.
        within: seconds that a try may take.
        pauses: the first pause between two tries, and the longest; seconds.
    """

    def __init__(
        self,
        hosts: tuple[str, ...],
        *,
        counter: Counter,
        recorder: Recorder,
        refuses: Callable[[Address], bool] = is_off_limits,
        within: float = _SECONDS,
        pauses: tuple[float, float] = (_FIRST_PAUSE, _LONGEST_PAUSE),
    ) -> None:
        self._hosts = hosts
        self._counter = counter
        self._recorder = recorder
        self._refuses = refuses
        self._within = within
        self._pauses = pauses
        self._random = random.Random()  # noqa: S311 - jitter
        self._lines: dict[Owner, _Line] = {}
        self._failing: dict[Owner, None] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._session = aiohttp.ClientSession(
            # A name is resolved, and what it leads to checked, for each connection; none is kept.
            connector=aiohttp.TCPConnector(resolver=Resolver(refuses), use_dns_cache=False, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=within),
            headers={"User-Agent": "modelway-operator"},
        )

    @property
    def waiting(self) -> int:
        """Events that wait."""
        return sum(len(line.waiting) for line in self._lines.values())

    def send(self, resource: Object, notice: Notice) -> None:
        """Tell it as soon as that can be; returns at once."""
        metadata = resource["metadata"]
        owner = Owner(metadata["namespace"], metadata["name"])
        line = self._lines.get(owner, _Line())
        if self.waiting >= MOST or len(line.waiting) >= MOST_OF_ONE:
            self._count("dropped")
            if not line.waiting:
                return
            line.waiting.popleft()
        self._lines[owner] = line
        about = {"metadata": {key: metadata[key] for key in ("name", "namespace", "uid")}}
        line.waiting.append(_Waiting(about, notice, asyncio.get_running_loop().time() + _PATIENCE))
        if line.task is None:
            line.task = asyncio.create_task(self._work(owner, line))

    async def close(self) -> None:
        """Tell nobody anything any more."""
        tasks = [line.task for line in self._lines.values() if line.task is not None]
        self._lines.clear()
        await end(tasks)
        await self._session.close()

    async def _work(self, owner: Owner, line: _Line) -> None:
        try:
            while line.waiting:
                await self._deliver(owner, line.waiting.popleft())
        finally:
            self._lines.pop(owner, None)

    async def _deliver(self, owner: Owner, one: _Waiting) -> None:
        loop, (pause, longest) = asyncio.get_running_loop(), self._pauses
        while True:
            try:
                await self._post(one.notice)
            except _FailedError as error:
                wait = pause * self._random.uniform(0.5, 1.0)
                if error.is_final or loop.time() + wait > one.until:
                    await self._give_up(owner, one, str(error))
                    return
                await asyncio.sleep(wait)
                pause = min(2 * pause, longest)
            else:
                self._count("delivered")
                self._failing.pop(owner, None)
                return

    async def _give_up(self, owner: Owner, one: _Waiting, why: str) -> None:
        self._count("failed")
        if owner in self._failing:
            return
        while len(self._failing) >= MOST:
            self._failing.pop(next(iter(self._failing)))
        self._failing[owner] = None
        _log.warning("sink_failed", namespace=owner.namespace, name=owner.name, error=why)
        message = f"{one.notice.event['subject']} could not be told to the sink: {why}"
        await self._recorder.tell(one.resource, type="Warning", reason="SinkFailed", message=message, action="Notify")

    async def _post(self, notice: Notice) -> None:
        host = URL(notice.url).host or ""
        if not is_named(host, self._hosts):
            told = f"the operator may not call {host}: the cluster's administrator names hosts in the value sinkHosts"
            raise _FailedError(told, is_final=True)
        try:
            check_literal(host, self._refuses)
            async with (
                self._slots,
                self._session.post(
                    notice.url,
                    data=orjson.dumps(notice.event),
                    headers={"Content-Type": _TYPE},
                    allow_redirects=False,  # to where nobody has looked
                ) as answer,
            ):
                status = answer.status  # what it says beside is of no interest
        except TimeoutError:
            raise _FailedError(f"{host} has not answered within {self._within:g} s", is_final=False) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
            if isinstance(cause, NotAllowedError):
                raise _FailedError(str(cause), is_final=True) from None
            told = f"{host} cannot be reached: {error or type(error).__name__}"
            raise _FailedError(told, is_final=isinstance(error, ValueError)) from None
        if not 200 <= status < 300:
            is_final = status < 500 and status not in _AGAIN
            raise _FailedError(f"{host} answers with status {status}", is_final=is_final)

    def _count(self, result: str) -> None:
        self._counter.labels(result=result).inc()
