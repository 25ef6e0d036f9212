"""The rows that are shown as the present: those of the last window, or all since the pods began. Pure.

The last window is what the operator has judged, so the page shows what its conditions speak of. Where it had too few
rows to say anything, or nobody watches the model, what the pods have counted since they began says more.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import numpy as np

from modelway.api.monitoring import DEFAULT_WINDOW
from modelway.api.units import seconds
from modelway.plan.monitoring.packing import parts
from modelway.plan.monitoring.readings import Layout
from modelway.plan.monitoring.seasons import hour_of
from modelway.plan.monitoring.watch import rule_of
from modelway.report.facts import Facts
from modelway.stats.counts import Ints
from modelway.stats.drift_season import Hour

_MOMENT: Final = "%Y-%m-%d %H:%M:%S UTC"


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rows.

    Attributes:
        title: which rows they are, in words.
        rows: how many.
        counts: of each feature of the layout, as the servers count; none where no pod has told a layout.
        answers: requests by bin of their answer.
        hour: in which they came (`plan.monitoring.seasons`); None where they are of many hours.
    """

    title: str
    rows: int
    counts: tuple[Ints, ...] = ()
    answers: Mapping[str, int] = field(default_factory=dict)
    hour: Hour | None = None


def layout_of(facts: Facts) -> Layout | None:
    """What inputs are counted by: as the operator does, else as most pods that were read."""
    if facts.watch is not None and facts.watch.layout in facts.layouts:
        return facts.layouts[facts.watch.layout]
    found = Counter(one.layout for one in facts.readings if one.layout in facts.layouts)
    return facts.layouts[min(found, key=lambda name: (-found[name], name))] if found else None


def sample_of(facts: Facts, layout: Layout | None) -> Sample | None:
    """The rows to show; None where there are none."""
    window, total = _window(facts, layout), _total(facts, layout)
    if window is None or total is None:
        return window or total
    is_enough = window.rows >= rule_of(facts.given).min_rows
    return window if is_enough or total.rows <= window.rows else total


def _window(facts: Facts, layout: Layout | None) -> Sample | None:
    watch = facts.watch
    if watch is None or watch.last is None or not (watch.last.rows or watch.last.answers):
        return None
    inputs = watch.last.inputs
    is_known = layout is not None and watch.layout == layout.id and inputs.size == sum(layout.sizes())
    asked = timedelta(seconds=seconds(facts.given.window or DEFAULT_WINDOW))
    hour = hour_of(facts.given, watch.closed_at - asked, watch.closed_at)
    season = watch.inputs.season if watch.inputs is not None else None
    is_by_hour = season is not None and season.tells(hour)
    beside = ", beside what is usual in that hour of the week" if is_by_hour else ""
    return Sample(
        f"the last window that had requests, which ended at {watch.closed_at.strftime(_MOMENT)}{beside}",
        watch.last.rows,
        tuple(parts(inputs.all(), layout.sizes())) if layout is not None and is_known else (),
        watch.last.answers,
        hour,
    )


def _total(facts: Facts, layout: Layout | None) -> Sample | None:
    answers: Counter[str] = Counter()
    for one in facts.readings:
        answers.update(one.answers)
    ours = [one for one in facts.readings if layout is not None and one.layout == layout.id]
    if layout is None or not ours:
        return Sample("all since the pods began", 0, (), answers) if answers else None
    inputs = np.sum([one.inputs.all() for one in ours], axis=0, dtype=np.int64)
    of = "its pod" if facts.pods == 1 else f"{len(ours)} of its {facts.pods} pods"
    return Sample(
        f"all since the pods began, as {of} counted them",
        sum(one.rows for one in ours),
        tuple(parts(np.asarray(inputs), layout.sizes())),
        answers,
    )
