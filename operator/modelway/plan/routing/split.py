"""How requests are divided between revisions: what the rollout asks for and the routers do. Plain, frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelway.api.names import child_name, observer_name, unready_name
from modelway.api.observing import DEFAULT_SHARE
from modelway.api.resource import ModelDeployment
from modelway.api.units import seconds, share
from modelway.plan.pods import DEFAULT_TIMEOUT, named_ports
from modelway.plan.revisions import Revision, observe_of


@dataclass(frozen=True, slots=True)
class Health:
    """How a pod is asked whether it can answer, as its readiness probe does.

    Attributes:
        port: that is asked.
        path: of HTTP; None where the port accepting connections, or the gRPC health service, is what counts.
        is_grpc: the gRPC health service is asked.
    """

    port: int
    path: str | None = None
    is_grpc: bool = False


@dataclass(frozen=True, slots=True)
class Backend:
    """The pods of one revision, as the routers reach them.

    Attributes:
        revision: hash; the name of the Envoy cluster.
        service: the headless Service that resolves to the pods that are ready.
        unready_service: the one that resolves to all of its pods.
        http_port: where the pods speak HTTP; None where they do not.
        grpc_port: where they speak gRPC; None where they do not.
        health: how a pod is asked whether it is well.
        timeout: longest time that the revision may take for one request, in seconds.
        observer: the headless Service of what observes its requests and answers; None where nothing does.
        observed: share of the requests that are shown to it.
    """

    revision: str
    service: str
    unready_service: str
    http_port: int | None
    grpc_port: int | None
    health: Health
    timeout: float
    observer: str | None = None
    observed: float = 1.0


@dataclass(frozen=True, slots=True)
class Split:
    """Who gets which requests.

    Attributes:
        stable: takes what the candidate does not.
        candidate: is known to the routers as soon as it is named here, also at weight 0.
        weight: percent of the requests that the candidate answers, 0 to 100.
        shadow_percent: percent of the requests of which the candidate gets a copy; its answers reach nobody.
        leaving: revisions that take no request any more, and may still be answering some.
    """

    stable: Backend
    candidate: Backend | None = None
    weight: int = 0
    shadow_percent: float = 0.0
    leaving: tuple[Backend, ...] = ()

    @property
    def backends(self) -> tuple[Backend, ...]:
        """All revisions that the routers know, each once."""
        named = (self.stable, *((self.candidate,) if self.candidate else ()), *self.leaving)
        return tuple({backend.revision: backend for backend in named}.values())

    @property
    def settled(self) -> "Split":
        """The same for those who send requests: a candidate that answers all of them is as good as stable.

        So the routers have nothing to take when it becomes stable.
        """
        if self.candidate is None or self.weight < 100 or self.shadow_percent > 0:
            return self
        return Split(self.candidate, leaving=(self.stable, *self.leaving))


def backend_of(resource: ModelDeployment, revision: Revision) -> Backend:
    """The pods of `revision`, as the routers reach them."""
    told = revision.spec.get("serving", {}).get("timeout") or resource.spec.serving.timeout or DEFAULT_TIMEOUT
    ports, observe = named_ports(revision.template), observe_of(resource, revision)
    return Backend(
        revision=revision.hash,
        service=child_name(resource.metadata.name, revision.hash),
        unready_service=unready_name(resource.metadata.name, revision.hash),
        http_port=ports.get("http"),
        grpc_port=ports.get("grpc"),
        health=_health(revision.template, ports),
        timeout=seconds(told),
        observer=observer_name(resource.metadata.name, revision.hash) if observe is not None else None,
        observed=share((observe.share if observe is not None else None) or DEFAULT_SHARE),
    )


def _health(template: Mapping[str, Any], ports: Mapping[str, int]) -> Health:
    probe = template["spec"]["containers"][0].get("readinessProbe", {})
    if "httpGet" in probe:
        return Health(port=ports[probe["httpGet"]["port"]], path=probe["httpGet"]["path"])
    if "grpc" in probe:
        return Health(port=probe["grpc"]["port"], is_grpc=True)
    return Health(port=next(iter(ports.values())))
