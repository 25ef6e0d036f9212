"""Conditions and their reasons: every word that `status` uses to say how a ModelDeployment is.

Conditions are `metav1.Condition` and follow kstatus, which Helm, Flux and Argo CD read: `Reconciling` is true only
while something is being made, `Stalled` when it needs a human, and the two are never true together.
A reason stands here once; it is also the event's reason and the metric's label. docs/conditions.md explains each.
"""

from enum import StrEnum


class Condition(StrEnum):
    """Types of conditions."""

    READY = "Ready"
    """The stable revision answers requests."""
    RECONCILING = "Reconciling"
    """Something is being made: a revision is on its way."""
    STALLED = "Stalled"
    """Progress needs a human: the reason and the message say what is wrong."""
    NAME_CONFLICT = "NameConflict"
    """An object that modelway needs exists already and belongs to somebody else."""
    ARTIFACT_CHANGED = "ArtifactChanged"
    """The URI now holds other bytes than those that the revision is pinned to."""


class Reason(StrEnum):
    """Why a condition has its status. Grouped by the condition that uses it."""

    # Ready
    SERVING = "Serving"
    """At least one pod of the stable revision is ready and the Service leads to it."""
    NO_READY_PODS = "NoReadyPods"
    """The stable revision has no ready pod."""
    NOT_YET_SERVING = "NotYetServing"
    """No revision has been ready so far."""
    SCALED_TO_ZERO = "ScaledToZero"
    """The stable revision is asked to have no pods."""

    # Reconciling
    NEW_REVISION = "NewRevision"
    """A new revision is being started; the old one, if there is one, keeps serving."""
    UP_TO_DATE = "UpToDate"
    """The revision of the spec is the one that serves."""
    PAUSED = "Paused"
    """`spec.paused` is true: a new spec is not acted on."""

    # Stalled, and status.failure
    INVALID_SPEC = "InvalidSpec"
    """The operator cannot read the spec; it was written by another version of the CRD."""
    NAME_CONFLICT = "NameConflict"
    """An object of a needed name belongs to somebody else."""
    CHILD_REFUSED = "ChildRefused"
    """The API server refused a child: quota, admission or an invalid field."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """Pods cannot be made: a ResourceQuota or LimitRange forbids them."""
    UNSCHEDULABLE = "Unschedulable"
    """No node has room for the pods, or a claim they need is missing."""
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    """The image cannot be pulled."""
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason, not a password
    """A Secret or a ConfigMap, or a key of one, does not exist."""
    OOM_KILLED = "OOMKilled"
    """The container used more memory than its limit."""
    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
    """The container ends again and again."""
    CONTAINER_CANNOT_RUN = "ContainerCannotRun"
    """The container could not be started at all."""
    FETCH_FAILED = "FetchFailed"
    """The model could not be fetched and the container did not say why."""
    DIGEST_MISMATCH = "DigestMismatch"
    """The fetched bytes are not those that the revision is pinned to."""

    # no trouble
    AS_EXPECTED = "AsExpected"
    """Nothing is wrong."""
