"""Events for what has changed between the status that stands there and the one that is to stand there. Pure."""

from modelway.api.conditions import Condition, Reason
from modelway.api.resource import ModelDeployment
from modelway.api.status import HistoryEntry, RolloutStatus, Status, StatusCondition
from modelway.plan.types import Happening

_ACTIONS = {"Promoted": "Promote", "Rejected": "Reject", "Superseded": "Supersede"}


def happenings(resource: ModelDeployment, status: Status) -> tuple[Happening, ...]:
    """What is to be told when `status` is written, in the order in which it happened."""
    before = resource.status
    fresh = [entry for entry in status.history if entry not in before.history]
    result = [_of_entry(entry) for entry in reversed(fresh)]
    if status.rollout is not None:
        result += _of_rollout(before.rollout, status.rollout)
    result += _of_route(before, status)
    failure = status.failure
    if failure is not None and (
        before.failure is None or (before.failure.reason, before.failure.revision) != (failure.reason, failure.revision)
    ):
        result.append(Happening(type="Warning", reason=failure.reason, message=failure.message, action="Serve"))
    return tuple(result)


def _of_entry(entry: HistoryEntry) -> Happening:
    version = f" (version {entry.version})" if entry.version else ""
    return Happening(
        type="Warning" if entry.result == "Rejected" else "Normal",
        reason=entry.result,
        message=f"revision {entry.revision}{version}: {entry.reason}",
        action=_ACTIONS[entry.result],
    )


def _of_route(before: Status, now: Status) -> list[Happening]:
    """A Gateway that does not lead requests here, or does again."""
    was, is_now = _route_of(before), _route_of(now)
    if is_now is None or is_now.status == "Unknown":
        return []
    if was is not None and (was.status, was.reason) == (is_now.status, is_now.reason):
        return []
    kind = "Normal" if is_now.status == "True" else "Warning"
    return [Happening(type=kind, reason=is_now.reason, message=is_now.message, action="Route")]


def _route_of(status: Status) -> StatusCondition | None:
    return next((one for one in status.conditions if one.type == Condition.ROUTE_ACCEPTED), None)


def _of_rollout(before: RolloutStatus | None, now: RolloutStatus) -> list[Happening]:
    """A step, once the routers have its weight; and a wait that is not the plan's."""
    if now.state not in {"Progressing", "Paused", "Holding"}:
        return []
    told: list[Happening] = []
    was = before if before is not None and before.revision == now.revision else None
    begins = was is None or was.step != now.step or was.reason == Reason.WEIGHT_CHANGING
    if now.step is not None and begins and now.reason != Reason.WEIGHT_CHANGING:
        message = f"revision {now.revision}: step {now.step}, {now.weight or 0} % of the requests"
        told.append(Happening(type="Normal", reason="RolloutStep", message=message, action="Rollout"))
    if now.state == "Holding" and (was is None or (was.state, was.reason) != (now.state, now.reason)):
        message = f"revision {now.revision}: {now.message or now.reason}"
        told.append(Happening(type="Warning", reason=now.reason or "Holding", message=message, action="Rollout"))
    return told
