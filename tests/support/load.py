"""Clients that keep connections open and count every answer: none may be lost."""

import asyncio
from collections import Counter
from collections.abc import Callable


class Clients:
    """Sends one request after the other over each of many keep-alive connections.

    `ports` is the Service: whom a new connection may go to, as known at that moment. Nothing is retried; whatever goes
    wrong is counted by its name.
    """

    def __init__(self, ports: list[int], path: str, body: bytes) -> None:
        self.ports = ports
        self.outcomes: Counter[str] = Counter()
        self.closed_by_server = 0
        self._request = (
            f"POST {path} HTTP/1.1\r\nhost: service\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._going = True
        self._turn = 0

    async def run(self, connections: int, until: Callable[[], "asyncio.Future[None]"]) -> None:
        """Ask from many connections until the awaitable that `until` gives is done."""
        tasks = [asyncio.create_task(self._connection()) for _ in range(connections)]
        await until()
        self._going = False
        await asyncio.gather(*tasks)

    async def _connection(self) -> None:
        while self._going:
            self._turn += 1
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[self._turn % len(self.ports)])
            except OSError as error:
                self.outcomes[type(error).__name__] += 1
                continue
            try:
                while self._going and await self._ask(reader, writer):
                    pass
            except (OSError, asyncio.IncompleteReadError) as error:
                self.outcomes[type(error).__name__] += 1
            finally:
                writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        self.outcomes[head.split()[1].decode()] += 1
        if b"\r\nconnection: close" in head:
            self.closed_by_server += 1
            return False
        return True
