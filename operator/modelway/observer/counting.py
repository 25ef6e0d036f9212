"""Counts what an image of the user's own was asked and answered: rows in cells, answers by class and score.

Rows are put aside until there are enough of them for numpy to be worth its while, or somebody asks. While it is not
known which columns there are, the first ones are kept until it can be told. Used from one event loop.
"""

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

import orjson
import structlog

from modelway.observer import columns
from modelway.observer.exchange import Exchange, Unread
from modelway.observer.options import ObserverOptions
from modelway.observer.paths import path_of, values_at
from modelway.observer.predictions import kind_of, sighting
from modelway.server.metadata import Metadata
from modelway.server.observed_inputs import InputObserver
from modelway.server.observed_layout import Layout, lay_out_columns
from modelway.server.observed_memory import REFUSED, SKIPPED
from modelway.server.tally import Tally
from modelway.server.tensors import Batch

_log = structlog.get_logger()

_NO_COLUMNS: Final = lay_out_columns({}, (), None)
"""While it is not known which there are."""
_TOGETHER: Final = 256
"""Rows that are counted together."""
FIRST_ROWS: Final = 500
"""Rows in which columns are looked for, where the model does not tell them."""
FIRST_SECONDS: Final = 60.0
"""From the first of these rows on; then fewer have to do."""
_MOST_WAITING: Final = 4 * 2**20
"""Bytes of requests whose rows are put aside."""
_MOST_ROWS: Final = 2000
"""Of one request; the others are left out, so that nothing takes long."""
_TOLD: Final = 20
"""Columns that are not counted and that the log names."""
_LATELY: Final = 50
"""Requests by which it is told what is in the way."""


class Counting:
    """The counts of one revision.

    Args:
        options: where rows and predictions are, and how many are counted.
        metadata: what the model's maker has said.
        clock: gives seconds.

    """

    def __init__(
        self, options: ObserverOptions, metadata: Metadata, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.tally = Tally()
        self.layout = _NO_COLUMNS
        self.metadata = metadata
        self.unread: Counter[Unread] = Counter()
        self._options = options
        self._clock = clock
        self._rows_at = path_of(options.request_path)
        self._answers_at = path_of(options.response_path)
        self._answers = self.tally.answers.region(0)
        self._kind = kind_of(metadata.answers or {})
        self._waiting: list[Any] = []
        self._waiting_bytes = 0
        self._first_at: float | None = None
        self._lately: deque[Unread | None] = deque(maxlen=_LATELY)
        self._inputs: InputObserver | None = None
        if (layout := columns.described(metadata)) is not None:
            self._lay_out(layout)

    @property
    def in_the_way(self) -> Unread | None:
        """Why hardly any request of late could be read; None where they can be."""
        reason, times = Counter(self._lately).most_common(1)[0] if self._lately else (None, 0)
        return reason if 2 * times > len(self._lately) else None

    def take(self, exchange: Exchange) -> None:
        """A request was answered, refused, or cannot be read."""
        if exchange.is_refused:
            self.tally.inputs.region(0).fields[REFUSED] += 1
        elif exchange.unread is not None:
            self._leave_out(exchange.unread)
        elif exchange.is_answered:
            self._read(exchange)

    def settle(self) -> None:
        """Count what has been put aside, as far as it is known what it is."""
        if self._inputs is None and self._first_at is not None:
            is_late = self._clock() - self._first_at >= FIRST_SECONDS
            if is_late or self._is_enough(FIRST_ROWS):
                self._lay_out(columns.found(self._waiting, self.metadata.feature_names or ()))
        if self._inputs is None:
            return
        rows, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if rows and self.layout.counted:
            self._inputs.take(Batch(columns.tensors(rows, self.layout), len(rows), ()), self._clock())
        self._inputs.settle()

    def _read(self, exchange: Exchange) -> None:
        try:
            asked, answered = orjson.loads(exchange.request), orjson.loads(exchange.answer)
        except orjson.JSONDecodeError:
            self._leave_out(Unread.NO_JSON)
            return
        rows = values_at(asked, self._rows_at)
        if not rows:
            self._leave_out(Unread.NO_ROWS)
            return
        predictions = values_at(answered, self._answers_at)
        first = predictions[0] if predictions else None
        self._answers.count(sighting(first, self._kind, self.metadata.classes or ()))
        if self._inputs is not None and not self.layout.counted:
            self._leave_out(Unread.NO_COLUMNS)
            return
        self._lately.append(None if predictions else Unread.NO_PREDICTION)
        if self._first_at is None:
            self._first_at = self._clock()
        self.tally.inputs.region(0).fields[SKIPPED] += max(len(rows) - _MOST_ROWS, 0)
        self._waiting += rows[:_MOST_ROWS]
        self._waiting_bytes += len(exchange.request)
        if self._is_enough(_TOGETHER if self._inputs is not None else FIRST_ROWS):
            self.settle()

    def _is_enough(self, rows: int) -> bool:
        return len(self._waiting) >= rows or self._waiting_bytes >= _MOST_WAITING

    def _leave_out(self, why: Unread) -> None:
        """Of a request that is not read it is not known how many rows it has; it counts as one."""
        self.unread[why] += 1
        self._lately.append(why)
        self.tally.inputs.region(0).fields[SKIPPED] += 1

    def _lay_out(self, layout: Layout) -> None:
        self.layout = layout
        self._inputs = InputObserver(layout, self.tally.inputs.region(0), rate=self._options.rate)
        for name, problem in list(layout.uncounted.items())[:_TOLD]:
            _log.warning("input_not_counted", input=name, because=problem)
        _log.info("columns", counted=len(layout.counted), uncounted=len(layout.uncounted), learning=layout.learning)
