"""What a step asks for: a weight, copies of requests, pods. Pure arithmetic on the snapshot of `spec.rollout`."""

import math
from dataclasses import dataclass
from typing import Final

from modelway.api.rollout import Rollout, Step
from modelway.api.units import seconds, share

FEWEST_WITH_CHECKS: Final = 2
"""Pods of a candidate that is to be compared: the luck of a single pod would be taken for the version's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the routers are to do in a step.

    Attributes:
        weight: percent of the requests that the candidate answers.
        shadow: percent of the requests of which it gets a copy.
    """

    weight: int = 0
    shadow: float = 0.0


NOTHING_ASKED: Final = Asked()
"""No request, and no copy of one."""


def index_of(rollout: Rollout, name: str | None) -> int:
    """Where the step called `name` is; the first when there is none of that name."""
    return next((index for index, step in enumerate(rollout.steps) if step.name == name), 0)


def asked_at(rollout: Rollout, index: int) -> Asked:
    """What is asked for at the step: pauses and previews keep the weight of the steps before."""
    weights = [step.weight for step in rollout.steps[: index + 1] if step.weight is not None]
    shadow = rollout.steps[index].shadow
    return Asked(weights[-1] if weights else 0, 100.0 * share(shadow.percent) if shadow else 0.0)


def pods_for(rollout: Rollout, asked: Asked, floor: int, full: int) -> int:
    """Pods that the candidate needs.

    Args:
        rollout: with checks it has at least two.
        asked: copies need pods as requests do.
        floor: pods of the stable revision when the rollout began.
        full: pods that it needs to take over; also the most that it needs, unless it has to have two.
    """
    fewest = FEWEST_WITH_CHECKS if rollout.checks else 1
    needed = math.ceil(floor * max(float(asked.weight), asked.shadow) / 100.0)
    return max(fewest, min(needed, full))


def pause_seconds(step: Step) -> float | None:
    """How long a pause lasts; None when a human has to approve, or it is none."""
    return seconds(step.pause.duration) if step.pause is not None and step.pause.duration is not None else None


def awaits_approval(step: Step) -> bool:
    """Whether the step ends by a human's approval alone."""
    return step.preview is not None or (step.pause is not None and step.pause.duration is None)


def compares(step: Step) -> bool:
    """Whether the candidate gets requests, or copies of them, because of this step."""
    return step.weight is not None or step.shadow is not None
