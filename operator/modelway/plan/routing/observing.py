"""What routers send to the observer of an image of the user's own: Envoy's filter `ext_proc`, as one who only listens.

In observability mode Envoy sends on what it sees and waits for nothing; what comes back is not looked at. The filter is
in every router and off, until a route switches it on for the revision that is observed (docs/adr/0021). Pure.

What holds for requests: an observer that is slow, broken or gone delays and fails none. So it is left alone at the
first sign of being stuck (`observer_cluster`), and only bodies of a known, moderate length are sent to it: what it does
not take off waits in the router's memory.
"""

from typing import Final

from modelway.plan.routing.envoy import CONNECT_SECONDS, address, typed
from modelway.plan.routing.split import Backend
from modelway.plan.types import Object

FILTER: Final = "envoy.filters.http.ext_proc"
OBSERVER_PORT: Final = 9000
HEALTH_PORT: Final = 8080
READY_PATH: Final = "/ready"
MOST_BYTES: Final = 256 * 1024
"""Of a request's body that is observed, and of an answer's."""

_MILLION: Final = 1_000_000
_ENDING: Final = "-observer"
_MOST_AT_ONCE: Final = 256
"""Requests that are observed at the same time; of others the observer learns nothing."""
_HEADERS: Final = (":method", ":status", "content-type", "content-length", "content-encoding")
# Of a request whose body is shown nobody needs the headers, and each message costs the observer time.
_WHOLE: Final[Object] = {
    "request_header_mode": "SKIP",
    "request_body_mode": "STREAMED",
    "request_trailer_mode": "SKIP",
    "response_header_mode": "SEND",
    "response_body_mode": "STREAMED",
    "response_trailer_mode": "SKIP",
}
_HEAD: Final = _WHOLE | {
    "request_header_mode": "SEND",
    "request_body_mode": "NONE",
    "response_header_mode": "SKIP",
    "response_body_mode": "NONE",
}


def observing_filter() -> Object:
    """The filter, which does nothing until a route says for whom."""
    config = typed(
        "extensions.filters.http.ext_proc.v3.ExternalProcessor",
        grpc_service=_service("nobody"),
        observability_mode=True,
        failure_mode_allow=True,
        disable_immediate_response=True,
        route_cache_action="RETAIN",
        # After the answer's end, if the observer has not closed the stream before, as it does when it has read it.
        deferred_close_timeout="5s",
        processing_mode=_WHOLE,
        forward_rules={"allowed_headers": {"patterns": [{"exact": name} for name in _HEADERS]}},
    )
    return {"name": FILTER, "disabled": True, "typed_config": config}


def observer_cluster(revision: str, host: str) -> Object:
    """Where the observer of `revision` is."""
    options = typed(
        "extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config={
            # Who does not answer a ping is stuck: the connection ends, and with it whatever waits for him.
            "http2_protocol_options": {"connection_keepalive": {"interval": "1s", "timeout": "1s"}}
        },
    )
    name = revision + _ENDING
    names = typed("extensions.clusters.dns.v3.DnsCluster", dns_refresh_rate="5s", dns_lookup_family="ALL")
    check: Object = {
        "timeout": "1s",
        "interval": "2s",
        "no_traffic_interval": "5s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "http_health_check": {"path": READY_PATH, "codec_client_type": "HTTP1"},
    }
    endpoint: Object = {"address": address(host, OBSERVER_PORT), "health_check_config": {"port_value": HEALTH_PORT}}
    return typed(
        "config.cluster.v3.Cluster",
        name=name,
        cluster_type={"name": "envoy.cluster.dns", "typed_config": names},
        connect_timeout=f"{CONNECT_SECONDS}s",
        load_assignment={"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
        health_checks=[check],
        ignore_health_on_host_removal=True,
        common_lb_config={"healthy_panic_threshold": {"value": 0.0}},  # none is well: nobody is asked
        circuit_breakers={"thresholds": [{"max_requests": _MOST_AT_ONCE, "max_pending_requests": _MOST_AT_ONCE}]},
        typed_extension_protocol_options={"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    )


def observed_routes(route: Object, backend: Backend) -> list[Object]:
    """Routes in place of `route`, which leads requests to `backend` and may lead some to another.

    Requests with a body of a known, moderate length that is not compressed are shown to the observer, answers with
    them; of other requests with a body their headers, so that they are counted; and nothing of those that ask for
    something else.
    """
    match, revision = _sampled(route["match"], backend.observed), backend.revision
    headers = [*match.get("headers", ()), {"name": ":method", "string_match": {"exact": "POST"}}]
    readable: list[Object] = [
        {"name": "content-length", "range_match": {"start": "1", "end": str(MOST_BYTES + 1)}},
        {"name": "content-encoding", "present_match": True, "invert_match": True},
    ]
    return [
        _observed(route, match | {"headers": [*headers, *readable]}, revision, _WHOLE),
        _observed(route, match | {"headers": headers}, revision, _HEAD),
        route,
    ]


def _sampled(match: Object, share: float) -> Object:
    """The match for a share of the requests. Where it is for some of them only, the smaller share holds for both: Envoy
    draws one number for each request.
    """
    if share >= 1.0:
        return match
    numerator, given = round(share * _MILLION), match.get("runtime_fraction", {}).get("default_value", {})
    fraction = {"numerator": min(numerator, given.get("numerator", _MILLION)), "denominator": "MILLION"}
    return match | {"runtime_fraction": {"default_value": fraction}}


def _observed(route: Object, match: Object, revision: str, mode: Object) -> Object:
    """The route with the filter on for those of its requests that `revision` answers."""
    overrides = {"grpc_service": _service(revision + _ENDING), "processing_mode": mode}
    switched = {FILTER: typed("extensions.filters.http.ext_proc.v3.ExtProcPerRoute", overrides=overrides)}
    action: Object = route["route"]
    shares = action.get("weighted_clusters")
    if shares is None:
        return route | {"match": match, "typed_per_filter_config": switched}
    clusters = [
        one | ({"typed_per_filter_config": switched} if one["name"] == revision else {}) for one in shares["clusters"]
    ]
    return route | {"match": match, "route": action | {"weighted_clusters": shares | {"clusters": clusters}}}


def _service(cluster: str) -> Object:
    return {"envoy_grpc": {"cluster_name": cluster}}
