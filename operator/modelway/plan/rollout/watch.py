"""The time after a promotion: the revision before is kept warm, and comes back when the new one crashes. Pure.

There is nothing left to compare requests with; what acts is the hard rule, a human, and labels that come now of
predictions which both revisions made at the same time: they go on where the rollout stopped, at the same error rates.
"""

from dataclasses import replace

from modelway.api.conditions import Reason
from modelway.api.rollout import Rollout
from modelway.api.units import seconds
from modelway.plan.revisions import Revision
from modelway.plan.roles import Roles, last_promotion, last_verdict
from modelway.plan.rollout.endings import taken_back
from modelway.plan.rollout.exits import MOST_EXITS
from modelway.plan.rollout.keeping import with_exits, with_labels
from modelway.plan.rollout.ledger import Ledger
from modelway.plan.rollout.look import Look
from modelway.plan.rollout.standing import harmful, holds_on_harm
from modelway.plan.rollout.words import of_crashes, of_harm


def watched(look: Look, roles: Roles) -> Roles:
    """The roles of a stable revision at rest: with the one before kept warm, or on its way back."""
    stable, given = roles.stable, look.observed.resource.spec.rollout
    entry = last_promotion(roles.history)
    before = _before(look, roles)
    if stable is None or before is None or given is None or given.watch_after is None or entry is None:
        return replace(roles, ledger=None)
    left = look.left(entry.time, seconds(given.watch_after))
    if left <= 0:
        return replace(roles, ledger=None)
    ledger = with_exits(look, _ledger(look, roles.ledger, before, stable, given), stable, blamed=True)
    if look.commands.abort == stable.hash:
        return taken_back(look, roles, stable, before, Reason.ABORTED, "given up by the annotation modelway.dev/abort")
    if ledger.crashes >= MOST_EXITS:
        return taken_back(look, roles, stable, before, Reason.CRASHING, of_crashes(ledger))
    ledger = with_labels(look, ledger, before, stable)
    check = harmful(ledger)
    if check is not None and not holds_on_harm(check) and not look.road.sticky:
        return taken_back(look, roles, stable, before, Reason.CHECK_FAILED, of_harm(ledger, check))
    return replace(roles, ledger=ledger, warm=before).soonest(left)


def _before(look: Look, roles: Roles) -> Revision | None:
    """The revision that served before the stable one, if that one was promoted last and this one was not rejected."""
    entry = last_promotion(roles.history)
    if entry is None or roles.stable is None or entry.revision != roles.stable.hash or entry.replaced is None:
        return None
    last = last_verdict(roles.history, entry.replaced)
    return None if last is not None and last.result == "Rejected" else look.known.get(entry.replaced)


def _ledger(look: Look, found: Ledger | None, before: Revision, stable: Revision, given: Rollout) -> Ledger:
    if found is not None and found.is_of(before.hash, stable.hash):
        return found
    rules = Rollout(watch_after=given.watch_after)
    return Ledger(stable=before.hash, candidate=stable.hash, rollout=rules, floor=0, seen_at=look.now)
