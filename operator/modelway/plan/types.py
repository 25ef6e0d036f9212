"""What goes into a decision and what comes out of it. Plain, frozen data; nothing here acts.

`Observed` is a picture of one ModelDeployment and all that belongs to it. `Plan` says what should be. The controller
takes the picture, calls `plan.plan`, and carries the plan out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modelway.api.conditions import Reason
from modelway.api.kinds import Kind, Unserved
from modelway.api.resource import ModelDeployment
from modelway.api.status import Status
from modelway.plan.measured import Measured, Measuring, PodKey
from modelway.plan.monitoring.readings import Collected, Watching
from modelway.plan.monitoring.watch import Watch
from modelway.plan.rollout.ledger import Ledger

__all__ = [
    "Child",
    "ChildKey",
    "Happening",
    "JobOrder",
    "KeySecret",
    "Notice",
    "Object",
    "Observed",
    "Plan",
    "PodKey",
    "Refusal",
    "Settings",
    "Touch",
    "Verdict",
]

Object = dict[str, Any]
"""A Kubernetes object as JSON. Treated as frozen once it is in a store."""

Verdict = tuple[bool | None, Reason | str, str]
"""Whether a condition holds (None: nobody knows), why, and the message."""


class ChildKey(NamedTuple):
    """Which child, within the namespace of its ModelDeployment."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the API server did not take a child at the last try."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What the installation decides for all models."""

    server_image: str
    """Image of the model server and of the container that fetches models."""
    server_image_pull_policy: str = "IfNotPresent"
    server_full_image: str = ""
    """Image with the libraries of all formats, which also converts models; empty: the server's own."""
    router_image: str = ""
    """Image of the routers, which holds Envoy."""
    cluster_domain: str = "cluster.local"
    namespace: str = ""
    """Where the operator runs; nobody else reads what the routers count. Empty: everybody may."""
    prometheus_namespace_label: str = "namespace"
    """Label by which Prometheus tells the namespace of what it has scraped."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One ModelDeployment, its children and its pods, as last seen.

    Attributes:
        resource: the resource itself, with the status that was last written.
        children: live objects that are controlled by the resource.
        pods: live pods of its revisions, in no particular order.
        jobs: of its batch jobs.
        batch_pods: of these Jobs.
        refusals: children that the API server refused at the last try.
        records: ControllerRevisions as the last plan had them; what a deleted one is rebuilt from. Empty after a start.
        measured: the last readings of routers and servers.
        ledger: what the last plan knew of the rollout. None after a start: then its last written form is read.
        collected: the last readings for monitoring.
        watch: what the last plan knew of the model's health. None after a start: then its written form is read.
        unserved: optional kinds that the cluster does not have, or not for us, and why.
        job_refusal: why no Job of `spec.monitoring.onDegraded` can be made, when that was last seen.
    """

    resource: ModelDeployment
    children: Mapping[ChildKey, Object] = field(default_factory=dict)
    pods: tuple[Object, ...] = ()
    jobs: tuple[Object, ...] = ()
    batch_pods: tuple[Object, ...] = ()
    refusals: Mapping[ChildKey, Refusal] = field(default_factory=dict)
    records: tuple[Object, ...] = ()
    measured: Measured = field(default_factory=Measured)
    ledger: Ledger | None = None
    collected: Collected = field(default_factory=Collected)
    watch: Watch | None = None
    unserved: Mapping[Kind, Unserved] = field(default_factory=dict)
    job_refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Child:
    """A child that should exist.

    Attributes:
        body: the fields that modelway owns, complete; fields left out are others'.
        replicas: pods that a Deployment should have; None leaves the number to whoever owns it.
    """

    kind: Kind
    body: Object
    replicas: int | None = None

    @property
    def key(self) -> ChildKey:
        return ChildKey(self.kind, self.body["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class Touch:
    """A router's pod whose annotation is to be written, so that its kubelet looks at its files again.

    Attributes:
        pod: of the router.
        mark: what it is to have.
        time: how often it is told so, this time included.
    """

    pod: PodKey
    mark: str
    time: int = 1


@dataclass(frozen=True, slots=True)
class KeySecret:
    """A Secret with a key for prediction ids, which is to be made unless it is there.

    Attributes:
        name: of the Secret, and of its marker.
        marker_uid: of the ConfigMap that is to own it.
        is_first: whether there is no other key, so that this one signs at once.
    """

    name: str
    marker_uid: str
    is_first: bool


@dataclass(frozen=True, slots=True)
class JobOrder:
    """A Job that is to be made from a CronJob of the user's, or a CronJob that is to be looked at.

    Attributes:
        cron_job: its name.
        name: of the Job; None: none is to be made, and only what would be in the way is to be found out.
        annotation: what the Job is to say of itself.
        variables: that its containers are told by.
    """

    cron_job: str
    name: str | None = None
    annotation: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """A transition of a condition that is to be told to a sink.

    Attributes:
        url: of the sink.
        event: a CloudEvent in the JSON format.
    """

    url: str
    event: Object


@dataclass(frozen=True, slots=True)
class Happening:
    """An Event worth telling: a transition, not a state."""

    type: str
    """Normal or Warning."""
    reason: str
    message: str
    action: str
    """What modelway was doing, in one word."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What should be now.

    Attributes:
        children: in the order in which they are to be written.
        removals: children that should no longer exist.
        evictions: pods that hold other bytes than their revision is pinned to.
        status: what to say.
        decides: the status holds a decision (which revision is stable, which is the candidate) that is not written
            yet: it has to be written before any child is touched, and nothing may be touched if that fails.
        happenings: Events for transitions; told after the status is written.
        touches: pods of routers that are to look at their files again; told after the children are written.
        keys: Secrets that are to be made.
        look_again_after: seconds until the plan may differ though nothing has changed; None: never.
        ledger: what is to be remembered of the rollout until the next look.
        measuring: which pods are to be asked for the next looks; None: nobody.
        watch: what is to be remembered of the model's health until the next look.
        watching: which pods are to be read for monitoring; None: nobody.
        job_order: what is to be done about a Job that makes a better model; None: nothing.
        notices: transitions for a sink; told after the status is written.
    """

    children: tuple[Child, ...]
    removals: tuple[ChildKey, ...]
    evictions: tuple[PodKey, ...]
    status: Status
    decides: bool
    happenings: tuple[Happening, ...] = ()
    look_again_after: float | None = None
    touches: tuple[Touch, ...] = ()
    keys: tuple[KeySecret, ...] = ()
    ledger: Ledger | None = None
    measuring: Measuring | None = None
    watch: Watch | None = None
    watching: Watching | None = None
    job_order: JobOrder | None = None
    notices: tuple[Notice, ...] = ()
