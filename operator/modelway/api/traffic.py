"""`spec.traffic`: how requests find the pods. Read by `plan.routing`; docs/traffic.md explains it to users."""

from typing import Annotated, Final, Literal

from pydantic import Field

from modelway.api.base import Model

RouterKind = Literal["Service", "Envoy"]

DEFAULT_ROUTERS: Final = 2

HeaderName = Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9][A-Za-z0-9-]*$")]


class Sticky(Model):
    """Keeps requests that belong together on one revision."""

    header: HeaderName
    """Header that tells which requests belong together, such as `x-user-id`. Requests with the same value are answered
    by the same revision for as long as the weight stays, and by the candidate also when its weight rises. Requests
    without it are divided at random."""


class Traffic(Model):
    """How requests are divided between the stable revision and the candidate."""

    router: RouterKind | None = None
    """`Service`: the Service leads straight to the pods of one revision. `Envoy`: it leads to pods of Envoy, which
    divide the requests between two revisions and count them. Left out: Envoy where `rollout.steps` are given, else
    Service. May be changed at any time; no request is lost."""

    replicas: Annotated[int, Field(ge=1, le=100)] | None = None
    """Number of Envoy's pods. Defaults to 2."""

    sticky: Sticky | None = None
    """Keep requests that belong together on one revision. Left out: each request for itself."""
