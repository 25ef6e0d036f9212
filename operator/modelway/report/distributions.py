"""A distribution as it is shown: usual beside now, by cell, with how far they lie apart. Pure. Called by `features`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor, log10
from typing import TYPE_CHECKING, Final

from modelway.plan.monitoring.family import Standing
from modelway.report.plots import Bars, bars
from modelway.report.words import Tone
from modelway.stats.drift import Rule, Verdict
from modelway.stats.drift_cells import ABOVE, BELOW, INVALID, MISSING, cell_counts
from modelway.stats.drift_reference import Feature

if TYPE_CHECKING:
    from modelway.stats.counts import Ints

DRIFTED: Final = "has drifted"
_DIGITS: Final = 4
_ALL_DIGITS: Final = 17
_LEAST: Final = 1e-4
_MOST: Final = 1e9
"""Between these numbers are written without a power of ten."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the rows, from 0 to 1: usual, and now; None where that is not known."""

    label: str
    usual: float | None
    now: float | None


@dataclass(frozen=True, slots=True)
class Distribution:
    """A feature, or an output.

    Attributes:
        name: of it.
        tone: how good it is.
        state: in words.
        verdict: PSI and its interval of the rows that are shown, or why there is none.
        cells: shares of the rows with a value, by cell.
        others: shares of rows without a value, and the like.
        issues: what is wrong with it, in the operator's words.
        plot: of the cells; None where there is nothing to be drawn.
    """

    name: str
    tone: Tone
    state: str
    verdict: Verdict
    cells: tuple[Share, ...] = ()
    others: tuple[Share, ...] = ()
    issues: tuple[str, ...] = ()
    plot: Bars | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What a distribution is made of.

    Attributes:
        name: of it.
        feature: what is usual; where nobody says that, the cells in which to show the present.
        is_usual: whether somebody says it.
        counts: what there is now, in these cells; None where nothing was counted.
        labels: of the cells; none: they have no names.
        borders: between the cells, for the picture; none: the labels are shown.
    """

    name: str
    feature: Feature
    is_usual: bool
    counts: "Ints | None"
    labels: tuple[str, ...] = ()
    borders: tuple[str, ...] = ()


def distribution(
    shown: Shown, standing: Standing, verdict: Verdict, rule: Rule, issues: tuple[str, ...] = ()
) -> Distribution:
    """All of it.

    Args:
        shown: what it is made of.
        standing: where the windows up to now have left it.
        verdict: what the rows that are shown say.
        rule: when something has drifted.
        issues: what is wrong with it besides.
    """
    usual = _shares(shown.feature.counts) if shown.is_usual else ()
    now = () if shown.counts is None else _shares(cell_counts(shown.counts).tolist())
    size = max(len(usual), len(now))
    labels = shown.labels or tuple(f"group {place + 1}" for place in range(size))
    tone, state = _state(shown, standing, verdict, rule)
    return Distribution(
        name=shown.name,
        tone=Tone.BAD if issues else tone,
        state=state,
        verdict=verdict,
        cells=tuple(
            Share(labels[place], usual[place] if usual else None, now[place] if now else None) for place in range(size)
        ),
        others=tuple(_others(shown)),
        issues=issues,
        plot=bars(usual, now, borders=shown.borders, names=() if shown.borders else shown.labels) if size else None,
    )


def labels_between(borders: Sequence[str]) -> tuple[str, ...]:
    """What the cells between such borders are called."""
    if not borders:
        return ("all values",)
    inner = (f"{low} to {high}" for low, high in pairwise(borders))
    return (f"below {borders[0]}", *inner, f"from {borders[-1]}")


def numbers(values: Sequence[float]) -> tuple[str, ...]:
    """Numbers for people, rounded to so many digits that they can be told apart, four at least."""
    for digits in range(_DIGITS, _ALL_DIGITS):
        texts = tuple(_number(value, digits) for value in values)
        if len(set(texts)) == len(set(values)):
            return texts
    return tuple(map(str, values))


def _number(value: float, digits: int) -> str:
    size = abs(value)
    if not size or not _LEAST <= size < _MOST:
        return f"{value:.{digits}g}"
    decimals = max(digits - 1 - floor(log10(size)), 0)
    text = f"{round(value, digits - 1 - floor(log10(size))):,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _state(shown: Shown, standing: Standing, verdict: Verdict, rule: Rule) -> tuple[Tone, str]:
    if not shown.is_usual:
        return Tone.UNSURE, "not compared"
    if standing.streak.alarm:
        return Tone.BAD, DRIFTED
    if verdict.moved is None:
        return Tone.UNSURE, "too few rows to compare" if verdict.rows < rule.min_rows else "cannot be compared"
    if verdict.moved:
        return Tone.UNSURE, "differs in these rows, which is no drift yet"
    return Tone.GOOD, "as usual"


def _others(shown: Shown) -> Iterator[Share]:
    """Rows that are in no cell, and those beyond the range."""
    if shown.counts is None:
        return
    counts, feature = shown.counts, shown.feature
    values = int(cell_counts(counts).sum())
    missing, invalid = int(counts[MISSING]), int(counts[INVALID])
    rows, usual_rows = max(values + missing + invalid, 1), max(feature.rows + feature.missing, 1)
    yield Share("no value", feature.missing / usual_rows if shown.is_usual else None, missing / rows)
    if feature.cells.categories is None:
        yield Share("no finite number", 0.0 if shown.is_usual else None, invalid / rows)
        if shown.is_usual:
            yield Share("outside the usual range", 0.0, int(counts[BELOW] + counts[ABOVE]) / max(values, 1))


def _shares(counts: Sequence[int]) -> tuple[float, ...]:
    total = sum(counts)
    return tuple(count / total for count in counts) if total else ()
