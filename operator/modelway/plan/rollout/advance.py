"""One look at a candidate beside a stable revision: whether it goes on, waits, takes over or is given up. Pure.

The order is the order of precedence: what protects users comes first, then what humans have said, then the steps.
"""

from dataclasses import replace
from typing import Final

from modelway.api.conditions import Reason
from modelway.api.rollout import Rollout
from modelway.api.status import RolloutState, RolloutStatus
from modelway.plan.revisions import Revision
from modelway.plan.roles import Roles
from modelway.plan.rollout import standing
from modelway.plan.rollout.deadline import PATIENCE_SECONDS, deadline_seconds, lateness
from modelway.plan.rollout.endings import promoted, rejected, take_over
from modelway.plan.rollout.keeping import at_step, ledger_for, observed_ledger, with_asked
from modelway.plan.rollout.ledger import Ledger
from modelway.plan.rollout.look import Look
from modelway.plan.rollout.pair import pair_of
from modelway.plan.rollout.steps import NOTHING_ASKED, Asked, asked_at, awaits_approval, index_of, pods_for
from modelway.plan.rollout.words import BY_PROMOTE, of_crashes, of_harm, of_harm_to_some, of_promotion, of_word

_HOLDING: Final = frozenset(
    {Reason.NO_DATA, Reason.NO_LABELS, Reason.SOURCE_DOWN, Reason.INCONCLUSIVE, Reason.CANDIDATE_PODS_MISSING}
)
_PAUSED: Final = frozenset({Reason.AWAITING_APPROVAL, Reason.AWAITING_TIME})


def begin(look: Look, roles: Roles, candidate: Revision) -> Roles:
    """Make `candidate` the candidate beside the stable revision."""
    rollout = RolloutStatus(
        state="Progressing",
        revision=candidate.hash,
        reason=str(Reason.NEW_REVISION),
        started_at=look.now,
        since=look.now,
    )
    return replace(roles, candidate=candidate, rollout=rollout, ledger=None)


def advance(look: Look, roles: Roles, *, by: Rollout) -> Roles:
    """What the candidate may do now.

    Args:
        look: the look.
        roles: with a stable revision, a candidate and a rollout.
        by: the steps and checks, where the rollout begins now.
    """
    stable, candidate, rollout = pair_of(roles)
    ledger = ledger_for(look, roles.ledger, stable, candidate, rollout, by=by)
    counts = rollout.state in {"Progressing", "Holding"} and rollout.reason != Reason.SOURCE_DOWN
    ledger = observed_ledger(look, ledger, stable, candidate, counts=counts and rollout.step is not None)
    if look.commands.abort == candidate.hash:
        told = of_word(ledger, "given up by the annotation modelway.dev/abort")
        return rejected(look, roles, ledger, Reason.ABORTED, told)
    if standing.crashes(ledger):
        return rejected(look, roles, ledger, Reason.CRASHING, of_crashes(ledger))
    if rollout.state == "Promoting":
        return take_over(look, roles, ledger)
    if look.commands.promote == candidate.hash and not look.is_frozen:
        return promoted(look, roles, ledger, of_word(ledger, BY_PROMOTE))
    if rollout.step is not None and not look.road.routed and _harmed(look, roles, ledger) is None:
        return _begun_again(look, roles, by=by)
    return _starting(look, roles, ledger) if rollout.step is None else _in_step(look, roles, ledger)


def _begun_again(look: Look, roles: Roles, *, by: Rollout) -> Roles:
    """From the start and by the spec as it is now, which has done away with the routers, and so with steps."""
    stable, candidate, _ = pair_of(roles)
    roles = begin(look, roles, candidate)
    return _starting(look, roles, ledger_for(look, None, stable, candidate, pair_of(roles).rollout, by=by))


def _starting(look: Look, roles: Roles, ledger: Ledger) -> Roles:
    """Before its pods for the first step are ready: it has no requests, and may be given up without having had any."""
    stable, candidate, rollout = pair_of(roles)
    full, steps = look.full(stable, floor=ledger.floor), ledger.rollout.steps
    if steps and full == 0:
        return _told(roles, ledger, "Holding", Reason.SCALED_TO_ZERO, pods=0)
    needed = (
        pods_for(ledger.rollout, asked_at(ledger.rollout, 0), _floor(look, stable, ledger), full) if steps else full
    )
    if not look.is_frozen and look.has_pods(candidate, needed):
        if not steps:
            return promoted(look, roles, ledger, "all pods are ready")
        return _entered(look, roles, ledger, 0)
    waiting = _told(roles, ledger, "Progressing", Reason.NEW_REVISION, pods=needed)
    if look.is_frozen or needed == 0:
        return waiting
    left = look.left(rollout.started_at or look.now, deadline_seconds(look))
    if (failure := lateness(look, candidate, left=left)) is not None:
        return rejected(look, roles, ledger, failure.reason, failure.message)
    return waiting.soonest(left if left > 0 else left + PATIENCE_SECONDS)


def _entered(look: Look, roles: Roles, ledger: Ledger, index: int) -> Roles:
    """At the step `index`, from this moment."""
    name = ledger.rollout.steps[index].name
    rollout = pair_of(roles).rollout.model_copy(update={"step": name, "since": look.now})
    return _in_step(look, replace(roles, rollout=rollout), at_step(ledger, name))


def _in_step(look: Look, roles: Roles, ledger: Ledger) -> Roles:
    rollout = pair_of(roles).rollout
    index = index_of(ledger.rollout, rollout.step)
    step, target = ledger.rollout.steps[index], asked_at(ledger.rollout, index)
    if (harmed := _harmed(look, roles, ledger)) is not None:
        return harmed
    if look.is_frozen:
        return _told(roles, ledger, "Paused", Reason.PAUSED, pods=_pods(look, roles, ledger, target))
    since = rollout.since or look.now
    if standing.is_done(look, ledger, step, target, since):
        if index + 1 < len(ledger.rollout.steps):
            return _entered(look, roles, ledger, index + 1)
        if standing.all_safe(ledger) and not standing.needs_human(look, ledger):
            return promoted(look, roles, ledger, of_promotion(ledger))
    elif not awaits_approval(step):
        roles = roles.soonest(_positive(standing.time_left(look, ledger, step, since)))
    return _waiting(look, roles, ledger, index)


def _harmed(look: Look, roles: Roles, ledger: Ledger) -> Roles | None:
    """What follows from a check that is Harmful; None when none is, or was."""
    rollout, check = pair_of(roles).rollout, standing.harmful(ledger)
    is_held = rollout.state == "Holding" and rollout.reason == Reason.CHECK_FAILED
    if check is None and not is_held:
        return None
    sentence = of_harm(ledger, check) if check is not None else rollout.message or "a check was Harmful"
    if check is not None and not standing.holds_on_harm(check):
        if look.road.sticky:
            sentence = of_harm_to_some(ledger, check)
        elif not is_held:
            return rejected(look, roles, ledger, Reason.CHECK_FAILED, sentence)
    ledger = with_asked(ledger, NOTHING_ASKED)
    return _told(roles, ledger, "Holding", Reason.CHECK_FAILED, pods=None, message=sentence)


def _waiting(look: Look, roles: Roles, ledger: Ledger, index: int) -> Roles:
    """The step goes on: bring the routers closer to what it asks for, and say what is waited for."""
    stable, candidate, rollout = pair_of(roles)
    step, target = ledger.rollout.steps[index], asked_at(ledger.rollout, index)
    needed = _pods(look, roles, ledger, target)
    ledger = with_asked(ledger, _next_asked(look, stable, candidate, ledger, target, needed))
    is_done = standing.is_done(look, ledger, step, target, rollout.since or look.now)
    reason = standing.waiting_reason(look, ledger, step, target)
    if reason in _PAUSED and is_done:
        reason = Reason.BAKING
    if reason is Reason.BAKING and is_done and standing.lacks_labels(ledger):
        reason = Reason.NO_LABELS
    if standing.lacks_pods(look, ledger):
        reason = Reason.CANDIDATE_PODS_MISSING
    elif is_done and standing.all_safe(ledger) and standing.needs_human(look, ledger):
        reason = Reason.AWAITING_DECISION
    elif standing.is_late(ledger) and reason not in _PAUSED:
        if ledger.rollout.on_inconclusive == "Rollback":
            return rejected(look, roles, ledger, Reason.INCONCLUSIVE, "maxDuration is over without a decision")
        reason = Reason.INCONCLUSIVE
    state: RolloutState = "Progressing"
    if reason in _HOLDING or reason is Reason.AWAITING_DECISION:
        state = "Holding"
    elif reason in _PAUSED:
        state = "Paused"
    return _told(roles, ledger, state, reason, pods=needed)


def _next_asked(look: Look, stable: Revision, candidate: Revision, ledger: Ledger, target: Asked, needed: int) -> Asked:
    """What the routers are to do next on the way to `target`: less at once, more only with pods and certainty."""
    now = Asked(ledger.weight, ledger.shadow)
    if standing.lacks_pods(look, ledger):
        return NOTHING_ASKED
    less = Asked(min(now.weight, target.weight), min(now.shadow, target.shadow))
    if less != now or target == now:
        return less
    ready = look.has_pods(candidate, needed) and look.may_rise(stable, candidate, now, pods=needed)
    return target if ready else now


def _pods(look: Look, roles: Roles, ledger: Ledger, target: Asked) -> int:
    stable = pair_of(roles).stable
    floor = _floor(look, stable, ledger)
    return pods_for(ledger.rollout, target, floor, look.full(stable, floor=ledger.floor))


def _floor(look: Look, stable: Revision, ledger: Ledger) -> int:
    """Pods of the stable revision, as they were at the beginning or are by now."""
    return max(ledger.floor, look.arm(stable).asked)


def _told(
    roles: Roles,
    ledger: Ledger,
    state: RolloutState,
    reason: Reason,
    *,
    pods: int | None,
    message: str | None = None,
) -> Roles:
    """The roles while the candidate stays where it is."""
    update: dict[str, object] = {"state": state, "reason": str(reason)}
    if ledger.rollout.steps:
        update |= {"weight": ledger.weight}
    if message is not None:
        update |= {"message": message}
    rollout = pair_of(roles).rollout.model_copy(update=update)
    return replace(roles, rollout=rollout, ledger=ledger, asked=Asked(ledger.weight, ledger.shadow), pods=pods)


def _positive(seconds: float | None) -> float | None:
    return seconds if seconds is not None and seconds > 0 else None
