"""`spec.traffic`: how requests find the pods. Read by `plan.routing`; docs/traffic.md explains it to users."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from modelway.api.base import Model, Rule, rules

RouterKind = Literal["Service", "Envoy"]

DEFAULT_ROUTERS: Final = 2

HeaderName = Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9][A-Za-z0-9-]*$")]

# Bounds and patterns of these are those of the Gateway API, which would else refuse the route that is made of them.
_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
Hostname = Annotated[str, Field(min_length=1, max_length=253, pattern=rf"^(\*\.)?{_LABEL}(\.{_LABEL})*$")]
SectionName = Annotated[str, Field(min_length=1, max_length=253, pattern=rf"^{_LABEL}(\.{_LABEL})*$")]
NamespaceName = Annotated[str, Field(min_length=1, max_length=63, pattern=f"^{_LABEL}$")]

_SAME_GATEWAY: Final = (
    "a.name == b.name && (has(a.__namespace__) ? a.__namespace__ : '') == (has(b.__namespace__) ? b.__namespace__ : '')"
)
_SAME_LISTENER: Final = "(has(a.sectionName) ? a.sectionName : '') == (has(b.sectionName) ? b.sectionName : '')"


class Sticky(Model):
    """Keeps requests that belong together on one revision."""

    header: HeaderName
    """Header that tells which requests belong together, such as `x-user-id`. Requests with the same value are answered
    by the same revision for as long as the weight stays, and by the candidate also when its weight rises. Requests
    without it are divided at random."""


class ParentRef(Model):
    """A Gateway (gateway.networking.k8s.io), or one of its listeners."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the Gateway."""

    namespace: NamespaceName | None = None
    """Namespace of the Gateway. Left out: that of the ModelDeployment."""

    section_name: SectionName | None = None
    """Name of one of its listeners. Left out: all that take the route."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port of its listeners that the route is for. Left out: any. Not every Gateway's controller supports it."""


class Traffic(Model):
    """How requests are divided between the stable revision and the candidate, and how they come in from outside."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!(has(self.hostnames) && size(self.hostnames) > 0)"
                " || (has(self.parentRefs) && size(self.parentRefs) > 0)",
                "no Gateway is named that would answer for them: give parentRefs as well",
                field=".hostnames",
            ),
        )
    )

    router: RouterKind | None = None
    """`Service`: the Service leads straight to the pods of one revision. `Envoy`: it leads to pods of Envoy, which
    divide the requests between two revisions and count them. Left out: Envoy where `rollout.steps` are given, else
    Service. May be changed at any time; no request is lost."""

    replicas: Annotated[int, Field(ge=1, le=100)] | None = None
    """Number of Envoy's pods. Defaults to 2."""

    sticky: Sticky | None = None
    """Keep requests that belong together on one revision. Left out: each request for itself."""

    parent_refs: Annotated[
        tuple[ParentRef, ...],
        Field(
            max_length=32,
            json_schema_extra=rules(
                Rule(
                    f"self.all(a, self.exists_one(b, {_SAME_GATEWAY} && {_SAME_LISTENER})"
                    f" && self.all(b, !({_SAME_GATEWAY}) || has(a.sectionName) == has(b.sectionName)))",
                    "two references to one Gateway need a sectionName each, and different ones",
                ),
                **{"x-kubernetes-list-type": "atomic"},
            ),
        ),
    ] = ()
    """Gateways that lead requests from outside to the model: an HTTPRoute with the resource's name is kept for them,
    for as long as this is given. The condition RouteAccepted says what they make of it."""

    hostnames: Annotated[
        tuple[Hostname, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = ()
    """Hosts that the Gateways answer for, such as `fraud.example.com` or `*.example.com`. Left out: all that their
    listeners have."""
