"""`modelway.json`: what the maker of a model says about it, in a file beside it.

Everything in it is optional and so is the file: the server finds out what it can from the model. What is said and
contradicts the model is refused when the model is loaded, as is a field that is not known: a typing mistake in
`golden` would otherwise be a check that never runs.

The types are msgspec's, which cost the server's start next to nothing. They check what is read, not what Python code
puts into them; whoever writes the file loads it again (`packing`).
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
import orjson
from msgspec import Meta, Struct, structs

from modelway.api.observations import check_key
from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.stats.drift_reference import problem_of, problem_of_feature

FILENAME = "modelway.json"

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]
ExtraFeatures = Literal["Refuse", "Ignore"]
Dimension = Annotated[int, Meta(ge=-1)]
Name = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=0)]
Version = Annotated[str, Meta(max_length=128)]
ZonedTime = Annotated[datetime, Meta(tz=True)]

# Of fields with few values, in the order that people read them; msgspec sorts them and does not name them.
CHOICES: Final = {"datatype": get_args(Datatype), "extraFeatures": get_args(ExtraFeatures)}


# Of mappings, of which msgspec does not say which value is wrong.
_IS_RIGHT: Final[Mapping[str, Callable[[Any], bool]]] = {
    "producer": lambda value: isinstance(value, str),
    "answers": lambda value: type(value) is int and value >= 0,
}


class _Strict(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    pass


class Tensor(_Strict, frozen=True, kw_only=True):
    """An input or output of the model."""

    name: Annotated[str, Meta(min_length=1, description="The name by which requests and answers call it.")]
    datatype: Annotated[
        Datatype | None, Meta(description="Open Inference Protocol datatype. Left out: what the model itself says.")
    ] = None
    shape: Annotated[
        tuple[Dimension, ...] | None,
        Meta(description="Sizes; the first is the number of rows and -1 is any. Left out: the model's own."),
    ] = None
    nullable: Annotated[
        bool | None,
        Meta(description="Whether a value may be missing (null, NaN). Left out: what the model's library says of it."),
    ] = None
    lenient: Annotated[
        bool | None,
        Meta(
            description="Whether datatypes that fit without loss are taken (FP32 for FP64). Left out: the format's own."
        ),
    ] = None


class Golden(_Strict, frozen=True, kw_only=True):
    """A request whose right answer is known. The server is not ready until it has answered it so."""

    instances: Annotated[list[Any] | None, Meta(description="Rows of a V1 request. Needs `predictions`.")] = None
    predictions: Annotated[list[Any] | None, Meta(description="What the V1 answer must be.")] = None
    inputs: Annotated[list[dict[str, Any]] | None, Meta(description="Tensors of a V2 request. Needs `outputs`.")] = None
    outputs: Annotated[
        list[dict[str, Any]] | None,
        Meta(description="Tensors (name and data) that the V2 answer must hold; others are not compared."),
    ] = None
    tolerance: Annotated[
        float,
        Meta(ge=0, description="How far a number may be off: |answer - expected| <= tolerance * max(1, |expected|)."),
    ] = 1e-5

    def __post_init__(self) -> None:
        """Refuse what is of both protocols, or of none."""
        v1 = (self.instances is not None, self.predictions is not None)
        v2 = (self.inputs is not None, self.outputs is not None)
        if (v1, v2) not in {((True, True), (False, False)), ((False, False), (True, True))}:
            raise ValueError("give either instances and predictions, or inputs and outputs")


class Transform(_Strict, frozen=True, kw_only=True):
    """Feature engineering that comes before the model: what it gives is what the model is asked with."""

    file: Annotated[
        Name | None, Meta(description="A fitted scikit-learn transformer beside the model: pickle, joblib, skops.")
    ] = None
    module: Annotated[
        Name | None,
        Meta(description="A Python file beside the model with a function `transform`; needs `code: Trust`."),
    ] = None

    def __post_init__(self) -> None:
        """Refuse both, and neither."""
        if (self.file is None) == (self.module is None):
            raise ValueError("give either file or module")


class Feature(_Strict, frozen=True, kw_only=True):
    """What is usual for a feature: `edges` and what follows for numbers, or `categories` for texts."""

    name: Annotated[str, Meta(min_length=1, description="As the model's inputs are called.")]
    edges: Annotated[
        tuple[float, ...] | None,
        Meta(description="The least number of each cell but the first, rising."),
    ] = None
    lowest: Annotated[float | None, Meta(description="The least number there was; needed with `edges`.")] = None
    highest: Annotated[float | None, Meta(description="The largest; likewise.")] = None
    mean: Annotated[float | None, Meta(description="Of the numbers.")] = None
    deviation: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="Their standard deviation."),
    ] = None
    magnitude: Annotated[
        float | None, Meta(description="Mean of log2 of the numbers' sizes, of those that are not 0.")
    ] = None
    categories: Annotated[
        tuple[str, ...] | None,
        Meta(description="Texts with a cell of their own; one more is for all others. Empty: 64 cells by checksum."),
    ] = None
    counts: Annotated[tuple[Count, ...], Meta(description="Rows in each cell.")]
    missing: Annotated[int, Meta(ge=0, description="Rows without a value.")] = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if problem := problem_of_feature(structs.asdict(self)):
            raise ValueError(problem)


class Reference(_Strict, frozen=True, kw_only=True):
    """What is usual for the model's inputs, with which live ones are compared."""

    features: Annotated[
        tuple[Feature, ...], Meta(description="In any order; those that are not here are not compared.")
    ]

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if problem := problem_of([structs.asdict(one) for one in self.features]):
            raise ValueError(problem)


class Metadata(_Strict, frozen=True, kw_only=True):
    """The whole file."""

    format: Annotated[str | None, Meta(description="The model's format, as `modelway formats` lists them.")] = None
    file: Annotated[
        str | None, Meta(description="The model's file in the folder. Needed where several files could be it.")
    ] = None
    version: Annotated[Version | None, Meta(description="Free text; `--version` wins over it.")] = None
    inputs: Annotated[tuple[Tensor, ...] | None, Meta(description="What the model takes.")] = None
    outputs: Annotated[
        tuple[Tensor, ...] | None,
        Meta(description="What a request that asks for nothing particular is answered, in this order."),
    ] = None
    feature_names: Annotated[
        tuple[str, ...] | None, Meta(description="Names of a row's values, in order; used in error messages.")
    ] = None
    extra_features: Annotated[
        ExtraFeatures,
        Meta(
            description="What is done about named values in a request that the model has no use for: "
            "refused, or left out."
        ),
    ] = "Refuse"
    classes: Annotated[
        tuple[str | int | float | bool, ...] | None,
        Meta(description="A classifier's labels, in the order of its probabilities."),
    ] = None
    transform: Annotated[
        Transform | None,
        Meta(
            description="What is done to a request's values before the model sees them; `inputs` and `featureNames` "
            "are then those of the transform."
        ),
    ] = None
    golden: Annotated[tuple[Golden, ...], Meta(description="Requests with known answers.")] = ()
    answers: Annotated[
        dict[str, Count] | None,
        Meta(
            description="How many of the maker's rows were answered how, by class and by bucket of the score; "
            "`modelway pack` counts them."
        ),
    ] = None
    reference: Annotated[
        Reference | None,
        Meta(description="What is usual for the model's inputs; `modelway profile` makes it."),
    ] = None
    producer: Annotated[
        dict[str, str] | None,
        Meta(description="Versions of what made the model: {python: 3.11.7, scikit-learn: 1.9.1}."),
    ] = None
    training_time: Annotated[ZonedTime | None, Meta(description="When the model was trained, with its time zone.")] = (
        None
    )

    def __post_init__(self) -> None:
        """Refuse counts that are of nothing."""
        for key in self.answers or ():
            check_key(key)


def read(folder: Path) -> Metadata:
    """Read the metadata of a model folder; none when there is no file. Raises ModelError(METADATA_INVALID)."""
    path = folder / FILENAME
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Metadata()
    except OSError as error:
        raise ModelError(Reason.METADATA_INVALID, f"{FILENAME} cannot be read: {error.strerror}") from error
    try:
        document = orjson.loads(text)  # which tells line and column, where msgspec counts bytes
    except orjson.JSONDecodeError as error:
        raise ModelError(Reason.METADATA_INVALID, f"{FILENAME} is wrong: Invalid JSON: {error}") from error
    try:
        return msgspec.convert(document, Metadata)
    except msgspec.ValidationError as error:
        field, problem = _told(str(error), document)
        place = f" in {field}" if field else ""
        raise ModelError(Reason.METADATA_INVALID, f"{FILENAME} is wrong{place}: {problem}") from error


def _told(message: str, document: object) -> tuple[str, str]:
    """The field that msgspec's message is about (`golden.0.tolerance`), and what is wrong with it."""
    problem, _, path = message.partition(" - at `$")
    place = _steps(path.removesuffix("`"), document)
    if found := re.fullmatch("Object (contains unknown|missing required) field `(.*)`", problem, re.DOTALL):
        place.append(found[2])
        problem = "Extra inputs are not permitted" if found[1] == "contains unknown" else "Field required"
    elif problem.startswith("Invalid enum value"):
        problem += f"; it should be one of {', '.join(CHOICES[place[-1]])}"
    return ".".join(place), problem


def _steps(path: str, document: Any) -> list[str]:
    """`.golden[0].tolerance` as its parts. msgspec leaves out which key of a mapping: `.producer[...]`."""
    steps: list[str] = []
    for step in re.findall(r"\w+|\.\.\.", path):
        if step == "...":
            is_right = _IS_RIGHT[steps[-1]]
            step = next(key for key, value in document.items() if not is_right(value))  # noqa: PLW2901
        document = document[int(step) if isinstance(document, list) else step]
        steps.append(step)
    return steps
