"""Which way a request takes: the event loop, a thread, a batch, or none."""

import asyncio
import threading
import time

import numpy as np
import pytest

from modelway.server.engine import INLINE_BODY, Engine
from modelway.server.errors import InvalidInputError, RequestError
from modelway.server.loading import Loaded
from modelway.server.pace import STRIKES, UNKNOWN, Cost
from modelway.server.signature import Signature
from modelway.server.tensors import Batch
from modelway.server.wire import Request
from support.fake_model import FakeModel, first_column

FAST, SLOW = Cost(call=1e-6, row=1e-8), Cost(call=5e-3, row=1e-6)


class Recorder:
    """A model that notes in which thread it predicted how many rows, and waits at a gate."""

    def __init__(self) -> None:
        self.calls = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, batch) -> dict:
        self.calls.append((threading.current_thread().name, batch.rows))
        self.gate.wait(10)
        return first_column(batch)


@pytest.fixture
def recorder():
    made = Recorder()
    yield made
    made.gate.set()


@pytest.fixture
def make(recorder):
    engines = []

    def engine(cost, *, batchable=False, compute=recorder, **options):
        model = FakeModel(compute=compute)
        loaded = Loaded(
            model=model,
            signature=Signature.of(model, ignores_extra=False, max_rows=1000),
            version=None,
            format="fake",
            cost=cost,
            batchable=batchable,
            cost_unknown_because="",
            sample=None,
            golden=0,
            seconds=0.0,
        )
        engines.append(Engine(loaded, **{"concurrency": 1, "queue": 9, "timeout": 10.0} | options))
        return engines[-1]

    yield engine
    for made in engines:
        made.stop()


def ask(engine, value=1.0, *, rows=1, size=100, start=None, parse=None):
    batch = Batch({"x": np.full((rows, 3), value, dtype=np.float32)}, rows=rows, wanted=("y",))
    return engine.begin(
        parse or (lambda: Request(batch)),
        lambda outputs, _request: outputs["y"].tolist(),
        size=size,
        start=time.perf_counter() if start is None else start,
    )


async def answer_of(outcome):
    return await outcome


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 threads have no event to wait for
            await asyncio.sleep(0.001)


async def test_a_fast_model_is_asked_on_the_event_loop(make, recorder):
    assert await ask(make(FAST), 7) == ([7.0], 1)
    assert recorder.calls == [("MainThread", 1)]


async def test_requests_of_one_turn_are_all_read_then_all_predicted_each_by_itself_then_all_written(make, recorder):
    steps, engine = [], make(FAST)

    def begin(value):
        batch = Batch({"x": np.full((1, 3), value, dtype=np.float32)}, rows=1, wanted=("y",))

        def parse():
            steps.append(("read", len(recorder.calls)))
            return Request(batch)

        def render(outputs, _request):
            steps.append(("write", len(recorder.calls)))
            return outputs["y"].tolist()

        return engine.begin(parse, render, size=100, start=time.perf_counter())

    assert await asyncio.gather(*[answer_of(begin(value)) for value in (1, 2, 3)]) == [
        ([float(value)], 1) for value in (1, 2, 3)
    ]
    assert steps == [("read", 0)] * 3 + [("write", 3)] * 3
    assert [rows for _, rows in recorder.calls] == [1, 1, 1]


async def test_what_one_request_does_to_the_model_is_no_others_fault(make):
    def compute(batch):
        if batch.tensors["x"][0, 0] == 2:
            raise ArithmeticError("two")
        return first_column(batch)

    engine = make(FAST, compute=compute)
    first, second, third = await asyncio.gather(
        *[answer_of(ask(engine, value)) for value in (1, 2, 3)], return_exceptions=True
    )
    assert (first, third) == (([1.0], 1), ([3.0], 1))
    assert isinstance(second, ArithmeticError)


async def test_an_answer_that_cannot_be_written_is_no_others_fault(make):
    engine = make(FAST)
    batch = Batch({"x": np.ones((1, 3), dtype=np.float32)}, rows=1, wanted=("y",))

    def render(_outputs, _request):
        raise ValueError("no JSON")

    wrong = engine.begin(lambda: Request(batch), render, size=100, start=time.perf_counter())
    right = ask(engine, 3)
    found = await asyncio.gather(answer_of(wrong), answer_of(right), return_exceptions=True)
    assert isinstance(found[0], ValueError)
    assert found[1] == ([3.0], 1)


async def test_a_model_that_turns_slow_in_the_middle_of_a_turn_leaves_the_loop_to_others(make, recorder, monkeypatch):
    monkeypatch.setattr("modelway.server.pace.FAR", 0)  # each run is too slow; the third in a row is one too many
    engine = make(FAST)
    answers = await asyncio.gather(*[answer_of(ask(engine, value)) for value in range(STRIKES + 2)])
    assert answers == [([float(value)], 1) for value in range(STRIKES + 2)]
    threads = [thread for thread, _ in recorder.calls]
    assert threads[:STRIKES] == ["MainThread"] * STRIKES
    assert all(thread.startswith("predict") for thread in threads[STRIKES:])
    assert len(threads) == STRIKES + 2


async def test_what_goes_wrong_in_the_thread_that_took_over_is_told(make, monkeypatch):
    monkeypatch.setattr("modelway.server.pace.FAR", 0)
    values = iter(range(STRIKES + 1))

    def compute(batch):
        if next(values) == STRIKES:
            raise ArithmeticError("late")
        return first_column(batch)

    engine = make(FAST, compute=compute)
    asked = [answer_of(ask(engine)) for _ in range(STRIKES + 1)]
    *_, last = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(last, ArithmeticError)


@pytest.mark.parametrize(
    ("cost", "options"),
    [(SLOW, {}), (UNKNOWN, {}), (FAST, {"size": INLINE_BODY + 1}), (FAST, {"rows": 500_000})],
    ids=["slow", "never timed", "a large body", "many rows"],
)
async def test_everything_else_is_asked_in_a_thread(make, recorder, cost, options):
    answer, rows = await ask(make(cost), 7, **options)
    assert (answer[0], rows) == (7.0, options.get("rows", 1))
    assert recorder.calls[0][0].startswith("predict")


async def test_requests_to_a_slow_model_that_come_meanwhile_are_predicted_together(make, recorder):
    told = []
    engine = make(SLOW, batchable=True, max_batch=64, on_batch=told.append)
    recorder.gate.clear()
    first = asyncio.create_task(ask(engine, 0))
    await until(lambda: recorder.calls)
    others = [asyncio.create_task(ask(engine, value, rows=2)) for value in (1, 2, 3)]
    await until(lambda: engine.pool.occupied == 4)
    recorder.gate.set()
    assert await asyncio.gather(first, *others) == [([0.0], 1), *(([value] * 2, 2) for value in (1.0, 2.0, 3.0))]
    assert [rows for _, rows in recorder.calls] == [1, 6]
    assert told == [3]


@pytest.mark.parametrize(("batchable", "max_batch"), [(False, 64), (True, 1)], ids=["mixes rows", "switched off"])
async def test_without_batching_each_is_predicted_alone(make, recorder, batchable, max_batch):
    engine = make(SLOW, batchable=batchable, max_batch=max_batch)
    recorder.gate.clear()
    asking = [asyncio.create_task(ask(engine, value)) for value in range(4)]
    await until(lambda: engine.pool.occupied == 4)
    recorder.gate.set()
    assert await asyncio.gather(*asking) == [([float(value)], 1) for value in range(4)]
    assert [rows for _, rows in recorder.calls] == [1] * 4


async def test_what_is_wrong_with_a_request_is_told_before_it_joins_a_batch(make, recorder):
    def wrong():
        raise InvalidInputError("instances[0]: …")

    with pytest.raises(InvalidInputError):
        ask(make(SLOW, batchable=True, max_batch=64), parse=wrong)
    assert recorder.calls == []


async def test_what_comes_too_late_in_a_turn_of_the_loop_is_refused_unread(make):
    engine = make(FAST, timeout=4.0)
    now = time.perf_counter()
    first = ask(engine, start=now)
    with pytest.raises(RequestError, match="too many requests at once") as caught:
        ask(engine, start=now + 1.1, parse=lambda: pytest.fail("was read"))
    assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "1"})
    assert await first == ([1.0], 1)
    assert await ask(engine, start=now + 1.2) == ([1.0], 1)
