"""What a router starts with: its listeners, and where it finds clusters and routes. Pure.

It is read once; another bootstrap is another pod. It is the same for all resources.
"""

from typing import Final

from modelway.plan.pods import GRPC_PORT, HTTP_PORT
from modelway.plan.routing.envoy import (
    ADMIN_PORT,
    CLUSTERS_FILE,
    CONNECT_SECONDS,
    COUNTERS_PATH,
    EPOCH_HEADER,
    POD_HEADER,
    READY_PATH,
    ROUTES_FILE,
    ROUTES_NAME,
    STATUS_PORT,
    THRESHOLDS,
    address,
    everywhere,
    typed,
    watched,
)
from modelway.plan.routing.observing import observing_filter
from modelway.plan.types import Object

_COUNTED: Final = (
    r"^(cluster\.(admin|[0-9a-f]{8}(-shadow)?(-grpc)?)\.(upstream_rq_(completed|4xx|5xx|tx_reset|cancelled|timeout|time)"
    r"|upstream_cx_destroy_local_with_active_rq|upstream_cx_none_healthy|membership_healthy|grpc\.[0-9]+)"
    r"|cluster_manager\.cds\.version_text|http\.[^.]+\.rds\.[^.]+\.version_text)$"
)
"""What a reading needs of Envoy's statistics (`controller.routers`)."""


def bootstrap(*, ipv4_only: bool = False) -> Object:
    """Envoy's configuration at its start.

    Args:
        ipv4_only: for a kernel that knows no IPv6.
    """
    buckets = {"match": {"suffix": "upstream_rq_time"}, "buckets": [float(bound) for bound in THRESHOLDS]}
    return {
        "node": {"id": "router", "cluster": "modelway"},
        "admin": {"address": address("127.0.0.1", ADMIN_PORT)},
        "dynamic_resources": {"cds_config": watched(CLUSTERS_FILE)},
        "stats_flush_on_admin": True,  # histograms are merged when somebody asks, not by the clock
        "stats_config": {"histogram_bucket_settings": [buckets]},
        "static_resources": {
            "listeners": [_public_listener(ipv4_only=ipv4_only), _status_listener(ipv4_only=ipv4_only)],
            "clusters": [_admin_cluster()],
        },
    }


def _public_listener(*, ipv4_only: bool) -> Object:
    """One listener on both ports: HTTP/1.1, HTTP/2 and gRPC are told apart by what is sent."""
    grpc_counters = {
        "name": "envoy.filters.http.grpc_stats",  # to HTTP every answer of gRPC is a 200
        "typed_config": typed("extensions.filters.http.grpc_stats.v3.FilterConfig", stats_for_all_methods=False),
    }
    manager = _http_manager(
        "public",
        rds={"route_config_name": ROUTES_NAME, "config_source": watched(ROUTES_FILE)},
        http_filters=[grpc_counters, observing_filter(), _router_filter()],
        use_remote_address=True,
        # An answer and that of its copy are found together by the request's id. It is Envoy's own: one that clients
        # choose may be anything, the same for all of their requests among it.
        preserve_external_request_id=False,
        request_id_extension={
            "typed_config": typed("extensions.request_id.uuid.v3.UuidRequestIdConfig", pack_trace_reason=False)
        },
        normalize_path=True,  # or a path that is not for clients could be written in another way
        server_header_transformation="PASS_THROUGH",
        stream_idle_timeout="0s",  # the route's timeout is the limit
    )
    return {
        "name": "public",
        "address": everywhere(HTTP_PORT, ipv4_only=ipv4_only),
        "additional_addresses": [{"address": everywhere(GRPC_PORT, ipv4_only=ipv4_only)}],
        "filter_chains": [{"filters": [manager]}],
    }


def _status_listener(*, ipv4_only: bool) -> Object:
    """Passes on, of Envoy's administration, whether it is ready and what it has counted, and who it is."""
    is_get = [{"name": ":method", "string_match": {"exact": "GET"}}]
    counters = f"/stats?format=json&histogram_buckets=cumulative&filter={_COUNTED}"
    routes: list[Object] = [
        {"match": {"path": READY_PATH, "headers": is_get}, "route": {"cluster": "admin"}},
        {
            "match": {"path": COUNTERS_PATH, "headers": is_get},
            "route": {"cluster": "admin", "prefix_rewrite": counters},
        },
    ]
    config: Object = {
        "name": "status",
        "response_headers_to_add": [
            {"header": {"key": EPOCH_HEADER, "value": "%ENVIRONMENT(MODELWAY_EPOCH)%"}},
            {"header": {"key": POD_HEADER, "value": "%ENVIRONMENT(MODELWAY_POD)%"}},
        ],
        "virtual_hosts": [{"name": "status", "domains": ["*"], "routes": routes}],
    }
    manager = _http_manager("status", route_config=config, http_filters=[_router_filter()])
    return {
        "name": "status",
        "address": everywhere(STATUS_PORT, ipv4_only=ipv4_only),
        "filter_chains": [{"filters": [manager]}],
    }


def _admin_cluster() -> Object:
    endpoint = {"endpoint": {"address": address("127.0.0.1", ADMIN_PORT)}}
    return {
        "name": "admin",
        "type": "STATIC",
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "load_assignment": {"cluster_name": "admin", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _http_manager(name: str, **fields: object) -> Object:
    config = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        codec_type="AUTO",
        **fields,
    )
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}


def _router_filter() -> Object:
    return {"name": "envoy.filters.http.router", "typed_config": typed("extensions.filters.http.router.v3.Router")}
