"""The file of the routes: which revision answers a request, and who gets a copy of it. Pure."""

from typing import Final

from modelway.api import observations
from modelway.api.names import HEADER_PAIR
from modelway.plan.measured import SHADOW
from modelway.plan.routing.envoy import CONNECT_SECONDS, ROUTES_NAME, cluster_name, typed, versioned
from modelway.plan.routing.observing import observed_routes
from modelway.plan.routing.split import Backend, Split
from modelway.plan.types import Object

_MILLION: Final = 1_000_000


def routes_file(split: Split, *, sticky_header: str | None) -> Object:
    """Who answers: gRPC by the clusters that speak it, all else by the others.

    Args:
        split: who gets which requests.
        sticky_header: requests with the same value of this header are answered by the same revision.
    """
    routes: list[Object] = [
        # What the model server tells the operator of its answers: none of its clients' business.
        {"match": {"path": observations.PATH}, "direct_response": {"status": 404}}
    ]
    speaks_http = cluster_name(split.stable, is_grpc=False) is not None
    if cluster_name(split.stable, is_grpc=True) is not None:
        routes += _routes(split, {"prefix": "/"} | ({"grpc": {}} if speaks_http else {}), sticky_header, is_grpc=True)
    if speaks_http:
        plain = _routes(split, {"prefix": "/"}, sticky_header, is_grpc=False)
        stable = split.stable
        routes += (
            plain if stable.observer is None else [one for route in plain for one in observed_routes(route, stable)]
        )
    return versioned(
        [
            typed(
                "config.route.v3.RouteConfiguration",
                name=ROUTES_NAME,
                virtual_hosts=[{"name": ROUTES_NAME, "domains": ["*"], "routes": routes}],
            )
        ]
    )


def _routes(split: Split, match: Object, sticky_header: str | None, *, is_grpc: bool) -> list[Object]:
    """The route of a protocol; before it, where copies are sent, that of the requests which are copied."""
    action = _action(split, sticky_header, is_grpc=is_grpc)
    plain: Object = {"match": match, "route": action, "request_headers_to_remove": [HEADER_PAIR]}
    candidate = split.candidate
    copies = cluster_name(candidate, is_grpc=is_grpc, ending=SHADOW) if candidate else None
    if copies is None or split.shadow_percent <= 0:
        return [plain]
    share = {"numerator": round(split.shadow_percent * _MILLION / 100), "denominator": "MILLION"}
    copied: Object = {
        "match": match | {"runtime_fraction": {"default_value": share}},
        "route": action | {"request_mirror_policies": [{"cluster": copies, "disable_shadow_host_suffix_append": True}]},
        # Both servers remember their answer, by the request's id.
        "request_headers_to_add": [
            {"header": {"key": HEADER_PAIR, "value": "1"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        ],
    }
    return [copied, plain]


def _action(split: Split, sticky_header: str | None, *, is_grpc: bool) -> Object:
    stable = cluster_name(split.stable, is_grpc=is_grpc)
    asked: list[Backend] = [split.stable]
    action: Object = {"retry_policy": _retries()}
    if sticky_header:
        action["hash_policy"] = [{"header": {"header_name": sticky_header}}]
    named = cluster_name(split.candidate, is_grpc=is_grpc) if split.candidate else None
    if split.candidate is None or named is None or split.weight == 0:
        action["cluster"] = stable
    else:
        asked.append(split.candidate)
        # The candidate first, and always in this order: whom it answers while its weight rises, it keeps.
        shares = [{"name": named, "weight": split.weight}, {"name": stable, "weight": 100 - split.weight}]
        action["weighted_clusters"] = {"clusters": shares} | ({"use_hash_policy": True} if sticky_header else {})
    # The revision's own limit comes first, so that its own words reach the client.
    action["timeout"] = f"{max(backend.timeout for backend in asked) + CONNECT_SECONDS:.3f}s"
    return action


def _retries() -> Object:
    """Only where the request cannot have been begun: none may run twice."""
    elsewhere = typed("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate")
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": 3,
        "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": elsewhere}],
        "host_selection_retry_max_attempts": "5",
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
    }
