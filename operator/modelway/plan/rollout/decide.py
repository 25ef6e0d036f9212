"""The state machine of rollouts: which revision is stable, which is the candidate, and what the candidate may do now.

Called by `plan.plan` before any child is built. Pure and level-triggered: each look decides what may be done now, and
what it decides is written to status before anything is done about it.

    no candidate ──spec──▶ starting ──pods──▶ step ──▶ step ──▶ … ──Safe──▶ Promoting ──▶ stable, the old one warm
                              │                │ Harmful, crashes, abort, a newer spec         │ crashes
                              ▼                ▼                                               ▼
                           Rejected ◀──── RollingBack (weight 0, drained, pods gone) ◀── RollingBack

Invariants, each tested on a simulated cluster: pods before weight, weight before pods; weight 0 before the candidate
changes; a rejected revision stays rejected; the stable revision keeps its pods until it is not stable any more.
"""

from dataclasses import replace

from modelway.api.conditions import Reason
from modelway.api.rollout import Rollout
from modelway.api.status import LiveWeight, RolloutStatus
from modelway.plan.arms import candidate_replicas
from modelway.plan.revisions import Rejection, Revision
from modelway.plan.roles import Roles, entry_of, last_verdict, remembered_roles
from modelway.plan.rollout import watch
from modelway.plan.rollout.advance import advance, begin
from modelway.plan.rollout.endings import is_taking_back, leave, superseded, take_over
from modelway.plan.rollout.keeping import found_ledger, ledger_for, observed_ledger, written
from modelway.plan.rollout.labels import windows_of
from modelway.plan.rollout.look import Look
from modelway.plan.rollout.pair import pair_of
from modelway.plan.rollout.standing import is_silent
from modelway.plan.rollout.steps import Asked
from modelway.plan.rollout.words import BY_PROMOTE, checks_told, message_of

TELL_SECONDS = 60.0
"""Counts and forecasts in status are renewed at most this often; with each decision at once."""


def decide(look: Look) -> Roles:
    """The roles as they should be now, with what the candidate may have."""
    before = remembered_roles(look.observed.resource, look.known)
    roles = replace(before, ledger=found_ledger(look.observed))
    if roles.stable is None:
        return replace(_first(look, roles), rollout=None, ledger=None)
    if look.wanted is not None and look.wanted.hash == roles.stable.hash:
        roles = replace(roles, stable=look.wanted)
    if roles.candidate is not None and roles.rollout is None:  # status was written by somebody else
        roles = begin(look, roles, roles.candidate)
    if is_taking_back(roles):
        roles = _take_back(look, roles)
    elif roles.candidate is not None:
        roles = _go_on(look, roles)
    if roles.candidate is None and (goal := _goal(look, roles)) is not None:
        roles = advance(look, begin(look, roles, goal), by=_rules_for(look, roles, goal))
    if roles.candidate is None:
        roles = _at_rest(look, roles)
    return _finished(look, before, roles)


def _first(look: Look, roles: Roles) -> Roles:
    """Before any revision has served there is nothing to compare with, to protect, or to go back to."""
    wanted = look.wanted
    if wanted is None:
        return roles
    if roles.candidate is not None and roles.candidate.hash != wanted.hash:
        told = f"the spec changed to revision {wanted.hash}"
        roles = roles.with_entry(entry_of(roles.candidate, "Superseded", look.now, told))
    if look.has_pods(wanted, look.full(None)):
        entry = entry_of(wanted, "Promoted", look.now, "all pods are ready")
        return replace(roles.with_entry(entry), stable=wanted, candidate=None)
    roles = replace(roles, candidate=wanted)
    return replace(roles, pods=candidate_replicas(look.observed, look.arm(wanted), None))


def _go_on(look: Look, roles: Roles) -> Roles:
    """With the candidate that there is, or without it when the spec asks for another."""
    stable, candidate, rollout = pair_of(roles)
    goal = _goal(look, roles)
    by = _rules_for(look, roles, candidate)
    is_leaving = rollout.state == "RollingBack"
    if not is_leaving and goal is not None and goal.hash == candidate.hash:
        return advance(look, replace(roles, candidate=goal), by=by)
    ledger = ledger_for(look, roles.ledger, stable, candidate, rollout, by=by)
    if is_leaving or look.wanted is None:
        return leave(look, roles, ledger)
    return superseded(look, roles, ledger, look.wanted)


def _take_back(look: Look, roles: Roles) -> Roles:
    stable, candidate, rollout = pair_of(roles)
    ledger = ledger_for(look, roles.ledger, stable, candidate, rollout, by=Rollout())
    return take_over(look, roles, observed_ledger(look, ledger, stable, candidate))


def _goal(look: Look, roles: Roles) -> Revision | None:
    """The revision that is to become stable; None when that is the stable one, or the spec's was rejected."""
    wanted, stable = look.wanted, roles.stable
    if wanted is None:
        return roles.candidate
    if (stable is not None and wanted.hash == stable.hash) or _rejection(look, roles, wanted) is not None:
        return None
    return wanted


def _rejection(look: Look, roles: Roles, revision: Revision) -> Rejection | None:
    """Why `revision` is not tried; None when it was not rejected, or a human wants it tried (again)."""
    found = revision.rejection
    if (last := last_verdict(roles.history, revision.hash)) is not None:
        found = Rejection(last.attempt or 0, last.reason) if last.result == "Rejected" else None
    if found is None or look.commands.attempt(revision.hash) > found.attempt:
        return None
    forced = look.commands.promote == revision.hash and look.commands.abort != revision.hash
    return None if forced and not _has_been_forced(roles, revision) else found


def _has_been_forced(roles: Roles, revision: Revision) -> bool:
    """Whether the annotation was acted on already: it is read and never removed, and would promote again for ever what
    was taken back since. A retry with a number says that it is meant anew.
    """
    return any(
        one.revision == revision.hash and one.result == "Promoted" and one.reason.startswith(BY_PROMOTE)
        for one in roles.history
    )


def _spent(look: Look, roles: Roles) -> str | None:
    """That the annotation to promote has been acted on, and is not any more; None where that is not so."""
    wanted = look.wanted
    if wanted is None or look.commands.promote != wanted.hash or not _has_been_forced(roles, wanted):
        return None
    if (found := _rejection(look, roles, wanted)) is None:
        return None
    again = f"modelway.dev/retry: {wanted.hash}#{found.attempt + 1}"
    return (
        f"modelway.dev/promote was acted on, and revision {wanted.hash} was rejected since; set {again} to try it anew"
    )


def _rules_for(look: Look, roles: Roles, candidate: Revision) -> Rollout:
    """The steps and checks for `candidate`: none for one that has served before and was not rejected since."""
    given = look.observed.resource.spec.rollout or Rollout()
    last = last_verdict(roles.history, candidate.hash)
    if last is not None and last.result == "Promoted":
        return Rollout(watch_after=given.watch_after)
    return given


def _at_rest(look: Look, roles: Roles) -> Roles:
    """Without a candidate: watched, rejected, or simply stable."""
    roles = watch.watched(look, roles)
    if roles.candidate is not None:
        return _take_back(look, roles)
    wanted = look.wanted
    if wanted is not None and roles.stable is not None and wanted.hash != roles.stable.hash:
        found = _rejection(look, roles, wanted)
        word, _, sentence = (found.reason if found else "").partition(": ")
        told = RolloutStatus(
            state="Rejected", revision=wanted.hash, reason=word or str(Reason.REJECTED), message=sentence or None
        )
    elif look.wanted is None and roles.rollout is not None and roles.rollout.state in {"Rejected", "Stable"}:
        told = roles.rollout
    elif look.observed.resource.spec.rollout is not None:
        told = RolloutStatus(state="Stable")
    else:
        return replace(roles, rollout=None)
    return replace(roles, rollout=told)


def _finished(look: Look, before: Roles, roles: Roles) -> Roles:
    """The roles with what is told and what is kept of the rollout."""
    names = [step.name for step in roles.ledger.rollout.steps] if roles.ledger and roles.candidate else []
    known = {*look.known, *(entry.revision for entry in roles.history)}
    roles = replace(roles, complaint=look.commands.complaint(known, names) or _spent(look, roles))
    ledger, rollout = roles.ledger, roles.rollout
    if ledger is None or rollout is None:
        return roles
    decided = position(rollout) != position(before.rollout)
    if roles.candidate is not None and rollout.step is not None:
        rollout = _with_live_weight(look, roles, rollout)
        told = ledger.told_at
        if decided or told is None or look.left(told, TELL_SECONDS) <= 0:
            ledger = replace(ledger, told_at=look.now)
            update: dict[str, object] = {"checks": checks_told(ledger, is_down=is_silent(look, ledger))}
            if rollout.state in {"Progressing", "Paused", "Holding"} and rollout.reason != Reason.CHECK_FAILED:
                windows = windows_of(roles.candidate, pair_of(roles).stable)
                measured, sticky = look.observed.measured, look.road.sticky
                update |= {"message": message_of(rollout, ledger, measured, windows, sticky=sticky)}
            rollout = rollout.model_copy(update=update)
    began_to_count = ledger.exposed and ledger.live_at == look.now
    is_due = _step_of(rollout) != _step_of(before.rollout) or began_to_count
    return replace(roles, rollout=rollout, ledger=written(ledger, at_once=is_due, now=look.now))


def position(rollout: RolloutStatus | None) -> tuple[object, ...] | None:
    """What of the status is a decision: the rest may be written late."""
    if rollout is None:
        return None
    return rollout.state, rollout.revision, rollout.reason, rollout.step, rollout.weight


def _step_of(rollout: RolloutStatus | None) -> tuple[object, ...] | None:
    """What begins another count. A weight does so only when the routers have it, and then there is more to keep."""
    return (rollout.state, rollout.revision, rollout.step) if rollout is not None else None


def _with_live_weight(look: Look, roles: Roles, rollout: RolloutStatus) -> RolloutStatus:
    """With the weight that the routers have; while they change, with all that they may have."""
    stable, candidate, _ = pair_of(roles)
    weight, before = roles.asked.weight, rollout.live_weight
    if look.is_live(stable, candidate, Asked(weight, roles.asked.shadow)):
        live = LiveWeight(min=weight, max=weight)
    elif before is None:
        return rollout
    else:
        live = LiveWeight(min=min(before.min, weight), max=max(before.max, weight))
    return rollout if live == before else rollout.model_copy(update={"live_weight": live})
