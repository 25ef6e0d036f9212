"""Asks a pod of our model server what labels say, for the check `feedback` of a rollout. Called by `measuring`, which
bounds how many are asked at once.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import aiohttp
import orjson

from modelway.api.observations import QUALITY, AnswerError, check_origin
from modelway.controller.asking import Asker
from modelway.controller.measuring import UnreachableError
from modelway.plan.measured import LabelReading, Target
from modelway.plan.pods import HTTP_PORT
from modelway.stats.quality_counts import QualityCounts

_SECONDS: Final = 5.0
"""For one pod; it answers in milliseconds."""
_MOST_BYTES: Final = 4 * 2**20
"""Of an answer: a server counts 262,144 numbers at most, and a rollout asks for its own windows alone."""


class Labels:
    """Reads the model servers of one cluster.

    Args:
        session: makes the requests.
        clock: gives the time in UTC.
        port: on which the servers listen.

    """

    def __init__(self, session: aiohttp.ClientSession, *, clock: Callable[[], datetime], port: int = HTTP_PORT) -> None:
        self._asker = Asker(session, port=port, within=_SECONDS, most=_MOST_BYTES)
        self._clock = clock

    async def ask(self, target: Target, since: float) -> LabelReading:
        """What one pod has counted of labels; with a failure where it did not say it.

        Args:
            target: the pod.
            since: Unix time; windows of predictions that begin earlier are left out.
        """
        taken_at = self._clock()
        try:
            with self._asker.reaching(target.pod.name):
                body = await self._asker.get(target.address, f"{QUALITY}&since={since:.0f}")
                return _understood(body, target, taken_at, since)
        except UnreachableError as error:
            return LabelReading(target.pod, taken_at, failure=str(error))


def _understood(body: bytes, target: Target, taken_at: datetime, since: float) -> LabelReading:
    """Of an older server, too, which knows no `since` and tells everything."""
    try:
        said: dict[str, Any] = orjson.loads(body)
        check_origin(said["format"], said["revision"], wanted=target.revision)
        window = float(said["window"])
        recent = [one for one in said["labelled"] if (one["window"] + 1) * window > since]
        labelled = QualityCounts.of({"labelled": recent, "answered": (), "outcomes": {}}).labelled
        return LabelReading(target.pod, taken_at, str(said["epoch"]), window, labelled)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnswerError(f"{QUALITY} cannot be read: {type(error).__name__}: {error}") from None
