"""The file of the clusters: for each revision, where its pods are and which of them can answer. Pure.

Kubernetes says which pods are ready, and those are asked. It may be wrong about all of them at once: a node that could
not report for a while, be it that the API server was away, has all its pods called unready, however well they are. So
where no pod is called ready, those are asked that answer the router's own health check (docs/adr/0025).
"""

from modelway.plan.measured import SHADOW
from modelway.plan.routing.envoy import CONNECT_SECONDS, GRPC, address, typed, versioned
from modelway.plan.routing.observing import observer_cluster
from modelway.plan.routing.split import Backend, Split
from modelway.plan.types import Object

_DNS_REFRESH = "1s"
_MOST_AT_ONCE = 65_536
"""No limit in practice: the pods themselves say when they have too much."""


def clusters_file(split: Split, *, namespace: str, domain: str) -> Object:
    """A cluster for each protocol of each revision, and for the copies that a candidate is sent.

    Args:
        split: names the revisions.
        namespace: of their Services.
        domain: DNS domain of the Kubernetes cluster.
    """
    resources: list[Object] = []
    for backend in split.backends:
        resources += _clusters(backend, backend.revision, namespace=namespace, domain=domain)
    if split.candidate is not None:
        resources += _clusters(split.candidate, split.candidate.revision + SHADOW, namespace=namespace, domain=domain)
    if split.stable.observer is not None:
        host = _host(split.stable.observer, namespace, domain)
        resources.append(observer_cluster(split.stable.revision, host))
    return versioned(sorted(resources, key=lambda cluster: str(cluster["name"])))


def _clusters(backend: Backend, name: str, *, namespace: str, domain: str) -> list[Object]:
    hosts = [_host(service, namespace, domain) for service in (backend.service, backend.unready_service)]
    found = []
    if backend.http_port is not None:
        found.append(_cluster(name, hosts, backend.http_port, backend, protocol="http_protocol_options"))
    if backend.grpc_port is not None:
        found.append(_cluster(name + GRPC, hosts, backend.grpc_port, backend, protocol="http2_protocol_options"))
    return found


def _host(service: str, namespace: str, domain: str) -> str:
    return f"{service}.{namespace}.svc.{domain}."  # the dot at the end: no other name is looked for first


def _cluster(name: str, hosts: list[str], port: int, backend: Backend, *, protocol: str) -> Object:
    """A cluster; pods of a later one of `hosts` are asked where no pod of an earlier one is well."""
    endpoints = [
        {"priority": priority, "lb_endpoints": [{"endpoint": _endpoint(host, port, backend)}]}
        for priority, host in enumerate(hosts)
    ]
    options = typed("extensions.upstreams.http.v3.HttpProtocolOptions", explicit_http_config={protocol: {}})
    # Each address that the name has is a pod, and who is no longer named is gone.
    names = typed("extensions.clusters.dns.v3.DnsCluster", dns_refresh_rate=_DNS_REFRESH, dns_lookup_family="ALL")
    return typed(
        "config.cluster.v3.Cluster",
        name=name,
        cluster_type={"name": "envoy.cluster.dns", "typed_config": names},
        connect_timeout=f"{CONNECT_SECONDS}s",
        lb_policy="LEAST_REQUEST",
        load_assignment={"cluster_name": name, "endpoints": endpoints},
        health_checks=[_health_check(backend)],
        ignore_health_on_host_removal=True,  # what DNS does not name any more is ending, however well it is
        outlier_detection=_outlier_detection(),
        circuit_breakers={"thresholds": [_limits()]},
        typed_extension_protocol_options={"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    )


def _endpoint(host: str, port: int, backend: Backend) -> Object:
    checked = {"health_check_config": {"port_value": backend.health.port}} if backend.health.port != port else {}
    return {"address": address(host, port), **checked}


def _health_check(backend: Backend) -> Object:
    check: Object = {
        "timeout": "1s",
        "interval": "2s",
        "no_traffic_interval": "5s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
    }
    if backend.health.path is not None:
        return check | {"http_health_check": {"path": backend.health.path, "codec_client_type": "HTTP1"}}
    return check | ({"grpc_health_check": {}} if backend.health.is_grpc else {"tcp_health_check": {}})


def _outlier_detection() -> Object:
    """A pod that cannot be reached is left alone for a while; one that answers 500 is not: that is the model's answer,
    and leaving such a pod out would hide from the evidence what is wrong with the revision.
    """
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 3,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "base_ejection_time": "5s",
        "max_ejection_time": "30s",
        "max_ejection_percent": 50,
    }


def _limits() -> Object:
    return {
        "max_connections": _MOST_AT_ONCE,
        "max_pending_requests": _MOST_AT_ONCE,
        "max_requests": _MOST_AT_ONCE,
        "retry_budget": {"budget_percent": {"value": 25.0}, "min_retry_concurrency": 16},
    }
