"""How a candidate's time ends: it takes over, it leaves, or the revision before it comes back. Pure.

Each of these takes several looks, and each look does what may be done now: pods before weight, weight before pods. What
was decided stands in `status.rollout.state`, so a process that is killed in between goes on where it stopped.
"""

from dataclasses import replace
from typing import Final

from modelway.api.conditions import Reason
from modelway.api.status import RolloutStatus
from modelway.plan.pods import DRAIN_SECONDS
from modelway.plan.revisions import Revision
from modelway.plan.roles import Roles, entry_of
from modelway.plan.rollout.keeping import observed_ledger, with_asked
from modelway.plan.rollout.ledger import Ledger
from modelway.plan.rollout.look import Look
from modelway.plan.rollout.pair import pair_of
from modelway.plan.rollout.steps import NOTHING_ASKED, Asked

ALL: Final = Asked(weight=100)


def promoted(look: Look, roles: Roles, ledger: Ledger, why: str) -> Roles:
    """Decide that the candidate takes over, and begin with it."""
    rollout = pair_of(roles).rollout.model_copy(
        update={"state": "Promoting", "reason": str(Reason.PROMOTING), "message": why, "weight": ledger.weight}
    )
    return take_over(look, replace(roles, rollout=rollout), ledger)


def take_over(look: Look, roles: Roles, ledger: Ledger) -> Roles:
    """Give the candidate all pods, then all requests, then the role of the stable revision."""
    stable, candidate, _ = pair_of(roles)
    full = look.full(stable, floor=ledger.floor)
    asked = Asked(ledger.weight)
    waiting = _going_on(roles, with_asked(ledger, asked), pods=full)
    is_held = look.is_frozen and not is_taking_back(roles)
    if is_held or not look.has_pods(candidate, full):
        return waiting
    if not look.road.routed or (not look.road.is_open and asked == NOTHING_ASKED):
        return _swapped(look, roles, ledger)
    if asked == ALL:
        return _swapped(look, roles, ledger) if look.is_live(stable, candidate, asked) else waiting
    if not look.may_rise(stable, candidate, asked, pods=full):
        return waiting
    return _going_on(roles, with_asked(ledger, ALL), pods=full)


def rejected(look: Look, roles: Roles, ledger: Ledger, word: str, sentence: str) -> Roles:
    """Decide that the candidate is not to serve, and begin to take it off."""
    candidate = pair_of(roles).candidate
    attempt = look.commands.attempt(candidate.hash)
    entry = entry_of(candidate, "Rejected", look.now, f"{word}: {sentence}", attempt=attempt)
    rollout = pair_of(roles).rollout.model_copy(
        update={"state": "RollingBack", "reason": word, "message": sentence, "since": look.now}
    )
    return leave(look, replace(roles.with_entry(entry), rollout=rollout), ledger)


def superseded(look: Look, roles: Roles, ledger: Ledger, by: Revision) -> Roles:
    """Decide that the candidate is not wanted any more, and begin to take it off."""
    candidate = pair_of(roles).candidate
    told = f"the spec changed to revision {by.hash}"
    rollout = pair_of(roles).rollout.model_copy(
        update={"state": "RollingBack", "reason": str(Reason.ROLLING_BACK), "message": told, "since": look.now}
    )
    entry = entry_of(candidate, "Superseded", look.now, told)
    return leave(look, replace(roles.with_entry(entry), rollout=rollout), ledger)


def leave(look: Look, roles: Roles, ledger: Ledger) -> Roles:
    """Take all requests off the candidate, wait until it has answered the last ones, and only then take its role."""
    stable, candidate, _ = pair_of(roles)
    ledger = observed_ledger(look, with_asked(ledger, NOTHING_ASKED), stable, candidate)
    if not look.road.is_open and ledger.live_at is None:  # nobody sends anything, or nobody but the stable pods gets it
        ledger = replace(ledger, live_at=look.now)
    left = look.left(ledger.live_at, DRAIN_SECONDS) if ledger.live_at is not None else None
    if not ledger.exposed or not look.road.routed or (left is not None and left <= 0):
        return replace(roles, candidate=None, ledger=None, asked=NOTHING_ASKED, pods=None)
    return _going_on(roles, ledger, pods=None).soonest(left)


def taken_back(look: Look, roles: Roles, stable: Revision, back: Revision, word: str, sentence: str) -> Roles:
    """Decide that `stable`, which was promoted lately, goes, and that the one before serves again."""
    entry = entry_of(stable, "Rejected", look.now, f"{word}: {sentence}", attempt=look.commands.attempt(stable.hash))
    rollout = RolloutStatus(
        state="RollingBack",
        revision=stable.hash,
        reason=word,
        weight=0,
        started_at=look.now,
        since=look.now,
        message=sentence,
    )
    return replace(roles.with_entry(entry), candidate=back, rollout=rollout, ledger=None)


def is_taking_back(roles: Roles) -> bool:
    """Whether the candidate is the revision that served before and is to serve again."""
    rollout, stable = roles.rollout, roles.stable
    return (
        rollout is not None
        and rollout.state == "RollingBack"
        and stable is not None
        and roles.candidate is not None
        and rollout.revision == stable.hash
    )


def _swapped(look: Look, roles: Roles, ledger: Ledger) -> Roles:
    stable, candidate, _ = pair_of(roles)
    why = "all pods are ready"
    if roles.rollout is not None and roles.rollout.message:
        why = roles.rollout.message
    if is_taking_back(roles):
        why = f"it serves again, since revision {stable.hash} was rejected: {why}"
    entry = entry_of(candidate, "Promoted", look.now, why, replaced=stable.hash)
    return replace(
        roles.with_entry(entry),
        stable=candidate,
        candidate=None,
        rollout=None,
        ledger=ledger.after_promotion(),
        asked=NOTHING_ASKED,
        pods=None,
    )


def _going_on(roles: Roles, ledger: Ledger, *, pods: int | None) -> Roles:
    """The roles while an ending takes its time."""
    rollout = pair_of(roles).rollout.model_copy(update={"weight": ledger.weight})
    return replace(roles, rollout=rollout, ledger=ledger, asked=Asked(ledger.weight, ledger.shadow), pods=pods)
