"""The two revisions of a rollout and its status, where it is certain that there are all three. Pure."""

from typing import NamedTuple

from modelway.api.status import RolloutStatus
from modelway.plan.revisions import Revision
from modelway.plan.roles import Roles


class Pair(NamedTuple):
    """What a rollout is about."""

    stable: Revision
    candidate: Revision
    rollout: RolloutStatus


def pair_of(roles: Roles) -> Pair:
    """Both revisions and the status.

    Raises:
        ValueError: one of them is missing; only called where `decide` has seen all three.
    """
    if roles.stable is None or roles.candidate is None or roles.rollout is None:
        raise ValueError("a rollout is from a stable revision to a candidate, and has a status")
    return Pair(roles.stable, roles.candidate, roles.rollout)
