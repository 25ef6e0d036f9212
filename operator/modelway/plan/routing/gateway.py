"""How requests come in from outside: the HTTPRoute (Gateway API) to the Service, and what the Gateways say. Pure.

The route ends at the Service; who of the pods behind it answers is decided as for any other request. A Gateway that
does not take it, or a cluster without the Gateway API, is told in the condition RouteAccepted and changes nothing else.
Called by `plan.plan` and `plan.status`.
"""

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

from modelway.api.conditions import Reason
from modelway.api.kinds import HTTP_ROUTE, Unserved
from modelway.api.resource import ModelDeployment
from modelway.api.traffic import ParentRef, Traffic
from modelway.plan.children import owned
from modelway.plan.routing.split import Split
from modelway.plan.types import Child, ChildKey, Object, Observed

_SERVICE_PORT: Final = 80
_SHORT_SECONDS: Final = 10.0
"""Gateways wait at least this long by themselves (Envoy's own default is 15 s). For more they have to be told, and only
then: it is an extended feature of the Gateway API, and who does not have it may refuse the route."""
_LATER_SECONDS: Final = 1.0
"""The Gateway gives up later than the router and the server, whose words say more."""
_HEARD: Final = ("Accepted", "ResolvedRefs")
"""Conditions of a route's parent that have to be true for requests to come through."""

_NOT_INSTALLED: Final = (
    f"the cluster has no {HTTP_ROUTE.name} of {HTTP_ROUTE.api_version}: install the CRDs of the Gateway API, v1.0 or "
    "newer, and a controller for Gateways; the route is made within half a minute after that"
)
_FORBIDDEN: Final = (
    f"the operator may not list {HTTP_ROUTE.plural} of {HTTP_ROUTE.group}: give its role the rights that stand in "
    "docs/install.md"
)
_UNSERVED: Final = {
    Unserved.NOT_INSTALLED: (Reason.GATEWAY_API_MISSING, _NOT_INSTALLED),
    Unserved.FORBIDDEN: (Reason.GATEWAY_API_FORBIDDEN, _FORBIDDEN),
}


class RouteVerdict(NamedTuple):
    """Whether requests from outside come through; None while nobody has said so."""

    holds: bool | None
    reason: Reason | str
    message: str


def has_route(observed: Observed) -> bool:
    """Whether an HTTPRoute is asked for and the cluster can have one."""
    return bool(_traffic(observed.resource).parent_refs) and HTTP_ROUTE not in observed.unserved


def http_route(resource: ModelDeployment, split: Split) -> Child:
    """The HTTPRoute, named after the resource, that leads all its hosts' requests to the Service of that name."""
    name, traffic = resource.metadata.name, _traffic(resource)
    rule: Object = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "backendRefs": [{"name": name, "port": _SERVICE_PORT}],
    }
    longest = max(backend.timeout for backend in split.backends)
    if longest > _SHORT_SECONDS:
        rule["timeouts"] = {"request": _duration(math.ceil(longest + _LATER_SECONDS))}
    spec: Object = {
        "parentRefs": [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in traffic.parent_refs],
        "rules": [rule],
    }
    if traffic.hostnames:
        spec["hostnames"] = list(traffic.hostnames)
    return Child(HTTP_ROUTE, owned(resource, HTTP_ROUTE, name, spec=spec))


def route_verdict(observed: Observed, *, serves: bool) -> RouteVerdict | None:
    """What the Gateways' controllers make of the route; None where none is asked for.

    Args:
        observed: the picture.
        serves: there is a Service that the route can lead to.
    """
    resource = observed.resource
    traffic, key = _traffic(resource), ChildKey(HTTP_ROUTE, resource.metadata.name)
    if not traffic.parent_refs:
        return None
    if (why := _why_unserved(observed, key)) is not None:
        return RouteVerdict(False, *_UNSERVED[why])
    if (refusal := observed.refusals.get(key)) is not None:
        return RouteVerdict(False, refusal.reason, refusal.message)
    if not serves:
        return RouteVerdict(None, Reason.PENDING, "the HTTPRoute is made with the Service, for the first revision")
    route = observed.children.get(key, {"metadata": {}})
    if route.get("spec", {}).get("hostnames", []) != list(traffic.hostnames):
        route = {"metadata": {}}  # it is about to change, and what was said of it will be past
    told = [_of_parent(route, parent, resource.metadata.namespace) for parent in traffic.parent_refs]
    for holds in (False, None):
        if bad := [verdict for verdict in told if verdict.holds is holds]:
            rest = [verdict.message for verdict in told if not verdict.holds and verdict is not bad[0]]
            return RouteVerdict(holds, bad[0].reason, "; ".join([bad[0].message, *rest]))
    return RouteVerdict(True, Reason.ACCEPTED, _success(traffic, resource.metadata.namespace))


def _why_unserved(observed: Observed, key: ChildKey) -> Unserved | None:
    """Why the cluster has no HTTPRoutes; None where it has. One that is about to have none lets nobody make one."""
    refusal = observed.refusals.get(key)
    if refusal is not None and refusal.reason == Reason.GATEWAY_API_MISSING:
        return Unserved.NOT_INSTALLED
    return observed.unserved.get(HTTP_ROUTE)


def _traffic(resource: ModelDeployment) -> Traffic:
    return resource.spec.traffic or Traffic()


def _of_parent(route: Object, parent: ParentRef, namespace: str) -> RouteVerdict:
    name = _named(parent, namespace)
    found = {condition["type"]: condition for condition in _told_of(route, parent, namespace)}
    for kind in _HEARD:
        if (condition := found.get(kind)) is not None and condition["status"] == "False":
            reason = condition.get("reason", kind)
            return RouteVerdict(False, reason, f"{name}: {reason}: {condition.get('message', '')}")
    if all(kind in found and found[kind]["status"] == "True" for kind in _HEARD):
        return RouteVerdict(True, Reason.ACCEPTED, name)
    message = f"{name}: no controller has answered yet; check that the Gateway exists and that its controller runs"
    return RouteVerdict(None, Reason.PENDING, message)


def _told_of(route: Object, parent: ParentRef, namespace: str) -> Iterator[Object]:
    """Conditions that were said of `parent` and of the route as it is now."""
    generation = route["metadata"].get("generation", 0)
    for entry in route.get("status", {}).get("parents", ()):
        if _identity(entry["parentRef"], namespace) != _identity(parent.model_dump(by_alias=True), namespace):
            continue
        for condition in entry.get("conditions", ()):
            if condition.get("observedGeneration", generation) >= generation:
                yield condition


def _identity(parent: Object, namespace: str) -> tuple[object, ...]:
    return parent["name"], parent.get("namespace") or namespace, parent.get("sectionName"), parent.get("port")


def _named(parent: ParentRef, namespace: str) -> str:
    told = f"Gateway {parent.namespace or namespace}/{parent.name}"
    told += f", listener {parent.section_name}" if parent.section_name else ""
    return told + (f", port {parent.port}" if parent.port else "")


def _success(traffic: Traffic, namespace: str) -> str:
    gateways = "; ".join(_named(parent, namespace) for parent in traffic.parent_refs)
    hosts = ", ".join(traffic.hostnames) or "all hosts of the listeners"
    return f"requests for {hosts} are led to the Service by {gateways}"


def _duration(seconds: int) -> str:
    """A duration as the Gateway API has it (GEP-2257): up to five digits a unit, no fractions."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{value}{unit}" for value, unit in parts if value)
