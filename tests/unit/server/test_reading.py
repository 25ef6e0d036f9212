import asyncio

import pytest

from modelway.server.errors import RequestError
from modelway.server.reading import read_body


def receiver(*chunks: bytes, then: dict | None = None):
    messages = [
        {"type": "http.request", "body": chunk, "more_body": index < len(chunks) - 1 or then is not None}
        for index, chunk in enumerate(chunks)
    ]
    messages += [then] if then else []

    async def receive():
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    return receive


def read(receive, headers=(), limit=10, timeout=5):
    return read_body(headers, receive, limit=limit, timeout=timeout)


@pytest.mark.parametrize("chunks", [[b"abc"], [b"a", b"bc"], [b"", b"abc", b""], [b"0123456789"]])
async def test_chunks_become_one_body(chunks):
    assert await read(receiver(*chunks)) == b"".join(chunks)


@pytest.mark.parametrize(
    ("chunks", "headers", "closes"),
    [
        ([b"x" * 11], [(b"content-length", b"11")], False),
        ([b"x" * 6, b"x" * 6], [], False),
        ([b"x" * 15, b"x" * 15, b"never asked for"], [], True),
        ([], [(b"content-length", b"1000")], True),
    ],
    ids=["a little over", "a little over, chunked", "far over, chunked", "announced to be far over"],
)
async def test_too_much_is_413_and_the_connection_kept_where_that_is_cheap(chunks, headers, closes):
    with pytest.raises(RequestError, match="larger than 10 bytes") as caught:
        await read(receiver(*chunks), headers)
    assert caught.value.status == 413
    assert (caught.value.headers.get("connection") == "close") is closes


async def test_a_slow_client_is_told_408():
    with pytest.raises(RequestError) as caught:
        await read(receiver(b"a", then={"type": "http.request", "body": b"", "more_body": True}), timeout=0.02)
    assert caught.value.status == 408
    assert caught.value.headers == {"connection": "close"}


async def test_a_client_that_hangs_up_ends_the_request():
    with pytest.raises(RequestError, match="hung up"):
        await read(receiver(b"abc", then={"type": "http.disconnect"}))


async def test_a_cancellation_from_outside_stays_one():
    task = asyncio.create_task(read(receiver(b"a", then={"type": "http.request", "body": b"", "more_body": True})))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_time_limit_ends_with_the_body():
    await read(receiver(b"abc"), timeout=0.02)
    await asyncio.sleep(0.05)  # a watchdog that was left behind would cancel this
