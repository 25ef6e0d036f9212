"""Which revision is stable and which is the candidate: the one thing that `plan` decides and must remember.

Called by `plan.plan` before any child is built. Pure. The roles live in `status`; what changes them is written there
first and carried out afterwards, so that a crash in between is mended by the next look.
Invariant: the candidate takes over only when all its pods are ready and it is certain which bytes they hold.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from modelway.api.resource import ModelDeployment
from modelway.api.status import HistoryEntry
from modelway.plan.arms import arm_of, needed_replicas, pods_to_evict
from modelway.plan.revisions import Revision
from modelway.plan.types import Observed

_KEPT_HISTORY = 10


@dataclass(frozen=True, slots=True)
class Roles:
    """Who serves, who is to follow, and what became of those before."""

    stable: Revision | None
    candidate: Revision | None
    history: tuple[HistoryEntry, ...]

    @property
    def front(self) -> Revision | None:
        """The revision that the Service leads to: the stable one, or the first that may answer at all."""
        if self.stable is not None:
            return self.stable
        return self.candidate if self.candidate is not None and self.candidate.is_pinned else None

    def in_use(self) -> tuple[Revision, ...]:
        """Stable and candidate, as far as there are any."""
        return tuple(revision for revision in (self.stable, self.candidate) if revision is not None)


def decide_roles(observed: Observed, *, known: dict[str, Revision], wanted: Revision | None, now: datetime) -> Roles:
    """The roles as they should be now.

    Args:
        observed: the picture.
        known: revisions that can be used, `wanted` among them.
        wanted: the revision that the spec asks for; None while the resource is paused.
        now: moment that is written into the history.
    """
    resource = observed.resource
    before = remembered_roles(resource, known)
    if wanted is None:
        return before
    roles = before
    if before.candidate is not None and before.candidate.hash != wanted.hash:
        entry = _entry(before.candidate, "Superseded", now, f"the spec changed to revision {wanted.hash}")
        roles = replace(roles, candidate=None, history=_newest((entry, *roles.history)))
    if before.stable is not None and before.stable.hash == wanted.hash:
        return replace(roles, stable=wanted, candidate=None)
    roles = replace(roles, candidate=wanted)
    if not _may_take_over(observed, wanted, roles.stable):
        return roles
    entry = _entry(wanted, "Promoted", now, "all pods are ready")
    return Roles(stable=wanted, candidate=None, history=_newest((entry, *roles.history)))


def remembered_roles(resource: ModelDeployment, known: dict[str, Revision]) -> Roles:
    """The roles that `status` tells of. A revision of which nothing is left plays none."""
    status = resource.status
    return Roles(
        stable=known.get(status.stable.revision) if status.stable else None,
        candidate=known.get(status.candidate.revision) if status.candidate else None,
        history=status.history,
    )


def last_promotion(history: tuple[HistoryEntry, ...]) -> datetime | None:
    """When the traffic last moved from one revision to another."""
    return next((entry.time for entry in history if entry.result == "Promoted"), None)


def _may_take_over(observed: Observed, candidate: Revision, stable: Revision | None) -> bool:
    if not candidate.is_pinned or pods_to_evict(observed, candidate):
        return False
    serving = observed.resource.spec.serving
    needed = needed_replicas(serving, arm_of(observed, stable) if stable else None)
    return arm_of(observed, candidate).has_all_ready(needed)


def _entry(revision: Revision, result: Literal["Promoted", "Superseded"], now: datetime, reason: str) -> HistoryEntry:
    return HistoryEntry(
        revision=revision.hash,
        version=revision.version,
        digest=revision.digest,
        result=result,
        time=now,
        reason=reason,
    )


def _newest(entries: tuple[HistoryEntry, ...]) -> tuple[HistoryEntry, ...]:
    return entries[:_KEPT_HISTORY]
