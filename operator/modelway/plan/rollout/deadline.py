"""When a candidate that does not get ready is given up, without ever having had a request. Pure; called by `decide`."""

from typing import Final

from modelway.api.conditions import Reason
from modelway.api.status import Failure
from modelway.api.units import seconds
from modelway.plan.failures import failure_of_pods, failure_of_refusals
from modelway.plan.pods import DEFAULT_STARTUP_TIMEOUT
from modelway.plan.revisions import Revision
from modelway.plan.rollout.look import Look

MARGIN_SECONDS: Final = 60.0
"""Beyond the startup timeout: for the scheduler, the image and the model."""

PATIENCE_SECONDS: Final = 3600.0
"""Longer still where nothing says that anything is wrong: a large model is being fetched, an image is being pulled."""

_CAPACITY: Final = frozenset({Reason.UNSCHEDULABLE, Reason.QUOTA_EXCEEDED, Reason.CHILD_REFUSED, Reason.NAME_CONFLICT})
"""Not the candidate's fault: it waits until there is room."""


def lateness(look: Look, candidate: Revision, *, left: float) -> Failure | None:
    """Why the candidate is to be given up; None while it may still get ready.

    Args:
        look: the look.
        candidate: whose pods are not ready.
        left: seconds until the deadline (`deadline_seconds`) is over.
    """
    if left > 0 or failure_of_refusals(look.observed.refusals) is not None:
        return None
    failure = failure_of_pods(look.observed.pods, candidate.hash, look.arm(candidate).deployment)
    if failure is not None:
        return None if failure.reason in _CAPACITY else failure
    if left > -PATIENCE_SECONDS:
        return None
    message = "its pods were not ready in time, and nothing says why; see `kubectl describe pod`"
    return Failure(reason=Reason.NOT_READY_IN_TIME, message=message, revision=candidate.hash)


def deadline_seconds(look: Look) -> float:
    """How long a candidate may take to get ready, from when it became the candidate."""
    return seconds(look.observed.resource.spec.serving.startup_timeout or DEFAULT_STARTUP_TIMEOUT) + MARGIN_SECONDS
