"""What a pod of our model server tells at `/v1/observations`, checked before anything is concluded from it. Pure.

Read by the operator (`controller.observed`) and by `modelway report`. A model server may be of another version than who
asks, and an address may be another pod's by now: whatever is not of the form that is expected is an AnswerError, which
names the place.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import numpy as np
import orjson

from modelway.api.observations import INPUTS, PATH, REFERENCE, AnswerError, check_origin
from modelway.plan.measured import Target
from modelway.plan.monitoring.packing import Held
from modelway.plan.monitoring.readings import Layout, PodReading, Served
from modelway.stats.drift_reference import LONGEST_NAME, MOST_FEATURES, ReferenceRefusedError, from_record

_LONGEST_TROUBLE: Final = 400
Document = Mapping[str, Any]


def answers_in(body: bytes, revision: str) -> Document:
    """What was answered: a document of the form and revision that is expected.

    Raises:
        AnswerError: it is not.
    """
    return _document(body, PATH, revision, {"epoch", "answers"})


def inputs_in(body: bytes, revision: str) -> Document:
    """What was asked; `layout` says what its counts mean.

    Raises:
        AnswerError: it is not of the form and revision that is expected.
    """
    return _document(body, INPUTS, revision, {"epoch", "layout", "features", "rows", "skipped", "refused"})


def layout_in(body: bytes) -> Layout:
    """What counts of inputs mean.

    Raises:
        AnswerError: it cannot be read.
    """
    try:
        said = orjson.loads(body)
        told, features = str(said["layout"]), said["features"]
        names = tuple(str(one["name"])[:LONGEST_NAME] for one in features[:MOST_FEATURES])
        if not said["learning"]:
            return Layout(told, names, from_record(said) if names else ())
        return Layout(told, names, None, frozenset(at for at, one in enumerate(features) if one["kind"] == "texts"))
    except (KeyError, TypeError, ValueError, ReferenceRefusedError) as error:
        raise AnswerError(f"{REFERENCE} cannot be read: {error!r}") from None


def reading_of(
    pod: Target,
    answers: Document,
    inputs: Document,
    layout: Layout,
    *,
    taken_at: datetime,
    served: Served | None = None,
    quality: Document | None = None,
) -> PodReading:
    """All that one pod has told.

    Args:
        pod: which one.
        answers: as `answers_in` has it.
        inputs: as `inputs_in` has it.
        layout: of these inputs.
        taken_at: when it was asked, UTC.
        served: how it answered, where that was asked.
        quality: what labels say, where that was asked.

    Raises:
        AnswerError: counts are none, or not those of the layout, or not all of one process.
    """
    if inputs["epoch"] != answers["epoch"] or str(inputs["layout"]) != layout.id:
        raise AnswerError("it began anew while it was read")
    return PodReading(
        of=pod,
        taken_at=taken_at,
        epoch=str(inputs["epoch"]),
        layout=layout.id,
        inputs=_counts(inputs["features"], layout),
        rows=_whole(inputs["rows"]),
        skipped=_whole(inputs["skipped"]),
        refused=_whole(inputs["refused"]),
        answers=_named(answers["answers"]),
        usual_answers=_named(answers.get("reference") or {}),
        served=served,
        quality=quality,
        trouble=_trouble(inputs.get("trouble")),
    )


def _document(body: bytes, path: str, revision: str, wanted: set[str]) -> Document:
    try:
        said = orjson.loads(body)
    except ValueError as error:
        raise AnswerError(f"{path}: {error}") from None
    found = said if isinstance(said, dict) else {}
    check_origin(found.get("format"), found.get("revision"), wanted=revision)
    if missing := sorted(wanted - found.keys()):
        raise AnswerError(f"{path}: {missing[0]} is missing")
    return found


def _counts(features: Any, layout: Layout) -> Held:
    try:
        parts = [np.array(one, dtype=np.int64) for one in features]
    except (TypeError, ValueError, OverflowError) as error:
        raise AnswerError(f"{INPUTS}: features: {error}") from None
    if tuple(part.shape for part in parts) != tuple((size,) for size in layout.sizes()):
        raise AnswerError(f"{INPUTS}: features: not as many numbers as its layout {layout.id} has")
    return Held.of(np.concatenate(parts)) if parts else Held()


def _trouble(said: Any) -> tuple[str, str]:
    """What is in the way of an observer; model servers say nothing of the kind."""
    found = said if isinstance(said, dict) else {}
    requests, answers = (str(found.get(name) or "")[:_LONGEST_TROUBLE] for name in ("requests", "answers"))
    return requests, answers


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise AnswerError(f"{INPUTS}: {value!r} is no count")
    return value


def _named(counts: Any) -> dict[str, int]:
    if not isinstance(counts, dict) or any(type(count) is not int or count < 0 for count in counts.values()):
        raise AnswerError(f"{PATH}: answers: whole numbers by their bin are needed")
    return counts
