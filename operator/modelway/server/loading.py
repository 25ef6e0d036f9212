"""From a folder to a model that has proved itself: locate, load, ask the golden requests, time.

Runs once per process, in a thread, while the event loop answers that the model is not ready yet.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server import golden, transform
from modelway.server.batching import pays, rows_are_independent
from modelway.server.formats.base import Code, LoadOptions, Model
from modelway.server.locate import Located, locate
from modelway.server.metadata import FILENAME, Reference
from modelway.server.options import ServerOptions
from modelway.server.pace import Cost, measure, zeros
from modelway.server.signature import Signature
from modelway.server.tensors import FLOATS, Batch


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is fit to serve.

    Args:
        model: the model.
        signature: what requests to it may look like.
        version: the version to show, or None.
        format: its format's name.
        cost: what a prediction costs, measured.
        batchable: whether requests may be, and gain by being, predicted together.
        cost_unknown_because: what the model raised when it was timed with made-up rows; empty when it was timed.
        sample: rows that it has answered right, the first golden request's; None where there is no golden request.
        golden: how many golden requests it answered right.
        seconds: how long all of this took.
        reference: how the maker's rows were answered, as the server counts answers; empty where that was not said.
        usual: what the maker's rows were like; None where that was not said.

    """

    model: Model
    signature: Signature
    version: str | None
    format: str
    cost: Cost
    batchable: bool
    cost_unknown_because: str
    sample: Batch | None
    golden: int
    seconds: float
    reference: Mapping[str, int] = field(default_factory=dict)
    usual: Reference | None = None


def load(options: ServerOptions, *, clock: Callable[[], float] = time.perf_counter) -> Loaded:
    """Load the model and prove it. Raises ModelError."""
    start = clock()
    located = locate(options.model_dir, format_name=options.format)
    model = _load(located, options)
    _check_nullable(model)
    signature = Signature.of(
        model, ignores_extra=located.metadata.extra_features == "Ignore", max_rows=options.max_rows
    )
    answered = [golden.ask(request, index, model, signature) for index, request in enumerate(located.metadata.golden)]
    sample = answered[0] if answered else None
    cost, problem = measure(model, sample)
    return Loaded(
        model=model,
        signature=signature,
        version=options.version or located.metadata.version,
        format=located.format,
        cost=cost,
        batchable=_is_batchable(model, cost, sample),
        cost_unknown_because=f"{type(problem).__name__}: {problem}" if problem else "",
        sample=sample,
        golden=len(answered),
        seconds=clock() - start,
        reference=located.metadata.answers or {},
        usual=located.metadata.reference,
    )


def _is_batchable(model: Model, cost: Cost, sample: Batch | None) -> bool:
    if not pays(cost):
        return False
    try:
        return rows_are_independent(model, sample or zeros(model))
    except Exception:  # noqa: BLE001 a model may refuse made-up rows with anything; then it is not asked for several
        return False


def _check_nullable(model: Model) -> None:
    for spec in model.inputs:
        if spec.nullable and spec.datatype not in FLOATS:
            raise ModelError(
                Reason.METADATA_INVALID,
                f'{FILENAME}: input "{spec.name}" is nullable and {spec.datatype}, which has no form for a missing '
                f"value; leave nullable out, or declare it as {', '.join(sorted(FLOATS))} where the model takes that",
            )


def _load(located: Located, options: ServerOptions) -> Model:
    entry = located.entry
    if entry.runs_code and options.code is Code.REFUSE:
        raise ModelError(
            Reason.CODE_REFUSED,
            f"{located.path.name} is of a format that can run code when it is loaded, and the policy is code: Refuse; "
            "convert the model to ONNX, or set code: AllowList",
        )
    load_options = LoadOptions(
        threads=options.threads,
        allowed_globals=options.allowed_globals,
        code=options.code,
        metadata=transform.without(located.metadata),
    )
    try:
        return transform.before(entry.format().load(located.path, load_options), located, load_options)
    except ImportError as error:
        raise ModelError(
            Reason.FORMAT_UNKNOWN, f"this server has no library for the format {located.format}: {error}"
        ) from error
    except OSError as error:
        raise ModelError(
            Reason.MODEL_LOAD_FAILED, f"{located.path.name} cannot be read: {error.strerror or error}"
        ) from error
