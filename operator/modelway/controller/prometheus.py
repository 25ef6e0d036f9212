"""Asks the cluster's Prometheus for the counters of one revision, for the check `prometheus`. Called by `measuring`.

Only selectors are sent, with a range behind them: what comes back are raw samples, each with the time of its scrape, so
that differences are those of the counters and nothing is extrapolated. Of each process the counters of one and the same
scrape are given: all are asked for before the good ones, so a scrape that is in the first answer is in the second, too.
Whatever is doubtful is a failure with its reason, never a smaller count.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelway.controller.asking import body_of
from modelway.plan.measured import MetricsReading, MetricsTarget, Question

_SECONDS: Final = 10.0
"""For one query."""
_AT_ONCE: Final = 4
"""Queries at the same time, of all rollouts together."""
_RANGE: Final = "5m"
"""How far back a scrape may lie; so long Prometheus itself takes a sample for the present."""
_MOST_SERIES: Final = 1000
_MOST_BYTES: Final = 8 * 2**20
_IN_FLIGHT: Final = 100
"""Requests by which the good ones may be ahead of all, where a process counts them apart."""
_LONGEST: Final = 300
"""Characters that are told of what Prometheus says of itself."""
_NOT_SET: Final = (
    "the operator knows no Prometheus, which checks with `prometheus` need: set `prometheus.url` in the chart's values"
)


class _Series(BaseModel):
    model_config = ConfigDict(frozen=True)

    metric: dict[str, str]
    values: list[tuple[float, str]] = Field(default_factory=list)


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True)

    result: list[_Series]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True)

    status: str
    data: _Data | None = None
    error: Annotated[str, Field(max_length=_MOST_BYTES)] = ""
    warnings: list[str] = Field(default_factory=list)


class _Process(NamedTuple):
    """What tells scraped processes apart."""

    job: str
    instance: str


class _RefusedError(Exception):
    """Nothing can be concluded from what was answered; says why, for people."""


class Prometheus:
    """Reads one Prometheus, or what speaks its HTTP API.

    Args:
        session: makes the requests; somebody else's to close.
        url: where it is, without a path of its API; empty: there is none.
        token_file: holds a bearer token, and may be renewed at any time; None: nothing is sent.
        clock: gives the time in UTC.

    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        token_file: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}/api/v1/query" if url else ""
        self._token_file = token_file
        self._clock = clock
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def ask(self, question: Question) -> MetricsReading:
        """What it has of one revision; with a failure where that is not certain."""
        at = self._clock()
        try:
            total = await self._series(question.total)
            good = await self._series(question.good)
            return MetricsReading(question, at, tuple(_targets(total, good)))
        except _RefusedError as refused:
            return MetricsReading(question, at, failure=f"check {question.check}: {refused}")

    async def _series(self, selector: str) -> list[_Series]:
        if not self._url:
            raise _RefusedError(_NOT_SET)
        try:
            async with self._slots:
                status, body = await self._query(selector)
        except TimeoutError:
            raise _RefusedError(f"Prometheus has not answered within {_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a token that is no header
            raise _RefusedError(f"Prometheus cannot be asked: {error or type(error).__name__}") from None
        return _understood(status, body, selector)

    async def _query(self, selector: str) -> tuple[int, bytes]:
        headers = {}
        if self._token_file is not None:
            token = await asyncio.to_thread(self._token_file.read_text)
            headers["Authorization"] = f"Bearer {token.strip()}"
        async with self._session.post(
            self._url,
            data={"query": f"{selector}[{_RANGE}]", "timeout": f"{_SECONDS:g}s"},
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=_SECONDS),
            allow_redirects=False,  # a token is for this host alone
        ) as answer:
            body = await body_of(answer, most=_MOST_BYTES)
        if body is None:
            raise _RefusedError(f"{selector} has more than {_MOST_BYTES >> 20} MiB of samples: narrow it")
        return answer.status, body


def _understood(status: int, body: bytes, selector: str) -> list[_Series]:
    try:
        said = _Said.model_validate_json(body)
    except ValidationError:
        raise _RefusedError(f"what answers at the URL of Prometheus (status {status}) is not its API") from None
    if said.status != "success" or said.data is None:
        raise _RefusedError(f"Prometheus refuses {selector}: {said.error[:_LONGEST] or f'status {status}'}")
    if said.warnings:
        raise _RefusedError(f"Prometheus does not vouch for its answer: {said.warnings[0][:_LONGEST]}")
    if len(said.data.result) > _MOST_SERIES:
        raise _RefusedError(f"{selector} has {len(said.data.result)} series, more than {_MOST_SERIES}: narrow it")
    if any(not one.values for one in said.data.result):
        raise _RefusedError(f"{selector} has native histograms: take counters")
    return said.data.result


def _targets(total: Iterable[_Series], good: Iterable[_Series]) -> Iterable[MetricsTarget]:
    """By process, as all counters stood at the last scrape of `total`."""
    all_of, good_of = _by_process(total), _by_process(good)
    for process, found in all_of.items():
        last = max(series.values[-1][0] for series in found)
        counted = _at(last, found)
        of_good = _at(last, good_of.get(process, ()))
        name = f"{process.job}/{process.instance}"
        if sum(of_good.values()) > sum(counted.values()) * 1.1 + _IN_FLIGHT:
            told = f"good counts {sum(of_good.values())}, total {sum(counted.values())}"
            raise _RefusedError(f"{name}: {told}: more is good than there is")
        yield MetricsTarget(name, datetime.fromtimestamp(last, UTC), of_good, counted)


def _by_process(found: Iterable[_Series]) -> dict[_Process, list[_Series]]:
    by_process: dict[_Process, list[_Series]] = {}
    for series in found:
        process = _Process(series.metric.get("job", ""), series.metric.get("instance", ""))
        by_process.setdefault(process, []).append(series)
    return by_process


def _at(last: float, found: Iterable[_Series]) -> dict[str, int]:
    """The value of each series at that moment; one that began later is not there yet."""
    counted = {}
    for series in found:
        value = next((value for at, value in reversed(series.values) if at <= last), None)
        if value is not None:
            counted[_name_of(series.metric)] = _whole(value, series.metric)
    return counted


def _whole(value: str, metric: Mapping[str, str]) -> int:
    number = float(value)
    if not 0 <= number < 2**53 or number != int(number):
        raise _RefusedError(f"{metric.get('__name__', 'a series')} is {value}: it counts nothing whole")
    return int(number)


def _name_of(metric: Mapping[str, str]) -> str:
    labels = "\0".join(f"{name}\0{value}" for name, value in sorted(metric.items()))
    return hashlib.sha256(labels.encode()).hexdigest()[:16]
