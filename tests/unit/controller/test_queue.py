"""The queue as a specification, after that of controller-runtime's priority queue. In virtual time."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.controller.metrics import make_metrics
from modelway.controller.queue import Queue
from support import virtual_time


def make(metrics=None):
    return Queue(metrics=(metrics or make_metrics()).queue, clock=virtual_time.now, seed=random.Random(1))


def in_virtual_time(test):
    """`test` gets a queue and runs in virtual time."""

    def run(*args):
        async def story():
            await test(*args, make())

        virtual_time.run(story())

    return run


async def drain(queue, count):
    """The next `count` keys with the time at which each came; each is done at once."""
    came = []
    for _ in range(count):
        key = await queue.get()
        came.append((key, round(virtual_time.now(), 3)))
        queue.done(key)
    return came


async def nothing_comes(queue, *, seconds=1000):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await queue.get()


class TestOrder:
    @in_virtual_time
    async def test_it_returns_keys_in_the_order_in_which_they_came(self, queue):
        for key in "abc":
            queue.add(key)
        assert await drain(queue, 3) == [("a", 0), ("b", 0), ("c", 0)]

    @in_virtual_time
    async def test_higher_priority_goes_first(self, queue):
        queue.add("low", priority=-100)
        queue.add("usual")
        queue.add("high", priority=10)
        assert [key for key, _ in await drain(queue, 3)] == ["high", "usual", "low"]

    @in_virtual_time
    async def test_a_key_comes_only_after_its_delay(self, queue):
        queue.add("a", after=5)
        assert await drain(queue, 1) == [("a", 5)]

    @in_virtual_time
    async def test_keys_with_delays_come_in_the_order_of_their_times(self, queue):
        for key, after in {"late": 3, "early": 1, "middle": 2}.items():
            queue.add(key, after=after)
        assert await drain(queue, 3) == [("early", 1), ("middle", 2), ("late", 3)]

    @in_virtual_time
    async def test_a_key_of_high_priority_that_is_not_due_blocks_nobody(self, queue):
        queue.add("high", after=10, priority=100)
        queue.add("low", priority=-100)
        assert await drain(queue, 2) == [("low", 0), ("high", 10)]

    @in_virtual_time
    async def test_priority_decides_among_those_that_have_come_due(self, queue):
        queue.add("low", after=1, priority=-1)
        queue.add("high", after=2, priority=1)
        await asyncio.sleep(3)
        assert [key for key, _ in await drain(queue, 2)] == ["high", "low"]


class TestOnce:
    @in_virtual_time
    async def test_a_key_waits_at_most_once(self, queue):
        for _ in range(3):
            queue.add("a")
        assert len(queue) == 1
        await drain(queue, 1)
        await nothing_comes(queue)

    @in_virtual_time
    async def test_it_keeps_the_highest_priority(self, queue):
        queue.add("a", priority=5)
        queue.add("a", priority=1)
        queue.add("b", priority=3)
        assert [key for key, _ in await drain(queue, 2)] == ["a", "b"]

    @in_virtual_time
    async def test_it_moves_to_the_front_when_its_priority_rises(self, queue):
        queue.add("a")
        queue.add("b")
        queue.add("b", priority=1)
        assert [key for key, _ in await drain(queue, 2)] == ["b", "a"]

    @in_virtual_time
    async def test_it_keeps_the_earliest_time(self, queue):
        queue.add("a", after=5)
        queue.add("a", after=2)
        queue.add("a", after=9)
        assert await drain(queue, 1) == [("a", 2)]
        await nothing_comes(queue)

    @in_virtual_time
    async def test_the_earliest_time_and_the_highest_priority_may_come_from_different_adds(self, queue):
        queue.add("a", after=2, priority=-5)
        queue.add("a", after=9, priority=5)
        queue.add("b", after=2)
        await asyncio.sleep(2)
        assert [key for key, _ in await drain(queue, 2)] == ["a", "b"]


class TestLocked:
    @in_virtual_time
    async def test_it_does_not_return_a_key_that_is_being_worked_on(self, queue):
        queue.add("a")
        assert await queue.get() == "a"
        queue.add("a")
        await nothing_comes(queue)

    @in_virtual_time
    async def test_a_key_that_was_added_meanwhile_comes_back_when_it_is_done(self, queue):
        queue.add("a")
        await queue.get()
        queue.add("a")
        queue.done("a")
        assert await drain(queue, 1) == [("a", 0)]

    @in_virtual_time
    async def test_it_comes_back_once_with_the_earliest_time_of_all(self, queue):
        queue.add("a")
        await queue.get()
        queue.add("a", after=9)
        queue.add("a", after=3)
        queue.done("a")
        assert await drain(queue, 1) == [("a", 3)]
        await nothing_comes(queue)

    @in_virtual_time
    async def test_a_key_that_was_not_added_meanwhile_does_not_come_back(self, queue):
        queue.add("a")
        await drain(queue, 1)
        await nothing_comes(queue)

    @in_virtual_time
    async def test_other_keys_go_on(self, queue):
        queue.add("a")
        queue.add("b")
        assert await queue.get() == "a"
        assert await queue.get() == "b"


class TestWaiting:
    @in_virtual_time
    async def test_whoever_waits_gets_a_key_as_soon_as_there_is_one(self, queue):
        waiting = asyncio.create_task(drain(queue, 1))
        await asyncio.sleep(7)
        queue.add("a")
        assert await waiting == [("a", 7)]

    @in_virtual_time
    async def test_an_earlier_key_interrupts_the_wait_for_a_later_one(self, queue):
        queue.add("late", after=100)
        waiting = asyncio.create_task(drain(queue, 2))
        await asyncio.sleep(1)
        queue.add("early", after=1)
        assert await waiting == [("early", 2), ("late", 100)]

    @in_virtual_time
    async def test_several_waiters_get_different_keys(self, queue):
        waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
        await asyncio.sleep(1)
        for key in "abc":
            queue.add(key)
        assert sorted(await asyncio.gather(*waiting)) == ["a", "b", "c"]

    @in_virtual_time
    async def test_a_waiter_that_gives_up_takes_nothing_with_it(self, queue):
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(1)
        waiting.cancel()
        queue.add("a")
        await asyncio.sleep(0)
        assert await drain(queue, 1) == [("a", 1)]


class TestRetry:
    @in_virtual_time
    async def test_the_delay_grows_and_ends_growing(self, queue):
        delays = []
        for _ in range(20):
            delays.append(queue.retry("a"))
            await drain(queue, 1)
        assert delays[0] <= 0.25
        assert all(0.125 * 2**n <= delay <= 0.25 * 2**n for n, delay in enumerate(delays[:10]))
        assert 150 <= delays[-1] <= 300

    @in_virtual_time
    async def test_success_makes_it_short_again(self, queue):
        for _ in range(10):
            queue.retry("a")
        queue.forget("a")
        assert queue.retry("a") <= 0.25

    @in_virtual_time
    async def test_it_is_at_least_what_the_server_asks_for(self, queue):
        assert queue.retry("a", at_least=7.0) == 7.0
        assert await drain(queue, 1) == [("a", 7.0)]

    @in_virtual_time
    async def test_an_event_does_not_wait_for_the_retry(self, queue):
        for _ in range(10):
            queue.retry("a")
        queue.add("a")
        assert (await drain(queue, 1))[0][1] == 0

    @in_virtual_time
    async def test_keys_do_not_retry_in_step(self, queue):
        assert len({queue.retry(str(key)) for key in range(50)}) == 50


class TestEnd:
    @in_virtual_time
    async def test_a_closed_queue_hands_out_nothing_more(self, queue):
        queue.add("a")
        queue.close()
        with pytest.raises(asyncio.CancelledError):
            await queue.get()

    @in_virtual_time
    async def test_closing_wakes_everybody_who_waits(self, queue):
        waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
        await asyncio.sleep(1)
        queue.close()
        await asyncio.wait(waiting, timeout=1)
        assert all(task.cancelled() for task in waiting)

    @in_virtual_time
    async def test_it_is_idle_when_nothing_is_being_worked_on(self, queue):
        queue.add("a")
        await queue.get()
        idle = asyncio.create_task(queue.idle())
        await asyncio.sleep(5)
        assert not idle.done()
        queue.close()
        queue.done("a")
        await asyncio.wait_for(idle, 1)


class TestMetrics:
    def test_they_tell_depth_adds_retries_and_times(self):
        metrics = make_metrics()
        sample = metrics.registry.get_sample_value
        labels = {"name": "modeldeployment"}

        async def story():
            queue = make(metrics)
            queue.add("a", after=2)
            queue.add("b")
            assert sample("workqueue_depth", labels) == 2
            await asyncio.sleep(5)
            key = await queue.get()
            await asyncio.sleep(3)
            assert queue.longest_working() == 3
            queue.retry(key)
            queue.done(key)
            assert queue.longest_working() == 0

        virtual_time.run(story())
        assert sample("workqueue_adds_total", labels) == 3
        assert sample("workqueue_retries_total", labels) == 1
        assert sample("workqueue_queue_duration_seconds_sum", labels) == pytest.approx(3, abs=2)
        assert sample("workqueue_work_duration_seconds_sum", labels) == 3


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "get", "done", "retry", "wait"]), st.sampled_from("abcd"), st.integers(0, 3)),
    max_size=60,
)


@settings(max_examples=60)
@given(STEPS)
def test_no_key_is_ever_lost_or_handed_out_twice_at_once(steps):
    async def story():
        queue = make()
        owed, working = set(), set()
        for what, key, number in steps:
            match what:
                case "add":
                    queue.add(key, after=number, priority=number)
                    owed.add(key)
                case "retry":
                    queue.retry(key)
                    owed.add(key)
                case "wait":
                    await asyncio.sleep(number)
                case "done" if working:
                    queue.done(working.pop())
                case "get":
                    try:
                        async with asyncio.timeout(0.001):
                            got = await queue.get()
                    except TimeoutError:
                        continue
                    assert got not in working
                    assert got in owed
                    working.add(got)
                    owed.discard(got)
        for key in working:
            queue.done(key)
        came = [key for key, _ in await drain(queue, len(queue))]
        assert sorted(came) == sorted(owed)

    virtual_time.run(story())
