"""Conditions and their reasons: every word that `status` uses to say how a ModelDeployment is.

Conditions are `metav1.Condition` and follow kstatus, which Helm, Flux and Argo CD read: `Reconciling` is true only
while something is being made, `Stalled` when it needs a human, and the two are never true together.
A reason stands here once; it is also the event's reason and the metric's label. docs/conditions.md explains each.
"""

from enum import StrEnum
from typing import Final


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
    ROUTE_ACCEPTED = "RouteAccepted"
    """The Gateways that `spec.traffic.parentRefs` names lead requests here. There while the field is given."""
    INVALID_ANNOTATION = "InvalidAnnotation"
    """An annotation of modelway's says something that cannot be acted on."""
    BATCH_FAILED = "BatchFailed"
    """The last run of a batch job failed, one that goes on is stuck, or none can ever begin. There while
    `spec.batchJobs` has entries."""
    BATCH_INPUT_DRIFT = "BatchInputDrift"
    """The rows of the last run of a batch job are not as is usual for the model: drifted, or broken. There while a
    last run has compared them."""
    DATA_DRIFT = "DataDrift"
    """Inputs are no longer distributed as they usually are. This one and the next five are there while
    `spec.monitoring` asks for them."""
    PREDICTION_DRIFT = "PredictionDrift"
    """Answers are no longer distributed as they usually are."""
    DATA_QUALITY_ISSUE = "DataQualityIssue"
    """Inputs are broken: missing, out of range, of another unit."""
    PERFORMANCE_DEGRADED = "PerformanceDegraded"
    """Labels show that predictions are worse than `spec.monitoring.quality` asks for."""
    MODEL_STALE = "ModelStale"
    """The model is older than `spec.monitoring.maxModelAge`."""
    DEGRADED = "Degraded"
    """The answers miss `spec.monitoring.slo`."""
    RETRAINING_FAILED = "RetrainingFailed"
    """The last Job of `spec.monitoring.onDegraded` has failed, or none can be made. There while that is given."""


MODEL_HEALTH: Final = frozenset(
    {
        Condition.BATCH_FAILED,
        Condition.BATCH_INPUT_DRIFT,
        Condition.DATA_DRIFT,
        Condition.PREDICTION_DRIFT,
        Condition.DATA_QUALITY_ISSUE,
        Condition.PERFORMANCE_DEGRADED,
        Condition.MODEL_STALE,
        Condition.DEGRADED,
        Condition.RETRAINING_FAILED,
    }
)
"""Those that tell how well a model does, online and in batch runs: metrics of the operator, and sinks hear of them."""


class Reason(StrEnum):
    """Why a condition has its status. Grouped by the condition that uses it."""

    # Ready
    SERVING = "Serving"
    """At least one pod of the stable revision is ready and the Service leads to it."""
    NO_READY_PODS = "NoReadyPods"
    """The stable revision has no ready pod."""
    NO_READY_ROUTERS = "NoReadyRouters"
    """The Service leads to the routers (`spec.traffic.router`), and none of them is ready."""
    PODS_NOT_FOUND = "PodsNotFound"
    """Pods and routers are ready, and the routers have not learnt of the pods yet; they ask DNS every second."""
    NOT_YET_SERVING = "NotYetServing"
    """No revision has been ready so far."""
    SCALED_TO_ZERO = "ScaledToZero"
    """The stable revision is asked to have no pods."""
    BATCH_ONLY = "BatchOnly"
    """Nothing answers requests, as it was asked for: the model scores batch jobs."""

    # Reconciling
    NEW_REVISION = "NewRevision"
    """A new revision is being started; the old one, if there is one, keeps serving."""
    UP_TO_DATE = "UpToDate"
    """The revision of the spec is the one that serves."""
    PAUSED = "Paused"
    """`spec.paused` is true: a new spec is not acted on."""

    # Reconciling, and status.rollout: a candidate on its way
    BAKING = "Baking"
    """The candidate has its weight, and its requests are counted."""
    WEIGHT_CHANGING = "WeightChanging"
    """A weight is on its way to the routers, or the pods for it are being made."""
    AWAITING_APPROVAL = "AwaitingApproval"
    """The step ends when a human approves."""
    AWAITING_TIME = "AwaitingTime"
    """The step is a pause and ends by itself."""
    PROMOTING = "Promoting"
    """The candidate is to serve: it is getting all pods and then all requests."""
    ROLLING_BACK = "RollingBack"
    """The candidate gets no more requests and goes when it has answered the last ones."""
    NO_DATA = "NoData"
    """A check has had no requests to compare."""
    SOURCE_DOWN = "SourceDown"
    """The routers' or the servers' counters cannot be read: the weight is kept and nothing is decided."""

    CANDIDATE_PODS_MISSING = "CandidatePodsMissing"
    """No pod of the candidate is ready any more: it gets no requests until there is one."""

    # Stalled, and status.rollout: a candidate that needs a human, or was given up
    CHECK_FAILED = "CheckFailed"
    """A check is Harmful: the candidate is worse by more than the margin."""
    AWAITING_DECISION = "AwaitingDecision"
    """The evidence is there, but its error rates are not claimed (sticky requests): a human promotes or aborts."""
    INCONCLUSIVE = "Inconclusive"
    """maxDuration is over and neither Safe nor Harmful is proven."""
    CRASHING = "Crashing"
    """The candidate's containers have ended three times or more by themselves."""
    NOT_READY_IN_TIME = "NotReadyInTime"
    """The candidate did not get ready in time, and nothing says why."""
    ABORTED = "Aborted"
    """A human has given the candidate up, by annotation."""

    REJECTED = "Rejected"
    """The revision of the spec was rejected before; why stands in the history."""

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

    # InvalidAnnotation
    UNKNOWN_REVISION = "UnknownRevision"
    """It names a revision that this ModelDeployment has never had, or a step that the rollout does not have."""

    # BatchFailed; beside these, the reasons of the runner (docs/batch.md), of fetching and of pods
    UNKNOWN_TIME_ZONE = "UnknownTimeZone"
    """The cluster knows no time zone of the name in `timeZone`."""
    INVALID_SCHEDULE = "InvalidSchedule"
    """`schedule` has a range that runs backwards."""
    SCHEDULE_NEVER_FIRES = "ScheduleNeverFires"
    """No day in the next five years matches `schedule`."""
    SHARDS_FAILED = "ShardsFailed"
    """Shards of a run were given up, and their pods did not say why."""
    SUSPENDED = "Suspended"
    """A run waits: its Job is suspended, by a queue or by hand."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    """A run took longer than `activeDeadlineSeconds`."""
    RUN_MISSED = "RunMissed"
    """A run that was due has not begun, and does not only wait for the end of the one before."""

    # RouteAccepted; beside these, the reasons of the Gateways' own controllers
    ACCEPTED = "Accepted"
    """All Gateways have accepted the HTTPRoute and found the Service."""
    PENDING = "Pending"
    """The HTTPRoute is not made yet, or a Gateway's controller has not said anything about it."""
    GATEWAY_API_MISSING = "GatewayAPIMissing"
    """The cluster does not have the kind HTTPRoute in gateway.networking.k8s.io/v1."""
    GATEWAY_API_FORBIDDEN = "GatewayAPIForbidden"
    """The operator may not list HTTPRoutes."""

    # DataDrift, PredictionDrift, DataQualityIssue, ModelStale, Degraded
    INPUTS_DRIFTED = "InputsDrifted"
    """Features have drifted; the message names the worst."""
    ANSWERS_DRIFTED = "AnswersDrifted"
    """The classes or scores that are answered have drifted."""
    INPUTS_BROKEN = "InputsBroken"
    """Something is wrong with inputs; the message says with which, and what."""
    TOO_OLD = "TooOld"
    """The model's training lies further back than it may."""
    TRAINING_TIME_MISSING = "TrainingTimeMissing"
    """`spec.model.trainingTime` is left out, so nobody knows the model's age."""
    OBJECTIVE_MISSED = "ObjectiveMissed"
    """More requests fail, or are slow, than `spec.monitoring.slo` allows: of late and over twelve windows."""
    BEYOND_LIMIT = "BeyondLimit"
    """The metric of `spec.monitoring.quality` is beyond its limit, as labels show."""
    NO_LABELS = "NoLabels"
    """No labels came yet."""
    TOO_FEW_LABELS = "TooFewLabels"
    """Labels of fewer predictions came than are judged together."""
    NO_KEYS = "NoKeys"
    """Pods have no key to sign prediction ids with yet."""
    NOT_YET_MEASURED = "NotYetMeasured"
    """The first window is not over."""
    LEARNING = "Learning"
    """What is usual is not known yet: the model does not say it, and it is being learnt from live rows."""
    TOO_FEW_ROWS = "TooFewRows"
    """The last windows had fewer rows than `spec.monitoring.minRows`."""
    NOT_OBSERVED = "NotObserved"
    """Nobody counts it: an image of the user's own, or inputs that are no columns of values."""

    # RetrainingFailed
    CRON_JOB_MISSING = "CronJobMissing"
    """There is no CronJob of the name in `jobFrom`."""
    CRON_JOB_UNFIT = "CronJobUnfit"
    """The CronJob is not suspended, or is one of modelway's own."""
    JOB_FAILED = "JobFailed"
    """The last Job has failed, and the model that it was to replace still serves."""
    MOST_JOBS_MADE = "MostJobsMade"
    """As many Jobs were made for the model that serves as `maxJobs` allows."""

    # no trouble
    AS_EXPECTED = "AsExpected"
    """Nothing is wrong."""
