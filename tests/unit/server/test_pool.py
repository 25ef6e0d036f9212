import asyncio
import threading

import pytest

from modelway.server.errors import RequestError
from modelway.server.pool import Pool

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


async def test_work_is_done_in_a_thread():
    name = await Pool(concurrency=1, queue=0, timeout=TIMEOUT).run(lambda: threading.current_thread().name)
    assert name.startswith("predict")


async def test_errors_come_through():
    with pytest.raises(ZeroDivisionError):
        await Pool(concurrency=1, queue=0, timeout=TIMEOUT).run(lambda: 1 / 0)


async def test_the_queue_has_an_end(gate):
    pool = Pool(concurrency=1, queue=2, timeout=TIMEOUT)
    waiting = [asyncio.create_task(pool.run(lambda: gate.wait(10))) for _ in range(3)]
    await until(lambda: pool.occupied == 3)
    with pytest.raises(RequestError, match="overloaded") as caught:
        await pool.run(lambda: None)
    assert caught.value.status == 503
    assert caught.value.headers == {"retry-after": "1"}
    gate.set()
    assert await asyncio.gather(*waiting) == [True] * 3
    await until(lambda: pool.occupied == 0)


async def test_a_timeout_is_told_and_its_thread_still_counts(gate):
    pool = Pool(concurrency=1, queue=0, timeout=TIMEOUT)
    with pytest.raises(RequestError, match=r"longer than 10 s") as caught:
        await pool.run(lambda: gate.wait(10), elapsed=TIMEOUT - 0.02)
    assert caught.value.status == 504
    with pytest.raises(RequestError) as caught:
        await pool.run(lambda: None)
    assert caught.value.status == 503
    gate.set()
    await until(lambda: pool.occupied == 0)


async def test_what_had_not_started_when_its_caller_gave_up_never_runs(gate):
    pool = Pool(concurrency=1, queue=1, timeout=TIMEOUT)
    first = asyncio.create_task(pool.run(lambda: gate.wait(10)))
    await until(lambda: pool.occupied == 1)
    ran = []
    with pytest.raises(RequestError):
        await pool.run(lambda: ran.append(1), elapsed=TIMEOUT - 0.02)
    await until(lambda: pool.occupied == 1)
    gate.set()
    await first
    await until(lambda: pool.occupied == 0)
    assert ran == []


async def test_a_stopped_pool_tells_whether_threads_are_busy(gate):
    pool = Pool(concurrency=1, queue=0, timeout=TIMEOUT)
    assert Pool(concurrency=1, queue=0, timeout=TIMEOUT).stop()
    task = asyncio.create_task(pool.run(lambda: gate.wait(10)))
    await until(lambda: pool.occupied == 1)
    assert not pool.stop()
    gate.set()
    await task
