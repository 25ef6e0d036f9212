"""Which revision is stable and which is the candidate, and what became of those before.

The roles live in `status`; `rollout.decide` changes them, and what it changes is written there first and carried out
afterwards, so that a crash in between is mended by the next look. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from modelway.api.resource import ModelDeployment
from modelway.api.status import HistoryEntry, RolloutStatus
from modelway.plan.revisions import Revision
from modelway.plan.rollout.ledger import Ledger
from modelway.plan.rollout.steps import NOTHING_ASKED, Asked

_KEPT_HISTORY = 10
_LONGEST = 1000
"""Characters of a reason in the history."""

Result = Literal["Promoted", "Rejected", "Superseded"]


@dataclass(frozen=True, slots=True)
class Roles:
    """Who serves, who is to follow, and what became of those before.

    Attributes:
        stable: takes the requests that the candidate does not.
        candidate: is to take over.
        history: newest first.
        rollout: how far the candidate is; None where there is nothing to tell.
        ledger: what was counted; None where nothing is compared.
        asked: what the routers are to send to the candidate.
        pods: that the candidate needs now; None leaves it with those that it has.
        warm: the revision that served before, while it is kept for a rollback.
        complaint: what cannot be acted on among the annotations.
        look_again_after: seconds until something may be decided though nothing has changed.
    """

    stable: Revision | None
    candidate: Revision | None
    history: tuple[HistoryEntry, ...]
    rollout: RolloutStatus | None = None
    ledger: Ledger | None = None
    asked: Asked = NOTHING_ASKED
    pods: int | None = None
    warm: Revision | None = None
    complaint: str | None = None
    look_again_after: float | None = None

    @property
    def front(self) -> Revision | None:
        """The revision that the Service leads to: the stable one, or the first that may answer at all."""
        if self.stable is not None:
            return self.stable
        return self.candidate if self.candidate is not None and self.candidate.is_pinned else None

    @property
    def is_previewed(self) -> bool:
        """Whether the candidate is to be reached under a name of its own: at a step with a preview."""
        ledger, rollout = self.ledger, self.rollout
        if ledger is None or rollout is None or self.candidate is None or rollout.state == "RollingBack":
            return False
        return any(step.preview is not None and step.name == rollout.step for step in ledger.rollout.steps)

    def in_use(self) -> tuple[Revision, ...]:
        """Stable and candidate, as far as there are any."""
        return tuple(revision for revision in (self.stable, self.candidate) if revision is not None)

    def with_entry(self, entry: HistoryEntry) -> "Roles":
        """The same with one more thing that happened."""
        return replace(self, history=(entry, *self.history)[:_KEPT_HISTORY])

    def soonest(self, seconds: float | None) -> "Roles":
        """The same, to be looked at after so many seconds at the latest."""
        pauses = [pause for pause in (self.look_again_after, seconds) if pause is not None]
        return replace(self, look_again_after=max(0.0, min(pauses)) if pauses else None)


def remembered_roles(resource: ModelDeployment, known: Mapping[str, Revision]) -> Roles:
    """The roles that `status` tells of. A revision of which nothing is left plays none."""
    status = resource.status
    return Roles(
        stable=known.get(status.stable.revision) if status.stable else None,
        candidate=known.get(status.candidate.revision) if status.candidate else None,
        history=status.history,
        rollout=status.rollout,
    )


def last_promotion(history: tuple[HistoryEntry, ...]) -> HistoryEntry | None:
    """The last time that the traffic moved from one revision to another."""
    return next((entry for entry in history if entry.result == "Promoted"), None)


def last_verdict(history: tuple[HistoryEntry, ...], revision: str) -> HistoryEntry | None:
    """What was last decided about the revision called `revision`: that it serves, or that it does not."""
    return next((one for one in history if one.revision == revision and one.result != "Superseded"), None)


def entry_of(
    revision: Revision,
    result: Result,
    now: datetime,
    reason: str,
    *,
    replaced: str | None = None,
    attempt: int | None = None,
) -> HistoryEntry:
    """What is remembered of a decision."""
    return HistoryEntry(
        revision=revision.hash,
        version=revision.version,
        digest=revision.digest,
        result=result,
        time=now,
        reason=reason[:_LONGEST],
        replaced=replaced,
        attempt=attempt,
    )
