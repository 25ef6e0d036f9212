"""`status` of a ModelDeployment: what modelway says. Written by the operator only, and only when it changes."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, PlainSerializer

from modelway.api.base import Model, list_map


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[AwareDatetime, PlainSerializer(_rfc3339, return_type=str)]
"""A moment in UTC, to the second, as Kubernetes writes it."""

Text = Annotated[str, Field(max_length=4096)]
ShortName = Annotated[str, Field(max_length=253)]


class StatusCondition(Model):
    """A `metav1.Condition`."""

    type: Annotated[str, Field(max_length=316)]
    """What the condition is about."""

    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""

    observed_generation: Annotated[int, Field(ge=0)]
    """Generation of the resource that this was said of."""

    last_transition_time: Time
    """When `status` last changed."""

    reason: Annotated[str, Field(max_length=1024)]
    """One word for why; docs/conditions.md explains each."""

    message: Annotated[str, Field(max_length=4096)]
    """What is the case, and what to do about it."""


class RevisionStatus(Model):
    """One revision with pods."""

    revision: ShortName
    """Hash of everything that makes the pods what they are."""

    version: ShortName | None = None
    """`spec.model.version` of the revision."""

    digest: ShortName | None = None
    """Digest of the model that the revision is pinned to; absent until the first pods agree on it."""

    replicas: Annotated[int, Field(ge=0)] = 0
    """Pods asked for."""

    ready_replicas: Annotated[int, Field(ge=0)] = 0
    """Pods that are ready."""


class Failure(Model):
    """What is wrong, in the words of whoever knows best."""

    reason: Annotated[str, Field(max_length=1024)]
    """One word; docs/conditions.md explains each."""

    message: Text
    """What happened, where, and what to do."""

    revision: ShortName | None = None
    """Revision that it happened to."""


class HistoryEntry(Model):
    """What became of a revision."""

    revision: ShortName
    """Hash of the revision."""

    version: ShortName | None = None
    """`spec.model.version` of the revision."""

    digest: ShortName | None = None
    """Digest of its model."""

    result: Literal["Promoted", "Superseded"]
    """Promoted: it took over all traffic. Superseded: a newer spec came before it was ready."""

    time: Time
    """When."""

    reason: Annotated[str, Field(max_length=1024)]
    """Why, in one sentence."""


class Status(Model):
    """What modelway says about the resource."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the spec that this status speaks of."""

    url: Annotated[str, Field(max_length=512)] | None = None
    """Where clients inside the cluster reach the model."""

    replicas: Annotated[int, Field(ge=0)] | None = None
    """Pods of the revision that serves; read by the scale subresource."""

    selector: Annotated[str, Field(max_length=512)] | None = None
    """Label selector of the serving pods; read by the scale subresource."""

    stable: RevisionStatus | None = None
    """The revision that takes the traffic."""

    candidate: RevisionStatus | None = None
    """The revision that is to take over when it is ready."""

    failure: Failure | None = None
    """What is wrong at present; absent when nothing is."""

    history: Annotated[
        tuple[HistoryEntry, ...], Field(max_length=10, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """What became of the last revisions, newest first."""

    conditions: Annotated[tuple[StatusCondition, ...], Field(max_length=32, json_schema_extra=list_map("type"))] = ()
    """Ready, Reconciling, Stalled, and others once they have been true."""
