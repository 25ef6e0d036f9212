"""Every feature and the answers, those that have drifted most first. Pure.

What is compared is compared by the code and the rule of the operator, on the rows of the `Sample`. With
`features: Hide` no name, no border and no category gets any farther than this module.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf
from typing import Final

from modelway.api.observations import bucket_bounds
from modelway.plan.monitoring.answers import CLASS, MIN_USUAL, SCORE, usual_answers, windowed
from modelway.plan.monitoring.family import Family
from modelway.plan.monitoring.readings import Layout
from modelway.plan.monitoring.telling import feature_name
from modelway.plan.monitoring.watch import rule_of
from modelway.plan.rollout.answers import Bins
from modelway.report.distributions import DRIFTED, Distribution, Shown, distribution, labels_between, numbers
from modelway.report.facts import Facts
from modelway.report.sample import Sample
from modelway.report.words import Tone
from modelway.stats.counts import Ints
from modelway.stats.drift import Verdict
from modelway.stats.drift_cells import Cells
from modelway.stats.drift_learning import LearningError, learn, regrouped
from modelway.stats.drift_reference import Feature
from modelway.stats.drift_season import Hour

_OTHERS: Final = "all others"
_LONGEST: Final = 80
"""Letters of a category that are shown: it may be a text of any length, and there may be 32,000 of them."""


def features_of(facts: Facts, layout: Layout, sample: Sample | None) -> tuple[Distribution, ...]:
    """Every feature of the layout."""
    family = _family(facts, layout)
    has_counts = sample is not None and len(sample.counts) == len(layout.names)
    counts = _in_cells(family, layout, sample.counts) if sample is not None and has_counts else []
    hour = sample.hour if sample is not None else None
    verdicts = family.judged(counts, rule_of(facts.given), hour) if counts else {}
    family = _in_hour(family, hour)
    found = [
        _feature(facts, layout, family, place, counts[place] if counts else None, verdicts.get(place))
        for place in range(len(layout.names))
    ]
    return tuple(sorted(found, key=_order))


def answers_of(facts: Facts, sample: Sample | None) -> tuple[Distribution, ...]:
    """The class and the score, where the answers have such."""
    if sample is None or not sample.answers:
        return ()
    made, is_usual = _bins(facts, sample)
    if made is None:
        return ()
    bins, family = made
    counts = windowed(bins, sample.answers)
    rule = rule_of(facts.given)
    verdicts = family.judged(counts, rule, sample.hour) if is_usual else {}
    family = _in_hour(family, sample.hour)
    names = [name for name, size in zip((CLASS, SCORE), bins.sizes, strict=True) if size]
    found = []
    for place, (name, feature, now) in enumerate(zip(names, family.usual, counts, strict=True)):
        if feature is not None:
            shown = Shown(name, feature, is_usual, now, *_labels_of_answers(bins, name, hidden=facts.is_hidden))
            found.append(distribution(shown, family.standings[place], verdicts.get(place) or _unknown(None), rule))
    return tuple(found)


def _bins(facts: Facts, sample: Sample) -> tuple[tuple[Bins, Family] | None, bool]:
    """Where answers are counted, and whether it is known what is usual: by the operator, or told by the model."""
    watch = facts.watch
    if watch is not None and watch.bins is not None and watch.answers is not None:
        return (watch.bins, watch.answers), True
    told = next((one.usual_answers for one in facts.readings if one.usual_answers), {})
    if (usual := usual_answers(told, rows=MIN_USUAL)) is not None:
        return (usual[0], Family.of(usual[1])), True
    present = usual_answers(sample.answers, rows=1)
    return (None if present is None else (present[0], Family.of(present[1]))), False


def _family(facts: Facts, layout: Layout) -> Family:
    """What is usual, and where each stands: as the operator has it, else as the pods tell it."""
    known = facts.watch.inputs if facts.watch is not None and facts.watch.layout == layout.id else None
    if known is not None and len(known.standings) != len(layout.names):
        known = None
    if layout.features is not None:
        fresh = Family.of(layout.features)
        return fresh if known is None else replace(fresh, standings=known.standings, season=known.season)
    return known if known is not None and known.usual else Family.of([None] * len(layout.names))


def _in_hour(family: Family, hour: Hour | None) -> Family:
    """With what is usual in that hour of the week, where that is known."""
    seasonal = family.seasonal(hour)
    return replace(family, usual=tuple(seasonal.get(place, one) for place, one in enumerate(family.usual)))


def _in_cells(family: Family, layout: Layout, counts: tuple[Ints, ...]) -> list[Ints]:
    """Counts in the cells of what is usual; of what is not known, as they were counted."""
    return [
        part if layout.features is not None or usual is None else regrouped(part, cells, usual)
        for part, cells, usual in zip(counts, layout.cells(), family.usual, strict=True)
    ]


def _feature(
    facts: Facts, layout: Layout, family: Family, place: int, counts: "Ints | None", verdict: Verdict | None
) -> Distribution:
    name, cells = feature_name(facts.given, layout.names, place), layout.cells()[place]
    usual, issues = family.usual[place], tuple(_issues(facts, place, name))
    feature = usual if usual is not None else _as_it_is(name, cells, counts)
    if feature is None:
        return Distribution(name, Tone.UNSURE, "not compared", _unknown(usual), issues=issues)
    if usual is None and counts is not None:
        counts = regrouped(counts, cells, feature)
    shown = Shown(name, feature, usual is not None, counts, *_labels(feature.cells, hidden=facts.is_hidden))
    return distribution(shown, family.standings[place], verdict or _unknown(usual), rule_of(facts.given), issues)


def _unknown(usual: Feature | None) -> Verdict:
    """Where there is nothing to compare."""
    return Verdict("", 0, because="nobody knows yet what is usual" if usual is None else "no rows were counted")


def _as_it_is(name: str, cells: Cells, counts: "Ints | None") -> Feature | None:
    """Cells in which to show what was counted, where nobody says what is usual; None for texts, which have no names."""
    if counts is None or cells.categories is not None:
        return None
    try:
        return learn(name, counts, cells, least_rows=1)
    except LearningError:
        return None


def _issues(facts: Facts, place: int, name: str) -> Iterator[str]:
    if facts.watch is not None:
        for (of, kind), issue in sorted(facts.watch.issues.items()):
            if of == place:
                yield issue.words(name, kind)


def _order(one: Distribution) -> tuple[bool, bool, float]:
    psi = one.verdict.psi
    return one.state != DRIFTED, one.tone != Tone.BAD, inf if psi is None else -psi


def _labels(cells: Cells, *, hidden: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels of the cells, and borders between them."""
    if cells.categories is not None:
        names = (*map(_cut, cells.categories), _OTHERS) if cells.categories else ()
        return (_numbered("category", len(names)) if hidden else names), ()
    return _of_numbers(cells.edges, hidden=hidden)


def _labels_of_answers(bins: Bins, name: str, *, hidden: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if name == CLASS:
        size, _ = bins.sizes
        named = _numbered("group", size) if bins.classes is None else (*bins.classes, _OTHERS)
        return (_numbered("class", size) if hidden else named), ()
    return _of_numbers([bucket_bounds(edge)[0] if edge else 0.0 for edge in bins.edges], hidden=hidden)


def _of_numbers(edges: Sequence[float], *, hidden: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if hidden:
        return _numbered("cell", len(edges) + 1), ()
    borders = numbers(edges)
    return labels_between(borders), borders


def _cut(category: str) -> str:
    return category if len(category) <= _LONGEST else category[: _LONGEST - 1] + "…"


def _numbered(what: str, count: int) -> tuple[str, ...]:
    return tuple(f"{what} {place + 1}" for place in range(count))
