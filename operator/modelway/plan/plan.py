"""The decision: from what is seen to what should be.

Called by the controller for every look at a ModelDeployment, and by nobody else. Pure: no I/O, no clock, no
randomness; the same picture gives the same plan, so a plan that was cut short is simply made again.
Level-triggered: each call decides what may be done *now*. Read it from top to bottom: revisions, roles, children,
status.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from modelway.api.kinds import DEPLOYMENT
from modelway.api.names import child_name
from modelway.api.resource import ModelDeployment
from modelway.api.status import HistoryEntry, Status
from modelway.plan import children
from modelway.plan.arms import arm_of, candidate_replicas, found_digest, pods_to_evict, stable_replicas
from modelway.plan.pods import DRAIN_SECONDS, pod_ports, pod_template, service_ports
from modelway.plan.revisions import Revision, expendable, known_revisions, wanted_revision
from modelway.plan.roles import Roles, decide_roles, last_promotion
from modelway.plan.status import describe
from modelway.plan.types import Child, ChildKey, Happening, Observed, Plan, Settings

_DEFAULT_HISTORY_LIMIT = 10


def plan(observed: Observed, *, settings: Settings, now: datetime) -> Plan:
    """What should be, given what is seen.

    Args:
        observed: one ModelDeployment with its children and pods.
        settings: of this installation.
        now: the moment, in UTC.
    """
    resource = observed.resource
    known = known_revisions(observed)
    wanted = None
    if not resource.spec.paused:
        name, spec = resource.metadata.name, resource.spec
        wanted = wanted_revision(observed, known, lambda revision: pod_template(name, revision, spec, settings))
        wanted = _pinned(observed, wanted)
        known = known | {wanted.hash: wanted}

    roles = decide_roles(observed, known=known, wanted=wanted, now=now)
    drained = _drained(roles, now)
    desired = _children(observed, roles, known, drained=drained is None)
    kept = {child.key for child in desired}
    status = describe(observed, roles, settings=settings, now=now)
    return Plan(
        children=desired,
        removals=tuple(key for key in observed.children if key not in kept),
        evictions=tuple(pod for revision in roles.in_use() for pod in pods_to_evict(observed, revision)),
        status=status,
        decides=_roles_of(status) != _roles_of(resource.status),
        happenings=_happenings(resource, status),
        look_again_after=drained,
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
    left = (moved + timedelta(seconds=DRAIN_SECONDS) - now).total_seconds()
    return left if left > 0 else None


def _children(observed: Observed, roles: Roles, known: dict[str, Revision], *, drained: bool) -> tuple[Child, ...]:
    resource, serving = observed.resource, observed.resource.spec.serving
    stable = arm_of(observed, roles.stable) if roles.stable else None
    candidate = arm_of(observed, roles.candidate) if roles.candidate else None
    result: list[Child] = []
    if stable is not None:
        result += _arm(resource, stable.revision, replicas=stable_replicas(observed, stable))
    if candidate is not None:
        result += _arm(resource, candidate.revision, replicas=candidate_replicas(observed, candidate, stable))
    retired = _retired(observed, roles, known)
    for revision in retired:
        result += _retired_arm(observed, revision, replicas=0 if drained else None)
    if roles.in_use():
        answering = [*roles.in_use(), *(revision for revision in retired if arm_of(observed, revision).asked > 0)]
        ports = sorted({port for revision in answering for port in pod_ports(revision.template)})
        result += [children.network_policy(resource, ports), children.disruption_budget(resource)]
    if (front := roles.front) is not None:
        result.append(children.service(resource, front, service_ports(front.template)))
    if (scaled := roles.stable or roles.candidate) is not None and serving.autoscaling is not None:
        result.append(children.autoscaler(resource, scaled, serving.autoscaling))
    return tuple(result)


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


def _retired(observed: Observed, roles: Roles, known: dict[str, Revision]) -> list[Revision]:
    """Revisions out of use that are kept: those that still have pods, and the latest others up to the limit."""
    limit = observed.resource.spec.serving.revision_history_limit
    in_use = {revision.hash for revision in roles.in_use()}
    busy = {name for name, revision in known.items() if arm_of(observed, revision).asked > 0}
    forgotten = expendable(
        known.values(), in_use=in_use | busy, limit=_DEFAULT_HISTORY_LIMIT if limit is None else limit
    )
    gone = in_use | {revision.hash for revision in forgotten}
    return [revision for name, revision in known.items() if name not in gone]


def _retired_arm(observed: Observed, revision: Revision, *, replicas: int | None) -> list[Child]:
    """The record of a revision out of use, and what is left of it without pods."""
    resource = observed.resource
    if ChildKey(DEPLOYMENT, child_name(resource.metadata.name, revision.hash)) in observed.children:
        return _arm(resource, revision, replicas=replicas)
    return _record(resource, revision)


def _roles_of(status: Status) -> tuple[str | None, str | None]:
    stable, candidate = status.stable, status.candidate
    return stable.revision if stable else None, candidate.revision if candidate else None


def _happenings(resource: ModelDeployment, status: Status) -> tuple[Happening, ...]:
    """Events for what changed between the status that stands there and the one that is to stand there."""
    fresh = [entry for entry in status.history if entry not in resource.status.history]
    result = [_of_entry(entry) for entry in reversed(fresh)]
    failure, before = status.failure, resource.status.failure
    if failure is not None and (
        before is None or (before.reason, before.revision) != (failure.reason, failure.revision)
    ):
        result.append(Happening(type="Warning", reason=failure.reason, message=failure.message, action="Serve"))
    return tuple(result)


def _of_entry(entry: HistoryEntry) -> Happening:
    version = f" (version {entry.version})" if entry.version else ""
    return Happening(
        type="Normal",
        reason=entry.result,
        message=f"revision {entry.revision}{version}: {entry.reason}",
        action="Promote" if entry.result == "Promoted" else "Supersede",
    )
