"""From a folder to a model that has proved itself: locate, load, ask the golden requests, time.

Runs once per process, in a thread, while the event loop answers that the model is not ready yet.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server import golden
from modelway.server.formats import REGISTRY
from modelway.server.formats.base import Code, LoadOptions, Model
from modelway.server.locate import Located, locate
from modelway.server.options import ServerOptions
from modelway.server.pace import Cost, measure


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is fit to serve.

    Args:
        model: the model.
        version: the version to show, or None.
        format: its format's name.
        cost: what a prediction costs, measured.
        cost_unknown_because: what the model raised when it was timed with made-up rows; empty when it was timed.
        golden: how many golden requests it answered right.
        seconds: how long all of this took.

    """

    model: Model
    version: str | None
    format: str
    cost: Cost
    cost_unknown_because: str
    golden: int
    seconds: float


def load(options: ServerOptions, *, clock: Callable[[], float] = time.perf_counter) -> Loaded:
    """Load the model and prove it. Raises ModelError."""
    start = clock()
    located = locate(options.model_dir, format_name=options.format)
    model = _load(located, options)
    answered = [golden.ask(request, index, model) for index, request in enumerate(located.metadata.golden)]
    cost, problem = measure(model, answered[0] if answered else None)
    return Loaded(
        model=model,
        version=options.version or located.metadata.version,
        format=located.format,
        cost=cost,
        cost_unknown_because=f"{type(problem).__name__}: {problem}" if problem else "",
        golden=len(answered),
        seconds=clock() - start,
    )


def _load(located: Located, options: ServerOptions) -> Model:
    entry = REGISTRY[located.format]
    if entry.runs_code and options.code is not Code.ALLOW_LIST:
        raise ModelError(
            Reason.CODE_REFUSED,
            f"{located.path.name} is of a format that can run code when it is loaded, and the policy is code: Refuse; "
            "convert the model to ONNX, or set code: AllowList",
        )
    load_options = LoadOptions(
        threads=options.threads,
        allowed_globals=options.allowed_globals,
        metadata=located.metadata,
    )
    try:
        return entry.format().load(located.path, load_options)
    except ImportError as error:
        raise ModelError(
            Reason.FORMAT_UNKNOWN, f"this server has no library for the format {located.format}: {error}"
        ) from error
    except OSError as error:
        raise ModelError(
            Reason.MODEL_LOAD_FAILED, f"{located.path.name} cannot be read: {error.strerror or error}"
        ) from error
