"""What waits for the end of a turn of the event loop, and in what pieces it is done."""

import asyncio

import pytest

from modelway.server.turn import MOST, Soon, Turn


@pytest.fixture
def done():
    return []


@pytest.fixture
def turn(done):
    return Turn(lambda items: done.append(list(items)), longest=1.0, budget=10.0)


def add(turn, *items, seconds=0.0):
    for item in items:
        assert not turn.is_over(100.0)
        turn.add(item, seconds)


async def test_requests_that_come_late_in_a_turn_of_the_loop_are_refused_and_the_next_turn_begins_anew(turn):
    assert not turn.is_over(100.0)
    assert not turn.is_over(100.9)
    assert turn.is_over(101.1)
    await asyncio.sleep(0)
    assert not turn.is_over(102.0)
    assert not turn.is_over(102.9)


async def test_what_comes_in_one_turn_is_done_together_at_its_end(turn, done):
    add(turn, "a", "b")
    assert done == []
    await asyncio.sleep(0)
    assert done == [["a", "b"]]
    add(turn, "c")
    await asyncio.sleep(0)
    assert done == [["a", "b"], ["c"]]


async def test_more_work_than_the_budget_does_not_wait_for_itself(turn, done):
    add(turn, "a", "b", seconds=4.0)
    add(turn, "c", seconds=4.0)
    assert done == [["a", "b"]]
    add(turn, "d", seconds=20.0)
    assert done == [["a", "b"], ["c"]]
    await asyncio.sleep(0)
    assert done == [["a", "b"], ["c"], ["d"]]


async def test_the_first_of_many_do_not_wait_for_all(turn, done):
    add(turn, *range(2 * MOST + 1))
    assert [len(items) for items in done] == [MOST, MOST]
    await asyncio.sleep(0)
    assert [item for items in done for item in items] == list(range(2 * MOST + 1))


async def test_what_comes_soon_is_told_or_can_be_awaited():
    told, failed = Soon(), Soon()
    found = []
    told.then(found.append)
    failed.then(found.append, lambda error: found.append(str(error)))
    told.come("a value")
    failed.fail(ValueError("an error"))
    assert found == ["a value", "an error"]

    early, early_wrong = Soon(), Soon()
    early.come("early")
    early_wrong.fail(ValueError("wrong"))
    early.then(found.append)
    early_wrong.then(found.append, lambda error: found.append(str(error)))
    assert found[2:] == ["early", "wrong"]

    awaited, wrong = Soon(), Soon()
    asyncio.get_running_loop().call_soon(awaited.come, "a value")
    assert await awaited == "a value"
    asyncio.get_running_loop().call_soon(wrong.fail, ValueError("an error"))
    with pytest.raises(ValueError, match="an error"):
        await wrong


@pytest.mark.parametrize("outcome", ["come", "fail"])
async def test_who_is_gone_is_told_nothing(outcome):
    soon = Soon()

    async def wait():
        await soon

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    getattr(soon, outcome)(ValueError("late"))
    with pytest.raises(asyncio.CancelledError):
        await waiting
