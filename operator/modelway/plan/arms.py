"""An arm: a revision with the pods that it has. How many it is told to have, and which bytes they hold. Pure.

Called by `plan.plan`, and by `rollout` where it matters whether an arm can take requests: it can when all pods that
were asked for are ready and it is certain which bytes they hold.
"""

from dataclasses import dataclass

from modelway.api.kinds import AUTOSCALER, DEPLOYMENT
from modelway.api.names import child_name
from modelway.api.serving import Serving
from modelway.plan.failures import digests
from modelway.plan.revisions import Revision
from modelway.plan.types import ChildKey, Object, Observed, PodKey


@dataclass(frozen=True, slots=True)
class Arm:
    """A revision with what exists of it."""

    revision: Revision
    deployment: Object | None

    @property
    def asked(self) -> int:
        """Pods that the live Deployment asks for; 0 where there is none."""
        return int(self.deployment["spec"].get("replicas", 1)) if self.deployment else 0

    @property
    def ready(self) -> int:
        """Pods that are ready."""
        return int(self.deployment.get("status", {}).get("readyReplicas", 0)) if self.deployment else 0

    def has_all_ready(self, wanted: int) -> bool:
        """Whether the Deployment has caught up with its spec and has at least `wanted` ready pods."""
        if self.deployment is None:
            return False
        status = self.deployment.get("status", {})
        caught_up = status.get("observedGeneration", 0) >= self.deployment["metadata"].get("generation", 1)
        return caught_up and self.asked >= wanted and self.ready >= wanted


def arm_of(observed: Observed, revision: Revision) -> Arm:
    """`revision` with its live Deployment."""
    name = child_name(observed.resource.metadata.name, revision.hash)
    return Arm(revision, observed.children.get(ChildKey(DEPLOYMENT, name)))


def needed_replicas(serving: Serving, stable: Arm | None) -> int:
    """How many pods a candidate needs to take over from `stable`: its count as it is now, so that none is missing."""
    live = stable.asked if stable is not None else 0
    if serving.replicas is not None:
        return serving.replicas
    if serving.autoscaling is not None:
        floor, ceiling = serving.autoscaling.min_replicas or 1, serving.autoscaling.max_replicas
        return max(floor, min(live, ceiling))
    return live if stable is not None else 1


def candidate_replicas(observed: Observed, candidate: Arm, stable: Arm | None) -> int | None:
    """How many pods a candidate is told to have; None where an autoscaler decides, for want of a stable revision."""
    serving = observed.resource.spec.serving
    if stable is None and serving.autoscaling and candidate.asked > 0 and _has_autoscaler(observed, candidate):
        return None
    return needed_replicas(serving, stable)


def scaled_replicas(observed: Observed, candidate: Arm, pods: int | None) -> int | None:
    """How many pods a candidate is told to have, where the rollout asks for `pods`; None leaves it with those it has.

    Where it has an autoscaler, that one goes on from there: its minimum is what the rollout asks for.
    """
    if pods is None or (_has_autoscaler(observed, candidate) and candidate.asked >= pods):
        return None
    return pods


def stable_replicas(observed: Observed, stable: Arm) -> int | None:
    """How many pods the serving revision is told to have; None where an autoscaler or the user decides.

    Nobody decides about a Deployment that was deleted: it gets back what it had. And an autoscaler leaves one without
    pods alone, so the one that is only now made finds its minimum.
    """
    serving, told = observed.resource.spec.serving, observed.resource.status.stable
    if serving.replicas is not None:
        return serving.replicas
    had = stable.asked
    if stable.deployment is None:
        had = told.replicas if told is not None and told.revision == stable.revision.hash else 1
    if had == 0 and serving.autoscaling is not None and not _has_autoscaler(observed, stable):
        return serving.autoscaling.min_replicas or 1
    return had if stable.deployment is None else None


def _has_autoscaler(observed: Observed, arm: Arm) -> bool:
    return ChildKey(AUTOSCALER, child_name(observed.resource.metadata.name, arm.revision.hash)) in observed.children


def found_digest(observed: Observed, revision: Revision, *, wanted: int) -> str | None:
    """The digest to pin `revision` to, once all `wanted` pods have told theirs and agree."""
    told = digests(observed.pods, revision.hash)
    found = {digest for digest, _ in told.values()}
    return found.pop() if len(found) == 1 and len(told) >= wanted else None


def pods_to_evict(observed: Observed, revision: Revision) -> tuple[PodKey, ...]:
    """Pods of `revision` that hold other bytes than it is pinned to.

    Where the first pods disagree, the URI has changed in between. The bytes fetched last are likely to be those that
    are there now, so the other pods fetch again, until all agree.
    """
    told = digests(observed.pods, revision.hash)
    if not revision.has_model or not told:
        return ()
    right = revision.digest or max(told.values(), key=lambda entry: (entry[1], entry[0]))[0]
    wrong = {pod for pod, (digest, _) in told.items() if digest != right}
    return tuple(PodKey.of(pod) for pod in observed.pods if pod["metadata"]["name"] in wrong)
