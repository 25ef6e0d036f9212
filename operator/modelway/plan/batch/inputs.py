"""Whether the rows of the last runs are those that the model was made for: the condition `BatchInputDrift`. Pure.

The runner has compared them (`modelway.batch.inputs`); a run is one window, and is told as it is.
"""

from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from modelway.api.batch_status import BatchJobStatus, ComparedInputs
from modelway.api.conditions import Reason
from modelway.plan.monitoring.figures import listed
from modelway.plan.types import Verdict


def verdict(entries: Iterable[BatchJobStatus]) -> Verdict | None:
    """What is to be said of the last run of each entry; None where none of them has compared its inputs."""
    compared = [(f"{one.name}, {run.job}", run.inputs) for one in entries if (run := one.last_run) and run.inputs]
    if not compared:
        return None
    if unusual := [(f"{run}: {told}", inputs) for run, inputs in compared if (told := what_is_unusual(inputs))]:
        drifted = any(inputs.drifted_features for _, inputs in unusual)
        return True, Reason.INPUTS_DRIFTED if drifted else Reason.INPUTS_BROKEN, "; ".join(told for told, _ in unusual)
    if silent := [run for run, inputs in compared if not inputs.features]:
        return None, Reason.TOO_FEW_ROWS, f"{silent[0]}: too few rows have values for their distribution to be compared"
    return False, Reason.AS_EXPECTED, "the inputs of the last runs are distributed as usual"


def inputs_of(told: object) -> ComparedInputs | None:
    """How the inputs differ; None where that is not told, or in a form that another version may have."""
    try:
        return ComparedInputs.model_validate(told) if told is not None else None
    except ValidationError:
        return None


def what_is_unusual(inputs: ComparedInputs) -> str:
    """The features that have drifted and those that are broken, the worst by name; empty where all is as usual."""
    return "; ".join(_words(inputs))


def what_has_drifted(inputs: ComparedInputs) -> str:
    """How many features have, and those that are told by name."""
    worst = listed((one for one in inputs.worst if one.drifted), inputs.drifted_features)
    return f"{inputs.drifted_features} of {inputs.features} features have drifted: {worst}"


def _words(inputs: ComparedInputs) -> Iterator[str]:
    if inputs.drifted_features:
        yield what_has_drifted(inputs)
    if inputs.issues:
        yield f"something is wrong with {', '.join(f'{one.name} ({one.kind})' for one in inputs.issues)}"
