"""Asks the routers and servers of rollouts that are under way, and tells when there is something to look at.

Each followed ModelDeployment has a task of its own, beside the queue: a pod that answers slowly delays no look and no
renewal of the lease. The reconciler says after each look which pods are to be asked and how often, and gets back the
last reading of each. What could not be asked is said, never guessed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from modelway.controller.tasks import end
from modelway.kube.store import Owner
from modelway.plan.measured import (
    LabelReading,
    Measured,
    Measuring,
    MetricsReading,
    Question,
    RouterReading,
    ServerReading,
    Target,
)

_log = structlog.get_logger(__name__)

Reading = RouterReading | ServerReading
Ask = Callable[[Target], Awaitable[Reading]]
AskMetrics = Callable[[Question], Awaitable[MetricsReading]]
AskLabels = Callable[[Target, float], Awaitable[LabelReading]]

_AT_ONCE: Final = 64
"""Pods that are asked at the same time, of all rollouts together."""


METRICS_SECONDS: Final = 10.0
"""Between two questions to Prometheus, whatever the pods are asked: it learns of nothing more often. Likewise between
two questions for labels."""


class UnreachableError(Exception):
    """A pod could not be asked; says which and why, for people."""


@dataclass(slots=True)
class _Followed:
    wanted: Measuring
    measured: Measured = field(default_factory=Measured)
    metrics: tuple[MetricsReading, ...] = ()
    labels: tuple[LabelReading, ...] = ()
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    metrics_task: asyncio.Task[None] | None = None
    labels_task: asyncio.Task[None] | None = None

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        return [task for task in (self.task, self.metrics_task, self.labels_task) if task is not None]


class Measurer:
    """Keeps the last readings of all pods that matter to a rollout.

    Args:
        ask: reads one pod; raises UnreachableError.
        on_news: told whose readings are new, after each round.
        ask_metrics: asks Prometheus; whatever goes wrong is in its reading.
        ask_labels: asks a pod what labels say of predictions since a time; likewise.
    """

    def __init__(
        self, ask: Ask, *, on_news: Callable[[Owner], None], ask_metrics: AskMetrics, ask_labels: AskLabels
    ) -> None:
        self._ask = ask
        self._ask_metrics = ask_metrics
        self._ask_labels = ask_labels
        self._on_news = on_news
        self._followed: dict[Owner, _Followed] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def follow(self, owner: Owner, wanted: Measuring | None) -> None:
        """Ask what is wanted and nobody else; new pods, those that begin to end, and a shorter pause count at once.

        None: ask nobody.
        """
        followed = self._followed.get(owner)
        if wanted is None:
            self.forget(owner)
        elif followed is None:
            followed = self._followed[owner] = _Followed(wanted)
            followed.task = asyncio.create_task(self._keep_asking(owner, followed))
        elif wanted != (known := followed.wanted):
            followed.wanted = wanted
            if wanted.every < known.every or not wanted.targets <= known.targets:
                followed.changed.set()
        if wanted is not None:
            self._question(owner, self._followed[owner])
            self._label(owner, self._followed[owner])

    def forget(self, owner: Owner) -> None:
        """Ask nobody of `owner` any more."""
        followed = self._followed.pop(owner, None)
        for task in followed.tasks if followed is not None else ():
            task.cancel()

    def measured(self, owner: Owner) -> Measured:
        """The last readings; nothing of a ModelDeployment that is not followed."""
        followed = self._followed.get(owner)
        if followed is None:
            return Measured()
        return replace(followed.measured, metrics=followed.metrics, labels=followed.labels)

    async def close(self) -> None:
        """Ask nobody any more."""
        tasks = [task for followed in self._followed.values() for task in followed.tasks]
        self._followed.clear()
        await end(tasks)

    def _question(self, owner: Owner, followed: _Followed) -> None:
        """Ask Prometheus by a task of its own, so that its silence keeps nobody waiting for the pods."""
        if followed.wanted.questions and followed.metrics_task is None:
            followed.metrics_task = asyncio.create_task(self._keep_questioning(owner, followed))
        elif not followed.wanted.questions and followed.metrics_task is not None:
            followed.metrics_task.cancel()
            followed.metrics_task, followed.metrics = None, ()

    async def _keep_questioning(self, owner: Owner, followed: _Followed) -> None:
        while True:
            questions = sorted(followed.wanted.questions)
            followed.metrics = tuple(await asyncio.gather(*map(self._ask_metrics, questions)))
            self._on_news(owner)
            await asyncio.sleep(METRICS_SECONDS)

    def _label(self, owner: Owner, followed: _Followed) -> None:
        """Ask for labels by another one: their counts may be large, and are never urgent."""
        if followed.wanted.labelling is not None and followed.labels_task is None:
            followed.labels_task = asyncio.create_task(self._keep_labelling(owner, followed))
        elif followed.wanted.labelling is None and followed.labels_task is not None:
            followed.labels_task.cancel()
            followed.labels_task, followed.labels = None, ()

    async def _keep_labelling(self, owner: Owner, followed: _Followed) -> None:
        while (wanted := followed.wanted.labelling) is not None:
            asked = (self._labels_of(target, wanted.since) for target in sorted(wanted.targets))
            followed.labels = tuple(await asyncio.gather(*asked))
            self._on_news(owner)
            await asyncio.sleep(METRICS_SECONDS)

    async def _labels_of(self, target: Target, since: float) -> LabelReading:
        async with self._slots:
            return await self._ask_labels(target, since)

    async def _keep_asking(self, owner: Owner, followed: _Followed) -> None:
        while True:
            followed.changed.clear()
            followed.measured = await self._round(followed.wanted.targets)
            self._on_news(owner)
            try:
                async with asyncio.timeout(followed.wanted.every):
                    await followed.changed.wait()
            except TimeoutError:
                continue

    async def _round(self, targets: frozenset[Target]) -> Measured:
        """All pods once, at the same time."""
        answers = await asyncio.gather(*(self._one(target) for target in sorted(targets)))
        return Measured(
            routers=tuple(answer for answer in answers if isinstance(answer, RouterReading)),
            servers=tuple(answer for answer in answers if isinstance(answer, ServerReading)),
            unreachable=tuple(answer for answer in answers if isinstance(answer, str)),
        )

    async def _one(self, target: Target) -> Reading | str | None:
        """What a pod has told, or why it could not be asked; None where that is no wonder."""
        async with self._slots:
            try:
                return await self._ask(target)
            except UnreachableError as error:
                return str(error) if target.is_ready else None
