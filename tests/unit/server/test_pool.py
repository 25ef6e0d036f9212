import asyncio
import threading
import time

import pytest

from modelway.server.errors import RequestError
from modelway.server.pool import STUCK_AFTER, Job, Pool, Result

TIMEOUT = 10.0


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 the pool has no event to wait for
            await asyncio.sleep(0.001)


@pytest.fixture
def gate():
    opened = threading.Event()
    yield opened
    opened.set()


@pytest.fixture
def make():
    pools = []

    def pool(**options):
        pools.append(Pool(**{"concurrency": 1, "queue": 0, "timeout": TIMEOUT} | options))
        return pools[-1]

    yield pool
    for made in pools:
        made.stop()


def run(pool, work, elapsed=0.0, **job):
    return pool.run(Job(work, **job), start=time.perf_counter() - elapsed)


async def test_work_is_done_in_a_thread(make):
    assert (await run(make(), lambda: threading.current_thread().name)).startswith("predict")


async def test_errors_come_through(make):
    with pytest.raises(ZeroDivisionError):
        await run(make(), lambda: 1 / 0)


async def test_a_timeout_of_the_works_own_is_not_taken_for_the_requests(make):
    def work():
        raise TimeoutError("the feature store")

    with pytest.raises(TimeoutError, match="feature store"):
        await run(make(), work)


async def test_the_queue_has_an_end_and_refuses_at_once(make, gate):
    pool = make(queue=2)
    waiting = [asyncio.create_task(run(pool, lambda: gate.wait(10))) for _ in range(3)]
    await until(lambda: pool.occupied == 3)
    with pytest.raises(RequestError, match="overloaded") as caught:
        run(pool, lambda: None)
    assert caught.value.status == 503
    assert caught.value.headers == {"retry-after": "1"}
    gate.set()
    assert await asyncio.gather(*waiting) == [True] * 3
    await until(lambda: pool.occupied == 0)


async def test_a_burst_finds_room_for_all_threads_and_the_whole_queue(make, gate):
    pool = make(concurrency=2, queue=1)
    waiting = [run(pool, lambda: gate.wait(10)) for _ in range(3)]  # before any thread has begun
    with pytest.raises(RequestError):
        run(pool, lambda: None)
    gate.set()
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_a_timeout_is_told_and_its_thread_still_counts(make, gate):
    pool = make()
    with pytest.raises(RequestError, match=r"longer than 10 s") as caught:
        await run(pool, lambda: gate.wait(10), elapsed=TIMEOUT - 0.02)
    assert caught.value.status == 504
    with pytest.raises(RequestError) as caught:
        await run(pool, lambda: None)
    assert caught.value.status == 503
    gate.set()
    await until(lambda: pool.occupied == 0)


@pytest.mark.parametrize("how", ["time is over", "the client hung up"])
async def test_what_had_not_started_when_its_caller_gave_up_never_runs(make, gate, how):
    pool = make(queue=1)
    first = asyncio.create_task(run(pool, lambda: gate.wait(10)))
    await until(lambda: pool.occupied == 1)
    ran = []
    elapsed = TIMEOUT - 0.02 if how == "time is over" else 0.0
    second = asyncio.create_task(run(pool, lambda: ran.append(1), elapsed=elapsed))
    await until(lambda: pool.occupied == 2 or second.done())
    if how == "the client hung up":
        await asyncio.sleep(0)  # the task waits
        second.cancel()
    with pytest.raises((RequestError, asyncio.CancelledError)):
        await second
    assert pool.occupied == 1
    gate.set()
    await first
    await until(lambda: pool.occupied == 0)
    assert ran == []


async def test_a_stopped_pool_tells_whether_threads_are_busy_and_takes_no_more(make, gate):
    idle, pool = make(), make()
    assert idle.stop()
    task = asyncio.create_task(run(pool, lambda: gate.wait(10)))
    await until(lambda: pool.occupied == 1)
    assert not pool.stop()
    with pytest.raises(RequestError):
        run(pool, lambda: None)
    gate.set()
    await task


async def test_a_pool_is_stuck_when_no_thread_has_come_back_for_many_timeouts(make, gate):
    now = 0.0
    pool = make(concurrency=2, clock=lambda: now)
    tasks = [asyncio.create_task(pool.run(Job(lambda: gate.wait(10)), start=now)) for _ in range(2)]
    await until(lambda: pool.occupied == 2 and not pool._waiting)
    assert not pool.is_stuck
    now = STUCK_AFTER * TIMEOUT + 1
    assert pool.is_stuck
    gate.set()
    await until(lambda: not pool.is_stuck)
    await asyncio.gather(*tasks, return_exceptions=True)


# Batches.


class Batches:
    """Notes which jobs were done together."""

    def __init__(self) -> None:
        self.done = []

    def __call__(self, jobs) -> list:
        self.done.append([job.content for job in jobs])
        return [Result(job.content) for job in jobs]


def together(pool, content, key="a", rows=1):
    return asyncio.create_task(run(pool, lambda: content, key=key, rows=rows, content=content))


async def blocked(pool, gate):
    """Keep the pool's only thread busy."""
    task = asyncio.create_task(run(pool, lambda: gate.wait(10)))
    await until(lambda: pool.occupied == 1 and not pool._waiting)
    return task


async def test_what_comes_while_a_thread_is_busy_is_the_next_batch(make, gate):
    batches, told = Batches(), []
    pool = make(queue=9, together=batches, max_batch=64, on_batch=told.append)
    task = await blocked(pool, gate)
    tasks = [together(pool, number) for number in range(5)]
    await until(lambda: pool.occupied == 6)
    gate.set()
    assert await asyncio.gather(*tasks) == list(range(5))
    assert batches.done == [[0, 1, 2, 3, 4]]
    assert told == [5]
    await task


async def test_a_batch_holds_one_key_and_no_more_rows_than_it_may(make, gate):
    batches = Batches()
    pool = make(queue=9, together=batches, max_batch=5)
    task = await blocked(pool, gate)
    tasks = [
        together(pool, number, key, rows)
        for number, (key, rows) in enumerate([("a", 2), ("b", 1), ("a", 2), ("a", 2), ("b", 1)])
    ]
    await until(lambda: pool.occupied == 6)
    gate.set()
    assert await asyncio.gather(*tasks) == list(range(5))
    assert batches.done == [[0, 2], [1, 4]]  # 3 found no room with 0 and 2, and went alone
    await task


async def test_a_lonely_client_never_waits_for_others(make):
    pool = make(together=Batches(), max_batch=64, max_wait=9.0)
    begin = time.monotonic()
    for number in range(5):
        assert await together(pool, number) == number
    assert time.monotonic() - begin < 5


async def test_where_there_are_others_a_batch_waits_for_them(make, gate):
    batches = Batches()
    pool = make(queue=9, together=batches, max_batch=4, max_wait=9.0)
    task = await blocked(pool, gate)
    tasks = [together(pool, number) for number in range(2)]
    await until(lambda: pool.occupied == 3)
    gate.set()
    await until(lambda: pool.occupied == 0)  # had to wait only for what was there
    tasks += [together(pool, number) for number in (2, 3)]
    await until(lambda: not pool._waiting)
    tasks += [together(pool, number) for number in (4, 5)]  # completes the batch
    assert await asyncio.gather(*tasks) == list(range(6))
    assert batches.done == [[0, 1], [2, 3, 4, 5]]
    await task


async def test_work_of_another_kind_is_not_held_up_by_a_batch_that_waits(make, gate):
    batches = Batches()
    pool = make(concurrency=2, queue=9, together=batches, max_batch=3, max_wait=9.0)
    pool._last_batch = 2
    tasks = [together(pool, 0)]
    await until(lambda: pool._gathering)
    async with asyncio.timeout(5):
        assert await run(pool, lambda: "large") == "large"
    tasks += [together(pool, 1), together(pool, 2)]
    assert await asyncio.gather(*tasks) == [0, 1, 2]
    assert batches.done == [[0, 1, 2]]
