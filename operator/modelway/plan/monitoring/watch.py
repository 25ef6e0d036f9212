"""What is known of the model that serves, from round to round. Plain, frozen data.

Handed from look to look in memory; `rounds` carries it on, its written form is `keeping`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from modelway.api.monitoring import DEFAULT_MAX_PSI, DEFAULT_MIN_ROWS, DEFAULT_WINDOWS, Drift, Monitoring
from modelway.plan.monitoring.counting import Mark, Window
from modelway.plan.monitoring.family import Family
from modelway.plan.monitoring.issues import Issue
from modelway.plan.monitoring.packing import Held
from modelway.plan.monitoring.quality_state import QualityState
from modelway.plan.monitoring.readings import Served
from modelway.plan.rollout.answers import Bins
from modelway.stats.drift import Rule
from modelway.stats.drift_reference import Feature


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The state of one watch.

    Attributes:
        of: the model: the digest of its bytes, or the revision's hash where it has none. Another model begins anew.
        began_at: when its first round was.
        closed_at: when its last round was.
        windows: that have been looked at.
        blind: rounds in a row in which none of the pods answered.
        layout: that inputs are counted by; empty before a pod has told it.
        marks: up to where each pod's counters are counted; by its uid.
        routers: the same of routers.
        pool: what was counted of the inputs while what is usual is being learnt; else no number.
        learnt: what was learnt of the inputs, where the model does not say it; None before.
        inputs: how the features stand; None while it is not known what is usual.
        answer_pool: what was answered while what is usual is being learnt.
        bins: of the answers.
        answers: how the answers stand; None likewise.
        issues: what is wrong with the inputs.
        served: how the last windows were answered.
        gaps: processes that ended without having been read to the end.
        rows, skipped, refused: of all windows.
        trained_at: when the model that serves was trained, where that is known.
        quality: what labels say, where that is asked for.
        last: what the last round has counted; None before the first window is over.
        told_at: when figures were last told anew.
        written: what stands in the ConfigMap; None when nothing does.
    """

    of: str
    began_at: datetime
    closed_at: datetime
    windows: int = 0
    blind: int = 0
    layout: str = ""
    marks: Mapping[str, Mark] = field(default_factory=dict)
    routers: Mapping[str, Mark] = field(default_factory=dict)
    pool: Held = field(default_factory=Held)
    learnt: tuple[Feature | None, ...] | None = None
    inputs: Family | None = field(default=None, compare=False)
    answer_pool: Mapping[str, int] = field(default_factory=dict)
    bins: Bins | None = None
    answers: Family | None = field(default=None, compare=False)
    issues: Mapping[tuple[int, str], Issue] = field(default_factory=dict)
    served: tuple[Served, ...] = ()
    gaps: int = 0
    rows: int = 0
    skipped: int = 0
    refused: int = 0
    trained_at: datetime | None = None
    quality: QualityState | None = None
    last: Window | None = None
    told_at: datetime | None = None
    written: str | None = None


def rule_of(given: Monitoring) -> Rule:
    """When something has drifted."""
    drift = given.drift or Drift()
    return Rule(
        max_psi=DEFAULT_MAX_PSI if drift.max_psi is None else drift.max_psi,
        windows=DEFAULT_WINDOWS if drift.windows is None else drift.windows,
        min_rows=DEFAULT_MIN_ROWS if given.min_rows is None else given.min_rows,
    )
