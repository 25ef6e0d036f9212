"""One ModelDeployment as a person needs to see it: read from the API server's JSON, without the operator's libraries.

Everything else of `modelway rollout` works on a `Picture`. A status that an older or newer operator wrote is read as
far as it goes: what is not there is shown as nothing, never a failure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

Object = Mapping[str, Any]

DECIDED: Final = frozenset({"Promoting", "RollingBack"})
"""States in which a decision is being carried out: nothing can be asked for any more."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A revision with pods."""

    revision: str
    version: str | None
    replicas: int
    ready: int

    @property
    def title(self) -> str:
        return titled(self.revision, self.version)


@dataclass(frozen=True, slots=True)
class Count:
    """What a check has counted of one revision."""

    requests: int
    bad: int


@dataclass(frozen=True, slots=True)
class Check:
    """A check with what it says; `limit` is what the spec allows, such as `+1%`."""

    name: str
    verdict: str
    limit: str
    candidate: Count | None
    stable: Count | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """A step of `spec.rollout.steps`; one that waits for a human can be approved."""

    name: str
    does: str
    can_be_approved: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a revision; `attempt` is the number of the retry that a rejection was."""

    revision: str
    version: str | None
    result: str
    time: datetime | None
    reason: str
    attempt: int

    @property
    def title(self) -> str:
        return titled(self.revision, self.version)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Picture:
    """All of it.

    Attributes:
        is_current: whether the operator has seen the last change of the spec; before that the rest speaks of another.
        state: of the rollout; `Progressing` where a candidate starts without one, `Stable` where there is none.
        subject: the revision that the rollout is about: the candidate, or the one that was rejected or is taken back.
        revision: the one that the spec asks for: the candidate, the rejected one, or the one that serves. None while
            that is not told: when another one is being rolled back, or the spec is not acted on.
        live: least and most percent that a router sends to the candidate, as read back.
        steps: of the rollout under way, as they stood in the spec when it began; else of the spec.
        is_edited: the spec has other steps or checks by now, which count for the next rollout. Not told of one without
            steps: a candidate that has served before goes by none, whatever the spec says.
    """

    name: str
    namespace: str
    resource_version: str
    is_current: bool
    is_paused: bool
    annotations: Mapping[str, str]
    labels: Mapping[str, str]
    spec: Object
    stable: Arm | None
    candidate: Arm | None
    state: str
    subject: str | None
    revision: str | None
    reason: str | None
    step: str | None
    weight: int | None
    live: tuple[int, int] | None
    since: datetime | None
    message: str | None
    checks: tuple[Check, ...]
    steps: tuple[Step, ...]
    is_edited: bool
    history: tuple[Entry, ...]
    conditions: tuple[Condition, ...]

    @property
    def step_number(self) -> int | None:
        """Which of the steps it is at, from 1; None where the spec no longer has it."""
        names = [step.name for step in self.steps]
        return names.index(self.step) + 1 if self.step in names else None

    @property
    def is_under_way(self) -> bool:
        """Whether there is a candidate that nothing is decided about."""
        return self.candidate is not None and self.state not in {"Rejected", *DECIDED}


def titled(revision: str, version: str | None) -> str:
    """How a revision is called in sentences."""
    return f"revision {revision}" + (f" (version {version})" if version else "")


def read(obj: Object, *, rules: Object | None = None) -> Picture:
    """The picture of a ModelDeployment.

    Args:
        obj: as the API server gives it.
        rules: steps and checks of the rollout under way; None where they are not known, and the spec is taken for them.
    """
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    rollout, asked = status.get("rollout") or {}, spec.get("rollout") or {}
    wanted = asked if rules is None else rules
    stable, candidate = _arm(status.get("stable")), _arm(status.get("candidate"))
    state = rollout.get("state") or ("Progressing" if candidate else "Stable")
    live = rollout.get("liveWeight")
    return Picture(
        name=metadata["name"],
        namespace=metadata["namespace"],
        resource_version=metadata.get("resourceVersion", ""),
        is_current=status.get("observedGeneration", 0) >= metadata.get("generation", 1),
        is_paused=bool(spec.get("paused")),
        annotations=metadata.get("annotations") or {},
        labels=metadata.get("labels") or {},
        spec=spec,
        stable=stable,
        candidate=candidate,
        state=state,
        subject=rollout.get("revision") or (candidate.revision if candidate else None),
        revision=_asked_for(state, rollout, stable, candidate, is_paused=bool(spec.get("paused"))),
        reason=rollout.get("reason"),
        step=rollout.get("step"),
        weight=rollout.get("weight"),
        live=(live["min"], live["max"]) if live else None,
        since=_time(rollout.get("since")),
        message=rollout.get("message"),
        checks=tuple(_check(check, wanted) for check in rollout.get("checks") or ()),
        steps=tuple(map(_step, wanted.get("steps") or ())),
        is_edited=bool(wanted.get("steps")) and _compared(wanted) != _compared(asked),
        history=tuple(map(_entry, status.get("history") or ())),
        conditions=tuple(
            Condition(one["type"], one["status"], one.get("reason", ""), one.get("message", ""))
            for one in status.get("conditions") or ()
        ),
    )


def _compared(rollout: Object) -> object:
    """What is shown of steps and checks, by which two are told apart: one may spell out what the other leaves."""
    checks = [(check["name"], _limit(check)) for check in rollout.get("checks") or ()]
    return [*map(_step, rollout.get("steps") or ())], checks


def _asked_for(
    state: str, rollout: Object, stable: Arm | None, candidate: Arm | None, *, is_paused: bool
) -> str | None:
    if state == "RollingBack":
        return None
    if candidate is not None:
        return candidate.revision
    if state == "Rejected" and rollout.get("revision"):
        return str(rollout["revision"])
    return stable.revision if stable is not None and not is_paused else None


def _arm(arm: Object | None) -> Arm | None:
    if arm is None:
        return None
    return Arm(arm["revision"], arm.get("version"), arm.get("replicas", 0), arm.get("readyReplicas", 0))


def _check(check: Object, rollout: Object) -> Check:
    asked: Object = next((one for one in rollout.get("checks") or () if one["name"] == check["name"]), {})
    return Check(
        name=check["name"],
        verdict=check["verdict"],
        limit=_limit(asked),
        candidate=_count(check.get("candidate")),
        stable=_count(check.get("stable")),
        message="; ".join(filter(None, (_pairs(check.get("pairs")), check.get("message")))) or None,
    )


def _pairs(pairs: Object | None) -> str | None:
    """What was answered to the same requests."""
    if pairs is None:
        return None
    told = [f"{pairs['pairs']:,} pairs"]
    if (differing := pairs.get("differing")) is not None:
        told.append(f"{differing:,} differ")
    if (shift := pairs.get("scoreShift")) is not None:
        told.append(f"scores {shift} apart")
    return ", ".join(told)


def _count(count: Object | None) -> Count | None:
    return Count(count["requests"], count["bad"]) if count else None


def _limit(check: Object) -> str:
    if kind := check.get("latency"):
        return f"+{kind['maxIncrease']} over {kind['threshold']}"
    if kind := check.get("errorRate") or check.get("prometheus"):
        return f"+{kind['maxIncrease']}"
    if kind := check.get("predictions"):
        return f"±{kind['maxShift']} a bin"
    if kind := check.get("feedback"):
        of_class = f' of "{kind["label"]}"' if "label" in kind else ""
        return f"-{kind['maxDecrease']} {kind['metric']}{of_class}"
    return ""


def _step(step: Object) -> Step:
    pause = step.get("pause")
    if "preview" in step:
        return Step(step["name"], "shown as a preview, until approved", can_be_approved=True)
    if pause is not None:
        duration = pause.get("duration")
        does = f"waits {duration}" if duration else "waits for approval"
        return Step(step["name"], does, can_be_approved=duration is None)
    if "shadow" in step:
        does = f"{step['shadow']['percent']} of the requests copied"
    else:
        does = f"weight {step.get('weight')} %"
    if "minDuration" in step:
        does += f", at least {step['minDuration']}"
    if "minRequests" in step:
        does += f", at least {step['minRequests']:,} requests"
    return Step(step["name"], does, can_be_approved=False)


def _entry(entry: Object) -> Entry:
    return Entry(
        revision=entry["revision"],
        version=entry.get("version"),
        result=entry["result"],
        time=_time(entry.get("time")),
        reason=entry.get("reason", ""),
        attempt=entry.get("attempt") or 0,
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
