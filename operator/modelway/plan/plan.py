"""The decision: from what is seen to what should be.

Called by the controller for every look at a ModelDeployment, and by nobody else. Pure: no I/O, no clock, no
randomness; the same picture gives the same plan, so a plan that was cut short is simply made again.
Level-triggered: each call decides what may be done *now*. Read it from top to bottom: revisions, roles, children,
status.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from modelway.api.kinds import DEPLOYMENT
from modelway.api.names import child_name, pod_selector
from modelway.api.resource import ModelDeployment
from modelway.api.status import Status
from modelway.plan import children
from modelway.plan.arms import arm_of, found_digest, pods_to_evict, scaled_replicas, stable_replicas
from modelway.plan.batch.scoring import Scoring, scoring, scoring_revision
from modelway.plan.batch.unserved import never_served, plan_unserved
from modelway.plan.feedback_keys import key_secrets, markers
from modelway.plan.happenings import happenings
from modelway.plan.measured import Labelling, Measuring
from modelway.plan.monitoring.monitor import monitor
from modelway.plan.monitoring.notices import notices
from modelway.plan.monitoring.retraining import retraining
from modelway.plan.pods import DRAIN_SECONDS, pod_ports, pod_template, service_ports
from modelway.plan.revisions import Revision, expendable, known_revisions, wanted_revision
from modelway.plan.roles import Roles, last_promotion
from modelway.plan.rollout.commands import Commands
from modelway.plan.rollout.decide import decide, position
from modelway.plan.rollout.labels import begins_at, counts_labels, windows_of
from modelway.plan.rollout.ledger import Ledger
from modelway.plan.rollout.look import Look, Road
from modelway.plan.rollout.questions import questions_of
from modelway.plan.rollout.steps import Asked
from modelway.plan.routing import (
    ROLLOUT_SECONDS,
    Routing,
    Split,
    backend_of,
    fronted,
    has_route,
    http_route,
    live,
    reach,
    route,
    router_selector,
    server_targets,
    versions,
    wants_routers,
)
from modelway.plan.status import describe
from modelway.plan.types import Child, ChildKey, Observed, Plan, Settings

_DEFAULT_HISTORY_LIMIT = 10


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
    batch = _scoring(observed, roles, known, settings, now)
    monitored = monitor(observed, roles.stable, wanted, routed=routing.to_routers, now=now)
    desired = (
        *_children(observed, roles, known, routing, drained=drained is None and routing.is_live),
        *batch.children,
    )
    if monitored.watch is not None and monitored.watch.written is not None:
        desired = (*desired, children.monitoring(resource, monitored.watch.written))
    marked = markers(observed, now)
    desired = (*desired, *marked)
    if split is not None and has_route(observed):
        desired = (*desired, http_route(resource, split))
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
        measuring=_measuring(observed, roles, routing, settings, now),
        watch=monitored.watch,
        watching=monitored.watching,
        job_order=retrained.order,
        notices=notices(resource, status),
    )


def _scoring(
    observed: Observed, roles: Roles, known: Mapping[str, Revision], settings: Settings, now: datetime
) -> Scoring:
    return scoring(observed, scoring_revision(observed, roles.stable, known), settings=settings, now=now)


def _measuring(
    observed: Observed, roles: Roles, routing: Routing, settings: Settings, now: datetime
) -> Measuring | None:
    """Whom to ask before the next look: the routers, and where answers are compared the servers of both arms."""
    measuring, ledger = routing.measuring, roles.ledger
    if measuring is None or ledger is None:
        return measuring
    measuring = replace(measuring, labelling=_labelling(observed, roles, ledger, now))
    if roles.candidate is None:
        return measuring
    questions = questions_of(ledger, observed.resource.metadata, label=settings.prometheus_namespace_label)
    measuring = replace(measuring, every=min(measuring.every, ROLLOUT_SECONDS), questions=questions)
    if not any(check.predictions for check in ledger.rollout.checks):
        return measuring
    ours = {revision.hash for revision in roles.in_use() if revision.has_own_server}
    return replace(measuring, targets=measuring.targets | server_targets(observed.pods, ours))


def _labelling(observed: Observed, roles: Roles, ledger: Ledger, now: datetime) -> Labelling | None:
    """Whom to ask for labels of predictions that both revisions made: in a rollout, and while the old one is warm."""
    pair = (roles.candidate, roles.stable) if roles.candidate is not None else (roles.stable, roles.warm)
    candidate, stable = pair
    if candidate is None or stable is None or not counts_labels(ledger):
        return None
    windows = windows_of(candidate, stable)
    if windows.seconds is None:
        return None
    asked = server_targets(observed.pods, {candidate.hash, stable.hash})
    return Labelling(asked, begins_at(ledger, windows, now))


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


def _children(
    observed: Observed, roles: Roles, known: Mapping[str, Revision], routing: Routing, *, drained: bool
) -> tuple[Child, ...]:
    resource = observed.resource
    result: list[Child] = []
    if roles.stable is not None:
        replicas = stable_replicas(observed, arm_of(observed, roles.stable))
        result += _arm(resource, roles.stable, replicas=replicas)
    if roles.candidate is not None:
        replicas = scaled_replicas(observed, arm_of(observed, roles.candidate), roles.pods)
        result += _arm(resource, roles.candidate, replicas=replicas)
    retired = _retired(observed, roles, known)
    for revision in retired:
        is_kept = not drained or (roles.warm is not None and revision.hash == roles.warm.hash)
        result += _retired_arm(observed, revision, replicas=None if is_kept else 0)
    if roles.in_use():
        answering = [*roles.in_use(), *(revision for revision in retired if arm_of(observed, revision).asked > 0)]
        ports = sorted({port for revision in answering for port in pod_ports(revision.template)})
        result += [children.network_policy(resource, ports), children.disruption_budget(resource)]
    if (front := roles.front) is not None:
        name = resource.metadata.name
        selector = router_selector(name) if routing.to_routers else pod_selector(name, front.hash)
        result += [*routing.children, children.service(resource, selector, service_ports(front.template))]
    if roles.is_previewed and roles.candidate is not None:
        result.append(children.preview_service(resource, roles.candidate, service_ports(roles.candidate.template)))
    result += _autoscalers(resource, roles)
    if roles.ledger is not None and roles.ledger.written is not None:
        result.append(children.evidence(resource, roles.ledger.written.content))
    return tuple(result)


def _autoscalers(resource: ModelDeployment, roles: Roles) -> list[Child]:
    """One for each arm with requests: a rollback finds as many pods as there were, a weight those that it needs."""
    autoscaling, scaled = resource.spec.serving.autoscaling, roles.stable or roles.candidate
    if autoscaling is None or scaled is None:
        return []
    if roles.candidate is None or roles.ledger is None or roles.ledger.step == "":
        return [children.autoscaler(resource, scaled, autoscaling)]
    floors = ((scaled, roles.ledger.floor), (roles.candidate, roles.pods))
    return [children.autoscaler(resource, revision, autoscaling, floor=floor) for revision, floor in floors]


def _arm(resource: ModelDeployment, revision: Revision, *, replicas: int | None) -> list[Child]:
    """What a revision with pods consists of. The record comes first: it is what everything else is rebuilt from."""
    return [
        *_record(resource, revision),
        children.headless_service(resource, revision, service_ports(revision.template)),
        children.deployment(resource, revision, replicas=replicas),
    ]


def _record(resource: ModelDeployment, revision: Revision) -> list[Child]:
    record = [children.controller_revision(resource, revision)]
    return [*record, children.pin(resource, revision)] if revision.has_model and revision.digest else record


def _retired(observed: Observed, roles: Roles, known: Mapping[str, Revision]) -> list[Revision]:
    """Revisions out of use that are kept: those that still have pods, and the latest others up to the limit."""
    limit = observed.resource.spec.serving.revision_history_limit
    in_use = {revision.hash for revision in roles.in_use()}
    rejected = {roles.rollout.revision} if roles.rollout is not None and roles.rollout.revision else set()
    busy = {name for name, revision in known.items() if arm_of(observed, revision).asked > 0}
    forgotten = expendable(
        known.values(), in_use=in_use | busy | rejected, limit=_DEFAULT_HISTORY_LIMIT if limit is None else limit
    )
    gone = in_use | {revision.hash for revision in forgotten}
    return [revision for name, revision in known.items() if name not in gone]


def _retired_arm(observed: Observed, revision: Revision, *, replicas: int | None) -> list[Child]:
    """The record of a revision out of use, and what is left of it without pods."""
    resource = observed.resource
    if ChildKey(DEPLOYMENT, child_name(resource.metadata.name, revision.hash)) in observed.children:
        return _arm(resource, revision, replicas=replicas)
    return _record(resource, revision)


def _decisions_of(status: Status) -> tuple[object, ...]:
    stable, candidate = status.stable, status.candidate
    roles = stable.revision if stable else None, candidate.revision if candidate else None
    return *roles, position(status.rollout)
