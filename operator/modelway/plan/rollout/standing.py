"""How the candidate stands in its step: what speaks for an end, for the next step, or for waiting. Pure.

Questions only, each answered from the ledger and the clock; `advance` acts on the answers.
"""

from datetime import datetime
from typing import Final

from modelway.api.conditions import Reason
from modelway.api.rollout import DEFAULT_MAX_DURATION, Check, Step
from modelway.api.units import seconds
from modelway.plan.rollout.evidence import verdict_of
from modelway.plan.rollout.exits import MOST_EXITS
from modelway.plan.rollout.labels import counts_labels
from modelway.plan.rollout.ledger import Ledger
from modelway.plan.rollout.look import Look
from modelway.plan.rollout.metered import asks
from modelway.plan.rollout.steps import Asked, awaits_approval, compares, pause_seconds
from modelway.stats import Verdict

SILENT_SECONDS: Final = 45.0
"""Without a complete reading for so long, the source of the counters is down."""
_STARVED_SECONDS: Final = 60.0
"""Without a request for so long, there is no data."""
_UNSCRAPED_SECONDS: Final = 300.0
"""The same for what Prometheus scrapes: it takes two scrapes of both revisions, at up to two minutes each."""
_MISSING_SECONDS: Final = 20.0
"""Without a ready pod for so long, the candidate gets no weight. Until then its failures are counted: a weight that is
taken away at once would hide exactly the candidate that crashes."""


def crashes(ledger: Ledger) -> bool:
    """Whether the candidate's containers have ended too often."""
    return ledger.crashes >= MOST_EXITS


def harmful(ledger: Ledger) -> Check | None:
    """A check that is Harmful; one that rolls back before one that only holds."""
    found = [check for check in ledger.rollout.checks if verdict_of(ledger, check) is Verdict.HARMFUL]
    return min(found, key=holds_on_harm, default=None)


def holds_on_harm(check: Check) -> bool:
    """Whether Harmful takes the weight off and waits for a human, instead of rolling back."""
    return (check.on_harm or ("Hold" if check.predictions is not None else "Rollback")) == "Hold"


def all_safe(ledger: Ledger) -> bool:
    """Whether nothing speaks against a promotion any more; so without checks."""
    return all(verdict_of(ledger, check) is Verdict.SAFE for check in ledger.rollout.checks)


def needs_human(look: Look, ledger: Ledger) -> bool:
    """Whether Safe is not enough: sticky requests of one user depend on each other, and no error rate is claimed."""
    return look.road.sticky and bool(ledger.rollout.checks)


def is_late(ledger: Ledger) -> bool:
    """Whether maxDuration is over."""
    return ledger.counted >= seconds(ledger.rollout.max_duration or DEFAULT_MAX_DURATION)


def is_silent(look: Look, ledger: Ledger) -> bool:
    """Whether the counters cannot be read, though the routers were once seen to have the weight."""
    return ledger.live_at is not None and any(
        look.left(max(at or ledger.live_at, ledger.live_at), SILENT_SECONDS) <= 0 for at in _heard(ledger)
    )


def _heard(ledger: Ledger) -> tuple[datetime | None, ...]:
    """When each source that is needed last told all that it was asked."""
    return (
        ledger.read_at,
        *((ledger.asked_at,) if asks(ledger) else ()),
        *((ledger.labelled_at,) if counts_labels(ledger) else ()),
    )


def is_starved(look: Look, ledger: Ledger) -> bool:
    """Whether the candidate has had no requests of late, or a check nothing to compare."""
    if ledger.live_at is None or look.left(ledger.live_at, _STARVED_SECONDS) > 0:
        return False
    late = look.left(ledger.live_at, _UNSCRAPED_SECONDS) <= 0
    checks = (one for one in ledger.rollout.checks if one.feedback is None and (late or one.prometheus is None))
    nothing = any(verdict_of(ledger, check) is Verdict.NO_DATA for check in checks)
    return nothing or ledger.fed_at is None or look.left(ledger.fed_at, _STARVED_SECONDS) <= 0


def lacks_labels(ledger: Ledger) -> bool:
    """Whether labels of one of both revisions are yet to come, which is no news as long as steps go on without them."""
    of_labels = (check for check in ledger.rollout.checks if check.feedback is not None)
    return any(verdict_of(ledger, check) is Verdict.NO_DATA for check in of_labels)


def lacks_pods(look: Look, ledger: Ledger) -> bool:
    """Whether the candidate has been without a ready pod for longer than a passing trouble."""
    return ledger.missing_at is not None and look.left(ledger.missing_at, _MISSING_SECONDS) <= 0


def time_left(look: Look, ledger: Ledger, step: Step, since: datetime) -> float | None:
    """Seconds until the step can end by time; None where time has no part in it, or its clock does not run yet."""
    if (pause := pause_seconds(step)) is not None:
        return look.left(since, pause)
    if not compares(step) or step.min_duration is None or ledger.live_at is None:
        return None
    return look.left(max(ledger.live_at, since), seconds(step.min_duration))


def is_done(look: Look, ledger: Ledger, step: Step, target: Asked, since: datetime) -> bool:
    """Whether the step has had its time, its requests, or its approval."""
    if awaits_approval(step):
        return look.commands.approves(ledger.candidate, step.name)
    left = time_left(look, ledger, step, since)
    if not compares(step):
        return left is not None and left <= 0
    needed = step.min_requests or (1 if ledger.rollout.checks else 0)
    if Asked(ledger.weight, ledger.shadow) != target or ledger.live_at is None or ledger.step_requests < needed:
        return False
    if needed and is_silent(look, ledger):
        return False
    return left is None or left <= 0


def waiting_reason(look: Look, ledger: Ledger, step: Step, target: Asked) -> Reason:
    """Why the step goes on, in one word."""
    if awaits_approval(step):
        return Reason.AWAITING_APPROVAL
    if not compares(step):
        return Reason.AWAITING_TIME
    if Asked(ledger.weight, ledger.shadow) != target or ledger.live_at is None:
        return Reason.WEIGHT_CHANGING
    measures = bool(ledger.rollout.checks) or step.min_requests is not None
    if measures and is_silent(look, ledger):
        return Reason.SOURCE_DOWN
    return Reason.NO_DATA if measures and is_starved(look, ledger) else Reason.BAKING
