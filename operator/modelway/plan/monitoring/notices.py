"""Transitions of a model's health as CloudEvents 1.0 (https://github.com/cloudevents/spec, JSON format). Pure.

Called by `plan.plan`, and for a model that only scores by `plan.batch.unserved`, with the status that is to be written.
What is in them is what the conditions say, and no more: no value of a row, and no name of a feature where names are
hidden.
"""

import hashlib
from typing import Final

from modelway.api.conditions import MODEL_HEALTH, Condition
from modelway.api.names import API_VERSION, PLURAL
from modelway.api.resource import ModelDeployment
from modelway.api.status import Status, StatusCondition
from modelway.api.units import rfc3339
from modelway.plan.types import Notice, Object

TYPE: Final = "dev.modelway.condition.changed.v1"


def notices(resource: ModelDeployment, status: Status) -> tuple[Notice, ...]:
    """What is to be told when `status` is written: each condition whose `status` differs, and each that is new."""
    given = resource.spec.monitoring
    if given is None or given.sink is None:
        return ()
    before = {one.type: one.status for one in resource.status.conditions}
    changed = [one for one in status.conditions if one.type in MODEL_HEALTH and one.status != before.get(one.type)]
    return tuple(Notice(given.sink.url, _event(resource, status, one, before.get(one.type))) for one in changed)


def _event(resource: ModelDeployment, status: Status, condition: StatusCondition, before: str | None) -> Object:
    metadata = resource.metadata
    time = rfc3339(condition.last_transition_time)
    # The same transition has the same id, so that a receiver can tell one that it was told of twice.
    told = f"{metadata.uid}/{condition.type}/{condition.status}/{time}"
    stable = status.stable
    return {
        "specversion": "1.0",
        "id": hashlib.sha256(told.encode()).hexdigest()[:32],
        "source": f"/apis/{API_VERSION}/namespaces/{metadata.namespace}/{PLURAL}/{metadata.name}",
        "type": TYPE,
        "subject": condition.type,
        "time": time,
        "datacontenttype": "application/json",
        "data": {
            "namespace": metadata.namespace,
            "name": metadata.name,
            "condition": condition.type,
            "status": condition.status,
            "before": before,
            "reason": condition.reason,
            "message": _message(resource, condition),
            "revision": stable.revision if stable is not None else None,
            "version": stable.version if stable is not None else None,
        },
    }


def _message(resource: ModelDeployment, condition: StatusCondition) -> str:
    """What the condition says. But for a run that failed: what it said itself may quote columns, and values of rows."""
    if condition.type == Condition.BATCH_FAILED and condition.status == "True":
        return f"see modelway batch status {resource.metadata.name} --namespace {resource.metadata.namespace}"
    return condition.message
