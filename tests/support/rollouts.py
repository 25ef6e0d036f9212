"""ModelDeployments in the middle of a rollout, as the API server gives them back.

The status goes through the operator's own models, so what the command line reads here is what the operator writes.
"""

from datetime import UTC, datetime
from typing import Any

from modelway.api.names import API_VERSION, KIND
from modelway.api.status import Status

Object = dict[str, Any]

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
STABLE, CANDIDATE, OLDER = "6f1c2a9b", "0b77d1ce", "11223344"

STEPS = [
    {"name": "shadow", "shadow": {"percent": "20%"}, "minRequests": 500},
    {"name": "five", "weight": 5, "minDuration": "2m"},
    {"name": "sign-off", "pause": {}},
    {"name": "half", "weight": 50},
]
CHECKS = [
    {"name": "errors", "errorRate": {"maxIncrease": "1%"}},
    {"name": "slow", "latency": {"threshold": "250ms", "maxIncrease": "2%"}},
    {"name": "answers", "predictions": {"maxShift": "10%"}},
]
SPEC = {
    "model": {"uri": "s3://models/fraud/17/", "version": "17", "trainingTime": "2026-11-01T00:00:00Z"},
    "serving": {"replicas": 4, "resources": {"requests": {"cpu": "1"}}},
    "rollout": {"steps": STEPS, "checks": CHECKS},
}
SERVES = {"revision": STABLE, "version": "16", "replicas": 4, "readyReplicas": 4}
STARTS = {"revision": CANDIDATE, "version": "17", "replicas": 2, "readyReplicas": 2}
CHECKED = [
    {
        "name": "errors",
        "verdict": "Continue",
        "candidate": {"requests": 1912, "bad": 21},
        "stable": {"requests": 5801, "bad": 60},
    },
    {
        "name": "slow",
        "verdict": "Safe",
        "candidate": {"requests": 1912, "bad": 0},
        "stable": {"requests": 5801, "bad": 1},
    },
]


def at_step(step: str = "five", **rollout: Any) -> Object:
    """`status.rollout` of a candidate on its way."""
    return {
        "state": "Progressing",
        "revision": CANDIDATE,
        "reason": "Baking",
        "step": step,
        "weight": 5,
        "liveWeight": {"min": 5, "max": 5},
        "since": "2026-11-21T11:57:00Z",
        "message": "errors: 1,912 of about 2,600 candidate requests; about 4 min left",
        "checks": CHECKED,
        **rollout,
    }


def entry(revision: str, result: str, reason: str = "all checks are Safe", **further: Any) -> Object:
    """An entry of `status.history`."""
    return {"revision": revision, "result": result, "time": "2026-11-21T10:00:00Z", "reason": reason, **further}


def condition(kind: str, status: str, reason: str = "AsExpected", message: str = "nothing is in the way") -> Object:
    """A condition of `status.conditions`."""
    time = "2026-11-21T10:00:00Z"
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 2,
        "lastTransitionTime": time,
    }


def resource(
    *, spec: Object | None = None, annotations: dict[str, str] | None = None, generation: int = 2, **status: Any
) -> Object:
    """A ModelDeployment with a status that the operator could have written."""
    written = {"observedGeneration": 2, "stable": SERVES, **status}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": "fraud",
            "namespace": "ml",
            "generation": generation,
            "resourceVersion": "77",
            "annotations": annotations or {},
        },
        "spec": spec or SPEC,
        "status": Status.model_validate(written).model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def under_way(step: str = "five", *, annotations: dict[str, str] | None = None, **rollout: Any) -> Object:
    """A rollout under way at a step."""
    history = [entry(STABLE, "Promoted", version="16"), entry(OLDER, "Promoted", version="15")]
    return resource(candidate=STARTS, rollout=at_step(step, **rollout), history=history, annotations=annotations)


def rejected(*, attempt: int = 0, annotations: dict[str, str] | None = None, **status: Any) -> Object:
    """A candidate that was worse, and is gone."""
    reason = "errors: 41 of 800 candidate requests failed, 9 of 3,100 of the stable revision's"
    told = {"state": "Rejected", "revision": CANDIDATE, "reason": "CheckFailed", "message": reason}
    history = [
        entry(CANDIDATE, "Rejected", reason, version="17", attempt=attempt),
        entry(STABLE, "Promoted", version="16"),
    ]
    return resource(rollout=told, history=history, annotations=annotations, **status)


def promoted(**status: Any) -> Object:
    """The candidate has taken over."""
    serves = STARTS | {"replicas": 4, "readyReplicas": 4}
    history = [entry(CANDIDATE, "Promoted", version="17"), entry(STABLE, "Promoted", version="16")]
    told = {"state": "Stable", "revision": CANDIDATE}
    return resource(**{"stable": serves, "rollout": told, "history": history, **status})
