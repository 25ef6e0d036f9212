"""Labels for predictions that were made before: one server's side of them.

A prediction's answer has an id (`receipt`) that says what was predicted, so a label needs nothing but that id to be
counted, by whichever pod, after any restart. Here labels are taken (`POST /v1/models/<name>/feedback`) and counted, a
slice at a time in turns of the event loop, so that no prediction waits for the labels of others. Each label counts
once: which were taken is remembered by all workers of the server. Used from one event loop; `issue` also from threads.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import islice
from operator import add
from typing import Any, Final

import msgspec
import structlog

from modelway.server.errors import RequestError
from modelway.server.feedback_counts import OUTCOMES, FeedbackCounts, FullError, UnfitError
from modelway.server.feedback_document import QualityDocument
from modelway.server.feedback_memory import FeedbackMemory, Seen
from modelway.server.feedback_rows import SentLabel, read
from modelway.server.loading import Loaded
from modelway.server.options import ServerOptions
from modelway.server.receipt import ForgedIdError, Receipt, UnknownIdError, verified
from modelway.server.receipt_issuer import Issuer
from modelway.server.receipt_keys import KeyRing
from modelway.server.sighting import Look
from modelway.server.tensors import Array
from modelway.stats.quality_counts import HORIZON, QualityCounts

MOST_LABELS: Final = 10_000
"""Of one request."""
LARGEST: Final = 2 * 2**20
"""Bytes of one request's body."""
_SLICE: Final = 128  # labels that are counted before others have a turn
_ENOUGH: Final = 64  # answers that are counted together, in a tenth of a millisecond where each has one row
_QUEUE: Final = 8  # requests that may wait for the one whose labels are counted
_TOLD: Final = 10  # problems

_log = structlog.get_logger()


@dataclass(slots=True)
class _Report:
    """What became of the labels of one request."""

    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    unsliced: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)

    def note(self, outcome: str, times: int, where: str = "", problem: str = "") -> None:
        self.outcomes[outcome] += times
        if problem and times and len(self.problems) < _TOLD:
            self.problems.append({"where": where, "problem": problem})


class Feedback:
    """Ids and labels of one model, for one worker.

    Args:
        options: the server's; `feedback_keys` is given.
        memory: what the workers share.
        worker: which of them this is.
        clock: gives Unix time.

    Raises:
        ModelError: the keys cannot be read.

    """

    def __init__(
        self,
        options: ServerOptions,
        memory: FeedbackMemory,
        worker: int = 0,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if options.feedback_keys is None:
            raise ValueError("feedback needs keys")
        self._ring = KeyRing(options.feedback_keys, _warn)
        self._options = options
        self._memory = memory
        self._worker = worker
        self._clock = clock
        self._counts = FeedbackCounts(options.feedback_window, slices=options.feedback_slices)
        self._issuer: Issuer | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._is_dirty = False

    def begin(self, loaded: Loaded) -> None:
        """The model is there: its answers have ids from now on."""
        options, model = self._options, loaded.model
        self._counts = FeedbackCounts(options.feedback_window, tuple(model.classes), options.feedback_slices)
        if published := self._memory.published(self._worker):  # by the worker that this one replaces
            self._counts.resume(msgspec.json.decode(published))
        self._issuer = Issuer(
            Look.at(model),
            model.classes,
            self._ring,
            model=options.name,
            revision=options.revision,
            clock=self._clock,
        )

    def issue(self, outputs: Mapping[str, Array], wanted: Sequence[str], rows: int) -> str | None:
        """The id of an answer; None where it has none. Called from threads as well."""
        return self._issuer(outputs, wanted, rows) if self._issuer is not None else None

    def keep_up(self) -> None:
        """Count answers that have ids once there are many: those of a second at once would hold up all requests."""
        if self._issuer is not None and self._issuer.waiting >= _ENOUGH:
            self._count_answers()

    def settle(self) -> None:
        """Bring the counts, and what others see of them, up to date; look at the keys again."""
        if self._ring.refresh():
            _log.info("feedback_keys_read", keys=len(self._ring.keys))
        self._count_answers()
        if self._is_dirty and self._memory.workers > 1:
            self._counts.drop(self._clock())
            if not self._memory.publish(self._worker, msgspec.json.encode(self._counts.told())):
                _log.warning("feedback_not_shared", why="the counts are too large", worker=self._worker)
            self._is_dirty = False

    def _count_answers(self) -> None:
        if self._issuer is not None and (given := self._issuer.given()):
            self._is_dirty = True
            self._counts.answered(given)

    async def take(self, body: bytes, content_type: bytes) -> dict[str, Any]:
        """Count the labels in a request; gives what became of them.

        Raises:
            RequestError: 400, 413 or 415 with the place of what is wrong, and nothing is counted; 503 where there is no
                key yet, or too many requests wait.
        """
        if not len(self._ring.keys):
            raise RequestError(503, "this server has no keys for feedback yet; try again", headers={"retry-after": "5"})
        if len(body) > LARGEST:
            raise RequestError(413, f"the request is larger than {LARGEST} bytes; send the labels in several")
        if self._waiting >= _QUEUE:
            raise RequestError(
                503, "overloaded: too many requests with labels are waiting; try again", headers={"retry-after": "1"}
            )
        self._waiting += 1
        try:
            async with self._turn:
                return await self._taken(body, content_type)
        finally:
            self._waiting -= 1

    async def _taken(self, body: bytes, content_type: bytes) -> dict[str, Any]:
        sent: list[SentLabel] = []
        rows = read(body, content_type, most=MOST_LABELS, slices=self._options.feedback_slices)
        while part := list(islice(rows, _SLICE)):
            sent += part
            await asyncio.sleep(0)
        report = _Report()
        for begin in range(0, len(sent), _SLICE):
            self._count(sent[begin : begin + _SLICE], report)
            await asyncio.sleep(0)
        return {**report.outcomes, "unsliced": report.unsliced, "problems": report.problems}

    def _count(self, sent: Iterable[SentLabel], report: _Report) -> None:
        now = self._clock()
        self._counts.drop(now)
        before = dict(report.outcomes)
        opened = [(one, self._opened(one, now, report)) for one in sent]
        with self._memory.locked() as seen:
            for one, receipt in opened:
                if receipt is not None:
                    self._count_rows(one, receipt, seen, now, report)
        for name, times in report.outcomes.items():
            self._counts.outcomes[name] += times - before[name]
        self._is_dirty = True

    def _opened(self, sent: SentLabel, now: float, report: _Report) -> Receipt | None:
        """What the id says; None, and noted why, where its labels do not count."""
        labels = sum(truth is not None for truth in sent.truths)
        try:
            receipt = verified(sent.id, self._ring.keys, model=self._options.name)
        except UnknownIdError as error:
            report.note("unknown", labels, sent.where, f"id: {error}")
            return None
        except ForgedIdError:
            report.note("forged", labels, sent.where, "id: this server, or one with its keys, did not make it")
            return None
        if self._counts.is_late(receipt.time, now):
            hours = HORIZON * self._options.feedback_window / 3600
            report.note("late", labels, sent.where, f"the prediction is more than {hours:g} h old")
            return None
        rows = receipt.prediction.rows
        if problem := _misplaced(sent, rows):
            report.note("unfit", labels, sent.where, problem)
            return None
        return receipt

    def _count_rows(self, sent: SentLabel, receipt: Receipt, seen: Seen, now: float, report: _Report) -> None:
        for row, truth in enumerate(sent.truths, start=sent.row or 0):
            if truth is None:
                continue
            mark = (receipt.mark + row * _ODD) % 2**64
            if mark in seen:
                report.note("duplicate", 1)
                continue
            try:
                self._counts.check(receipt.prediction, row, truth)
                is_sliced = self._counts.add(receipt, row, truth, now, sent.slices)
            except UnfitError as error:
                report.note("unfit", 1, sent.where, str(error))
            except FullError:
                report.note("full", 1, sent.where, "this server has no room for more counts; send it again later")
            else:
                seen.add(mark)
                report.note("accepted", 1)
                report.unsliced += not is_sliced

    def document(self, *, epoch: str, version: str | None, since: float = 0.0) -> bytes:
        """What `?of=quality` tells: the counts of all workers, of windows that end after `since`, in Unix time."""
        self.settle()
        self._counts.drop(self._clock())
        told = self._counts.told()
        others = [self._memory.published(one) for one in range(self._memory.workers) if one != self._worker]
        if any(others):
            parts = (QualityCounts.of(msgspec.json.decode(other)) for other in others if other)
            told = reduce(add, parts, QualityCounts.of(told)).told()
        width = self._options.feedback_window
        for name in ("answered", "labelled", "sliced"):
            told[name] = [one for one in told[name] if (one["window"] + 1) * width > since]
        return msgspec.json.encode(
            QualityDocument(
                epoch=epoch,
                model=self._options.name,
                version=version,
                revision=self._options.revision,
                window=self._options.feedback_window,
                keys=len(self._ring.keys),
                **told,
            )
        )


_ODD: Final = 0x9E3779B97F4A7C15
"""Tells the rows of one id apart."""


def _misplaced(sent: SentLabel, rows: int) -> str:
    """Why these labels cannot be those of a prediction of so many rows; empty where they can."""
    if sent.all_rows:
        return "" if len(sent.truths) == rows else f"{len(sent.truths)} labels, where the prediction had {rows} rows"
    if sent.row is None:
        return "" if rows == 1 else f"the prediction had {rows} rows: say which by row, or send an array of labels"
    return "" if sent.row < rows else f"row {sent.row}, where the prediction had {rows} rows, from 0 on"


def _warn(problem: str) -> None:
    _log.warning("feedback_keys_not_read", problem=problem, effect="the keys stay as they were")
