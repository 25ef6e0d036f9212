"""Pictures as SVG paths: pairs of bars, and a line with intervals over time. Pure.

No library of the field fits: matplotlib brings eight packages and draws each letter as a path, pygal writes a style and
a script into each picture, and a page has up to 500 (docs/adr/0019-reports-are-made-on-the-workstation.md). What is
here are coordinates; `static/report.html` has the elements, and its style the colours. Text never overlaps: labels
without room are left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from unicodedata import east_asian_width

WIDTH: Final = 360.0
HEIGHT: Final = 150.0
_LEFT: Final = 46.0
_RIGHT: Final = 8.0
_TOP: Final = 12.0
_BOTTOM: Final = 24.0
_LETTER: Final = 6.8
"""The widest that a letter of 10 pixels is likely to be, in any font of a system."""
_LINE: Final = 12.0
_LONGEST: Final = 14
_SHORT: Final = 6
_GAP: Final = 8.0
_SLIVER: Final = 0.5
"""Of a share that is not 0 something is seen."""
_STEPS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 0.75)
"""Where an axis of shares may end before 1."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of an axis, where it stands."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Shares by cell, what is usual beside what is now.

    Attributes:
        usual: path of all bars of what is usual; empty where that is not known.
        now: path of all bars of the present; likewise.
        shares: ticks of the vertical axis.
        cells: ticks of the horizontal one.
    """

    usual: str
    now: str
    shares: tuple[Tick, ...]
    cells: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A figure with its interval, at a moment."""

    at: datetime
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Line:
    """Figures over time.

    Attributes:
        line: path from figure to figure.
        intervals: path of all intervals.
        points: places of the figures, x and y.
        limit: height of the limit; None where there is none.
        values: ticks of the vertical axis.
        times: ticks of the horizontal one.
    """

    line: str
    intervals: str
    points: tuple[tuple[float, float], ...]
    limit: float | None
    values: tuple[Tick, ...]
    times: tuple[Tick, ...]


def bars(
    usual: Sequence[float], now: Sequence[float], *, borders: Sequence[str] = (), names: Sequence[str] = ()
) -> Bars:
    """Bars of shares from 0 to 1.

    Args:
        usual: by cell; none where it is not known.
        now: by cell, as many; none where it is not known.
        borders: between each two cells, of numbers.
        names: of the cells, of texts. Of a label that is too long the beginning is shown.
    """
    count = max(len(usual), len(now))
    top = next((step for step in _STEPS if max([*usual, *now, 0.0]) <= step), 1.0)
    room = (WIDTH - _LEFT - _RIGHT) / max(count, 1)
    thick = 0.42 * room if usual and now else 0.84 * room
    begin = _LEFT + 0.08 * room
    labels = [Tick(_LEFT + (place + 1) * room, text) for place, text in enumerate(borders)]
    labels += [Tick(_LEFT + (place + 0.5) * room, text) for place, text in enumerate(names)]
    return Bars(
        usual=_bars(usual, top, begin, room, thick),
        now=_bars(now, top, begin + (thick if usual else 0.0), room, thick),
        shares=tuple(Tick(_height(part * top, 0.0, top), f"{100 * part * top:.3g} %") for part in (0.0, 0.5, 1.0)),
        cells=_fitting(labels),
    )


def line(points: Sequence[Point], limit: float | None) -> Line:
    """Figures over time, at least one, the earliest first; and the limit that they are held against."""
    ends = [end for one in points for end in (one.low, one.high, one.value)] + ([limit] if limit is not None else [])
    low, high = min(ends), max(ends)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 0.05
    low, high = low - margin, high + margin
    since, until = points[0].at, points[-1].at
    places = [(_across(one.at, since, until), _height(one.value, low, high)) for one in points]
    heights = [_height(limit, low, high)] if limit is not None else []
    told = [limit] if limit is not None else []
    told += [max(ends), min(ends), (max(ends) + min(ends)) / 2]
    return Line(
        line="M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in places),
        intervals="".join(
            f"M{x:.1f},{_height(one.low, low, high):.1f}V{_height(one.high, low, high):.1f}"
            for (x, _), one in zip(places, points, strict=True)
        ),
        points=tuple((round(x, 1), round(y, 1)) for x, y in places),
        limit=round(heights[0], 1) if heights else None,
        values=_stacked(Tick(round(_height(value, low, high), 1), _short(value)) for value in told),
        times=_fitting([Tick(x, text) for (x, _), text in zip(places, _times(points), strict=True)]),
    )


def width_of(text: str) -> float:
    """The widest that a text of 10 pixels is likely to be."""
    return sum(_LETTER * (1.6 if east_asian_width(letter) in "WF" else 1.0) for letter in text)


def _bars(shares: Sequence[float], top: float, begin: float, room: float, thick: float) -> str:
    found = []
    for place, share in enumerate(shares):
        if share > 0:
            tall = max((HEIGHT - _TOP - _BOTTOM) * share / top, _SLIVER)
            found.append(f"M{begin + place * room:.1f},{HEIGHT - _BOTTOM:g}v-{tall:.1f}h{thick:.1f}v{tall:.1f}z")
    return "".join(found)


def _height(value: float, low: float, high: float) -> float:
    return _TOP + (HEIGHT - _TOP - _BOTTOM) * (high - value) / (high - low)


def _across(at: datetime, since: datetime, until: datetime) -> float:
    """With room on either side: a point is no border."""
    whole = (until - since).total_seconds()
    part = (at - since).total_seconds() / whole if whole else 0.5
    return _LEFT + 8.0 + (WIDTH - _LEFT - _RIGHT - 16.0) * part


def _times(points: Sequence[Point]) -> list[str]:
    """Moments, as exactly as tells them apart."""
    if points[-1].at - points[0].at < timedelta(hours=1):
        return [f"{one.at:%H:%M:%S}" for one in points]
    if points[0].at.date() == points[-1].at.date():
        return [f"{one.at:%H:%M}" for one in points]
    return [f"{one.at:%d %b %H:%M}" for one in points]


def _fitting(labels: Sequence[Tick]) -> tuple[Tick, ...]:
    """As many labels as there is room for, evenly: each, each second, each third."""
    cut = [_within(Tick(one.at, _cut(one.text))) for one in labels]
    for step in range(1, len(cut) + 1):
        # Those that are left out are left out on both sides alike.
        chosen = cut[(len(cut) - 1) % step // 2 :: step]
        if _is_free(chosen):
            return tuple(chosen)
    return ()


def _within(label: Tick) -> Tick:
    """The label moved as far as it has to be for all of it to be in the picture."""
    half = width_of(label.text) / 2
    return Tick(round(max(min(label.at, WIDTH - half), half), 1), label.text)


def _is_free(labels: Sequence[Tick]) -> bool:
    until = -_GAP
    for one in labels:
        half = width_of(one.text) / 2
        if one.at - half < until:
            return False
        until = one.at + half + _GAP
    return True


def _stacked(labels: Iterable[Tick]) -> tuple[Tick, ...]:
    """Those that do not overlap; the first are the most important."""
    found: list[Tick] = []
    for one in labels:
        if all(abs(one.at - other.at) >= _LINE for other in found):
            found.append(one)
    return tuple(found)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _short(value: float) -> str:
    """A number in so few letters that there is room for it beside the axis."""
    text = f"{value:.3g}"
    if "e" not in text and len(text) <= _SHORT:
        return text
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits}e{int(power)}"
