"""The operator's settings: environment variables with the prefix `MODELWAY_`.

Read once, at start; a wrong value ends the process with one sentence that names the variable. The table in
docs/operator.md is generated from this class.
"""

import os
import re
import socket
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from modelway.plan import Settings

_PREFIX = "MODELWAY_"


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names the variable."""


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment):
        raise ValueError("must be the URL of a Prometheus, such as http://prometheus.monitoring:9090")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a password: give a token by MODELWAY_PROMETHEUS_TOKEN_FILE")
    return url


_HOST = re.compile(r"\*|(\*\.)?[a-z0-9]([-a-z0-9.:]*[a-z0-9])?")


def _checked_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(f"{host!r} is no host, such as events.example.com, *.example.com or *, in lower case")
    return hosts


class OperatorSettings(BaseModel):
    """What can be set. Each field is `MODELWAY_` and its name in capitals."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, extra="forbid")

    server_image: Annotated[str, Field(min_length=1)]
    """Image of the model server and of the init container that fetches models."""

    server_image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """Pull policy of the server's images."""

    server_full_image: str = ""
    """Image of the model server with the libraries of all formats, which also converts models (`spec.model.convert`).
    Empty: the server's image, which cannot."""

    router_image: str = ""
    """Image of the routers (Envoy), for `spec.traffic.router: Envoy`; its pull policy is that of the server's."""

    watch_namespaces: tuple[str, ...] = ()
    """Namespaces to watch, separated by commas. Empty: all of them."""

    cluster_domain: str = "cluster.local"
    """DNS domain of the cluster; part of `status.url`."""

    prometheus_url: Annotated[str, AfterValidator(_checked_url)] = ""
    """Where the cluster's Prometheus is, such as `http://prometheus.monitoring:9090`, for checks with `prometheus`.
    Empty: there is none, and rollouts with such a check wait."""

    prometheus_namespace_label: Annotated[str, Field(pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")] = "namespace"
    """Label by which Prometheus tells the namespace of what it has scraped. Each query is limited to the namespace of
    its ModelDeployment by it."""

    prometheus_token_file: str = ""
    """File with a bearer token for Prometheus, read at each query. Empty: nothing is sent."""

    sink_hosts: Annotated[tuple[str, ...], AfterValidator(_checked_hosts)] = ()
    """Hosts that may be told of a model's health (`spec.monitoring.sink`), separated by commas: by name,
    `*.example.com` for all below one, `*` for any. Empty: none."""

    workers: Annotated[int, Field(ge=1, le=256)] = 16
    """ModelDeployments that are worked on at once."""

    namespace: Annotated[str, Field(min_length=1)] = "default"
    """Namespace that the operator runs in; its Lease is there."""

    lease_name: Annotated[str, Field(min_length=1)] = "modelway-operator"
    """Name of the Lease that decides who of several operators writes."""

    lease_duration: Annotated[float, Field(gt=0)] = 15.0
    """Seconds that others wait after the leader's last renewal."""

    lease_renew_deadline: Annotated[float, Field(gt=0)] = 10.0
    """Seconds after which a leader that cannot renew stops writing. Less than the duration."""

    lease_retry_period: Annotated[float, Field(gt=0)] = 2.0
    """Seconds between renewals; those who wait look twice as often."""

    identity: Annotated[str, Field(min_length=1)] = Field(default_factory=socket.gethostname)
    """Name of this process in the Lease and in Events. Left out: the host's (the pod's) name."""

    health_port: Annotated[int, Field(ge=0, le=65535)] = 8081
    """Port of /livez, /readyz and /metrics; 0 takes any free one."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""

    log_format: Literal["json", "console"] = "json"
    """json: one object a line; console: for people."""

    def of_plans(self) -> Settings:
        """What plans need to know of this installation."""
        return Settings(
            server_image=self.server_image,
            server_image_pull_policy=self.server_image_pull_policy,
            server_full_image=self.server_full_image,
            router_image=self.router_image,
            cluster_domain=self.cluster_domain,
            namespace=self.namespace,
            prometheus_namespace_label=self.prometheus_namespace_label,
        )


def read_settings(environment: Mapping[str, str] = os.environ) -> OperatorSettings:
    """The settings from `environment`.

    Raises:
        SettingsError: one is missing or wrong, or the lease's times do not fit each other.
    """
    given: dict[str, Any] = {}
    for name, field in OperatorSettings.model_fields.items():
        value = environment.get(_PREFIX + name.upper())
        if value is None or value == "":
            continue
        given[name] = (
            [part.strip() for part in value.split(",") if part.strip()]
            if field.annotation == tuple[str, ...]
            else value
        )
    try:
        settings = OperatorSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{_PREFIX}{str(first['loc'][0]).upper()}: {first['msg']}") from None
    if not settings.lease_retry_period < settings.lease_renew_deadline < settings.lease_duration:
        raise SettingsError(
            f"{_PREFIX}LEASE_RETRY_PERIOD, _RENEW_DEADLINE and _DURATION must grow in this order, for example 2, 10, 15"
        )
    return settings
