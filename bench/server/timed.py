"""`python -m bench.server.timed`: asks a server, and writes when each request went and how long its answer took.

A process of its own, on the load's core. Every connection sends the same request again when it was answered and has
paused; pauses are as those of `load`. Written is an array of shape [requests, 2]: `time.perf_counter()`, which all
processes of a machine share, and seconds.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from array import array
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import uvloop

from bench.server.load import LOAD_CORE


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.server.timed", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True, help="where JSON is posted")
    parser.add_argument("--body", type=Path, required=True, help="a file with it")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--pause-ms", type=float, default=0.0, help="mean of the pauses (default: 0)")
    parser.add_argument("--to", type=Path, required=True, help="file for the array")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    body = arguments.body.read_bytes()
    head = f"POST {arguments.path} HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    asking = _ask(arguments.port, request, arguments.seconds, arguments.connections, arguments.pause_ms / 1e3)
    np.save(arguments.to, uvloop.run(asking))


async def _ask(port: int, request: bytes, seconds: float, connections: int, pause: float) -> np.ndarray:
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()
    told: array[float] = array("d")
    for number in range(connections):
        asking = partial(_Asking, request, pause, random.Random(number), told, failed)
        await loop.create_connection(asking, "127.0.0.1", port)
    await asyncio.wait([failed], timeout=seconds)
    if failed.done():
        failed.result()
    return np.array(told).reshape(-1, 2)


class _Asking(asyncio.Protocol):
    """One connection."""

    def __init__(
        self,
        request: bytes,
        pause: float,
        chance: random.Random,
        told: "array[float]",
        failed: "asyncio.Future[None]",
    ) -> None:
        self._request = request
        self._pause = pause
        self._told = told
        self._failed = failed
        self._random = chance
        self._left = 0  # bytes of an answer that are still to come
        self._transport: asyncio.Transport
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        if not self._left:
            if not data.startswith(b"HTTP/1.1 200 "):
                self._fail(f"answered {data[:80]!r}")
                return
            self._left = _length(data)
        self._left -= len(data)
        if self._left:
            if self._left < 0:
                self._fail("an answer is longer than it says")
            return
        self._told.append(self._sent)
        self._told.append(time.perf_counter() - self._sent)
        if self._pause:
            asyncio.get_running_loop().call_later(self._random.expovariate(1 / self._pause), self._send)
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection was closed: {exc}")

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def _fail(self, why: str) -> None:
        if not self._failed.done():
            self._failed.set_exception(RuntimeError(why))


def _length(answer: bytes) -> int:
    """Bytes of an answer by its head, which comes in one piece over loopback."""
    begin = answer.index(b"content-length: ") + len(b"content-length: ")
    return answer.index(b"\r\n\r\n") + 4 + int(answer[begin : answer.index(b"\r", begin)])


if __name__ == "__main__":
    sys.exit(main())
