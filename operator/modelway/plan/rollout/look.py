"""What a decision goes by: the picture, and the questions that all parts of the engine ask of it. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelway.plan.arms import Arm, arm_of, needed_replicas, pods_to_evict
from modelway.plan.revisions import Revision
from modelway.plan.rollout.commands import Commands
from modelway.plan.rollout.steps import Asked
from modelway.plan.types import Observed

IsLive = Callable[[Revision, Revision | None, Asked], bool]
"""Whether every ready router does what is asked for: (stable, candidate, asked)."""
Reach = Callable[[Revision], int]
"""How many pods of a revision every ready router has found."""


@dataclass(frozen=True, slots=True)
class Road:
    """How requests reach the revisions at present.

    Attributes:
        routed: they are to go through routers.
        is_open: they do, so that a weight has an effect.
        is_live: whether all routers do what is asked for; only asked when `is_open`.
        reach: how many pods of a revision all routers have found; only asked when `is_open`.
        sticky: requests of one user stay with one revision, and so depend on each other.
    """

    routed: bool
    is_open: bool
    is_live: IsLive
    reach: Reach
    sticky: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one ModelDeployment.

    Attributes:
        observed: the picture.
        known: revisions that can be used, `wanted` among them.
        wanted: the revision that the spec asks for; None while the resource is paused.
        road: how requests reach the revisions.
        commands: what humans say by annotation.
        now: the moment.
    """

    observed: Observed
    known: Mapping[str, Revision]
    wanted: Revision | None
    road: Road
    commands: Commands
    now: datetime

    @property
    def is_frozen(self) -> bool:
        """Whether steps stand still; what protects users still acts."""
        return bool(self.observed.resource.spec.paused)

    def arm(self, revision: Revision) -> Arm:
        """`revision` with its pods."""
        return arm_of(self.observed, revision)

    def full(self, stable: Revision | None, *, floor: int = 0) -> int:
        """Pods that a candidate needs to take over from `stable`, or from the `floor` that it began with."""
        needed = needed_replicas(self.observed.resource.spec.serving, self.arm(stable) if stable else None)
        autoscaling = self.observed.resource.spec.serving.autoscaling
        return max(needed, min(floor, autoscaling.max_replicas)) if autoscaling is not None else needed

    def has_pods(self, revision: Revision, wanted: int) -> bool:
        """Whether so many pods of `revision` are ready, and it is certain which bytes they hold."""
        if not revision.is_pinned or pods_to_evict(self.observed, revision):
            return False
        return self.arm(revision).has_all_ready(wanted)

    def is_live(self, stable: Revision, candidate: Revision, asked: Asked) -> bool:
        """Whether requests are divided as asked for, now and with certainty."""
        return self.road.is_open and self.road.is_live(stable, candidate, asked)

    def may_rise(self, stable: Revision, candidate: Revision, asked: Asked, *, pods: int) -> bool:
        """Whether the routers, of which less is `asked` so far, may send `candidate` more: they have found `pods`."""
        return self.is_live(stable, candidate, asked) and self.road.reach(candidate) >= pods

    def left(self, since: datetime, seconds: float) -> float:
        """Seconds until `seconds` after `since`; 0 or less when they are over."""
        return (since + timedelta(seconds=seconds) - self.now).total_seconds()
