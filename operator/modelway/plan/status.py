"""What `status` says, given what is seen and what was decided. Called last by `plan.plan`. Pure.

Messages hold no counts and no pod names: those change all the time, and each change would be a write.
"""

from datetime import datetime
from typing import Final, Literal

from modelway.api.conditions import Condition, Reason
from modelway.api.kinds import SERVICE
from modelway.api.names import pod_selector
from modelway.api.status import Failure, RevisionStatus, RolloutStatus, Status, StatusCondition
from modelway.plan.arms import Arm, arm_of, needed_replicas
from modelway.plan.batch import inputs
from modelway.plan.batch.scoring import Scoring
from modelway.plan.failures import failure_of_pods, failure_of_refusals, failure_of_routers, has_changed_artifact
from modelway.plan.monitoring.monitor import Monitored
from modelway.plan.monitoring.retraining import Retraining
from modelway.plan.pods import service_ports
from modelway.plan.revisions import Revision
from modelway.plan.roles import Roles
from modelway.plan.routing import is_found, leads_to_routers, ready_routers, route_verdict, serves
from modelway.plan.types import ChildKey, Observed, Settings, Verdict


def describe(
    observed: Observed,
    roles: Roles,
    scoring: Scoring,
    monitored: Monitored,
    retrained: Retraining,
    *,
    settings: Settings,
    now: datetime,
) -> Status:
    """The status as it should be now."""
    resource = observed.resource
    stable = arm_of(observed, roles.stable) if roles.stable else None
    candidate = arm_of(observed, roles.candidate) if roles.candidate else None
    failure = find_failure(observed, roles)
    asleep = candidate is not None and needed_replicas(resource.spec.serving, stable) == 0
    verdicts: dict[Condition, Verdict] = {
        Condition.READY: _ready(observed, stable, failure, asleep=asleep),
        Condition.RECONCILING: _reconciling(observed, roles, failure, asleep=asleep),
        Condition.STALLED: _stalled(observed, stable, roles, failure),
        Condition.NAME_CONFLICT: _name_conflict(observed),
        Condition.ARTIFACT_CHANGED: _artifact_changed(observed, roles),
        Condition.INVALID_ANNOTATION: _invalid_annotation(roles),
    }
    if (accepted := route_verdict(observed, serves=roles.front is not None)) is not None:
        verdicts[Condition.ROUTE_ACCEPTED] = accepted
    if scoring.entries:
        verdicts |= _of_batches(scoring)
    verdicts |= monitored.verdicts
    if retrained.verdict is not None:
        verdicts[Condition.RETRAINING_FAILED] = retrained.verdict
    return Status(
        observed_generation=resource.metadata.generation,
        url=_url(observed, roles.front, settings),
        replicas=stable.asked if stable else 0,
        selector=",".join(f"{key}={value}" for key, value in pod_selector(resource.metadata.name).items()),
        stable=_revision_status(stable),
        candidate=_revision_status(candidate),
        rollout=roles.rollout,
        failure=failure,
        monitoring=monitored.status,
        retraining=retrained.status,
        batch_jobs=scoring.entries,
        history=roles.history,
        conditions=_conditions(resource.status, verdicts, generation=resource.metadata.generation, now=now),
    )


def describe_unserved(observed: Observed, revision: Revision, scoring: Scoring, *, now: datetime) -> Status:
    """The status of a resource that scores batch jobs and answers nobody."""
    resource = observed.resource
    failure = failure_of_refusals(observed.refusals)
    stalled = (True, failure.reason, failure.message) if failure else (False, Reason.AS_EXPECTED, _NOT_IN_THE_WAY)
    verdicts: dict[Condition, Verdict] = {
        Condition.READY: (True, Reason.BATCH_ONLY, "nothing answers requests: spec.serving is left out"),
        Condition.RECONCILING: (False, Reason.UP_TO_DATE, "batch runs take the revision of the spec"),
        Condition.STALLED: stalled,
        Condition.NAME_CONFLICT: _name_conflict(observed),
        **_of_batches(scoring),
    }
    return Status(
        observed_generation=resource.metadata.generation,
        stable=RevisionStatus(revision=revision.hash, version=revision.version, digest=revision.digest),
        failure=failure,
        batch_jobs=scoring.entries,
        history=resource.status.history,
        conditions=_conditions(resource.status, verdicts, generation=resource.metadata.generation, now=now),
    )


def is_unserved(status: Status) -> bool:
    """Whether `status` tells of a resource that nobody was answered by."""
    return any(one.type == Condition.READY and one.reason == Reason.BATCH_ONLY for one in status.conditions)


def invalid(observed_generation: int, before: Status, message: str, *, now: datetime) -> Status:
    """The status of a resource whose spec this operator cannot read; everything else is left as it was."""
    verdicts: dict[Condition, Verdict] = {
        Condition.RECONCILING: (False, Reason.INVALID_SPEC, message),
        Condition.STALLED: (True, Reason.INVALID_SPEC, message),
    }
    conditions = _conditions(before, verdicts, generation=observed_generation, now=now)
    kept = tuple(one for one in before.conditions if one.type not in {new.type for new in conditions})
    return before.model_copy(
        update={
            "observed_generation": observed_generation,
            "failure": Failure(reason=Reason.INVALID_SPEC, message=message),
            "conditions": (*kept, *conditions),
        }
    )


def find_failure(observed: Observed, roles: Roles) -> Failure | None:
    """What is wrong at present: a refused child first, then the candidate's pods, the stable one's, the routers."""
    if failure := failure_of_refusals(observed.refusals):
        return failure
    for revision in (roles.candidate, roles.stable):
        if revision is None:
            continue
        if failure := failure_of_pods(observed.pods, revision.hash, arm_of(observed, revision).deployment):
            return failure
    return failure_of_routers(observed.pods)


_NOT_IN_THE_WAY: Final = "nothing is in the way"
_ASLEEP: Final = "scaled to zero: nothing answers until there are replicas again"


def _ready(observed: Observed, stable: Arm | None, failure: Failure | None, *, asleep: bool) -> Verdict:
    told = failure.message if failure else ""
    if stable is None and asleep and failure is None:
        return True, Reason.SCALED_TO_ZERO, _ASLEEP
    if stable is None:
        return False, Reason.NOT_YET_SERVING, told or "no revision has been ready yet"
    if refusal := observed.refusals.get(ChildKey(SERVICE, observed.resource.metadata.name)):
        return False, refusal.reason, refusal.message
    if stable.deployment is not None and stable.asked == 0:
        return True, Reason.SCALED_TO_ZERO, _ASLEEP
    return _answering(observed, stable, told)


def _answering(observed: Observed, stable: Arm, told: str) -> Verdict:
    if stable.ready == 0:
        return False, Reason.NO_READY_PODS, told or "no pod of the stable revision is ready"
    if leads_to_routers(observed) and not ready_routers(observed.pods):
        return False, Reason.NO_READY_ROUTERS, told or "requests go through routers, and none of them is ready"
    if leads_to_routers(observed) and not serves(observed) and not _is_found(observed, stable):
        return False, Reason.PODS_NOT_FOUND, "pods and routers are ready, and routers do not know of the pods yet"
    return True, Reason.SERVING, f"revision {stable.revision.hash} answers"


def _is_found(observed: Observed, stable: Arm) -> bool:
    return is_found(observed.measured, stable.revision.hash, observed.pods)


def _reconciling(observed: Observed, roles: Roles, failure: Failure | None, *, asleep: bool) -> Verdict:
    rollout = roles.rollout
    if rollout is not None and rollout.state == "RollingBack":
        return failure is None, Reason.ROLLING_BACK, f"revision {rollout.revision} gets no more requests"
    if observed.resource.spec.paused:
        return False, Reason.PAUSED, "paused: a changed spec is not acted on"
    if roles.candidate is None:
        return _at_rest(rollout)
    if asleep:  # nothing is being made: a revision whose bytes no pod has seen waits for the first one
        return False, Reason.SCALED_TO_ZERO, f"revision {roles.candidate.hash} is started when there are replicas again"
    if rollout is not None and (rollout.step is not None or rollout.state == "Promoting"):
        return _in_step(rollout, failure)
    message = f"revision {roles.candidate.hash} is being started"
    if roles.stable is not None:
        message += f"; revision {roles.stable.hash} serves until it is ready"
    return failure is None, Reason.NEW_REVISION, message


def _at_rest(rollout: RolloutStatus | None) -> Verdict:
    if rollout is not None and rollout.state == "Rejected":
        return False, Reason.REJECTED, f"revision {rollout.revision} of the spec was rejected and is not tried again"
    return False, Reason.UP_TO_DATE, "the revision of the spec is the one that serves"


def _in_step(rollout: RolloutStatus, failure: Failure | None) -> Verdict:
    """A bake, a pause and a wait are no work in progress: whoever waits for that may go on."""
    if rollout.state == "Promoting":
        return failure is None, Reason.PROMOTING, f"revision {rollout.revision} is to get all pods and all requests"
    message = f"revision {rollout.revision} is at step {rollout.step}, {rollout.weight or 0} % of the requests"
    is_made = rollout.reason == Reason.WEIGHT_CHANGING and failure is None
    return is_made, rollout.reason or Reason.BAKING, message


_NEEDS_HUMAN: Final = frozenset({Reason.CHECK_FAILED, Reason.AWAITING_DECISION, Reason.INCONCLUSIVE})


_WITH_ITS_PODS: Final = frozenset({Reason.BAKING, Reason.AWAITING_TIME, Reason.AWAITING_APPROVAL})


def _has_its_pods(rollout: RolloutStatus | None) -> bool:
    """Whether the candidate is at a step that waits for no pod: one that breaks down now is evidence, and no stop."""
    return rollout is not None and rollout.step is not None and rollout.reason in _WITH_ITS_PODS


def _stalled(observed: Observed, stable: Arm | None, roles: Roles, failure: Failure | None) -> Verdict:
    waits_for_pods = roles.candidate is not None and not _has_its_pods(roles.rollout)
    blocks = waits_for_pods or stable is None or stable.ready == 0 or bool(observed.refusals)
    if failure is not None and blocks:
        return True, failure.reason, failure.message
    rollout = roles.rollout
    if rollout is not None:
        is_held = rollout.state == "Holding" and rollout.reason in _NEEDS_HUMAN
        if is_held or rollout.state == "Rejected":
            return True, rollout.reason or Reason.REJECTED, _why_stalled(rollout)
    return False, Reason.AS_EXPECTED, _NOT_IN_THE_WAY


def _of_batches(scoring: Scoring) -> dict[Condition, Verdict]:
    failed: Verdict = (False, Reason.AS_EXPECTED, "no last run has failed, and all can begin")
    if scoring.trouble is not None:
        failed = (True, *scoring.trouble)
    drifted = inputs.verdict(scoring.entries)
    return {Condition.BATCH_FAILED: failed} | ({Condition.BATCH_INPUT_DRIFT: drifted} if drifted is not None else {})


def _why_stalled(rollout: RolloutStatus) -> str:
    told = f"revision {rollout.revision}: {rollout.message or rollout.reason}"
    if rollout.state == "Rejected":
        return f"{told}; change the spec, or set modelway.dev/retry: {rollout.revision}#<a higher number>"
    return f"{told}; set modelway.dev/promote or modelway.dev/abort: {rollout.revision}"


def _invalid_annotation(roles: Roles) -> Verdict:
    if roles.complaint is not None:
        return True, Reason.UNKNOWN_REVISION, roles.complaint
    return False, Reason.AS_EXPECTED, "all annotations can be acted on"


def _name_conflict(observed: Observed) -> Verdict:
    for key, refusal in observed.refusals.items():
        if refusal.reason == Reason.NAME_CONFLICT:
            return True, Reason.NAME_CONFLICT, f"{key.kind.name} {key.name}: {refusal.message}"
    return False, Reason.AS_EXPECTED, "all children are modelway's own"


def _artifact_changed(observed: Observed, roles: Roles) -> Verdict:
    if roles.stable and (told := has_changed_artifact(observed.pods, roles.stable.hash)):
        return True, Reason.DIGEST_MISMATCH, told
    return False, Reason.AS_EXPECTED, "the URI holds the bytes that the revision is pinned to"


def _url(observed: Observed, front: Revision | None, settings: Settings) -> str | None:
    if front is None:
        return None
    metadata = observed.resource.metadata
    host = f"{metadata.name}.{metadata.namespace}.svc.{settings.cluster_domain}"
    return f"grpc://{host}:9000" if service_ports(front.template)[0]["name"] == "grpc" else f"http://{host}"


def _revision_status(arm: Arm | None) -> RevisionStatus | None:
    if arm is None:
        return None
    return RevisionStatus(
        revision=arm.revision.hash,
        version=arm.revision.version,
        digest=arm.revision.digest,
        replicas=arm.asked,
        ready_replicas=arm.ready,
    )


_LONGEST: Final = 2000
"""Characters of a condition's message; some are other people's words."""
_ONCE_TRUE = {Condition.NAME_CONFLICT, Condition.ARTIFACT_CHANGED, Condition.INVALID_ANNOTATION}
"""Not shown before they first hold; all others whenever there is a verdict, true or not."""


def _conditions(
    before: Status, verdicts: dict[Condition, Verdict], *, generation: int, now: datetime
) -> tuple[StatusCondition, ...]:
    """Conditions from verdicts. One that is not always shown appears when it first holds, and then stays."""
    old = {condition.type: condition for condition in before.conditions}
    result = []
    for kind, (holds, reason, message) in verdicts.items():
        was = old.get(kind)
        if not holds and was is None and kind in _ONCE_TRUE:
            continue
        status: Literal["True", "False", "Unknown"] = "Unknown" if holds is None else "True" if holds else "False"
        changed = was is None or was.status != status
        result.append(
            StatusCondition(
                type=kind,
                status=status,
                observed_generation=generation,
                last_transition_time=now if was is None or changed else was.last_transition_time,
                reason=reason,
                message=message[:_LONGEST],
            )
        )
    return tuple(result)
