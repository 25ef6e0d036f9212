"""Clients of the soak test: some behave, and some do what clients of real services do.

Each runs until it is told to end, one connection after the other, and counts what became of its requests. `lost` is the
one that must stay 0: a request that was sent completely by a client that waited, and that was not answered.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import orjson

_PATIENCE = 60.0  # seconds; far more than any timeout of the server's


@dataclass(slots=True)
class Soaked:
    """A server under the load of these clients, and what it answered."""

    port: int
    path: str
    rows: list[list[float]]
    outcomes: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    is_over: bool = False

    def request(self, count: int) -> bytes:
        """A complete request for so many rows."""
        rows = [random.choice(self.rows) for _ in range(count)]
        body = orjson.dumps({"instances": rows})
        return f"POST {self.path} HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


Client = Callable[[Soaked], Awaitable[None]]


async def steady(soaked: Soaked) -> None:
    """Asks over one connection until it is closed."""
    async with _connected(soaked) as (reader, writer):
        while not soaked.is_over:
            rows = random.choice((1, 1, 1, 3, 20))
            writer.write(soaked.request(rows))
            if not await _answered(soaked, reader, rows):
                return


async def pipelining(soaked: Soaked) -> None:
    """Sends several requests before it reads."""
    async with _connected(soaked) as (reader, writer):
        counts = [random.randint(1, 3) for _ in range(20)]
        for rows in counts:
            writer.write(soaked.request(rows))
        for rows in counts:
            if not await _answered(soaked, reader, rows):
                return


async def leaving(soaked: Soaked) -> None:
    """Hangs up at any point, or right after a whole request."""
    async with _connected(soaked) as (_, writer):
        request = soaked.request(random.choice((1, 100)))
        writer.write(request[: random.choice((10, len(request) // 2, len(request)))])
        await writer.drain()
        await asyncio.sleep(random.choice((0, 0.001, 0.02)))
        soaked.outcomes["left"] += 1


async def dawdling(soaked: Soaked) -> None:
    """Sends a few bytes at a time; sometimes too slowly."""
    async with _connected(soaked) as (reader, writer):
        request = soaked.request(1)
        pause = random.choice((0.01, 0.05, 0.5))
        for begin in range(0, len(request), 40):
            writer.write(request[begin : begin + 40])
            with contextlib.suppress(TimeoutError):  # an answer before the end is a refusal
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), pause)
                soaked.outcomes[f"dawdled {head.split()[1].decode()}"] += 1
                return
            if soaked.is_over:
                return
        await _answered(soaked, reader, 1)


async def babbling(soaked: Soaked) -> None:
    """Sends what is no request, or no prediction."""
    async with _connected(soaked) as (reader, writer):
        body = random.choice((b"{", b'{"instances": [[null]]}', b'{"instances": []}', random.randbytes(200)))
        writer.write(
            random.choice((
                random.randbytes(300) + b"\r\n\r\n",
                b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
                b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
                f"POST {soaked.path} HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body,
            ))
        )  # fmt: skip
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), _PATIENCE)
        status = answer.split()[1].decode() if answer.startswith(b"HTTP/1.1 ") else "nothing"
        soaked.outcomes[f"babbled {status}"] += 1
        if status.startswith("5") and status != "503":
            soaked.wrong.append(f"{status} to nonsense")


async def ask_on(client: Client, soaked: Soaked) -> None:
    """One such client after the other, until it is over."""
    while not soaked.is_over:
        try:
            await client(soaked)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            soaked.outcomes[f"{client.__name__}: {type(error).__name__}"] += 1
            if client in {steady, pipelining}:
                soaked.lost.append(f"{client.__name__}: {error!r}")
        except TimeoutError:
            soaked.lost.append(f"{client.__name__}: no answer within {_PATIENCE:g} s")


@contextlib.asynccontextmanager
async def _connected(soaked: Soaked):  # noqa: ANN202 the type is as long as the function
    reader, writer = await asyncio.open_connection("127.0.0.1", soaked.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _answered(soaked: Soaked, reader: asyncio.StreamReader, rows: int) -> bool:
    """Read the answer to a request for so many rows; tells whether the connection goes on."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
    headers = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:-2])
    body = await asyncio.wait_for(reader.readexactly(int(headers[b"content-length"])), _PATIENCE)
    status = head.split()[1].decode()
    soaked.outcomes[status] += 1
    if status == "200" and len(orjson.loads(body)["predictions"]) != rows:
        soaked.wrong.append(f"{rows} rows asked, answered {body[:100]!r}")
    elif status not in {"200", "503", "504"}:
        soaked.wrong.append(f"{status}: {body[:200]!r}")
    return headers.get(b"connection") != b"close"
