"""A site on a real socket, with an application that answers as the path says."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

from modelway.server.exchange import Answer
from modelway.server.reading import Limits
from modelway.server.site import Site
from modelway.server.turn import Soon


class Echo:
    """`/now` and whatever is posted there is answered at once, `/soon` at the end of the turn of the loop, `/later` when
    `gate` is set; all with the body.

    `/hold` keeps the event loop for a second, from when `holds` is set.
    """

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.holds = threading.Event()
        self.asked, self.cancelled, self.refused = [], 0, []

    def respond(self, request):
        self.asked.append(request.path)
        if request.path == "/later":
            return self._later(request)
        if request.path == "/soon":
            soon = Soon()
            asyncio.get_running_loop().call_soon(soon.come, Answer(200, request.body))
            return soon
        if request.path == "/hold":
            self.holds.set()
            time.sleep(1)
        if request.path == "/close":
            return Answer(200, b"bye", headers={"connection": "close"})
        if request.path == "/large":
            return Answer(200, b"x" * 4_000_000)
        return Answer(200, request.body, content_type=b"text/plain", headers={"x-path": request.path})

    async def _later(self, request):
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Answer(200, request.body)

    def refuse(self, error):
        self.refused.append(error.status)
        return Answer(error.status, error.message.encode(), headers=error.headers)


@pytest.fixture
async def start():
    sites = []

    async def make(**limits):
        site = Site(Echo(), Limits(**limits), loop=asyncio.get_running_loop())
        listener = socket.create_server(("127.0.0.1", 0))
        await site.listen(listener)
        site.port = listener.getsockname()[1]
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.app.gate.set()
        await site.close(within=2)


class Client:
    def __init__(self, reader, writer) -> None:
        self.reader, self.writer = reader, writer

    def send(self, path, body=b"", head=b""):
        self.writer.write(
            b"POST %b HTTP/1.1\r\ncontent-length: %d\r\n%b\r\n%b" % (path.encode(), len(body), head, body)
        )

    async def receive(self):
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = head.decode().split("\r\n")[:-2]
            headers = dict(line.lower().split(": ", 1) for line in lines[1:])
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(lines[0].split()[1]), headers, body

    async def ask(self, path, body=b"", head=b""):
        self.send(path, body, head)
        return await self.receive()

    async def is_closed(self):
        async with asyncio.timeout(10):
            return await self.reader.read(1) == b""


@contextlib.asynccontextmanager
async def connected(site):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 sockets have no event to wait for
            await asyncio.sleep(0.001)


async def test_a_connection_answers_one_request_after_the_other(start):
    site = await start()
    async with connected(site) as client:
        for number in range(3):
            status, headers, body = await client.ask("/now", b"%d" % number)
            assert (status, body, headers["x-path"]) == (200, b"%d" % number, "/now")
            assert headers["content-type"] == "text/plain"
            assert headers["date"].endswith("gmt")
    await until(lambda: site.connections == 0)
    assert site.room.taken == 0


async def test_requests_sent_ahead_are_answered_in_their_order(start):
    site = await start()
    async with connected(site) as client:
        client.send("/later", b"first")
        for number in range(40):
            client.send("/now", b"%d" % number)
        await until(lambda: site.app.asked == ["/later"])
        site.app.gate.set()
        assert (await client.receive())[2] == b"first"
        assert [(await client.receive())[2] for _ in range(40)] == [b"%d" % number for number in range(40)]


async def test_who_sends_far_ahead_is_not_read_further(start):
    site = await start(in_flight=30_000_000)
    async with connected(site) as client:
        client.send("/later")
        await until(lambda: site.app.asked == ["/later"])
        for _ in range(400):
            client.send("/now", b"x" * 50_000)
        await asyncio.wait([asyncio.create_task(client.writer.drain())], timeout=0.3)
        assert 0 < site.room.taken < 5_000_000
        site.app.gate.set()
        assert [(await client.receive())[0] for _ in range(401)] == [200] * 401


async def test_a_head_request_is_answered_without_a_body(start):
    site = await start()
    async with connected(site) as client:
        client.writer.write(b"HEAD /close HTTP/1.1\r\n\r\n")
        assert (await client.reader.readuntil(b"\r\n\r\n")).count(b"content-length: 3") == 1
        assert await client.is_closed()


@pytest.mark.parametrize(
    ("path", "head"), [("/now", b"connection: close\r\n"), ("/close", b"")], ids=["the client", "the application"]
)
async def test_both_sides_may_end_the_connection(start, path, head):
    site = await start()
    async with connected(site) as client:
        _, headers, _ = await client.ask(path, head=head)
        assert headers["connection"] == "close"
        assert await client.is_closed()


async def test_permission_to_send_a_body_is_given(start):
    site = await start()
    async with connected(site) as client:
        client.writer.write(b"POST /now HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.writer.write(b"abc")
        assert (await client.receive())[2] == b"abc"


async def test_what_is_no_request_is_answered_and_ends_the_connection_after_those_before_it(start):
    site = await start()
    async with connected(site) as client:
        client.send("/later", b"first")
        client.writer.write(b"nonsense\r\n\r\n")
        await until(lambda: site.app.asked == ["/later"])
        site.app.gate.set()
        assert (await client.receive())[2] == b"first"
        status, headers, body = await client.receive()
        assert (status, headers["connection"]) == (400, "close")
        assert b"not HTTP/1.1" in body
        assert await client.is_closed()


@pytest.mark.parametrize("path", ["/now", "/soon"])
@pytest.mark.parametrize("requests", [1, 3, 20])
async def test_half_a_connection_is_enough_to_be_answered_in_the_same_turn(start, path, requests):
    site = await start()
    async with connected(site) as client:
        for number in range(requests):
            client.send(path, b"%d" % number)
        client.writer.write_eof()
        for number in range(requests):
            assert (await client.receive())[2] == b"%d" % number
        assert await client.is_closed()
    await until(lambda: not site.connections)


async def test_answers_come_in_the_order_of_their_requests_however_soon_they_are_known(start):
    site = await start()
    site.app.gate.set()
    paths = ["/soon", "/now", "/later", "/soon", "/soon", "/now"]
    async with connected(site) as client:
        for number, path in enumerate(paths):
            client.send(path, b"%d" % number)
        for number in range(len(paths)):
            assert (await client.receive())[2] == b"%d" % number


async def test_who_hangs_up_before_the_end_of_the_turn_is_no_error(start, caplog):
    site = await start()
    for _ in range(5):
        async with connected(site) as client:
            client.send("/soon", b"abc")
            client.writer.transport.abort()
    await until(lambda: not site.connections)
    assert site.room.taken == 0
    assert not caplog.records


async def test_who_sends_too_much_can_read_why(start):
    site = await start(body=1000)
    async with connected(site) as client:
        client.writer.write(b"POST /now HTTP/1.1\r\ncontent-length: 4000000\r\n\r\n" + b"x" * 2_000_000)
        status, _, body = await client.receive()
        assert status == 413
        assert b"larger than 1000 bytes" in body
        assert await client.is_closed()
    assert site.app.refused == [413]


async def test_a_slow_client_is_told_408(start):
    site = await start(timeout=0.05)
    async with connected(site) as client:
        client.writer.write(b"POST /now HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc")
        begin = time.monotonic()
        status, _, body = await client.receive()
        assert time.monotonic() - begin < 5
        assert (status, body) == (408, b"the request was not complete after 0.05 s")
        assert await client.is_closed()


async def test_what_came_while_the_loop_was_held_up_came_in_time(start):
    site = await start(timeout=0.5)

    def ask(patient, other):
        other.sendall(b"GET /hold HTTP/1.1\r\n\r\n")
        site.app.holds.wait(10)
        patient.sendall(b"def")
        return patient.recv(1000)

    address = ("127.0.0.1", site.port)
    with socket.create_connection(address) as patient, socket.create_connection(address) as other:
        patient.sendall(b"POST /now HTTP/1.1\r\ncontent-length: 6\r\n\r\nabc")
        await until(lambda: site.room.taken)
        answer = await asyncio.to_thread(ask, patient, other)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"abcdef")


async def test_a_client_may_take_its_time_between_requests(start):
    site = await start(timeout=0.05)
    async with connected(site) as client, connected(site) as other:
        await client.ask("/now")
        other.writer.write(b"POST /now")  # for the time that the first one is given, and no request
        assert (await other.receive())[0] == 408
        assert (await client.ask("/now"))[0] == 200


async def test_a_client_that_hangs_up_ends_the_work_for_it(start):
    site = await start()
    async with connected(site) as client:
        client.send("/later", b"abc")
        client.send("/now", b"never asked for")
        await until(lambda: site.app.asked == ["/later"])
    await until(lambda: site.app.cancelled == 1)
    await until(lambda: site.connections == 0)
    assert site.app.asked == ["/later"]
    assert site.room.taken == 0


async def test_a_client_that_hangs_up_with_its_last_byte_ends_the_work_too(start):
    site = await start()
    clients = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(20)]
    for client in clients:  # all while the loop does not turn: it learns of request and end at once
        client.sendall(b"POST /later HTTP/1.1\r\ncontent-length: 1\r\n\r\na")
        client.close()
    await until(lambda: site.app.cancelled == 20)
    await until(lambda: site.connections == 0)
    assert site.room.taken == 0


async def test_a_client_that_does_not_read_its_answers_gets_no_further_ones_and_is_cut_off(start):
    site = await start(timeout=0.1)
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    own.setblocking(False)
    loop = asyncio.get_running_loop()
    with own:
        await loop.sock_connect(own, ("127.0.0.1", site.port))
        await loop.sock_sendall(own, b"GET /large HTTP/1.1\r\n\r\n" * 6)
        await until(lambda: site.connections == 1)
        await until(lambda: site.connections == 0)
    assert len(site.app.asked) < 6


async def test_a_client_that_reads_slowly_but_reads_gets_all(start):
    site = await start(timeout=0.2)
    async with connected(site) as client:
        client.send("/large")
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert b"200 OK" in head
        left = 4_000_000
        while left:
            left -= len(await client.reader.read(300_000))
            await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.03)
        assert (await client.ask("/now", b"abc"))[2] == b"abc"


async def test_too_many_connections_close_the_one_that_was_idle_longest(start):
    site = await start(connections=2)
    async with connected(site) as first, connected(site) as second:
        await first.ask("/now")
        await second.ask("/now")
        await first.ask("/now")
        async with connected(site) as third:
            assert (await third.ask("/now"))[0] == 200
            assert await second.is_closed()
            assert (await first.ask("/now"))[0] == 200


async def test_where_all_connections_are_busy_a_further_one_is_refused(start):
    site = await start(connections=1)
    async with connected(site) as busy:
        busy.send("/later")
        await until(lambda: site.app.asked == ["/later"])
        async with connected(site) as another:
            status, headers, body = await another.receive()
            assert (status, headers["retry-after"]) == (503, "1")
            assert b"too many connections" in body
        site.app.gate.set()
        assert (await busy.receive())[0] == 200


async def test_idle_connections_are_closed_in_the_end(start):
    site = await start(keep_alive=0.05)
    async with connected(site) as idle, connected(site) as busy:
        await idle.ask("/now")
        busy.send("/later")
        assert await idle.is_closed()
        site.app.gate.set()
        assert (await busy.receive())[0] == 200


async def test_while_it_drains_a_site_answers_and_asks_to_connect_anew(start):
    site = await start()
    async with connected(site) as client:
        await client.ask("/now")
        site.drain()
        _, headers, _ = await client.ask("/now")
        assert headers["connection"] == "close"
        assert await client.is_closed()
        async with connected(site) as late:
            assert (await late.ask("/now"))[0] == 200


async def test_a_site_that_closes_waits_for_what_is_being_answered(start):
    site = await start()
    async with connected(site) as idle, connected(site) as busy:
        await idle.ask("/now")
        busy.send("/later", b"abc")
        await until(lambda: site.app.asked[-1] == "/later")
        closing = asyncio.create_task(site.close(within=10))
        assert await idle.is_closed()
        site.app.gate.set()
        assert (await busy.receive())[2] == b"abc"
        assert await closing is True


async def test_a_site_does_not_wait_for_ever(start):
    site = await start()
    async with connected(site) as busy:
        busy.send("/later")
        await until(lambda: site.app.asked == ["/later"])
        assert await site.close(within=0.05) is False
