"""`status` of a ModelDeployment: what modelway says. Written by the operator only, and only when it changes."""

from typing import Annotated, Literal

from pydantic import Field

from modelway.api.base import Model, list_map
from modelway.api.batch_status import BatchJobStatus
from modelway.api.monitoring_status import MonitoringStatus
from modelway.api.retraining import RetrainingStatus
from modelway.api.units import Time

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

    result: Literal["Promoted", "Rejected", "Superseded"]
    """Promoted: it took over all traffic. Rejected: it did not get ready, was worse, or was given up. Superseded: a
    newer spec came before it was decided."""

    time: Time
    """When."""

    reason: Annotated[str, Field(max_length=1024)]
    """Why, in one sentence, with the numbers that it was decided by."""

    replaced: ShortName | None = None
    """Of a promotion: the revision that served before."""

    attempt: Annotated[int, Field(ge=0)] | None = None
    """Of a rejection: the number of the annotation modelway.dev/retry at that time; a higher one tries again."""


class LiveWeight(Model):
    """The weight as the routers report it; they take it one after the other."""

    min: Annotated[int, Field(ge=0, le=100)]
    """Least percent that any router sends to the candidate."""

    max: Annotated[int, Field(ge=0, le=100)]
    """Most percent that any router sends to the candidate."""


class CheckCounts(Model):
    """What a check has counted of one revision."""

    requests: Annotated[int, Field(ge=0)]
    """Requests so far."""

    bad: Annotated[int, Field(ge=0)]
    """How many of them were bad."""


class PairCounts(Model):
    """What both revisions answered to the same requests, of which one got a copy."""

    pairs: Annotated[int, Field(ge=0)]
    """Pairs of answers so far."""

    differing: Annotated[int, Field(ge=0)] | None = None
    """In how many of them the classes differ; left out where the answers have none."""

    score_shift: Annotated[str, Field(max_length=8)] | None = None
    """How far the scores lie apart on average, as a part of all scores that the stable revision gives; left out where
    there are none."""


class CheckStatus(Model):
    """What a check says."""

    name: ShortName
    """Name of the check in `spec.rollout.checks`."""

    verdict: Literal["Safe", "Harmful", "Continue", "NoData", "SourceDown"]
    """Safe: proven to be no worse than the margin. Harmful: proven to be worse. Continue: neither is proven yet.
    NoData: one of the revisions has had no requests. SourceDown: the counters cannot be read at present."""

    candidate: CheckCounts | None = None
    """Of the candidate."""

    stable: CheckCounts | None = None
    """Of the stable revision, in the same time."""

    pairs: PairCounts | None = None
    """Of requests that both have answered, for a check of predictions in a step with shadow."""

    message: Annotated[str, Field(max_length=1024)] | None = None
    """What has shifted most, for a check of predictions."""


RolloutState = Literal["Stable", "Progressing", "Paused", "Holding", "Promoting", "RollingBack", "Rejected"]


class RolloutStatus(Model):
    """How far the candidate has come. Counts are written once a minute and with each decision."""

    state: RolloutState
    """Stable: nothing to do. Progressing: on its way. Paused: waits for time or approval. Holding: waits for requests,
    for the counters, or for a human. Promoting and RollingBack: decided, and being carried out. Rejected: it is not
    tried again until the spec or the annotation modelway.dev/retry changes."""

    revision: ShortName | None = None
    """The revision that this is about."""

    reason: Annotated[str, Field(max_length=1024)] | None = None
    """One word for why it is in this state; docs/conditions.md explains each."""

    step: ShortName | None = None
    """Name of the step."""

    weight: Annotated[int, Field(ge=0, le=100)] | None = None
    """Percent of the requests that the candidate is to answer."""

    live_weight: LiveWeight | None = None
    """Percent that it does answer, as last read from every router."""

    started_at: Time | None = None
    """When the rollout began."""

    since: Time | None = None
    """When the step was entered."""

    message: Text | None = None
    """What is being waited for, and how long that is likely to take."""

    checks: Annotated[tuple[CheckStatus, ...], Field(max_length=16, json_schema_extra=list_map("name"))] = ()
    """What the checks say."""


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

    rollout: RolloutStatus | None = None
    """How far the candidate has come; absent when nothing is rolled out and no `spec.rollout` is given."""

    failure: Failure | None = None
    """What is wrong at present; absent when nothing is."""

    monitoring: MonitoringStatus | None = None
    """What was found of the model that serves; absent where `spec.monitoring` is."""

    retraining: RetrainingStatus | None = None
    """The last Job of `spec.monitoring.onDegraded`; absent before the first."""

    batch_jobs: Annotated[tuple[BatchJobStatus, ...], Field(max_length=16, json_schema_extra=list_map("name"))] = ()
    """The runs of `spec.batchJobs`."""

    history: Annotated[
        tuple[HistoryEntry, ...], Field(max_length=10, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """What became of the last revisions, newest first."""

    conditions: Annotated[tuple[StatusCondition, ...], Field(max_length=32, json_schema_extra=list_map("type"))] = ()
    """Ready, Reconciling, Stalled, and others once they have been true."""
