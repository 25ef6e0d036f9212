"""The decision: from what is seen to what should be.

Called by the controller for every look at a ModelDeployment, and by nobody else. Pure: no I/O, no clock, no
randomness; the same picture gives the same plan, so a plan that was cut short is simply made again.
Level-triggered: each call decides what may be done *now*. Read it from top to bottom: revisions, roles, children,
status.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from modelway.api.observing import Observe
from modelway.api.resource import ModelDeployment
from modelway.api.status import Status
from modelway.plan import children
from modelway.plan.arms import arm_of, found_digest, pods_to_evict
from modelway.plan.batch.scoring import scoring, scoring_revision
from modelway.plan.batch.unserved import never_served, plan_unserved
from modelway.plan.desired import desired_children
from modelway.plan.feedback_keys import key_secrets, markers
from modelway.plan.happenings import happenings
from modelway.plan.measuring import measuring
from modelway.plan.monitoring.monitor import Monitored, monitor
from modelway.plan.monitoring.notices import notices
from modelway.plan.monitoring.retraining import retraining
from modelway.plan.observers import observer_children
from modelway.plan.pods import DRAIN_SECONDS, pod_template
from modelway.plan.revisions import Revision, known_revisions, observe_of, wanted_revision
from modelway.plan.roles import Roles, last_promotion
from modelway.plan.rollout.commands import Commands
from modelway.plan.rollout.decide import decide, position
from modelway.plan.rollout.look import Look, Road
from modelway.plan.rollout.steps import Asked
from modelway.plan.routing import (
    Routing,
    Split,
    backend_of,
    fronted,
    has_route,
    http_route,
    live,
    reach,
    route,
    versions,
    wants_routers,
)
from modelway.plan.status import describe
from modelway.plan.types import Child, Observed, Plan, Settings


def plan(observed: Observed, *, settings: Settings, now: datetime) -> Plan:
    """What should be, given what is seen.

    Args:
        observed: one ModelDeployment with its children and pods.
        settings: of this installation.
        now: the moment, in UTC.
    """
    if not observed.resource.spec.serves:
        return plan_unserved(observed, settings=settings, now=now)
    observed = never_served(observed)
    resource = observed.resource
    known = known_revisions(observed)
    wanted = None
    if not resource.spec.paused:
        name, spec = resource.metadata.name, resource.spec
        wanted = wanted_revision(observed, known, lambda revision: pod_template(name, revision, spec, settings))
        wanted = _pinned(observed, wanted)
        known = known | {wanted.hash: wanted}

    look = Look(
        observed=observed,
        known=known,
        wanted=wanted,
        road=_road(observed, known, settings),
        commands=Commands.of(resource.metadata.annotations),
        now=now,
    )
    roles = decide(look)
    drained = _drained(roles, now)
    split = _split(observed, roles, known)
    routing = route(observed, split, serves_already=roles.stable is not None, settings=settings)
    batch = scoring(observed, scoring_revision(observed, roles.stable, known), settings=settings, now=now)
    observe = _observe(resource, roles, routing)
    monitored = monitor(observed, roles.stable, wanted, observe=observe, routed=routing.to_routers, now=now)
    marked = markers(observed, now)
    desired = (
        *desired_children(observed, roles, known, routing, drained=drained is None and routing.is_live),
        *_observer(resource, roles, observe, settings),
        *batch.children,
        *_remembered(resource, monitored),
        *marked,
        *([http_route(resource, split)] if split is not None and has_route(observed) else []),
    )
    kept = {child.key for child in desired}
    retrained = retraining(observed, roles, monitored, now=now)
    status = describe(observed, roles, batch, monitored, retrained, settings=settings, now=now)
    soonest = roles.soonest(drained).soonest(batch.look_again_after)
    soonest = soonest.soonest(monitored.look_again_after).soonest(retrained.look_again_after)
    return Plan(
        children=desired,
        removals=tuple(key for key in observed.children if key not in kept),
        evictions=tuple(pod for revision in roles.in_use() for pod in pods_to_evict(observed, revision)),
        status=status,
        decides=_decisions_of(status) != _decisions_of(resource.status),
        happenings=(*happenings(resource, status), *batch.happenings, *monitored.happenings, *retrained.happenings),
        look_again_after=soonest.look_again_after,
        touches=routing.touches,
        keys=key_secrets(observed, marked, now, keyless=monitored.is_keyless),
        ledger=roles.ledger,
        measuring=measuring(observed, roles, routing, settings, now),
        watch=monitored.watch,
        watching=monitored.watching,
        job_order=retrained.order,
        notices=notices(resource, status),
    )


def _remembered(resource: ModelDeployment, monitored: Monitored) -> list[Child]:
    """What outlives the operator of what it has found."""
    written = monitored.watch.written if monitored.watch is not None else None
    return [children.monitoring(resource, written)] if written is not None else []


def _road(observed: Observed, known: Mapping[str, Revision], settings: Settings) -> Road:
    """How requests reach the revisions at present."""
    resource = observed.resource

    def is_live(stable: Revision, candidate: Revision | None, asked: Asked) -> bool:
        split = _divided(observed, known, stable, candidate, asked)
        return live(observed.measured, versions(resource, split, settings), observed.pods)

    traffic = resource.spec.traffic
    return Road(
        routed=wants_routers(resource.spec),
        is_open=fronted(observed),
        is_live=is_live,
        reach=lambda revision: reach(observed.measured, revision.hash, observed.pods),
        sticky=traffic is not None and traffic.sticky is not None,
    )


def _pinned(observed: Observed, revision: Revision) -> Revision:
    """`revision` with the digest that its first pods agree on, where none is known yet."""
    if revision.is_pinned:
        return revision
    asked = arm_of(observed, revision).asked
    return replace(revision, pinned=found_digest(observed, revision, wanted=max(1, asked)))


def _drained(roles: Roles, now: datetime) -> float | None:
    """Seconds until nobody can be sent to the revision that served before; None when that time is over."""
    moved = last_promotion(roles.history)
    if moved is None:
        return None
    left = (moved.time + timedelta(seconds=DRAIN_SECONDS) - now).total_seconds()
    return left if left > 0 else None


def _split(observed: Observed, roles: Roles, known: Mapping[str, Revision]) -> Split | None:
    """Who gets which requests; None where nobody may answer yet."""
    if roles.front is None:
        return None
    candidate = roles.candidate if roles.candidate is not roles.front else None
    return _divided(observed, known, roles.front, candidate, roles.asked)


def _divided(
    observed: Observed, known: Mapping[str, Revision], stable: Revision, candidate: Revision | None, asked: Asked
) -> Split:
    """The split; what else has pods may still be answering."""
    resource, named = observed.resource, {stable.hash} | ({candidate.hash} if candidate else set())
    leaving = [one for name, one in known.items() if name not in named and arm_of(observed, one).asked > 0]
    return Split(
        stable=backend_of(resource, stable),
        candidate=backend_of(resource, candidate) if candidate else None,
        weight=asked.weight,
        shadow_percent=asked.shadow,
        leaving=tuple(backend_of(resource, revision) for revision in sorted(leaving, key=lambda one: one.hash)),
    )


def _observe(resource: ModelDeployment, roles: Roles, routing: Routing) -> Observe | None:
    """How the revision that serves is observed; None where it is not, and as long as no router shows its requests."""
    return observe_of(resource, roles.stable) if roles.stable is not None and routing.to_routers else None


def _observer(resource: ModelDeployment, roles: Roles, observe: Observe | None, settings: Settings) -> list[Child]:
    if roles.stable is None or observe is None:
        return []
    return observer_children(resource, roles.stable, observe, settings)


def _decisions_of(status: Status) -> tuple[object, ...]:
    stable, candidate = status.stable, status.candidate
    roles = stable.revision if stable else None, candidate.revision if candidate else None
    return *roles, position(status.rollout)
