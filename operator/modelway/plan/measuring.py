"""Whom to ask before the next look, so that a rollout can be decided on. Pure; called by `plan`."""

from dataclasses import replace
from datetime import datetime

from modelway.api.names import LABEL_REVISION
from modelway.plan.measured import Labelling, Measuring
from modelway.plan.roles import Roles
from modelway.plan.rollout.labels import begins_at, counts_labels, windows_of
from modelway.plan.rollout.ledger import Ledger
from modelway.plan.rollout.questions import questions_of
from modelway.plan.routing import ROLLOUT_SECONDS, Routing, targets
from modelway.plan.types import Observed, Settings


def measuring(
    observed: Observed, roles: Roles, routing: Routing, settings: Settings, now: datetime
) -> Measuring | None:
    """Whom to ask before the next look: the routers, and where answers are compared the servers of both arms."""
    asked, ledger = routing.measuring, roles.ledger
    if asked is None or ledger is None:
        return asked
    asked = replace(asked, labelling=_labelling(observed, roles, ledger, now))
    if roles.candidate is None:
        return asked
    questions = questions_of(ledger, observed.resource.metadata, label=settings.prometheus_namespace_label)
    asked = replace(asked, every=min(asked.every, ROLLOUT_SECONDS), questions=questions)
    if not any(check.predictions for check in ledger.rollout.checks):
        return asked
    ours = {revision.hash for revision in roles.in_use() if revision.has_own_server}
    return replace(asked, targets=asked.targets | targets(observed.pods, LABEL_REVISION, ours))


def _labelling(observed: Observed, roles: Roles, ledger: Ledger, now: datetime) -> Labelling | None:
    """Whom to ask for labels of predictions that both revisions made: in a rollout, and while the old one is warm."""
    pair = (roles.candidate, roles.stable) if roles.candidate is not None else (roles.stable, roles.warm)
    candidate, stable = pair
    if candidate is None or stable is None or not counts_labels(ledger):
        return None
    windows = windows_of(candidate, stable)
    if windows.seconds is None:
        return None
    asked = targets(observed.pods, LABEL_REVISION, {candidate.hash, stable.hash})
    return Labelling(asked, begins_at(ledger, windows, now))
