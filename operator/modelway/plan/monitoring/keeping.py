"""The watch as text, for the ConfigMap `<name>-monitoring`: what outlives the operator. Pure.

No name of a feature is in it and no category that a client has sent: features are told apart by their place. What
cannot be read, or is of another format, is none at all: then the watch begins anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any, Final

import numpy as np
import orjson

from modelway.api.units import time_of
from modelway.plan.monitoring import quality_state, season_record
from modelway.plan.monitoring.counting import Mark, Window
from modelway.plan.monitoring.family import Family, Standing
from modelway.plan.monitoring.issues import Issue
from modelway.plan.monitoring.packing import Held, packed, parts, spread_out, squeezed, unpacked
from modelway.plan.monitoring.readings import Served
from modelway.plan.monitoring.watch import Watch
from modelway.plan.rollout.answers import Bins
from modelway.stats.counts import Ints
from modelway.stats.drift import Streak
from modelway.stats.drift_reference import Feature, from_record, to_record
from modelway.stats.drift_spread import Baseline, Excess, Pool

FORMAT: Final = 2
_POOLS: Final = 2
"""Of a baseline."""
"""Raised with every change that gives written watches another meaning."""
MOST_BYTES: Final = 700_000
"""A ConfigMap holds 1 MiB. Of more pods than fit the marks are left out: then a restart of the operator loses a
window."""


def content_of(watch: Watch) -> str:
    """The written form, as JSON."""
    plain = {
        "format": FORMAT,
        "of": watch.of,
        "began": watch.began_at.isoformat(),
        "closed": watch.closed_at.isoformat(),
        "trained": watch.trained_at.isoformat() if watch.trained_at is not None else None,
        "layout": watch.layout,
        "totals": [watch.windows, watch.gaps, watch.rows, watch.skipped, watch.refused],
        "marks": {uid: _of_mark(mark) for uid, mark in watch.marks.items()},
        "routers": {uid: [mark.epoch, list(mark.served)] for uid, mark in watch.routers.items()},
        "pool": [watch.pool.size, packed(watch.pool.all())],
        "learnt": None if watch.learnt is None else _of_features(watch.learnt),
        "inputs": _of_family(watch.inputs),
        "answerPool": _of_answers(watch.answer_pool),
        "bins": None if watch.bins is None else watch.bins.to_record(),
        "usualAnswers": None if watch.answers is None else _of_features(watch.answers.usual),
        "answers": _of_family(watch.answers),
        "issues": [[*key, one.share, one.usual, one.factor, one.calm] for key, one in sorted(watch.issues.items())],
        "served": [list(one) for one in watch.served],
        "last": None if watch.last is None else _of_window(watch.last),
        "quality": quality_state.content_of(watch.quality),
    }
    content = orjson.dumps(plain)
    if len(content) > MOST_BYTES:
        content = orjson.dumps(plain | {"marks": {}, "routers": {}, "began": plain["closed"]})
    return content.decode()


def watch_from(content: str) -> Watch | None:
    """What `content_of` wrote; None when it cannot be read. What is usual for inputs comes with the next readings."""
    try:
        return _read(orjson.loads(content), content)
    except (LookupError, TypeError, ValueError, AttributeError):
        return None  # of JSON and of records: all are ValueErrors


def _read(plain: Mapping[str, Any], content: str) -> Watch | None:
    if plain["format"] != FORMAT:
        return None
    learnt = None if plain["learnt"] is None else _features_from(plain["learnt"])
    usual = None if plain["usualAnswers"] is None else _features_from(plain["usualAnswers"])
    windows, gaps, rows, skipped, refused = map(int, plain["totals"])
    trained = plain["trained"]
    return Watch(
        of=str(plain["of"]),
        began_at=datetime.fromisoformat(plain["began"]),
        closed_at=datetime.fromisoformat(plain["closed"]),
        trained_at=None if trained is None else time_of(trained),
        layout=str(plain["layout"]),
        windows=windows,
        gaps=gaps,
        rows=rows,
        skipped=skipped,
        refused=refused,
        marks={str(uid): _mark_from(mark) for uid, mark in plain["marks"].items()},
        routers={str(uid): Mark(str(epoch), served=_served(of)) for uid, (epoch, of) in plain["routers"].items()},
        pool=Held.of(unpacked(plain["pool"][1], int(plain["pool"][0]))),
        learnt=learnt,
        inputs=_family_from(plain["inputs"], learnt or ()),
        answer_pool=_answers_from(plain["answerPool"]),
        bins=None if plain["bins"] is None else Bins.from_record(plain["bins"]),
        answers=None if usual is None else _family_from(plain["answers"], usual),
        issues={
            (int(place), str(kind)): Issue(float(part), float(before), float(factor), int(calm))
            for place, kind, part, before, factor, calm in plain["issues"]
        },
        served=tuple(map(_served, plain["served"])),
        last=None if plain.get("last") is None else _window_from(plain["last"]),
        quality=quality_state.state_from(plain["quality"]),
        written=content,
    )


def _of_mark(mark: Mark) -> list[Any]:
    counts = np.concatenate([[mark.rows, mark.skipped, mark.refused], mark.inputs.all()])
    return [
        mark.epoch,
        mark.layout,
        counts.size,
        packed(counts),
        _of_answers(mark.answers),
        list(mark.served),
        mark.is_last,
    ]


def _mark_from(plain: list[Any]) -> Mark:
    epoch, layout, size, counts, answers, served, is_last = plain
    numbers = unpacked(counts, int(size))
    rows, skipped, refused = numbers[:3].tolist()
    return Mark(
        epoch=str(epoch),
        layout=str(layout),
        inputs=Held.of(numbers[3:]),
        rows=rows,
        skipped=skipped,
        refused=refused,
        answers=_answers_from(answers),
        served=_served(served),
        is_last=bool(is_last),
    )


def _of_window(window: Window) -> list[Any]:
    """For who looks at the model from outside (`modelway report`): the window that was judged last."""
    counts = np.concatenate([[window.rows, window.skipped, window.refused, window.gaps], window.inputs.all()])
    return [counts.size, packed(counts), _of_answers(window.answers), list(window.served)]


def _window_from(plain: Sequence[Any]) -> Window:
    size, counts, answers, served = plain
    numbers = unpacked(counts, int(size))
    rows, skipped, refused, gaps = numbers[:4].tolist()
    return Window(Held.of(numbers[4:]), rows, skipped, refused, _answers_from(answers), _served(served), gaps)


def _served(plain: Sequence[Any]) -> Served:
    requests, failed, at_most = plain
    return Served(int(requests), int(failed), tuple((int(bound), int(count)) for bound, count in at_most))


def _of_answers(answers: Mapping[str, int]) -> str:
    """Answers as text; the names of classes are those of the model."""
    return squeezed(orjson.dumps(dict(answers), option=orjson.OPT_SORT_KEYS))


def _answers_from(text: str) -> dict[str, int]:
    plain = orjson.loads(spread_out(text, most=MOST_BYTES))
    return {str(key): int(count) for key, count in plain.items()}


def _of_features(features: Sequence[Feature | None]) -> list[Any]:
    """Without their names."""
    return [None if one is None else to_record([one])["features"][0] | {"name": ""} for one in features]


def _features_from(plain: Sequence[Any]) -> tuple[Feature | None, ...]:
    return tuple(
        None if one is None else from_record({"features": [one | {"name": str(place)}]})[0]
        for place, one in enumerate(plain)
    )


def _of_family(family: Family | None) -> dict[str, Any] | None:
    """Pools of all baselines together: one by one they would hardly be smaller packed than not."""
    if family is None:
        return None
    baselines = [one.baseline for one in family.standings if one.baseline is not None]
    pools = [pool.rows for one in baselines for pool in (one.usual, one.moved)]
    each = [
        [one.streak.moved, one.streak.quiet, one.streak.alarm, one.silent, one.psi, _of_baseline(one.baseline)]
        for one in family.standings
    ]
    found = {"each": each, "pools": packed(np.concatenate(pools)) if pools else ""}
    return found if family.season is None else found | {"season": season_record.content_of(family.season)}


def _of_baseline(baseline: Baseline | None) -> list[Any] | None:
    if baseline is None:
        return None
    return [baseline.usual.rows.size, baseline.usual.windows, baseline.moved.windows, *astuple(baseline.excess)]


def _family_from(plain: Mapping[str, Any] | None, usual: tuple[Feature | None, ...]) -> Family | None:
    if plain is None:
        return None
    each = plain["each"]
    sizes = [int(baseline[0]) for *_, baseline in each if baseline is not None for _ in range(_POOLS)]
    pools = iter(parts(unpacked(plain["pools"], sum(sizes)), sizes) if sizes else ())
    standings = tuple(
        Standing(
            Streak(int(moved), int(quiet), bool(alarm)),
            int(silent),
            None if psi is None else float(psi),
            None if baseline is None else _baseline_from(next(pools), next(pools), baseline),
        )
        for moved, quiet, alarm, silent, psi, baseline in each
    )
    return Family(usual, standings, season_record.season_from(plain.get("season")))


def _baseline_from(usual: Ints, moved: Ints, plain: Sequence[Any]) -> Baseline:
    _, usual_windows, moved_windows, compared, *sums = plain
    excess = Excess(int(compared), *map(float, sums))
    return Baseline(Pool(usual, int(usual_windows)), Pool(moved, int(moved_windows)), excess)
