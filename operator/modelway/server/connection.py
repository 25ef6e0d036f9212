"""One client's connection: its requests are answered in their order, one at a time.

What a client sends ahead waits, and the connection is not read further once there is enough of it. What cannot be read
as a request gets one answer that tells why, and the connection ends. A client that hangs up while it waits ends the
work for it, and one that does not take its answers off loses the connection.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from modelway.server.errors import RequestError
from modelway.server.exchange import Answer, HttpRequest
from modelway.server.reading import Reader
from modelway.server.turn import Soon

if TYPE_CHECKING:
    from modelway.server.site import Site

_AHEAD: Final = 8  # requests that a client may send before it has the answer to the first
_ONE_TURN: Final = 0.001  # seconds: the least that a timer waits for the loop to look at its sockets
_LINGER: Final = 1.0  # seconds in which a refused client can read why, before it meets a closed connection
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class _Alarm:
    """Acts after some seconds, unless it is cancelled; not before the sockets have been looked at once more.

    A loop that was held up runs its timers first, when what a client sent in time still waits in its socket.
    """

    __slots__ = ("_act", "_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, act: Callable[[], None]) -> None:
        self._loop, self._act = loop, act
        self._handle = loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._handle = self._loop.call_later(_ONE_TURN, self._act)

    def cancel(self) -> None:
        self._handle.cancel()


class Connection(asyncio.Protocol):
    """A client, as the event loop knows it."""

    __slots__ = (
        "_busy", "_ends", "_is_half", "_paused", "_reader", "_site", "_stalled", "_task", "_timer", "_transport",
        "_waiting", "idle_since",
    )  # fmt: skip

    def __init__(self, site: "Site") -> None:
        self._site = site
        self._transport: asyncio.Transport
        self._reader = Reader(site.limits, site.room)
        self._waiting: deque[tuple[HttpRequest | RequestError, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._timer: _Alarm | None = None  # until the request is complete, or a refusal was read
        self._stalled: _Alarm | None = None  # until the client takes its answers off
        self._busy = False  # an answer is awaited
        self._ends = False  # nothing that comes is read any more
        self._is_half = False  # the client has sent all that it wants to, and is to be answered before the end
        self._paused = False  # nothing is read for now
        self.idle_since = time.perf_counter()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being read or answered."""
        return not (self._busy or self._waiting or self._ends or self._reader.is_within)

    def close(self) -> None:
        """End the connection once what was answered has been taken off."""
        self._transport.close()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a socket's goes in both directions
        refusal = self._site.enter(self)
        if refusal is not None:
            self._ends = True
            self._write(refusal, close=True)

    def data_received(self, data: bytes) -> None:
        if self._ends:
            return
        reader = self._reader
        try:
            reader.feed(data)
        except RequestError as error:
            reader.requests.append((error, False))
            self._ends = True
        if reader.requests:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._waiting.extend(reader.requests)
            reader.requests.clear()
            if not self._busy:
                self._answer_waiting()
            if len(self._waiting) > _AHEAD and not self._paused:
                self._paused = True
                self._transport.pause_reading()
        if reader.is_within and not self._ends:
            self._wait_for_the_rest()

    def eof_received(self) -> bool:
        """Whether to keep our half: what is answered within this turn is, whoever waits longer has hung up."""
        self._is_half = self._task is None and (self._busy or bool(self._waiting))
        return self._is_half

    def connection_lost(self, _error: Exception | None) -> None:
        self._ends = True
        self._site.leave(self)
        for timer in (self._timer, self._stalled):
            if timer is not None:
                timer.cancel()
        for request, _ in self._waiting:
            self._give_room(request)
        self._waiting.clear()
        self._reader.close()
        if self._task is not None:
            # Not at once: a task that is cancelled before its first step never runs, nor does what it would undo.
            self._site.loop.call_soon(self._task.cancel)

    def pause_writing(self) -> None:
        self._watch_stall(self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        if not self._busy:
            self._answer_waiting()

    # Reading.

    def _wait_for_the_rest(self) -> None:
        if self._reader.must_continue() and not self._busy and not self._waiting:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._timer is None and not self._paused:
            self._timer = _Alarm(self._site.loop, self._site.limits.timeout, self._give_up_reading)

    def _give_up_reading(self) -> None:
        seconds = self._site.limits.timeout
        error = RequestError(408, f"the request was not complete after {seconds:g} s", headers={"connection": "close"})
        self._waiting.append((error, False))
        self._ends = True
        if not self._busy:
            self._answer_waiting()

    def _watch_stall(self, left: int) -> None:
        """Come back after the timeout; a client that took nothing of its answers off by then is cut off."""

        def look() -> None:
            now = self._transport.get_write_buffer_size()
            if now >= left:
                self._transport.abort()
            else:
                self._watch_stall(now)

        self._stalled = _Alarm(self._site.loop, self._site.limits.timeout, look)

    # Answering.

    def _answer_waiting(self) -> None:
        """Answer what waits, as far as that can be done at once and the client takes it off."""
        waiting = self._waiting
        for _ in range(_AHEAD):
            if not waiting or self._busy or self._stalled is not None or self._transport.is_closing():
                break
            self._answer(*waiting.popleft())
        else:
            if waiting:  # others' turn
                self._site.loop.call_soon(self._answer_waiting)
        if self._paused and len(waiting) <= _AHEAD and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
            if self._reader.is_within:
                self._wait_for_the_rest()
        if self._is_half and not self._busy and not waiting:
            self._transport.close()

    def _answer(self, request: HttpRequest | RequestError, keep: bool) -> None:
        if isinstance(request, RequestError):
            self._finish(request, self._site.app.refuse(request), keep=keep)
            return
        reply = self._site.app.respond(request)
        if isinstance(reply, Answer):
            self._finish(request, reply, keep=keep)
            return
        self._busy = True
        if isinstance(reply, Soon):
            reply.then(lambda answer: self._answer_now(request, answer, keep=keep))
        else:
            self._task = self._site.loop.create_task(self._answer_later(request, reply, keep=keep))

    def _answer_now(self, request: HttpRequest, answer: Answer, *, keep: bool) -> None:
        self._busy = False
        if self._transport.is_closing():  # the client hung up
            self._give_room(request)
            return
        self._finish(request, answer, keep=keep)
        if self._waiting or self._is_half:  # in the next turn, for in this one others wait
            self._site.loop.call_soon(self._answer_waiting)

    async def _answer_later(self, request: HttpRequest, reply: Coroutine[Any, Any, Answer], *, keep: bool) -> None:
        try:
            answer = await reply
        except asyncio.CancelledError:  # the client hung up
            self._give_room(request)
            raise
        self._busy, self._task = False, None
        self._finish(request, answer, keep=keep)
        self._answer_waiting()

    def _finish(self, request: HttpRequest | RequestError, answer: Answer, *, keep: bool) -> None:
        self._give_room(request)
        self.idle_since = time.perf_counter()
        asked = answer.headers is not None and "connection" in answer.headers
        close = asked or not keep or self._site.is_draining
        self._write(answer, close=close, bodiless=isinstance(request, HttpRequest) and request.method == "HEAD")

    def _write(self, answer: Answer, *, close: bool, bodiless: bool = False) -> None:
        more = self._site.date_line
        for name, value in (answer.headers or {}).items():
            if name != "connection":
                more += b"%b: %b\r\n" % (name.encode(), value.encode())
        if close:
            more += b"connection: close\r\n"
        body = answer.body
        self._transport.write(
            b"%bcontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b"
            % (_STATUS_LINES[answer.status], answer.content_type, len(body), more, b"" if bodiless else body)
        )
        if close:
            self._end()

    def _end(self) -> None:
        """Close; where the client may still be sending, in a way that lets it read the answer first.

        Closing a socket that holds unread bytes resets it, and the reset can overtake the answer.
        """
        if self._ends and self._transport.can_write_eof():
            self._transport.write_eof()
            self._timer = _Alarm(self._site.loop, _LINGER, self._transport.close)
        else:
            self._transport.close()
        self._ends = True

    def _give_room(self, request: HttpRequest | RequestError) -> None:
        if isinstance(request, HttpRequest):
            self._site.room.give(len(request.body))
