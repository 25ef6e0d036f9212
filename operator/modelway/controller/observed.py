"""Reads a pod of our model server for monitoring: what it was asked, what it answered, and how well.

Called by `monitoring.Collector`, which bounds how many are read at once. A pod's counts of inputs and answers are of
one process: where it began anew in between, it is read again in the next round.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import aiohttp
import orjson

from modelway.api.observations import INPUTS, PATH, QUALITY, REFERENCE, AnswerError
from modelway.controller.asking import Asker
from modelway.plan.measured import Target
from modelway.plan.monitoring import documents
from modelway.plan.monitoring.readings import Layout, PodReading, Served, Watching
from modelway.plan.pods import HTTP_PORT

_SECONDS: Final = 5.0
"""For one pod; it answers in milliseconds."""
KEEPALIVE_SECONDS: Final = 1.0
"""That a connection without a request is kept for."""
_MOST_BYTES: Final = 4 * 2**20
"""Of an answer: 100 features on a grid of a thousand cells, with counts of six digits, are less than one."""
_METRICS: Final = "/metrics"
_SAMPLE: Final = re.compile(
    rb"^modelway_server_(?P<name>requests_total|request_duration_seconds_bucket)"
    rb"\{(?P<labels>[^}]*)\} (?P<value>[0-9.e+]+)$",
    re.MULTILINE,
)
_LABEL: Final = re.compile(rb'(\w+)="([^"]*)"')
_OTHER: Final = b"other"
"""The protocol of what is no prediction: probes, scrapes, these readings."""


class Observed:
    """Reads the model servers of one cluster.

    Args:
        session: makes the requests.
        clock: gives the time in UTC.
        port: on which the servers listen.
    """

    def __init__(self, session: aiohttp.ClientSession, *, clock: Callable[[], datetime], port: int = HTTP_PORT) -> None:
        self._asker = Asker(session, port=port, within=_SECONDS, most=_MOST_BYTES)
        self._clock = clock

    async def read(
        self, pod: Target, wanted: Watching, layouts: Mapping[str, Layout]
    ) -> tuple[PodReading, Layout | None]:
        """Read one pod; and what its counts mean, where that is none of `layouts`.

        Raises:
            UnreachableError: it did not answer, or not what a model server of its revision answers.
        """
        with self._asker.reaching(pod.pod.name):
            return await self._read(pod, wanted, layouts)

    async def _read(
        self, pod: Target, wanted: Watching, layouts: Mapping[str, Layout]
    ) -> tuple[PodReading, Layout | None]:
        taken_at = self._clock()
        answers = documents.answers_in(await self._get(pod, PATH), pod.revision)
        inputs = documents.inputs_in(await self._get(pod, INPUTS), pod.revision)
        served = _served(await self._get(pod, _METRICS)) if wanted.served else None
        quality = await self._quality(pod) if wanted.quality else None
        layout = layouts.get(str(inputs["layout"]))
        is_known = layout is not None
        if layout is None:
            layout = documents.layout_in(await self._get(pod, REFERENCE))
        reading = documents.reading_of(pod, answers, inputs, layout, taken_at=taken_at, served=served, quality=quality)
        return reading, None if is_known else layout

    async def _quality(self, pod: Target) -> Mapping[str, Any] | None:
        """What labels say; None of a pod that takes none, made before that was asked for."""
        try:
            said = orjson.loads(await self._get(pod, QUALITY))
        except (ValueError, AnswerError):
            return None
        is_document = isinstance(said, dict) and isinstance(said.get("format"), int)
        return said if is_document and said.get("revision") == pod.revision else None

    async def _get(self, pod: Target, path: str) -> bytes:
        return await self._asker.get(pod.address, path)


def _served(body: bytes) -> Served:
    """How predictions were answered, from the server's own metrics.

    Requests are those that were timed. Failed ones are answers of 5xx; what was refused for its form, 4xx, is the
    client's doing.
    """
    failed = 0
    at_most: Counter[int] = Counter()
    requests = 0
    for sample in _SAMPLE.finditer(body):
        labels = dict(_LABEL.findall(sample["labels"]))
        if labels.get(b"protocol") == _OTHER:
            continue
        value = int(float(sample["value"]))
        if sample["name"] == b"requests_total":
            failed += value if labels.get(b"code", b"").startswith(b"5") else 0
        elif labels.get(b"le") == b"+Inf":
            requests += value
        else:
            at_most[round(float(labels.get(b"le", b"0")) * 1000)] += value
    return Served(requests, min(failed, requests), tuple(sorted(at_most.items())))
