"""`modelway.json`: what the maker of a model says about it, in a file beside it.

Everything in it is optional and so is the file: the server finds out what it can from the model. What is said and
contradicts the model is refused when the model is loaded, as is a field that is not known: a typing mistake in
`golden` would otherwise be a check that never runs.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason

FILENAME = "modelway.json"

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]
Dimension = Annotated[int, Field(ge=-1)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, protected_namespaces=()
    )


class Tensor(_Strict):
    """An input or output of the model."""

    name: str = Field(min_length=1, description="The name by which requests and answers call it.")
    datatype: Datatype | None = Field(
        default=None, description="Open Inference Protocol datatype. Left out: what the model itself says."
    )
    shape: tuple[Dimension, ...] | None = Field(
        default=None, description="Sizes; the first is the number of rows and -1 is any. Left out: the model's own."
    )
    nullable: bool | None = Field(
        default=None,
        description="Whether a value may be missing (null, NaN). Left out: what the model's library says of it.",
    )
    lenient: bool | None = Field(
        default=None,
        description="Whether datatypes that fit without loss are taken (FP32 for FP64). Left out: the format's own.",
    )


class Golden(_Strict):
    """A request whose right answer is known. The server is not ready until it has answered it so."""

    instances: list[Any] | None = Field(default=None, description="Rows of a V1 request. Needs `predictions`.")
    predictions: list[Any] | None = Field(default=None, description="What the V1 answer must be.")
    inputs: list[dict[str, Any]] | None = Field(default=None, description="Tensors of a V2 request. Needs `outputs`.")
    outputs: list[dict[str, Any]] | None = Field(
        default=None, description="Tensors (name and data) that the V2 answer must hold; others are not compared."
    )
    tolerance: float = Field(
        default=1e-5,
        ge=0,
        description="How far a number may be off: |answer - expected| <= tolerance * max(1, |expected|).",
    )

    @model_validator(mode="after")
    def _is_one_protocol(self) -> Self:
        v1 = (self.instances is not None, self.predictions is not None)
        v2 = (self.inputs is not None, self.outputs is not None)
        if (v1, v2) not in {((True, True), (False, False)), ((False, False), (True, True))}:
            raise ValueError("give either instances and predictions, or inputs and outputs")
        return self


class Transform(_Strict):
    """Feature engineering that comes before the model: what it gives is what the model is asked with."""

    file: str | None = Field(
        default=None,
        min_length=1,
        description="A fitted scikit-learn transformer beside the model: pickle, joblib, skops.",
    )
    module: str | None = Field(
        default=None,
        min_length=1,
        description="A Python file beside the model with a function `transform`; needs `code: Trust`.",
    )

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.file is None) == (self.module is None):
            raise ValueError("give either file or module")
        return self


class Metadata(_Strict):
    """The whole file."""

    format: str | None = Field(
        default=None,
        description="The model's format, as `modelway formats` lists them.",
    )
    file: str | None = Field(
        default=None, description="The model's file in the folder. Needed where several files could be it."
    )
    version: str | None = Field(default=None, max_length=128, description="Free text; `--version` wins over it.")
    inputs: tuple[Tensor, ...] | None = Field(default=None, description="What the model takes.")
    outputs: tuple[Tensor, ...] | None = Field(
        default=None, description="What a request that asks for nothing particular is answered, in this order."
    )
    feature_names: tuple[str, ...] | None = Field(
        default=None, description="Names of a row's values, in order; used in error messages."
    )
    extra_features: Literal["Refuse", "Ignore"] = Field(
        default="Refuse",
        description="What is done about named values in a request that the model has no use for: refused, or left out.",
    )
    classes: tuple[str | int | float | bool, ...] | None = Field(
        default=None, description="A classifier's labels, in the order of its probabilities."
    )
    transform: Transform | None = Field(
        default=None,
        description="What is done to a request's values before the model sees them; `inputs` and `featureNames` are "
        "then those of the transform.",
    )
    golden: tuple[Golden, ...] = Field(default=(), description="Requests with known answers.")
    producer: dict[str, str] | None = Field(
        default=None, description="Versions of what made the model: {python: 3.11.7, scikit-learn: 1.9.1}."
    )
    training_time: AwareDatetime | None = Field(
        default=None, description="When the model was trained, with its time zone."
    )


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
        return Metadata.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        place = f" in {field}" if field else ""
        raise ModelError(Reason.METADATA_INVALID, f"{FILENAME} is wrong{place}: {first['msg']}{more}") from error
