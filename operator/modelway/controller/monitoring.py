"""Reads the pods of models that are monitored, once a window, and tells when there is something to look at.

Each followed ModelDeployment has a task of its own, beside the queue: a pod that answers slowly delays no look and no
renewal of the lease. A pod that is about to end is read every two seconds until it is gone, so that its last counts are
not lost; its last reading is kept until a look has counted it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from modelway.controller.measuring import UnreachableError
from modelway.controller.tasks import end
from modelway.kube.store import Owner
from modelway.plan.measured import Target
from modelway.plan.monitoring.readings import Collected, Layout, PodReading, Watching

_AT_ONCE: Final = 32
"""Pods that are read at the same time, of all models together."""
_ENDING_SECONDS: Final = 2.0

Read = Callable[[Target, Watching, Mapping[str, Layout]], Awaitable[tuple[PodReading, Layout | None]]]
"""Reads one pod; gives the layout of its counts too, where it is none of those that are known."""


@dataclass(slots=True)
class _Followed:
    wanted: Watching
    collected: Collected = field(default_factory=Collected)
    ended: dict[str, PodReading] = field(default_factory=dict)
    """Readings of pods that are ending, by their uid: until they are counted."""
    revisions: frozenset[str] = frozenset()
    """That the layouts are of: those of another may be called the same, and mean something else."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Collector:
    """Keeps the last readings of all pods that are monitored.

    Args:
        read: reads one pod; raises UnreachableError.
        on_news: told whose readings are new, after each round.
        clock: gives the time in UTC.
    """

    def __init__(self, read: Read, *, on_news: Callable[[Owner], None], clock: Callable[[], datetime]) -> None:
        self._read = read
        self._on_news = on_news
        self._clock = clock
        self._followed: dict[Owner, _Followed] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def follow(self, owner: Owner, wanted: Watching | None) -> None:
        """Read whom it says, and nobody else; None: nobody. What has been counted is let go of."""
        followed = self._followed.get(owner)
        if wanted is None:
            self.forget(owner)
        elif followed is None:
            followed = self._followed[owner] = _Followed(wanted)
            followed.task = asyncio.create_task(self._keep_reading(owner, followed))
        elif wanted != (known := followed.wanted):
            followed.wanted = wanted
            if wanted.counted is not None:
                counted = wanted.counted
                followed.ended = {uid: one for uid, one in followed.ended.items() if one.taken_at > counted}
            if wanted.every != known.every or _ending(wanted) - _ending(known):
                followed.changed.set()

    def forget(self, owner: Owner) -> None:
        """Read nobody of `owner` any more."""
        followed = self._followed.pop(owner, None)
        if followed is not None and followed.task is not None:
            followed.task.cancel()

    def collected(self, owner: Owner) -> Collected:
        """What the last round has given; nothing of a ModelDeployment that is not followed."""
        followed = self._followed.get(owner)
        return followed.collected if followed is not None else Collected()

    async def close(self) -> None:
        """Read nobody any more."""
        tasks = [followed.task for followed in self._followed.values() if followed.task is not None]
        self._followed.clear()
        await end(tasks)

    async def _keep_reading(self, owner: Owner, followed: _Followed) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time() - self._seconds_since(followed.wanted)
        while True:
            followed.changed.clear()
            left = last + followed.wanted.every - loop.time()
            if left <= 0:
                last = loop.time()
                await self._round(followed)
                self._on_news(owner)
                continue
            ending = _ending(followed.wanted)
            try:
                async with asyncio.timeout(min(left, _ENDING_SECONDS) if ending else left):
                    await followed.changed.wait()
            except TimeoutError:
                pass
            await self._read_ending(followed)

    def _seconds_since(self, wanted: Watching) -> float:
        """Since the last round of an operator before this one; clocks of two machines may differ."""
        if wanted.counted is None:
            return wanted.every
        return max((self._clock() - wanted.counted).total_seconds(), 0.0)

    async def _round(self, followed: _Followed) -> None:
        """Everybody once, and those that have ended as they were last read."""
        wanted = followed.wanted
        revisions = frozenset(pod.revision for pod in wanted.targets) or followed.revisions
        layouts = followed.collected.layouts if revisions == followed.revisions else {}
        followed.revisions = revisions
        found, failures, told = await self._gathered(wanted, sorted(wanted.targets), layouts)
        followed.ended |= {one.of.pod.uid: one for one in found if one.of.is_ending}
        readings = followed.ended | {one.of.pod.uid: one for one in found}
        used = {one.layout for one in readings.values()}
        known = {name: layout for name, layout in (dict(layouts) | told).items() if name in used or not used}
        followed.collected = Collected(self._clock(), tuple(readings.values()), known, tuple(failures))

    async def _read_ending(self, followed: _Followed) -> None:
        """Those that are about to end. That one of them is gone by now is no news."""
        if ending := _ending(followed.wanted):
            same = all(pod.revision in followed.revisions for pod in ending)
            layouts = followed.collected.layouts if same else {}
            found, _, _ = await self._gathered(followed.wanted, sorted(ending), layouts)
            followed.ended |= {one.of.pod.uid: one for one in found}

    async def _gathered(
        self, wanted: Watching, pods: Iterable[Target], layouts: Mapping[str, Layout]
    ) -> tuple[list[PodReading], list[str], dict[str, Layout]]:
        answers = await asyncio.gather(*(self._one(pod, wanted, layouts) for pod in pods))
        found = [answer for answer in answers if not isinstance(answer, str)]
        told = {layout.id: layout for _, layout in found if layout is not None}
        return [reading for reading, _ in found], [one for one in answers if isinstance(one, str)], told

    async def _one(
        self, pod: Target, wanted: Watching, layouts: Mapping[str, Layout]
    ) -> tuple[PodReading, Layout | None] | str:
        async with self._slots:
            try:
                return await self._read(pod, wanted, layouts)
            except UnreachableError as error:
                return str(error)


def _ending(wanted: Watching) -> frozenset[Target]:
    return frozenset(pod for pod in wanted.targets if pod.is_ending)
