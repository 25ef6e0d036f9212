"""Carries the watch from one round of readings to the next. Pure.

The first round only says up to where the counters stand; each later one closes a window. Whatever cannot be judged is
left as it is: rows of a window without a reference are learnt from, and of one with too few of them nothing is said.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from modelway.api.monitoring import DEFAULT_LEARN_FOR, Monitoring, Reference
from modelway.api.monitoring_quality import Quality
from modelway.api.units import seconds
from modelway.plan.monitoring import issues
from modelway.plan.monitoring.answers import MIN_USUAL, usual_answers, windowed
from modelway.plan.monitoring.counting import NOBODY, Mark, Window, counted, difference, total
from modelway.plan.monitoring.family import Family
from modelway.plan.monitoring.level import with_window
from modelway.plan.monitoring.packing import Held, parts
from modelway.plan.monitoring.quality import taken
from modelway.plan.monitoring.quality_state import QualityState
from modelway.plan.monitoring.readings import Collected, Layout, Served
from modelway.plan.monitoring.seasons import clock_of, hour_of
from modelway.plan.monitoring.watch import Watch, rule_of
from modelway.stats.counts import Ints
from modelway.stats.drift_learning import LEAST_ROWS, LearningError, learn, regrouped
from modelway.stats.drift_reference import Feature
from modelway.stats.drift_season import Hour


@dataclass(frozen=True, slots=True)
class RouterMark:
    """What one router has counted of the revision that serves.

    Attributes:
        uid: of its pod.
        epoch: of its process.
        created_at: when its pod was made.
        served: what it has counted.
    """

    uid: str
    epoch: str
    created_at: datetime
    served: Served


@dataclass(frozen=True, slots=True)
class Round:
    """A round of readings, and what is to be known to make something of it.

    Attributes:
        collected: the readings.
        at: when it was.
        present: uids of the pods that are there.
        routers: what they have counted; None where requests do not go through routers.
        given: what is to be watched.
        revision: that serves.
        quality: what labels must say; None where they are not asked for, or answers have no ids that they could name.
    """

    collected: Collected
    at: datetime
    present: Collection[str]
    routers: tuple[RouterMark, ...] | None
    given: Monitoring
    revision: str = ""
    quality: Quality | None = None


def begun(of: str, round_: Round) -> Watch:
    """The watch after its first round."""
    watch = _read(Watch(of=of, began_at=round_.at, closed_at=round_.at), round_)[0]
    return replace(watch, quality=_quality(watch, round_))


def carried(watch: Watch, round_: Round) -> Watch:
    """The watch after one more round."""
    if not round_.collected.readings and round_.collected.unreachable:
        return replace(watch, closed_at=round_.at, blind=watch.blind + 1)
    hour = hour_of(round_.given, watch.closed_at, round_.at)
    watch, window = _read(watch, round_)
    layout = round_.collected.layouts.get(watch.layout)
    if layout is not None:
        watch = _inputs(watch, layout, window, round_, hour)
    watch = _answers(watch, window, round_, hour)
    return replace(
        watch,
        windows=watch.windows + 1,
        served=with_window(watch.served, window.served),
        gaps=watch.gaps + window.gaps,
        rows=watch.rows + window.rows,
        skipped=watch.skipped + window.skipped,
        refused=watch.refused + window.refused,
        last=window,
        quality=_quality(watch, round_),
    )


def _quality(watch: Watch, round_: Round) -> QualityState | None:
    """What labels say after the round; they count from the first one on, for they say when their predictions were."""
    if round_.quality is None:
        return None
    return taken(
        watch.quality,
        round_.collected.readings,
        round_.quality,
        revision=round_.revision,
        present=round_.present,
        now=round_.at,
    )


def _read(watch: Watch, round_: Round) -> tuple[Watch, Window]:
    """What was counted since the last round, and the watch with new marks."""
    watch = _laid_out(watch, round_.collected)
    layout = round_.collected.layouts.get(watch.layout)
    window, marks = counted(
        watch.marks,
        round_.collected.readings,
        layout=watch.layout,
        size=sum(layout.sizes()) if layout is not None else 0,
        began_at=watch.began_at,
        present=round_.present,
    )
    routers: Mapping[str, Mark] = {}
    if round_.routers is not None:
        served, routers = _routed(watch, round_.routers)
        window = replace(window, served=served)
    watch = replace(watch, closed_at=round_.at, blind=0, marks=marks, routers=routers)
    return watch, window


def _laid_out(watch: Watch, collected: Collected) -> Watch:
    """The watch by the layout that most pods have. By another than before, what was known of inputs means nothing."""
    found = Counter(one.layout for one in collected.readings if one.layout in collected.layouts)
    if watch.layout in found:
        return _with_usual(watch, collected.layouts[watch.layout])
    if not found:
        return watch
    layout = collected.layouts[min(found, key=lambda name: (-found[name], name))]
    marks = {uid: replace(mark, layout="") for uid, mark in watch.marks.items()}
    family = Family.of(layout.features) if layout.features is not None else None
    return replace(watch, layout=layout.id, marks=marks, pool=Held(), learnt=None, inputs=family, issues={})


def _with_usual(watch: Watch, layout: Layout) -> Watch:
    """After a start: what was written says where the features stand, and the pods what is usual for them."""
    if watch.inputs is None or watch.inputs.usual or layout.features is None:
        return watch
    if len(layout.features) != len(watch.inputs.standings):
        return replace(watch, inputs=Family.of(layout.features))
    return replace(watch, inputs=replace(watch.inputs, usual=layout.features))


def _routed(watch: Watch, routers: Iterable[RouterMark]) -> tuple[Served, dict[str, Mark]]:
    served, marks = NOBODY, {}
    for one in routers:
        marks[one.uid] = Mark(one.epoch, served=one.served)
        before = watch.routers.get(one.uid)
        if before is None and one.created_at < watch.began_at:
            continue
        is_same = before is not None and before.epoch == one.epoch
        since = before.served if before is not None and is_same else NOBODY
        served = total((served, difference(one.served, since)))
    return served, marks


def _inputs(watch: Watch, layout: Layout, window: Window, round_: Round, hour: Hour | None) -> Watch:
    counts = parts(window.inputs.all(), layout.sizes())
    if layout.features is None:
        watch = _learnt(watch, layout, window, round_)
        if watch.learnt is None or watch.inputs is None:
            found = issues.after(watch.issues, window, (), (), windows=rule_of(round_.given).windows)
            return replace(watch, issues=found)
        counts = _regrouped(counts, layout, watch.learnt)
    if watch.inputs is None:
        return watch
    rule = rule_of(round_.given)
    return replace(
        watch,
        inputs=_family(watch.inputs, counts, round_, hour),
        issues=issues.after(watch.issues, window, watch.inputs.usual, counts, windows=rule.windows),
    )


def _learnt(watch: Watch, layout: Layout, window: Window, round_: Round) -> Watch:
    """The watch with what live rows have taught, once there is enough of them; the window that ends it is the last."""
    if watch.learnt is not None:
        return watch
    pool = window.inputs.all()
    if watch.pool.size == pool.size:
        pool = pool + watch.pool.all()
    rows = watch.rows + window.rows
    if round_.at - watch.began_at < learn_for(round_.given) or rows < LEAST_ROWS:
        return replace(watch, pool=Held.of(pool))
    found = tuple(
        _feature(name, counts, cells)
        for name, counts, cells in zip(layout.names, parts(pool, layout.sizes()), layout.cells(), strict=True)
    )
    return replace(watch, pool=Held(), learnt=found, inputs=Family.of(found))


def learn_for(given: Monitoring) -> timedelta:
    """How long live rows are counted at least before they count as usual."""
    asked = (given.reference or Reference()).learn_for
    return timedelta(seconds=seconds(asked or DEFAULT_LEARN_FOR))


def _feature(name: str, counts: Ints, cells: object) -> Feature | None:
    try:
        return learn(name, counts, cells)  # type: ignore[arg-type]
    except LearningError:
        return None


def _regrouped(counts: Iterable[Ints], layout: Layout, learnt: Iterable[Feature | None]) -> list[Ints]:
    return [
        part if feature is None else regrouped(part, cells, feature)
        for part, cells, feature in zip(counts, layout.cells(), learnt, strict=True)
    ]


def _family(family: Family, counts: Sequence[Ints], round_: Round, hour: Hour | None) -> Family:
    """Features after a window; a rhythm that is no longer asked for, or by other clocks, is forgotten."""
    if family.season is not None and family.season.clock != clock_of(round_.given):
        family = replace(family, season=None)
    return family.after(counts, rule_of(round_.given), hour)


def _answers(watch: Watch, window: Window, round_: Round, hour: Hour | None) -> Watch:
    if watch.bins is None or watch.answers is None:
        return _usual_answers(watch, window, round_)
    return replace(watch, answers=_family(watch.answers, windowed(watch.bins, window.answers), round_, hour))


def _usual_answers(watch: Watch, window: Window, round_: Round) -> Watch:
    """The watch with what is usual for answers: as the model tells it, else once enough was seen of them."""
    told = next((one.usual_answers for one in round_.collected.readings if one.usual_answers), {})
    found = usual_answers(told, rows=MIN_USUAL)
    if found is None:
        pool = Counter(watch.answer_pool)
        pool.update(window.answers)
        if round_.at - watch.began_at >= learn_for(round_.given):
            found = usual_answers(pool, rows=LEAST_ROWS)
        if found is None:
            return replace(watch, answer_pool=dict(pool))
    bins, features = found
    return replace(watch, answer_pool={}, bins=bins, answers=Family.of(features))
