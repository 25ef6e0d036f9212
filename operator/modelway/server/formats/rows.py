"""What formats share whose models take rows of numbers and have no tensors of their own (scikit-learn, boosted trees).

Their one input is `X`, [-1, features], unless `modelway.json` declares others: several inputs are columns that are put
side by side. Called when a model is loaded, and `side_by_side` at each prediction.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats.base import LoadOptions
from modelway.server.metadata import FILENAME, Metadata, Tensor
from modelway.server.tensors import DTYPES, FLOATS, Array, Batch, TensorSpec, datatype_of

INPUT: Final = "X"
Label = str | int | float | bool


@dataclass(frozen=True, slots=True)
class RowsModel:
    """A model of rows that is a function: from an array [rows, features] to the outputs that are asked for."""

    answer: Callable[[Array, Sequence[str]], Mapping[str, Array]]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    default_outputs: tuple[str, ...]
    platform: str
    features: tuple[str, ...] = ()
    classes: tuple[Label, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def predict(self, batch: Batch) -> Mapping[str, Array]:
        """As thread-safe as the function is."""
        return self.answer(side_by_side([batch.tensors[spec.name] for spec in self.inputs]), batch.wanted)


@dataclass(frozen=True, slots=True)
class Found:
    """What a library tells of the model that it has loaded.

    Args:
        answer: as in `RowsModel`; safe to call from several threads.
        outputs: the names of what it gives; the first is what a request gets that does not ask.
        width: how many features a row has.
        texts: which of them, from 0, are texts. With any, each feature becomes an input of its own.
        platform: runtime and kind of file.
        features: their names, where the file knows them.
        classes: a classifier's labels, where the file knows them.
        nullable: whether values may be missing.
        notes: what an operator should know.

    """

    answer: Callable[[Array, Sequence[str]], Mapping[str, Array]]
    outputs: tuple[str, ...]
    width: int
    platform: str
    texts: frozenset[int] = frozenset()
    features: Sequence[str] = ()
    classes: Sequence[Label] = ()
    nullable: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)


def model(found: Found, options: LoadOptions) -> RowsModel:
    """Put together what the library and the metadata say; the outputs' types are found by asking a row of zeros.

    Raises ModelError(METADATA_INVALID) where the two contradict each other, and whatever the library raises.
    """
    metadata = options.metadata
    if found.texts:
        names = [found.features[index] if found.features else str(index) for index in range(found.width)]
        specs = columns(names, {names[index] for index in found.texts}, metadata, nullable=found.nullable)
    else:
        own = TensorSpec(INPUT, "FP64", (-1, found.width), lenient=True, nullable=found.nullable)
        specs = inputs(own, metadata)
    answers = found.answer(side_by_side([row_of(spec) for spec in specs]), found.outputs)
    outputs = tuple(
        TensorSpec(name, datatype_of(answers[name]), (-1, *answers[name].shape[1:])) for name in found.outputs
    )
    return RowsModel(
        found.answer,
        inputs=specs,
        outputs=outputs,
        default_outputs=default_outputs(outputs, metadata),
        platform=found.platform,
        features=features(found.features, found.width, specs, metadata),
        classes=classes(found.classes, metadata),
        notes={**found.notes, **(metadata.producer or {})},
    )


def inputs(own: TensorSpec, metadata: Metadata) -> tuple[TensorSpec, ...]:
    """The model's one input, or what the metadata declares in its place.

    Args:
        own: what the model says of itself; a shape of (-1, n) or, for texts, (-1,).
        metadata: what `modelway.json` says.

    Raises ModelError(METADATA_INVALID) where the declared columns do not add up to the model's.

    """
    if metadata.inputs is None:
        return (own,)
    alone = len(metadata.inputs) == 1
    specs = tuple(
        TensorSpec(
            tensor.name,
            tensor.datatype or own.datatype,
            tensor.shape or (own.shape if alone else (-1, 1)),
            lenient=(alone or tensor.datatype != "BYTES") if tensor.lenient is None else tensor.lenient,
            nullable=own.nullable and (tensor.datatype or own.datatype) in FLOATS
            if tensor.nullable is None
            else tensor.nullable,
        )
        for tensor in metadata.inputs
    )
    widths = [spec.shape[1] if len(spec.shape) == 2 else None for spec in specs]
    width = own.shape[1] if len(own.shape) == 2 else None
    if width is not None and None not in widths and -1 not in widths and sum(filter(None, widths)) != width:
        raise contradiction(f"inputs have {sum(filter(None, widths))} columns, the model {width}")
    return specs


def columns(
    names: Sequence[str], texts: Collection[str], metadata: Metadata, *, nullable: bool = False
) -> tuple[TensorSpec, ...]:
    """An input of [-1, 1] for each column: BYTES for texts, FP64 for the rest, unless the metadata says otherwise.

    Raises ModelError(METADATA_INVALID) when it leaves out a column, or has one more.
    """
    said = {tensor.name: tensor for tensor in metadata.inputs or ()}
    if unknown := said.keys() - set(names):
        raise contradiction(f'inputs names "{min(unknown)}", where the model has {", ".join(names)}')
    if said and (missing := set(names) - said.keys()):
        raise contradiction(f'inputs leaves out "{min(missing)}"')
    return tuple(_column(name, "BYTES" if name in texts else "FP64", said.get(name), nullable) for name in names)


def _column(name: str, own: str, said: Tensor | None, nullable: bool) -> TensorSpec:
    datatype = (said and said.datatype) or own
    is_number = datatype != "BYTES"
    return TensorSpec(
        name,
        datatype,
        (said and said.shape) or (-1, 1),
        lenient=is_number if said is None or said.lenient is None else said.lenient,
        nullable=nullable and datatype in FLOATS if said is None or said.nullable is None else said.nullable,
    )


def row_of(spec: TensorSpec, number: float = 0) -> Array:
    """One row of an input: this number, or empty texts, everywhere."""
    value = "" if spec.datatype == "BYTES" else number
    return np.full([max(size, 1) for size in spec.shape], value, dtype=DTYPES[spec.datatype])


def features(own: Sequence[str], width: int | None, specs: Sequence[TensorSpec], metadata: Metadata) -> tuple[str, ...]:
    """Names of a row's values; none where several inputs have names themselves.

    Args:
        own: the names that the model knows, or none.
        width: how many values its row has, or None.
        specs: its inputs.
        metadata: what `modelway.json` says.

    Raises ModelError(METADATA_INVALID) for another number of names, or the model's own in another order: columns that
    changed places give wrong answers without any error.

    """
    if len(specs) > 1:
        return ()
    said = metadata.feature_names
    if said is None:
        return tuple(own)
    if width is not None and len(said) != width:
        raise contradiction(f"featureNames has {len(said)} names, the model {width} features")
    if own and set(said) == set(own) and tuple(said) != tuple(own):
        place = next(index for index, (one, other) in enumerate(zip(said, own, strict=True)) if one != other)
        raise contradiction(f'featureNames[{place}] is "{said[place]}", where the model has "{own[place]}"')
    return said


def default_outputs(outputs: Sequence[TensorSpec], metadata: Metadata) -> tuple[str, ...]:
    """What a request is answered that asks for nothing: as declared, else the first output."""
    names = [spec.name for spec in outputs]
    if metadata.outputs is None:
        return (names[0],)
    for tensor in metadata.outputs:
        if tensor.name not in names:
            raise contradiction(f'outputs names "{tensor.name}", the model has {", ".join(names)}')
    return tuple(tensor.name for tensor in metadata.outputs)


def classes(own: Sequence[Label], metadata: Metadata) -> tuple[Label, ...]:
    """A classifier's labels. Raises ModelError(METADATA_INVALID) for another number of them than the model has."""
    if metadata.classes is None:
        return tuple(own)
    if own and len(metadata.classes) != len(own):
        raise contradiction(f"classes has {len(metadata.classes)} labels, the model {len(own)}")
    return metadata.classes


def side_by_side(columns: Sequence[Array]) -> Array:
    """Put the inputs' columns together into rows; texts among them make it an array of objects."""
    if len(columns) == 1:
        return columns[0]
    wide = [column.reshape(len(column), -1) for column in columns]
    if any(column.dtype == object for column in wide):
        wide = [column.astype(object) for column in wide]
    return np.hstack(wide)


def nullable(specs: Sequence[TensorSpec], metadata: Metadata, *, takes: bool) -> tuple[TensorSpec, ...]:
    """The inputs with what was found out about missing values, where the metadata does not say."""
    said = {tensor.name: tensor.nullable for tensor in metadata.inputs or ()}
    return tuple(
        replace(spec, nullable=takes and spec.datatype in FLOATS) if said.get(spec.name) is None else spec
        for spec in specs
    )


def contradiction(problem: str) -> ModelError:
    """`modelway.json` says what is not so."""
    return ModelError(Reason.METADATA_INVALID, f"{FILENAME} contradicts the model: {problem}")
