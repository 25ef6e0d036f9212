"""Reading, scoring and writing at the same time: a thread reads ahead, one for each core scores, the caller writes.

Blocks come out in the order in which they were read. What is in memory is bounded by the number of blocks under way,
whatever the input's size. When anything fails all of it ends, and the first cause is raised.
"""

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")

_AHEAD: Final = 2


class _Reader(threading.Thread, Generic[A]):
    """Reads blocks, a few ahead of who takes them. What reading raises is raised where the block is taken."""

    def __init__(self, blocks: Iterator[A]) -> None:
        super().__init__(name="batch-read", daemon=True)
        self._blocks = blocks
        self._ahead: queue.Queue[A | BaseException | None] = queue.Queue(_AHEAD)
        self._ended = threading.Event()

    def run(self) -> None:
        try:
            for block in self._blocks:
                self._put(block)
                if self._ended.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 raised where the block is waited for
            self._put(error)
        else:
            self._put(None)

    def taken(self) -> Iterator[A]:
        """The blocks."""
        while (block := self._ahead.get()) is not None:
            if isinstance(block, BaseException):
                raise block
            yield block

    def end(self) -> None:
        """Read no more."""
        self._ended.set()
        self.join()

    def _put(self, item: A | BaseException | None) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(queue.Full):
                self._ahead.put(item, timeout=0.1)
                return


def ordered(blocks: Iterator[A], work: Callable[[A], B], *, threads: int) -> Iterator[B]:
    """`work` of every block, in order. Closing the iterator ends reading and working."""
    reader = _Reader(blocks)
    reader.start()
    under_way: deque[Future[B]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="batch-score") as pool:
        try:
            for block in reader.taken():
                under_way.append(pool.submit(work, block))
                while len(under_way) > threads or (under_way and under_way[0].done()):
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
            reader.end()
