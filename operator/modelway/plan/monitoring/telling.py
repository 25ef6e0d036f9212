"""What is told of the watch: conditions with their messages, and `status.monitoring`. Pure.

Figures in messages are those of the status, and stay as they are until they say something else: a message that
followed every window would be a write for every window.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from modelway.api.conditions import Condition, Reason
from modelway.api.monitoring import Monitoring
from modelway.api.monitoring_quality import Quality
from modelway.api.monitoring_status import MOST_TOLD, IssueStatus, MonitoringStatus, ReferenceStatus
from modelway.api.status import Status
from modelway.api.units import seconds
from modelway.plan.monitoring import quality, seasons
from modelway.plan.monitoring.answers import CLASS, SCORE
from modelway.plan.monitoring.family import Family
from modelway.plan.monitoring.figures import listed, told_figures
from modelway.plan.monitoring.issues import is_of_requests
from modelway.plan.monitoring.level import ERRORS, LONG, Burn, burns
from modelway.plan.monitoring.readings import Layout
from modelway.plan.monitoring.rounds import learn_for
from modelway.plan.monitoring.watch import Watch, rule_of
from modelway.plan.types import Verdict
from modelway.stats.drift_learning import LEAST_ROWS

_INPUTS, _ANSWERS = "inputs", "answers"


@dataclass(frozen=True, slots=True)
class Sight:
    """All that the words are made of.

    Attributes:
        given: what is to be watched.
        watch: what is known.
        layout: of the inputs; None where no pod has told it.
        unreachable: why pods could not be read.
        before: the status that stands there.
        now: the moment.
        trained_at: when the model that serves was trained.
        observed: whether somebody counts its inputs and answers.
        labelled: whether its answers have ids that labels can name.
        measured: whether somebody counts how requests are answered.
        trouble: why hardly any request can be read, and why hardly any answer; empty where they can.
    """

    given: Monitoring
    watch: Watch | None
    layout: Layout | None
    before: Status
    now: datetime
    trained_at: datetime | None
    observed: bool
    measured: bool
    labelled: bool = True
    unreachable: tuple[str, ...] = field(default=())
    trouble: tuple[str, str] = ("", "")


_NO_WINDOW: Final[Verdict] = (None, Reason.NOT_YET_MEASURED, "the first window is not over")
_FOREIGN: Final[Verdict] = (
    None,
    Reason.NOT_OBSERVED,
    "nobody counts what an image of your own is asked and answers: give monitoring.observe",
)
_NO_ROWS_YET: Final[Verdict] = (None, Reason.TOO_FEW_ROWS, "no rows have been observed yet")


def status_of(sight: Sight) -> MonitoringStatus:
    """`status.monitoring`."""
    watch, before = sight.watch, sight.before.monitoring or MonitoringStatus()
    if watch is None:
        return MonitoringStatus()
    drifted = watch.inputs.drifted() if watch.inputs is not None else []
    answers = watch.answers.drifted() if watch.answers is not None else []
    return MonitoringStatus(
        reference=_reference(sight, watch),
        drifted_features=len(drifted),
        drifted=told_figures(drifted, _namer(sight), before.drifted),
        predictions=told_figures(answers, _output_namer(watch), before.predictions),
        issues=tuple(
            IssueStatus.model_validate({"name": _name_of(sight, place), "kind": kind})
            for place, kind in sorted(watch.issues)[:MOST_TOLD]
        ),
        quality=quality.status_of(watch.quality, sight.given.quality, sight.now, before.quality, hide=sight.given.hides)
        if sight.given.quality is not None
        else None,
    )


def verdicts(sight: Sight, status: MonitoringStatus) -> dict[Condition, Verdict]:
    """The conditions that are asked for."""
    requests, answers = sight.trouble
    found = {
        Condition.DATA_DRIFT: _or_trouble(requests, _data_drift(sight, status)),
        Condition.PREDICTION_DRIFT: _or_trouble(answers, _prediction_drift(sight, status)),
        Condition.DATA_QUALITY_ISSUE: _or_trouble(requests, _quality_issue(sight)),
    }
    if sight.given.max_model_age is not None:
        found[Condition.MODEL_STALE] = _stale(sight, sight.given.max_model_age)
    if sight.given.quality is not None:
        found[Condition.PERFORMANCE_DEGRADED] = _performance(sight, sight.given.quality)
    if sight.given.slo is not None:
        found[Condition.DEGRADED] = _degraded(sight)
    return found


def stale_at(given: Monitoring, trained_at: datetime | None) -> datetime | None:
    """From when on the model is stale; None where that will never be."""
    if given.max_model_age is None or trained_at is None:
        return None
    return trained_at + timedelta(seconds=seconds(given.max_model_age))


def _or_trouble(trouble: str, verdict: Verdict) -> Verdict:
    """The verdict; where nothing can be said and that has a cause which will not pass by itself, the cause."""
    if not trouble or verdict[0] is not None or verdict[1] == Reason.SOURCE_DOWN:
        return verdict
    return None, Reason.NOT_OBSERVED, trouble


def _data_drift(sight: Sight, status: MonitoringStatus) -> Verdict:
    watch = sight.watch
    if (unknown := _unknown(sight)) is not None or watch is None:
        return unknown or _NO_WINDOW
    if watch.inputs is None or not watch.inputs.compared:
        return _nothing_to_compare(sight, watch)
    if status.drifted_features:
        some = f"{status.drifted_features} of {watch.inputs.compared} features"
        return True, Reason.INPUTS_DRIFTED, f"{some} have drifted: {listed(status.drifted, status.drifted_features)}"
    if silent := _silent(sight, watch, watch.inputs):
        return silent
    return False, Reason.AS_EXPECTED, f"the inputs are distributed as usual{seasons.words(watch.inputs, sight.given)}"


def _prediction_drift(sight: Sight, status: MonitoringStatus) -> Verdict:
    watch = sight.watch
    if (unknown := _unknown(sight)) is not None or watch is None:
        return unknown or _NO_WINDOW
    if watch.answers is None:
        return _learning(sight, watch, _ANSWERS)
    if status.predictions:
        return True, Reason.ANSWERS_DRIFTED, f"the answers have drifted: {listed(status.predictions, 0)}"
    if silent := _silent(sight, watch, watch.answers):
        return silent
    return False, Reason.AS_EXPECTED, f"the answers are distributed as usual{seasons.words(watch.answers, sight.given)}"


def _quality_issue(sight: Sight) -> Verdict:
    watch = sight.watch
    if (unknown := _unknown(sight)) is not None or watch is None:
        return unknown or _NO_WINDOW
    if watch.issues:
        return True, Reason.INPUTS_BROKEN, "; ".join(_issues(sight, watch))
    if watch.inputs is None or not watch.inputs.compared:
        return _nothing_to_compare(sight, watch)
    if not watch.rows:
        return None, Reason.TOO_FEW_ROWS, "no rows have been counted yet"
    return False, Reason.AS_EXPECTED, "nothing is wrong with the inputs"


def _issues(sight: Sight, watch: Watch) -> Iterator[str]:
    for (place, kind), issue in sorted(watch.issues.items())[:MOST_TOLD]:
        yield issue.words(_name_of(sight, place), kind)
    if (more := len(watch.issues) - MOST_TOLD) > 0:
        yield f"and {more} more"


def _performance(sight: Sight, asked: Quality) -> Verdict:
    watch = sight.watch
    if not sight.labelled:
        return None, Reason.NOT_OBSERVED, "an image of your own gives no prediction ids; the built-in server does"
    if watch is not None and (blind := _blind(sight, watch)):
        return blind
    return quality.verdict(watch.quality if watch is not None else None, asked, sight.now, hide=sight.given.hides)


def _stale(sight: Sight, longest: str) -> Verdict:
    until = stale_at(sight.given, sight.trained_at)
    if until is None:
        return None, Reason.TRAINING_TIME_MISSING, "say by spec.model.trainingTime when the model was trained"
    told = f"trained at {sight.trained_at:%Y-%m-%d %H:%M} UTC; maxModelAge is {longest}"
    if sight.now >= until:
        return True, Reason.TOO_OLD, told
    return False, Reason.AS_EXPECTED, told


def _degraded(sight: Sight) -> Verdict:
    level, watch = sight.given.slo, sight.watch
    if not sight.measured:
        return None, Reason.NOT_OBSERVED, "nobody counts how requests are answered: set traffic.router: Envoy"
    if watch is None or level is None or not watch.windows:
        return _NO_WINDOW
    if blind := _blind(sight, watch):
        return blind
    found = list(burns(level, watch.served))
    if not found:
        return None, Reason.TOO_FEW_ROWS, "there were no requests yet"
    if missed := [one for one in found if one.is_missed]:
        return True, Reason.OBJECTIVE_MISSED, "; ".join(_missed(one) for one in missed)
    return False, Reason.AS_EXPECTED, "the answers keep what is promised"


def _missed(burn: Burn) -> str:
    what = "fail" if burn.name == ERRORS else "are too slow"
    allowed = f"{100 * burn.allowed:.6g}%"
    return f"{burn.name}: more than {allowed} of the requests {what}, in the last window and in the last {LONG}"


def _unknown(sight: Sight) -> Verdict | None:
    """Why nothing can be said of inputs and answers at all."""
    watch = sight.watch
    if not sight.observed:
        return _FOREIGN
    if watch is None:
        return _told_unreachable(sight) or _NO_WINDOW
    if blind := _blind(sight, watch):
        return blind
    return _NO_WINDOW if not watch.windows else None


def _blind(sight: Sight, watch: Watch) -> Verdict | None:
    """One round in which nobody answers is soon over."""
    return _told_unreachable(sight) if watch.blind >= rule_of(sight.given).windows or not watch.windows else None


def _told_unreachable(sight: Sight) -> Verdict | None:
    if not sight.unreachable:
        return None
    return None, Reason.SOURCE_DOWN, f"the pods cannot be read: {min(sight.unreachable)}"


def _nothing_to_compare(sight: Sight, watch: Watch) -> Verdict:
    layout = sight.layout
    if layout is None:
        return _NO_WINDOW
    if not layout.names and not sight.labelled:
        return _NO_ROWS_YET
    if not layout.names:
        return None, Reason.NOT_OBSERVED, "none of the model's inputs is a column of single values"
    if watch.inputs is not None:
        return None, Reason.NOT_OBSERVED, "too few rows had values to learn from what is usual"
    return _learning(sight, watch, _INPUTS)


def _learning(sight: Sight, watch: Watch, what: str) -> Verdict:
    until = watch.began_at + learn_for(sight.given)
    told = f"what is usual for the {what} is being learnt until {until:%Y-%m-%d %H:%M} UTC at least"
    command = "profile" if what == _INPUTS else "pack"
    return None, Reason.LEARNING, f"{told}, from {LEAST_ROWS:,} rows at least; `modelway {command}` tells it at once"


def _silent(sight: Sight, watch: Watch, family: Family) -> Verdict | None:
    rule = rule_of(sight.given)
    if not family.is_silent(min(rule.windows, max(watch.windows, 1))):
        return None
    return None, Reason.TOO_FEW_ROWS, f"the last windows had fewer than {rule.min_rows:,} rows with values"


def _reference(sight: Sight, watch: Watch) -> ReferenceStatus | None:
    layout = sight.layout
    if layout is None:
        return None
    rhythm = seasons.status_of(watch.inputs)
    if layout.features is not None:
        return ReferenceStatus(source="Model", features=len(layout.features), seasonality=rhythm)
    if watch.inputs is None:
        return ReferenceStatus(source="Learning", features=len(layout.names), since=watch.began_at)
    known = watch.inputs.compared
    return ReferenceStatus(source="Learnt", features=known, since=watch.began_at, seasonality=rhythm)


def _namer(sight: Sight) -> Callable[[int], str]:
    return lambda place: _name_of(sight, place)


def _output_namer(watch: Watch) -> Callable[[int], str]:
    has_class = watch.bins is not None and watch.bins.sizes[0] > 0
    names = (CLASS, SCORE) if has_class else (SCORE,)
    return lambda place: names[place]


def _name_of(sight: Sight, place: int) -> str:
    if is_of_requests(place):
        return "requests"
    return feature_name(sight.given, sight.layout.names if sight.layout is not None else (), place)


def feature_name(given: Monitoring, names: Sequence[str], place: int) -> str:
    """How a feature is called where people read it."""
    if given.hides or place >= len(names):
        return f"feature {place + 1}"
    return names[place]
