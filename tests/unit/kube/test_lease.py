"""Who may write: at most one of several, at any moment, whatever the network does. In virtual time."""

import asyncio
import copy
import random
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from modelway.kube import lease as module
from modelway.kube.errors import Conflict, Deposed, NotFound
from modelway.kube.lease import Lease, LeaseTiming
from support import virtual_time

TIMING = LeaseTiming(duration=15, renew_deadline=10, retry_period=2)


class Server:
    """One Lease object, as an API server keeps it."""

    def __init__(self) -> None:
        self.lease = None
        self._version = 0

    def write(self, body):
        self._version += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self._version)
        return copy.deepcopy(self.lease)

    @property
    def holder(self):
        return self.lease["spec"]["holderIdentity"]


class Line:
    """One candidate's line to the server. `cut` loses requests; `slow` delays answers, by which time they are done."""

    def __init__(self, server) -> None:
        self.server = server
        self.cut = False
        self.slow = 0.0
        self.writes = 0

    async def get(self, _kind, _namespace, _name):
        await self._reach()
        if self.server.lease is None:
            raise NotFound(404, "NotFound", "no lease")
        return copy.deepcopy(self.server.lease)

    async def post(self, _kind, body):
        await self._reach()
        if self.server.lease is not None:
            raise Conflict(409, "AlreadyExists", "exists")
        return await self._written(body)

    async def replace(self, _kind, body, *, manager):
        await self._reach()
        if self.server.lease is None:
            raise NotFound(404, "NotFound", "no lease")
        if body["metadata"]["resourceVersion"] != self.server.lease["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", "changed")
        return await self._written(body)

    async def _reach(self):
        if self.cut:
            await asyncio.sleep(3600)
        await asyncio.sleep(0.01)

    async def _written(self, body):
        self.writes += 1
        written = self.server.write(body)
        await asyncio.sleep(self.slow)
        return written


@pytest.fixture(autouse=True)
def _virtual_clock(monkeypatch):
    monkeypatch.setattr(module, "monotonic", virtual_time.now)


@pytest.fixture
def server():
    return Server()


def candidate(server, identity, **timing):
    line = Line(server)
    lease = Lease(
        line,
        namespace="modelway",
        name="operator",
        identity=identity,
        timing=TIMING,
        seed=random.Random(1),
    )
    return lease, line


@asynccontextmanager
async def leading(lease):
    """`lease` has been acquired and is being kept."""
    await lease.acquire()
    task = asyncio.create_task(lease.keep())
    try:
        yield task
    finally:
        task.cancel()


async def until(condition, *, seconds=120):
    """The time until `condition` holds."""
    began = virtual_time.now()
    while not condition():
        await asyncio.sleep(0.01)
        assert virtual_time.now() - began < seconds
    return virtual_time.now() - began


def test_a_lease_that_nobody_has_is_taken_at_once(server):
    async def story():
        lease, _ = candidate(server, "a")
        await lease.acquire()
        assert lease.holds()
        lease.fence()
        assert server.holder == "a"

    virtual_time.run(story())


def test_nobody_writes_before_holding_it(server):
    async def story():
        lease, _ = candidate(server, "a")
        with pytest.raises(Deposed, match="a does not hold lease modelway/operator"):
            lease.fence()

    virtual_time.run(story())


def test_the_holder_renews_and_the_other_waits(server):
    async def story():
        one, line = candidate(server, "a")
        other, _ = candidate(server, "b")
        async with leading(one):
            waiting = asyncio.create_task(other.acquire())
            await asyncio.sleep(300)
            assert one.holds()
            assert not waiting.done()
            assert 140 <= line.writes <= 152, "one write a retry period"
            waiting.cancel()

    virtual_time.run(story())


def test_of_two_that_ask_at_once_one_leads(server):
    async def story():
        one, _ = candidate(server, "a")
        other, _ = candidate(server, "b")
        tasks = [asyncio.create_task(lease.acquire()) for lease in (one, other)]
        await asyncio.sleep(5)
        assert [task.done() for task in tasks].count(True) == 1
        for task in tasks:
            task.cancel()

    virtual_time.run(story())


def test_a_holder_that_is_cut_off_stops_before_another_begins(server):
    async def story():
        one, line = candidate(server, "a")
        other, _ = candidate(server, "b")
        async with leading(one) as kept:
            waiting = asyncio.create_task(other.acquire())
            await asyncio.sleep(20)
            line.cut = True
            stopped = await until(lambda: not one.holds())
            assert stopped <= TIMING.renew_deadline
            assert not other.holds()
            await until(other.holds)
            assert waiting.done()
            assert not one.holds()
            await until(kept.done)

    virtual_time.run(story())


def test_a_killed_holder_is_followed_after_the_whole_duration(server):
    async def story():
        one, _ = candidate(server, "a")
        other, _ = candidate(server, "b")
        async with leading(one):
            waiting = asyncio.create_task(other.acquire())
            await asyncio.sleep(20)
        took = await until(waiting.done)
        assert TIMING.duration - TIMING.retry_period <= took <= TIMING.duration + 2 * TIMING.retry_period
        assert server.lease["spec"]["leaseTransitions"] == 1

    virtual_time.run(story())


def test_a_holder_that_ends_in_order_is_followed_at_once(server):
    async def story():
        one, _ = candidate(server, "a")
        other, _ = candidate(server, "b")
        async with leading(one):
            waiting = asyncio.create_task(other.acquire())
            await asyncio.sleep(20)
            await one.release()
            assert not one.holds()
            assert await until(waiting.done) <= TIMING.retry_period * 1.2 + 0.1

    virtual_time.run(story())


@pytest.mark.parametrize(("ends", "told"), [("gives it back", []), ("loses it", ["deposed"])])
def test_only_who_loses_it_calls_that_an_error(server, ends, told):
    async def story():
        lease, line = candidate(server, "a")
        async with leading(lease) as kept:
            line.cut = ends == "loses it"
            if not line.cut:
                await lease.release()
            await until(kept.done)

    with capture_logs() as logs:
        virtual_time.run(story())
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == told


def test_a_renewal_under_way_does_not_undo_the_release(server):
    async def story():
        lease, line = candidate(server, "a")
        async with leading(lease):
            line.slow = 0.5
            await asyncio.sleep(2.1)  # the server has the renewal, its answer is on the way
            line.slow = 0.0
            await lease.release()
            assert server.holder == ""
            await asyncio.sleep(5)
            assert server.holder == ""
            assert not lease.holds()

    virtual_time.run(story())


def test_releasing_what_is_not_held_changes_nothing(server):
    async def story():
        one, _ = candidate(server, "a")
        other, _ = candidate(server, "b")
        await one.acquire()
        await other.release()
        assert server.holder == "a"

    virtual_time.run(story())


def test_a_renewal_that_comes_late_but_in_time_goes_on(server):
    async def story():
        lease, line = candidate(server, "a")
        async with leading(lease) as kept:
            line.slow = 4.0
            await asyncio.sleep(60)
            assert lease.holds()
            assert not kept.done()

    virtual_time.run(story())


def test_a_lease_that_was_taken_away_by_hand_is_noticed_at_the_next_renewal(server):
    async def story():
        lease, _ = candidate(server, "a")
        async with leading(lease) as kept:
            await asyncio.sleep(7)
            stolen = copy.deepcopy(server.lease)
            stolen["spec"]["holderIdentity"] = "thief"
            server.write(stolen)
            assert await until(lambda: not lease.holds()) <= 2 * TIMING.retry_period + 0.1
            await until(kept.done)
            assert server.holder == "thief"

    virtual_time.run(story())


def test_a_lease_that_was_deleted_by_hand_is_made_again(server):
    async def story():
        lease, _ = candidate(server, "a")
        async with leading(lease) as kept:
            await asyncio.sleep(7)
            server.lease = None
            await until(lambda: server.lease is not None)
            await asyncio.sleep(60)
            assert lease.holds()
            assert not kept.done()

    virtual_time.run(story())


def test_never_two_at_once_whatever_lines_are_cut(server):
    async def story():
        chance = random.Random(7)
        leases = [candidate(server, identity) for identity in "abc"]
        tasks = {}
        for _ in range(1500):
            for lease, line in leases:
                if lease.identity not in tasks or tasks[lease.identity].done():
                    tasks[lease.identity] = asyncio.create_task(_follow(lease))
                if chance.random() < 0.02:
                    line.cut = not line.cut
            assert sum(lease.holds() for lease, _ in leases) <= 1
            await asyncio.sleep(0.5)
        assert server.lease["spec"]["leaseTransitions"] > 2
        for task in tasks.values():
            task.cancel()

    virtual_time.run(story())


async def _follow(lease):
    await lease.acquire()
    await lease.keep()
