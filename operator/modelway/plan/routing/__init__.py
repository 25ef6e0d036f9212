"""How requests reach the revisions: by the Service alone, or through routers, pods of plain Envoy. Pure.

`Split` says who gets which requests; `route` makes of it what the cluster needs, and tells whether it is live. Used by
`plan.plan`; docs/traffic.md explains it to users.
"""

from modelway.plan.routing.children import router_children, router_selector, versions
from modelway.plan.routing.gateway import RouteVerdict, has_route, http_route, route_verdict
from modelway.plan.routing.live import (
    Versions,
    is_found,
    live,
    reach,
    ready_routers,
    router_pods,
    router_targets,
    targets,
)
from modelway.plan.routing.route import (
    ROLLOUT_SECONDS,
    Routing,
    fronted,
    leads_to_routers,
    route,
    serves,
    wants_routers,
)
from modelway.plan.routing.split import Backend, Split, backend_of

__all__ = [
    "ROLLOUT_SECONDS",
    "Backend",
    "RouteVerdict",
    "Routing",
    "Split",
    "Versions",
    "backend_of",
    "fronted",
    "has_route",
    "http_route",
    "is_found",
    "leads_to_routers",
    "live",
    "reach",
    "ready_routers",
    "route",
    "route_verdict",
    "router_children",
    "router_pods",
    "router_selector",
    "router_targets",
    "serves",
    "targets",
    "versions",
    "wants_routers",
]
