"""Whether the answers keep what is promised of them: shares of failed and of slow requests over two windows. Pure.

An objective is missed while both hold: over the long window the share is surely above what is allowed (the lower end of
Wilson's interval, so ten requests prove nothing), and in the short one it still is. The long window makes it
believable, the short one ends it soon after all is well again: the two-window burn rate of Google's SRE workbook
(chapter 5), at a rate of 1: the budget is spent faster than it is allowed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from modelway.api.monitoring import ServiceLevel
from modelway.api.units import seconds, share
from modelway.plan.monitoring.counting import total
from modelway.plan.monitoring.readings import Served
from modelway.stats.drift_findings import wilson

LONG: Final = 12
"""Windows of the long one: an hour, where they are of five minutes."""
_SHORT: Final = 1
_DEVIATIONS: Final = 2.58
"""Of the interval: surely means 99.5 %."""

ERRORS: Final = "errorRate"
LATENCY: Final = "latency"


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast the budget of an objective is spent: 1 is as fast as it may be.

    Attributes:
        name: of the objective.
        long: over the long window.
        short: over the short one.
        allowed: share of bad requests.
        is_missed: whether the objective is.
    """

    name: str
    long: float
    short: float
    allowed: float
    is_missed: bool


def with_window(past: tuple[Served, ...], window: Served) -> tuple[Served, ...]:
    """The last windows with requests, this one last."""
    return (*past, window)[-LONG:] if window.requests > 0 else past


def burns(level: ServiceLevel, past: tuple[Served, ...]) -> Iterator[Burn]:
    """How fast each budget is spent."""
    if not past:
        return
    long, short = total(past), total(past[-_SHORT:])
    for name, allowed in _objectives(level):
        bad, lately = _bad(level, name, long), _bad(level, name, short)
        surely = wilson(bad, long.requests, _DEVIATIONS)[0] > allowed
        yield Burn(
            name,
            long=bad / long.requests / allowed,
            short=lately / short.requests / allowed,
            allowed=allowed,
            is_missed=surely and lately / short.requests > allowed,
        )


def _objectives(level: ServiceLevel) -> Iterator[tuple[str, float]]:
    if level.error_rate is not None:
        yield ERRORS, share(level.error_rate)
    if level.latency is not None:
        yield LATENCY, 1.0 - share(level.latency.percent)


def _bad(level: ServiceLevel, name: str, served: Served) -> int:
    if name == ERRORS or level.latency is None:
        return min(max(served.failed, 0), served.requests)
    bound = round(seconds(level.latency.threshold) * 1000)
    return min(max(served.requests - dict(served.at_most).get(bound, 0), 0), served.requests)
