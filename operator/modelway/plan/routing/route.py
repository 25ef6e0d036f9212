"""Where the Service leads, and what routers there are: one decision for both ways of routing. Pure.

Called by `plan.plan` when it is decided who gets which requests. The switch between the two ways loses no request: the
routers are ready and have the split before the Service leads to them, and they go, drained, only when it does not lead
to them any more.
"""

from dataclasses import dataclass
from typing import Final

from modelway.api.conditions import Condition
from modelway.api.kinds import SERVICE
from modelway.api.names import COMPONENT_ROUTER, LABEL_COMPONENT, LABEL_REVISION
from modelway.api.spec import Spec
from modelway.api.traffic import DEFAULT_ROUTERS, Traffic
from modelway.plan.measured import Measuring
from modelway.plan.routing.children import router_children, versions
from modelway.plan.routing.live import live, reach, ready_routers, router_targets, targets, touches, working_routers
from modelway.plan.routing.split import Backend, Split
from modelway.plan.types import Child, ChildKey, Observed, Settings, Touch

ON_ITS_WAY_SECONDS: Final = 0.5
"""Between two readings of a router while it has not yet what it is to have, or not found the pods that are ready."""
ROLLOUT_SECONDS: Final = 10.0
"""Between two readings while requests are compared."""
AT_REST_SECONDS: Final = 60.0
"""Between two readings when nothing is on its way: what is known stays known."""


@dataclass(frozen=True, slots=True)
class Routing:
    """How requests find the pods now.

    Attributes:
        children: of the routers, in the order in which they are to be written; none without routers.
        to_routers: the Service leads to the routers, not to the stable pods.
        is_live: nothing is on its way: every router at work has the split; true without routers.
        touches: router pods whose annotation is to be written, when the children are.
        measuring: the routers that are to be asked, often while something is on its way; None without routers.
    """

    children: tuple[Child, ...] = ()
    to_routers: bool = False
    is_live: bool = True
    touches: tuple[Touch, ...] = ()
    measuring: Measuring | None = None


def wants_routers(spec: Spec) -> bool:
    """Whether requests are to go through routers: as it was said, else where there are steps that need it."""
    traffic = spec.traffic or Traffic()
    if traffic.router is not None:
        return traffic.router == "Envoy"
    return spec.rollout is not None and bool(spec.rollout.steps)


def route(observed: Observed, split: Split | None, *, serves_already: bool, settings: Settings) -> Routing:
    """How requests are to find the pods now.

    Args:
        observed: the picture.
        split: who gets which requests; None where nobody can answer yet.
        serves_already: there is a stable revision, whose clients must not notice a change.
        settings: of this installation.
    """
    led_there = leads_to_routers(observed)
    if split is None or not (wants_routers(observed.resource.spec) or led_there):
        return Routing()
    children = tuple(router_children(observed.resource, split, settings))
    if not wants_routers(observed.resource.spec):  # they stay until the Service does not lead to them any more
        return Routing(children=children, is_live=True)
    wanted = versions(observed.resource, split, settings)
    is_live = live(observed.measured, wanted, observed.pods)
    all_found = _all_found(observed, split.stable)
    is_known = all_found or (led_there and serves(observed))
    is_calm = is_live and is_known and (split.candidate is None or _all_found(observed, split.candidate))
    return Routing(
        children=children,
        to_routers=led_there or not serves_already or (is_live and all_found and _are_all_ready(observed)),
        is_live=is_live,
        touches=touches(observed.measured, wanted, observed.pods),
        measuring=Measuring(router_targets(observed.pods), AT_REST_SECONDS if is_calm else ON_ITS_WAY_SECONDS),
    )


def serves(observed: Observed) -> bool:
    """Whether status says that requests are answered."""
    ready = (one for one in observed.resource.status.conditions if one.type == Condition.READY)
    return any(one.status == "True" for one in ready)


def leads_to_routers(observed: Observed) -> bool:
    """Whether the Service leads to the routers, ready or not."""
    service = observed.children.get(ChildKey(SERVICE, observed.resource.metadata.name))
    return service is not None and service["spec"].get("selector", {}).get(LABEL_COMPONENT) == COMPONENT_ROUTER


def _all_found(observed: Observed, backend: Backend) -> bool:
    """Whether every router at work has found all of the revision's pods that are ready."""
    ready = len(targets(observed.pods, LABEL_REVISION, {backend.revision}))
    return reach(observed.measured, backend.revision, observed.pods) >= ready


def _are_all_ready(observed: Observed) -> bool:
    traffic = observed.resource.spec.traffic or Traffic()
    return len(ready_routers(observed.pods)) >= (traffic.replicas or DEFAULT_ROUTERS)


def fronted(observed: Observed) -> bool:
    """Whether requests go through routers at this moment: the Service leads to them and one of them is at work."""
    return leads_to_routers(observed) and bool(working_routers(observed.measured, observed.pods))
