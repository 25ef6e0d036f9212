"""Names, labels and annotations: the one place where modelway's strings on the cluster are spelt.

Used by `plan` to build children and by `kube` and `controller` to find them again. A label or annotation that is not
listed here is not modelway's. Everything is derived from the resource's name and a revision, so that a name which was
accepted can never fail later: what would be too long is cut and hashed (`child_name`).
"""

import hashlib
from typing import Final

GROUP: Final = "modelway.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "ModelDeployment"
PLURAL: Final = "modeldeployments"

FIELD_MANAGER: Final = "modelway"
"""Owns everything that modelway applies to a child, except the number of replicas."""

REPLICAS_MANAGER: Final = "modelway-replicas"
"""Owns `spec.replicas` alone. An autoscaler takes the field over by writing it; because the main manager never
applied it, no later apply of ours can drop it, which would reset it to 1."""

LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
LABEL_NAME: Final = "modelway.dev/name"
"""On every child and pod: the name of the ModelDeployment."""
LABEL_REVISION: Final = "modelway.dev/revision"
"""On children and pods of one revision: its hash."""
LABEL_COMPONENT: Final = "app.kubernetes.io/component"

MANAGED_BY: Final = "modelway"
COMPONENT_RETRAINING: Final = "model-retraining"
COMPONENT_SERVER: Final = "model-server"
COMPONENT_ROUTER: Final = "model-router"
COMPONENT_BATCH: Final = "model-batch"
COMPONENT_OBSERVER: Final = "model-observer"
LABEL_OBSERVES: Final = "modelway.dev/observes"
"""On pods that observe an image of the user's own: hash of the revision whose requests and answers they count."""

LABEL_BATCH_JOB: Final = "modelway.dev/batch-job"
"""On a CronJob, its Jobs and their pods: the name of the entry of `spec.batchJobs`."""
ANNOTATION_RUN: Final = "modelway.dev/run"
"""On the Jobs of a CronJob: input and output, time zone and offset of the dates, as JSON."""
ANNOTATION_DATE: Final = "modelway.dev/date"
"""On a Job that was asked for by hand: what `{date}` and `{time}` stand for."""
VARIABLE_DATE: Final = "MODELWAY_DATE"
"""The same, for the containers of a Job."""

RETRAINING_SUFFIX: Final = "retrain"
ANNOTATION_CAUSE: Final = "modelway.dev/retraining"
"""On a Job of `spec.monitoring.onDegraded`: what it was made for, as JSON: condition, time, model, and its number."""

ANNOTATION_APPLIED: Final = "modelway.dev/applied"
"""On every child: hash of what was last applied, so that a field which modelway no longer sets is noticed."""
ANNOTATION_DIGEST: Final = "modelway.dev/digest"
"""On a ControllerRevision: the digest of the artefact that this revision is pinned to."""
ANNOTATION_TEMPLATE: Final = "modelway.dev/template"
"""On a revision's Deployment: hash of the pod template as it was rendered."""

ANNOTATION_VERDICT: Final = "modelway.dev/verdict"
"""On a ControllerRevision that was rejected: `Rejected#<n>`, n being the number of the retry that it was."""

ANNOTATION_APPROVE: Final = "modelway.dev/approve"
"""On the resource, from a human: `<revision>` or `<revision>/<step>`: go on after that pause or preview."""
ANNOTATION_PROMOTE: Final = "modelway.dev/promote"
"""On the resource, from a human: `<revision>`: take it, whatever steps and checks are left."""
ANNOTATION_ABORT: Final = "modelway.dev/abort"
"""On the resource, from a human: `<revision>`: give it up and go back."""
ANNOTATION_RETRY: Final = "modelway.dev/retry"
"""On the resource, from a human: `<revision>#<n>`: try a rejected revision again; each time with a higher n."""

ANNOTATION_ROUTING: Final = "modelway.dev/routing"
"""On a router's pod: `<versions>@<moment>`, which files it is to have and since when. The kubelet looks at
a pod's volumes again when the pod changes, at once instead of within a minute. The operator may write no other part of
a pod."""

PREVIEW_SUFFIX: Final = "candidate"
"""The Service `<name>-candidate` of a step with a preview."""
EVIDENCE_SUFFIX: Final = "evidence"
EVIDENCE_KEY: Final = "ledger"
"""The ConfigMap `<name>-evidence` and its key: what a rollout has counted so far."""

MONITORING_SUFFIX: Final = "monitoring"
MONITORING_KEY: Final = "watch"
"""The ConfigMap `<name>-monitoring` and its key: what was learnt of a model's inputs and answers, and up to where the
pods' counters are counted."""

FEEDBACK_SLOTS: Final = ("a", "b")
"""The Secrets `<name>-feedback-a` and `-b`, each a key that signs prediction ids; and a ConfigMap of each name, which
owns the Secret and tells when it was made."""
FEEDBACK_KEY: Final = "key"
FEEDBACK_DIRECTORY: Final = "/etc/modelway/feedback"
"""Where the model server finds the keys."""

MANAGED_SELECTOR: Final = f"{LABEL_MANAGED_BY}={MANAGED_BY}"

HEADER_PAIR: Final = "x-modelway-pair"
"""On both copies of a request that the router mirrors: its answer is remembered, to be compared with the other's."""

FEEDBACK_FIELDS: Final = ("id", "row", "label", "value", "slices")
"""What a label has that is sent to the model server. No slice is called so, as in CSV both are columns."""

CONTAINER_FETCH: Final = "fetch-model"
CONTAINER_SERVER: Final = "model-server"
CONTAINER_ROUTER: Final = "envoy"
CONTAINER_OBSERVER: Final = "observer"
CONTAINER_BATCH: Final = "batch"
CONTAINER_RESOLVE: Final = "resolve-run"
RUN_DIRECTORY: Final = "/etc/modelway/run"
RUN_FILE: Final = "run.json"
"""What a run is to do, for a container of the user's own."""
MODEL_DIRECTORY: Final = "/mnt/models"
SOURCE_DIRECTORY: Final = "/mnt/source"
"""Where a model that is to be converted is brought to; what it becomes goes to the model's directory."""
PIN_DIRECTORY: Final = "/etc/modelway/pin"
PIN_KEY: Final = "digest"

MAX_NAME: Final = 63
"""Services, label values and host names end here (RFC 1035)."""
MAX_CRON_JOB: Final = 40
"""An Indexed Job's pods have host names: the CronJob's name, what tells its Jobs apart (`-d202611201430-99` is the
longest) and `-9999` have to fit into 63 characters, or Kubernetes refuses the Job when it is due."""


def child_name(name: str, suffix: str, *, limit: int = MAX_NAME) -> str:
    """`name-suffix`, or a cut and hashed form of it where that would be longer than `limit` characters.

    Deterministic, and distinct for distinct names: the cut form carries 8 hexadecimal digits of the name's SHA-256.
    """
    full = f"{name}-{suffix}"
    if len(full) <= limit:
        return full
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    kept = name[: limit - len(suffix) - len(mark) - 2].rstrip("-")
    return f"{kept}-{mark}-{suffix}"


def unready_name(name: str, revision: str) -> str:
    """Name of the Service that resolves to all pods of a revision, ready or not."""
    return child_name(name, f"{revision}-unready")


def observer_selector(name: str, revision: str) -> dict[str, str]:
    """Labels that select the pods that observe a revision of a resource."""
    return {LABEL_NAME: name, LABEL_COMPONENT: COMPONENT_OBSERVER, LABEL_OBSERVES: revision}


def observer_name(name: str, revision: str) -> str:
    """Name of the Deployment and the Service of what observes a revision."""
    return child_name(name, f"observer-{revision}")


def feedback_name(name: str, slot: str) -> str:
    """Name of the Secret with a key for prediction ids, and of the ConfigMap that owns it."""
    return child_name(name, f"feedback-{slot}")


def cron_job_name(name: str, entry: str) -> str:
    """Name of the CronJob of an entry of `spec.batchJobs`; distinct for distinct pairs.

    The last dash of `<name>-<entry>` tells the two apart only where the entry has none; else it is cut and hashed.
    """
    full = f"{name}-{entry}"
    if "-" not in entry and len(full) <= MAX_CRON_JOB:
        return full
    mark = hashlib.sha256(f"{name}/{entry}".encode()).hexdigest()[:8]
    return f"{full[: MAX_CRON_JOB - len(mark) - 1].rstrip('-')}-{mark}"


def child_labels(name: str, revision: str | None = None) -> dict[str, str]:
    """The labels of a child; with a revision, those of a child or pod of that revision.

    `app.kubernetes.io/instance` is left out: tools that track objects by it would claim the children as theirs.
    """
    labels = {
        LABEL_MANAGED_BY: MANAGED_BY,
        "app.kubernetes.io/name": MANAGED_BY,
        LABEL_NAME: name,
    }
    if revision is not None:
        labels[LABEL_REVISION] = revision
    return labels


def pod_selector(name: str, revision: str | None = None) -> dict[str, str]:
    """Labels that select the serving pods of a resource, or of one of its revisions."""
    selector = {LABEL_NAME: name, LABEL_COMPONENT: COMPONENT_SERVER}
    if revision is not None:
        selector[LABEL_REVISION] = revision
    return selector
