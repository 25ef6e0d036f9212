"""What the operator writes for a router, read by a real Envoy: who answers, who is counted, and how."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from math import sqrt

import aiohttp
import grpc
import pytest
from yarl import URL

from modelway.api import observations
from modelway.plan.pods import GRPC_PORT, HTTP_PORT
from modelway.plan.routing import Split
from modelway.plan.routing.envoy import BOOTSTRAP_FILE, BOOTSTRAP_IPV4_FILE, STATUS_PORT
from modelway.plan.routing.split import Backend, Health
from support.envoy import DEADLINE, Envoy, backend, upstream
from support.ports import free_port

pytestmark = pytest.mark.timeout(120)

A, B, C = "aaaaaaaa", "bbbbbbbb", "cccccccc"


@pytest.fixture
def envoy(tmp_path):
    return Envoy(tmp_path / "config")


@pytest.fixture
async def a():
    async with upstream("a") as server:
        yield server


@pytest.fixture
async def b():
    async with upstream("b") as server:
        yield server


def of(server, revision, **more):
    return backend(revision, server.port, **more)


def interval(count, weight, *, z=3.29):
    """Where a share of `weight` percent of `count` requests lies in 99.9 % of all cases."""
    share = weight / 100
    spread = z * sqrt(count * share * (1 - share)) + 1
    return count * share - spread, count * share + spread


@pytest.mark.parametrize(
    ("file", "hosts"),
    [(BOOTSTRAP_FILE, ["127.0.0.1", "[::1]"]), (BOOTSTRAP_IPV4_FILE, ["127.0.0.1"])],
    ids=["both families", "a kernel without IPv6"],
)
async def test_a_router_answers_on_every_address_and_tells_a_server_who_asks(envoy, a, file, hosts):
    envoy.starts_with = file
    envoy.give(Split(of(a, A)))
    async with envoy:
        for host in hosts:
            for port in (HTTP_PORT, GRPC_PORT):
                async with envoy.session.post(f"http://{host}:{envoy.ports[port]}/") as answer:
                    assert (answer.status, await answer.text()) == (200, "a")
            async with envoy.session.get(f"http://{host}:{envoy.ports[STATUS_PORT]}/ready") as answer:
                assert answer.status == 200
        # Of 127.0.0.1 Envoy tells the machine's own address; of every other one its own, and in no IPv6 form.
        client = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        async with aiohttp.ClientSession(connector=client) as session, session.post(f"{envoy.url}/who") as answer:
            assert answer.status == 200
    assert [one["headers"]["x-forwarded-for"] for one in a.heard("/who")] == ["127.0.0.2"]


HTTP = Backend(A, "fraud-a", "fraud-a-unready", 5000, None, Health(5000), 5.0)
GRPC = Backend(B, "fraud-b", "fraud-b-unready", None, 5001, Health(5001, is_grpc=True), 60.0)
BOTH = Backend(C, "fraud-c", "fraud-c-unready", 8080, 9000, Health(8080, "/v2/health/ready"), 0.25)


@pytest.mark.parametrize("sticky", [None, "x-user-id"], ids=["any", "sticky"])
@pytest.mark.parametrize(
    "split",
    [
        Split(HTTP),
        Split(GRPC),
        Split(BOTH),
        Split(BOTH, HTTP, 0),
        Split(BOTH, GRPC, 1),
        Split(HTTP, BOTH, 99, 0.0001),
        Split(BOTH, BOTH, 100, 100.0),
        Split(GRPC, BOTH, 50, 33.3, (HTTP,)),
    ],
)
def test_envoy_takes_every_split(envoy, split, sticky):
    envoy.give(split, sticky_header=sticky)
    told = envoy.validate()
    assert "OK" in told
    assert "eprecated" not in told


@pytest.mark.parametrize("sticky", [None, "x-user-id"], ids=["any", "sticky"])
async def test_the_share_of_the_candidate_is_its_weight(envoy, a, b, sticky):
    count = 2000
    envoy.give(Split(of(a, A), of(b, B)), sticky_header=sticky)
    async with envoy:
        for weight in (0, 5, 25, 50, 100):
            await envoy.until_live(envoy.give(Split(of(a, A), of(b, B), weight), sticky_header=sticky))
            found = await envoy.names(count, lambda turn: {"x-user-id": f"user-{turn}"})
            low, high = interval(count, weight)
            assert found.total() == found["a"] + found["b"] == count
            assert low <= found["b"] <= high, weight


async def test_a_sticky_user_stays_and_whom_the_candidate_has_it_keeps_as_its_weight_rises(envoy, a, b):
    users = [f"user-{number}" for number in range(300)]

    async def those_of_the_candidate():
        return {user for user in users if (await envoy.ask(headers={"x-user-id": user}))[1] == "b"}

    envoy.give(Split(of(a, A), of(b, B)), sticky_header="x-user-id")
    async with envoy:
        before = set()
        for weight in (5, 25, 50):
            await envoy.until_live(envoy.give(Split(of(a, A), of(b, B), weight), sticky_header="x-user-id"))
            now = await those_of_the_candidate()
            assert now == await those_of_the_candidate()
            assert before < now
            before = now


async def test_no_request_is_lost_while_revisions_come_and_go(envoy, a, b):
    async with upstream("c") as c:
        one, two, three = of(a, A), of(b, B), of(c, C)
        envoy.give(Split(one))
        async with envoy:
            going = asyncio.create_task(envoy.names(3000))
            for split in (
                Split(one, two),
                Split(one, two, 50),
                Split(two, leaving=(one,)),
                Split(two),
                Split(two, three),
                Split(two, three, 10),
                Split(three, leaving=(two,)),
                Split(three),
            ):
                await envoy.until_live(envoy.give(split))
            rest = await envoy.names(100)
            found = await going
    assert found.keys() <= {"a", "b", "c"}
    assert found.total() == 3000
    assert rest == {"c": 100}


async def test_what_was_asked_is_counted_by_what_came_of_it(envoy, a, b):
    envoy.give(Split(of(a, A), of(b, B, timeout=0.3)))
    async with envoy:
        for _ in range(40):
            await envoy.ask()
        for status, times in ((500, 3), (503, 2), (400, 4), (422, 1)):
            for _ in range(times):
                assert (await envoy.ask(f"/?status={status}"))[0] == status
        for _ in range(5):
            await envoy.ask("/?sleep=0.12")
        assert (await envoy.ask("/?sleep=3"))[0] == 504
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await envoy.ask("/?sleep=0.9", timeout=aiohttp.ClientTimeout(total=0.2))

        async def settled():
            found = (await envoy.read()).arms[A]
            return found if found.requests == 40 + 10 + 5 + 1 + 2 else None

        counters = await envoy.until(settled, "all are counted")
        reading = await envoy.read()
    assert (counters.server_errors, counters.client_errors) == (3 + 2 + 1, 5)
    within = dict(counters.at_most)
    assert within[60_000] == 40 + 10 + 5, "what was not answered is in no bucket"
    assert counters.requests - within[100] >= 5 + 1 + 2
    assert within[500] == 55
    assert reading.arms[B].requests == 0
    assert reading.epoch == envoy.epoch


async def test_requests_for_which_no_pod_is_known_are_told_apart(envoy, a, b):
    envoy.without_pods = {B}
    envoy.give(Split(of(a, A), of(b, B), 50))
    async with envoy:
        statuses = Counter([(await envoy.ask())[0] for _ in range(60)])

        async def counted():
            arms = (await envoy.read()).arms
            return arms if arms[A].requests + arms[B].requests == 60 else None

        arms = await envoy.until(counted, "all are counted")
    assert statuses.keys() == {200, 503}
    assert arms[A].orphans == 0
    assert arms[B].orphans == arms[B].requests == arms[B].server_errors == statuses[503]


async def test_a_router_tells_how_many_pods_it_has_found_and_holds_for_well(envoy, a):
    port = free_port()
    envoy.give(Split(of(a, A), backend(B, port)))

    async def told(expected):
        return (await envoy.read()).healthy == expected

    async with envoy:
        await envoy.until(lambda: told({A: 1, B: 0, f"{B}-shadow": 0}), "nobody listens at the candidate's port")
        async with upstream("b", port=port):
            await envoy.until(lambda: told({A: 1, B: 1, f"{B}-shadow": 1}), "the candidate's pod is found")


async def test_where_no_pod_is_called_ready_those_that_are_well_are_asked(envoy, a, b):
    """Of B nobody is ready and its pod is well; of C nobody is ready, and nobody listens."""
    envoy.without_ready = {B, C}
    envoy.give(Split(of(a, A), of(b, B), 50, leaving=(backend(C, free_port()),)))
    async with envoy:
        found = await envoy.names(200)
        assert found.keys() == {"a", "b"}
        await envoy.until_live(envoy.give(Split(of(a, A), backend(C, free_port()), 50)))
        assert (await envoy.names(200)).keys() == {"a", "503"}


async def test_as_long_as_a_pod_is_called_ready_no_other_is_asked(envoy, a, b):
    """The names of A lead to two servers: the one that is ready, and another of which only the second name knows."""
    envoy.unready_port = b.port
    envoy.give(Split(of(a, A)))
    async with envoy:
        assert (await envoy.names(300)).keys() == {"a"}


async def test_a_reading_under_load_makes_nobody_slow(envoy, a):
    envoy.give(Split(of(a, A)))
    async with envoy:
        going = asyncio.create_task(envoy.names(6000))
        behind = []
        while not going.done():
            counters = (await envoy.read()).arms[A]
            behind.append(counters.requests - dict(counters.at_most).get(60_000, 0))
        await going
    assert len(behind) >= 3
    assert max(behind) <= 1, "an answer is in its bucket when it is counted"


async def test_copies_go_to_the_candidate_beside_the_request_and_are_counted_apart(envoy, a, b):
    envoy.give(Split(of(a, A), of(b, B), 0, 25.0))
    async with envoy:
        count = 1000
        found = await envoy.names(count, lambda _: {"x-modelway-pair": "1", "x-request-id": "the-users-own"})

        async def copied():
            arms = (await envoy.read()).arms
            return arms if arms[f"{B}-shadow"].requests == len(b.asked) > 0 else None

        arms = await envoy.until(copied, "the copies are counted")
    assert found == {"a": count}
    low, high = interval(count, 25)
    assert low <= len(b.asked) <= high
    assert arms[A].requests == count
    assert arms[B].requests == 0
    marked = [one["headers"]["x-request-id"] for one in a.asked if one["headers"].get("x-modelway-pair") == "1"]
    assert sorted(marked) == sorted(one["headers"]["x-request-id"] for one in b.asked)
    assert len(set(marked)) == len(marked), "a user cannot choose the id by which answers are compared"
    assert {one["headers"].get("x-modelway-pair") for one in b.asked} == {"1"}
    assert {one["headers"]["host"] for one in b.asked} == {one["headers"]["host"] for one in a.asked}


class Calls(grpc.GenericRpcHandler):
    """Answers a call with its own words; a number is the status of the answer."""

    def service(self, _):
        async def answer(request, context):
            if (status := int(request)) != 0:
                await context.abort(STATUSES[status], "as it was asked")
            return request

        return grpc.unary_unary_rpc_method_handler(answer)


STATUSES = {status.value[0]: status for status in grpc.StatusCode}


async def test_grpc_is_divided_by_the_same_weight_and_counted_by_its_own_statuses(envoy, a, b):
    async with AsyncExitStack() as stack:
        ports = []
        for _ in range(2):
            server = grpc.aio.server()
            server.add_generic_rpc_handlers((Calls(),))
            ports.append(server.add_insecure_port("127.0.0.1:0"))
            await server.start()
            stack.push_async_callback(server.stop, 0)
        envoy.give(Split(of(a, A, grpc_port=ports[0]), of(b, B, grpc_port=ports[1]), 25))
        await stack.enter_async_context(envoy)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{envoy.ports[9000]}"))
        call = channel.unary_unary("/x.Y/Z")
        told = Counter()
        for status in [0] * 400 + [3] * 40 + [13] * 20 + [14] * 20:
            try:
                await call(str(status).encode(), timeout=DEADLINE)
                told[0] += 1
            except grpc.aio.AioRpcError as error:
                told[error.code().value[0]] += 1
        reading = await envoy.read()
    assert told == {0: 400, 3: 40, 13: 20, 14: 20}
    arms = reading.arms
    assert arms[A].requests + arms[B].requests == 480
    low, high = interval(480, 25)
    assert low <= arms[B].requests <= high
    assert arms[A].server_errors + arms[B].server_errors == 40
    assert arms[A].client_errors + arms[B].client_errors == 40


async def test_the_model_servers_words_to_the_operator_are_not_for_clients(envoy, a):
    envoy.give(Split(of(a, A)))
    async with envoy:
        for path in (observations.PATH, f"{observations.PATH}?x=1", "/v1/%6fbservations", "/v1/x/../observations"):
            async with envoy.session.get(URL(envoy.url + path, encoded=True)) as answer:
                assert answer.status == 404, path
    assert a.asked == []


async def test_the_status_port_tells_what_is_asked_of_it_and_nothing_else(envoy, a):
    envoy.give(Split(of(a, A)))
    async with envoy:
        base = envoy.url.replace(str(envoy.ports[8080]), str(envoy.ports[9902]))
        for method, path, status in (
            ("GET", "/ready", 200),
            ("GET", "/counters", 200),
            ("POST", "/ready", 404),
            ("GET", "/stats", 404),
            ("GET", "/config_dump", 404),
            ("POST", "/quitquitquit", 404),
            ("POST", "/healthcheck/fail", 404),
        ):
            async with envoy.session.request(method, base + path) as answer:
                assert answer.status == status, path


async def test_a_request_that_has_reached_a_server_never_runs_twice(envoy):
    heard = []

    async def cut(reader, writer):
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.abort()

    server = await asyncio.start_server(cut, "127.0.0.1", port := free_port())
    split = Split(Backend(A, f"fraud-{A}", f"fraud-{A}-unready", port, None, Health(port), 1.0))
    envoy.give(split)
    async with server, envoy:
        async with asyncio.timeout(DEADLINE):
            status, _ = await envoy.ask("/predict", data=b"[]")
    assert status == 503
    assert sum(b"/predict" in one for one in heard) == 1


async def test_a_router_that_is_to_end_asks_its_clients_to_go_and_answers_them(envoy, a):
    envoy.give(Split(of(a, A)))
    async with envoy:
        async with envoy.session.get(envoy.url) as answer:
            assert answer.headers.get("Connection") != "close"
        drain = f"http://127.0.0.1:{envoy.ports[9901]}/healthcheck/fail"
        async with envoy.session.post(drain) as answer:
            assert answer.status == 200
        async with envoy.session.get(envoy.url) as answer:
            assert (answer.status, answer.headers.get("Connection")) == (200, "close")
