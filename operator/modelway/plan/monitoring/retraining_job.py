"""The Job that is made from a CronJob of the user's: its template, told why it runs. Pure; called by
`controller.retraining` with the CronJob as it is at that moment.

What `kubectl create job --from` does, with three differences. The Job belongs to the ModelDeployment and not to the
CronJob, whose history it would be cleaned up with; not as its controller, for modelway repairs no Job. It stays for an
hour at least after its end, so that an operator that was away finds it. And its containers have further variables,
before their own, which may refer to them.
"""

from collections.abc import Mapping
from typing import Any, Final

from modelway.api.conditions import Reason
from modelway.api.kinds import CRON_JOB, JOB
from modelway.api.names import (
    ANNOTATION_CAUSE,
    API_VERSION,
    COMPONENT_RETRAINING,
    KIND,
    LABEL_COMPONENT,
    LABEL_MANAGED_BY,
    MANAGED_BY,
    child_labels,
)
from modelway.plan.types import JobOrder, Object, Refusal

KEPT_SECONDS: Final = 7 * 86_400
"""How long a Job stays after its end where its template does not say it."""
_LEAST_KEPT_SECONDS: Final = 3600
_KINDS: Final = ("initContainers", "containers")


def unfitness(cron_job: Object) -> Refusal | None:
    """Why no Job may be made from a CronJob; None where one may be.

    That it is suspended is how whoever made it says that it is started from elsewhere: one with a schedule of its own
    would run twice.
    """
    name = cron_job["metadata"]["name"]
    if cron_job["metadata"].get("labels", {}).get(LABEL_MANAGED_BY) == MANAGED_BY:
        message = f"CronJob {name} is modelway's own, of spec.batchJobs: write one that trains a model"
        return Refusal(Reason.CRON_JOB_UNFIT, message)
    if not cron_job["spec"].get("suspend"):
        message = f"CronJob {name} is not suspended, and would run by its schedule too: set its spec.suspend to true"
        return Refusal(Reason.CRON_JOB_UNFIT, message)
    return None


def missing(name: str) -> Refusal:
    """There is no such CronJob."""
    return Refusal(Reason.CRON_JOB_MISSING, f"there is no {CRON_JOB.name} {name} in this namespace: make it, suspended")


def job_of(cron_job: Object, order: JobOrder, *, owner: str, owner_uid: str) -> Object:
    """The Job.

    Args:
        cron_job: whose template it is made from.
        order: what it is to be.
        owner: name of the ModelDeployment.
        owner_uid: its uid.
    """
    template = cron_job["spec"]["jobTemplate"]
    metadata, spec = template.get("metadata", {}), template["spec"]
    pods = spec["template"]
    inside = {kind: [_told(one, order.variables) for one in pods["spec"].get(kind, ())] for kind in _KINDS}
    kept = spec.get("ttlSecondsAfterFinished", KEPT_SECONDS)
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.name,
        "metadata": {
            "name": order.name,
            "namespace": cron_job["metadata"]["namespace"],
            "labels": metadata.get("labels", {}) | child_labels(owner) | {LABEL_COMPONENT: COMPONENT_RETRAINING},
            "annotations": metadata.get("annotations", {}) | {ANNOTATION_CAUSE: order.annotation},
            "ownerReferences": [{"apiVersion": API_VERSION, "kind": KIND, "name": owner, "uid": owner_uid}],
        },
        "spec": spec
        | {
            "template": pods | {"spec": pods["spec"] | {kind: found for kind, found in inside.items() if found}},
            "ttlSecondsAfterFinished": max(kept, _LEAST_KEPT_SECONDS),
        },
    }


def _told(container: Mapping[str, Any], variables: Mapping[str, str]) -> Mapping[str, Any]:
    # The kubelet would put the container's own variables, a password for one, in the place of `$(NAME)`; a feature may
    # be called so.
    ours = [{"name": name, "value": value.replace("$", "$$")} for name, value in variables.items()]
    others = [one for one in container.get("env", ()) if one["name"] not in variables]
    return {**container, "env": [*ours, *others]}
