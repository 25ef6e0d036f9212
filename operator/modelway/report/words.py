"""Conditions in plain words, what is wrong before what is unknown before what is well. Pure.

A condition that a newer operator has and this page does not know is told by its own name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from modelway.api.conditions import Condition
from modelway.api.status import Status, StatusCondition


class Tone(StrEnum):
    """How good something is; the classes of the page's style."""

    BAD = "bad"
    UNSURE = "unsure"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Told:
    """A condition for people.

    Attributes:
        tone: how good it is.
        words: what is the case.
        message: what the operator says of it.
        name: of the condition, with its reason.
        since: when it became so.
    """

    tone: Tone
    words: str
    message: str
    name: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class _Words:
    """Of a condition that should be `good`."""

    bad: str
    fine: str
    unknown: str = ""
    good: str = "False"


_WORDS: Final[Mapping[str, _Words]] = MappingProxyType(
    {
        Condition.READY: _Words("No requests are answered", "Requests are answered", good="True"),
        Condition.STALLED: _Words("A human is needed", "Nothing waits for a human"),
        Condition.DEGRADED: _Words(
            "The service level is missed", "The service level is kept", "Nobody knows whether the service level is kept"
        ),
        Condition.PERFORMANCE_DEGRADED: _Words(
            "Predictions are worse than was asked for",
            "Predictions are as good as was asked for",
            "Nobody knows yet how good the predictions are",
        ),
        Condition.DATA_QUALITY_ISSUE: _Words(
            "Inputs are broken", "Nothing is wrong with the inputs", "Nobody knows whether inputs are broken"
        ),
        Condition.ARTIFACT_CHANGED: _Words(
            "Other bytes stand at the model's URI than those that serve", "The model's bytes are the same"
        ),
        Condition.NAME_CONFLICT: _Words(
            "An object that is needed belongs to somebody else", "No object is in the way of another"
        ),
        Condition.DATA_DRIFT: _Words(
            "Inputs are no longer as usual", "Inputs are as usual", "Nobody knows yet whether inputs have drifted"
        ),
        Condition.PREDICTION_DRIFT: _Words(
            "Answers are no longer as usual", "Answers are as usual", "Nobody knows yet whether answers have drifted"
        ),
        Condition.MODEL_STALE: _Words(
            "The model is older than it may be", "The model is young enough", "Nobody knows how old the model is"
        ),
        Condition.RETRAINING_FAILED: _Words(
            "Training the model again has failed", "No Job that trains the model again has failed"
        ),
        Condition.BATCH_FAILED: _Words("A batch job has failed", "Batch jobs are well"),
        Condition.BATCH_INPUT_DRIFT: _Words(
            "Rows of a batch job are no longer as usual",
            "Rows of the batch jobs are as usual",
            "Nobody knows whether rows of the batch jobs have drifted",
        ),
        Condition.ROUTE_ACCEPTED: _Words(
            "The Gateways do not lead requests here",
            "The Gateways lead requests here",
            "Nobody knows yet whether the Gateways lead requests here",
            good="True",
        ),
        Condition.INVALID_ANNOTATION: _Words("An annotation cannot be acted on", "All annotations make sense"),
    }
)
"""Worst first, where several are true."""
_ORDER: Final = tuple(_WORDS)
_PROGRESS: Final = Condition.RECONCILING


def told(status: Status) -> tuple[Told, ...]:
    """All conditions, the worst first; and what failed, where that is more than they say."""
    found = [(_rank(one), _told(one)) for one in status.conditions]
    failure = status.failure
    if failure is not None and not any(one.message == failure.message for _, one in found):
        of = f" (revision {failure.revision})" if failure.revision else ""
        found.append((-1, Told(Tone.BAD, f"Something has failed{of}", failure.message, failure.reason, None)))
    tones = list(Tone)
    return tuple(one for _, one in sorted(found, key=lambda pair: (tones.index(pair[1].tone), pair[0])))


def _rank(condition: StatusCondition) -> int:
    return _ORDER.index(condition.type) if condition.type in _WORDS else len(_ORDER)


def _told(condition: StatusCondition) -> Told:
    words = _WORDS.get(condition.type)
    if condition.type == _PROGRESS:
        tone = Tone.UNSURE if condition.status == "True" else Tone.GOOD
        text = "A change is being carried out" if condition.status == "True" else "Nothing is being changed"
    elif words is None:
        tone, text = Tone.UNSURE, f"{condition.type} is {condition.status}"
    elif condition.status == "Unknown":
        tone, text = Tone.UNSURE, words.unknown or f"{condition.type} is unknown"
    else:
        is_good = condition.status == words.good
        tone, text = (Tone.GOOD, words.fine) if is_good else (Tone.BAD, words.bad)
    name = f"{condition.type}: {condition.reason}"
    return Told(tone, text, condition.message, name, condition.last_transition_time)
