"""Which children there should be now; `children` says what each of them is. Pure; called by `plan`."""

from collections.abc import Mapping
from typing import Final

from modelway.api.kinds import DEPLOYMENT
from modelway.api.names import child_name, pod_selector
from modelway.api.resource import ModelDeployment
from modelway.plan import children
from modelway.plan.arms import arm_of, scaled_replicas, stable_replicas
from modelway.plan.pods import pod_ports, service_ports
from modelway.plan.revisions import Revision, expendable
from modelway.plan.roles import Roles
from modelway.plan.routing import Routing, router_selector
from modelway.plan.types import Child, ChildKey, Observed

_DEFAULT_HISTORY_LIMIT: Final = 10


def desired_children(
    observed: Observed, roles: Roles, known: Mapping[str, Revision], routing: Routing, *, drained: bool
) -> tuple[Child, ...]:
    """The revisions with their pods, the way to them, and the evidence of a rollout.

    Args:
        observed: what is seen.
        roles: who serves, and who is on its way.
        known: all revisions.
        routing: how requests reach the pods.
        drained: whether nobody can be sent to the revision that served before any more.
    """
    resource = observed.resource
    result: list[Child] = []
    if roles.stable is not None:
        replicas = stable_replicas(observed, arm_of(observed, roles.stable))
        result += _arm(resource, roles.stable, routing, replicas=replicas)
    if roles.candidate is not None:
        replicas = scaled_replicas(observed, arm_of(observed, roles.candidate), roles.pods)
        result += _arm(resource, roles.candidate, routing, replicas=replicas)
    retired = _retired(observed, roles, known)
    for revision in retired:
        is_kept = not drained or (roles.warm is not None and revision.hash == roles.warm.hash)
        result += _retired_arm(observed, revision, routing, replicas=None if is_kept else 0)
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


def _arm(resource: ModelDeployment, revision: Revision, routing: Routing, *, replicas: int | None) -> list[Child]:
    """What a revision with pods consists of. The record comes first: it is what everything else is rebuilt from."""
    ports = service_ports(revision.template)
    return [
        *_record(resource, revision),
        children.headless_service(resource, revision, ports),
        *([children.headless_service(resource, revision, ports, unready=True)] if routing.children else []),
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


def _retired_arm(observed: Observed, revision: Revision, routing: Routing, *, replicas: int | None) -> list[Child]:
    """The record of a revision out of use, and what is left of it without pods."""
    resource = observed.resource
    if ChildKey(DEPLOYMENT, child_name(resource.metadata.name, revision.hash)) in observed.children:
        return _arm(resource, revision, routing, replicas=replicas)
    return _record(resource, revision)
