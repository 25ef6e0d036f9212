"""Reading a request's body, with a limit for its size and its time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from modelway.server.errors import RequestError

# A client that sends too much learns it only when it stops writing and reads. So as much again is read and thrown away
# before the answer; beyond that the connection is closed on it.
_PATIENCE = 2


async def read_body(
    headers: Iterable[tuple[bytes, bytes]],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    *,
    limit: int,
    timeout: float,  # noqa: ASYNC109 a limit on the client, told to it as such
) -> bytes:
    """The whole body.

    Raises RequestError: 413 when it is larger than `limit` bytes, 408 when it is not complete after `timeout` seconds,
    400 when the client hung up before its end (nobody reads that answer).
    """
    # What asyncio.timeout does, at a quarter of its cost, which every request pays.
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None:
        raise RuntimeError("read_body is called by a task")
    watchdog = loop.call_later(timeout, task.cancel)
    try:
        return await _read(headers, receive, limit)
    except asyncio.CancelledError:
        if loop.time() < watchdog.when():
            raise  # by somebody else
        task.uncancel()
        raise RequestError(
            408, f"the request was not complete after {timeout:g} s", headers={"connection": "close"}
        ) from None
    finally:
        watchdog.cancel()


async def _read(
    headers: Iterable[tuple[bytes, bytes]], receive: Callable[[], Awaitable[dict[str, Any]]], limit: int
) -> bytes:
    for name, value in headers:
        if name == b"content-length" and int(value) > limit * _PATIENCE:
            raise _too_large(limit, close=True)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        chunks, size = [body], len(body)
        while message.get("more_body", False):
            message = await receive()
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
            elif size > limit * _PATIENCE:
                raise _too_large(limit, close=True)
        if size > limit:
            raise _too_large(limit, close=False)
        body = b"".join(chunks)
    if message["type"] == "http.disconnect":
        raise RequestError(400, "the client hung up before the end of its request")
    if len(body) > limit:
        raise _too_large(limit, close=False)
    return body


def _too_large(limit: int, *, close: bool) -> RequestError:
    return RequestError(
        413,
        f"the request is larger than {limit} bytes; send fewer rows at a time",
        headers={"connection": "close"} if close else None,
    )
