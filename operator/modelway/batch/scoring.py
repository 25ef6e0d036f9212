"""The model's answers to a block of rows, as columns to be written.

The model is the server's, loaded by `server.loading` and proved by its golden requests. `Scorer.score` is called from
several threads at once, a block each; one prediction uses one thread, so answers do not depend on how many cores
there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from modelway.batch.columns import Binding, chosen
from modelway.batch.errors import BatchError, ExitCode, Reason
from modelway.batch.settings import Format
from modelway.batch.source import Block, Failure
from modelway.server.loading import Loaded
from modelway.server.tensors import Array, Batch, TensorSpec

PREDICTION: Final = "prediction"
PROBABILITIES: Final = "probabilities"
# More rows of one batch that the model cannot answer are not the rows' fault.
_MOST_REFUSED: Final = 100


@dataclass(frozen=True, slots=True)
class Scored:
    """A block's answers: a `pyarrow.RecordBatch` of the rows that have one, and the rows that have none.

    Args:
        answers: the batch.
        tensors: what the model was given for its rows.
        file: see `Block`.
        after: likewise.
        failures: the rows that have none.
        rows: all of them.
        done: see `Block`.

    """

    answers: Any
    tensors: Mapping[str, Array]
    file: str
    after: int
    failures: tuple[Failure, ...]
    rows: int
    done: float


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model and what is written of its answers.

    Args:
        loaded: the model.
        binding: which column is which input.
        rows_per_batch: rows that the model is given at once.
        version: written in each row.
        digest: likewise.
        flat: lists have a column for each value, as CSV needs it.
        read: the columns that are read, as the first file has them.

    """

    loaded: Loaded
    binding: Binding
    rows_per_batch: int
    version: str
    digest: str
    flat: bool
    read: Any

    @classmethod
    def of(
        cls, loaded: Loaded, binding: Binding, *, rows: int, model: Mapping[str, str], form: Format, read: Any
    ) -> "Scorer":
        """A scorer. Raises BatchError(SETTINGS_INVALID) where the format has no form for an output."""
        scorer = cls(loaded, binding, rows, model["version"], model["digest"], form is Format.CSV, read)
        if scorer.flat:
            for spec in scorer._outputs():
                _labels(spec, loaded)
        return scorer

    def score(self, block: Block) -> Scored:
        """Ask the model. Raises BatchError(PREDICTION_FAILED)."""
        tensors, problems = self.binding.tensors(block.rows)
        failures = [*block.failures, *(Failure(block.numbers[row], *problem) for row, problem in problems.items())]
        rows = block.rows
        kept = np.arange(rows.num_rows)
        if problems:
            kept = np.setdiff1d(kept, np.fromiter(problems, int))
            tensors = chosen(tensors, kept)
        outputs, refused = self._predicted(tensors, len(kept))
        if refused:
            failures += [Failure(block.numbers[int(kept[row])], "", told) for row, told in refused.items()]
            answered = np.delete(np.arange(len(kept)), sorted(refused))
            tensors, kept = chosen(tensors, answered), kept[answered]
        if len(kept) < rows.num_rows:
            rows = rows.take(pa.array(kept))
        failures.sort(key=lambda failure: failure.row)
        total = block.rows.num_rows + len(block.failures)
        answers = self._columns(rows, outputs)
        return Scored(answers, tensors, block.file, block.after, tuple(failures), total, block.done)

    def _outputs(self) -> list[TensorSpec]:
        by_name = {spec.name: spec for spec in self.loaded.signature.outputs}
        return [by_name[name] for name in self.loaded.signature.default_outputs]

    # Predicting

    def _predicted(self, tensors: Mapping[str, Array], rows: int) -> tuple[dict[str, Array], dict[int, str]]:
        """All outputs for the rows that the model answers, and what it says to the others."""
        fixed = self.loaded.signature.inputs[0].shape[0] if self.loaded.signature.inputs[0].shape else -1
        size = self.rows_per_batch if fixed == -1 else fixed
        found: list[dict[str, Array]] = []
        refused: dict[int, str] = {}
        for start in range(0, rows, size):
            stop = min(start + size, rows)
            batch = {name: array[start:stop] for name, array in tensors.items()}
            found += self._answers(batch, stop - start, start, refused, pad=size if fixed != -1 else 0)
        names = self.loaded.signature.default_outputs
        return {name: _joined([one[name] for one in found]) for name in names} if found else {}, refused

    def _answers(
        self, tensors: dict[str, Array], rows: int, first: int, refused: dict[int, str], *, pad: int
    ) -> list[dict[str, Array]]:
        """Answers to the rows of one batch; halved where the model raises, to find the rows at which it does."""
        try:
            return [self._asked(tensors, rows, pad)]
        except BatchError:
            raise
        except Exception as error:
            if rows == 1:
                if len(refused) >= _MOST_REFUSED:
                    raise BatchError(
                        Reason.PREDICTION_FAILED,
                        f"the model raised for more than {_MOST_REFUSED} rows of a block, last {_told(error)}",
                    ) from error
                refused[first] = f"the model raised {_told(error)}"
                return []
        half = rows // 2
        left = {name: array[:half] for name, array in tensors.items()}
        right = {name: array[half:] for name, array in tensors.items()}
        return [
            *self._answers(left, half, first, refused, pad=pad),
            *self._answers(right, rows - half, first + half, refused, pad=pad),
        ]

    def _asked(self, tensors: dict[str, Array], rows: int, pad: int) -> dict[str, Array]:
        if pad > rows:  # a model for so many rows and no other number
            tensors = {
                name: np.concatenate([array, np.repeat(array[-1:], pad - rows, axis=0)])
                for name, array in tensors.items()
            }
        outputs = self.loaded.model.predict(Batch(tensors, max(rows, pad), self.loaded.signature.default_outputs))
        for name, array in outputs.items():
            if array.shape[:1] != (max(rows, pad),):
                raise BatchError(
                    Reason.PREDICTION_FAILED,
                    f'the model\'s output "{name}" has shape {list(array.shape)} for {rows} rows: not one for each',
                )
        return {name: array[:rows] for name, array in outputs.items()}

    # Writing

    def _columns(self, rows: Any, outputs: Mapping[str, Array]) -> Any:
        arrays = [self._key(rows.column(name), name) for name in self.binding.keys]
        for spec in self._outputs():
            array = outputs[spec.name] if outputs else np.empty((0, *(max(size, 0) for size in spec.shape[1:])), object)
            arrays += self._written(array, spec)
        zeros = pa.array(np.zeros(rows.num_rows, np.int32))
        arrays += [pa.DictionaryArray.from_arrays(zeros, pa.array([text])) for text in (self.version, self.digest)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema())

    def _key(self, array: Any, name: str) -> Any:
        """A column to be written, in the type that it has in the first file."""
        kind = self.read.field(name).type
        if array.type == kind:
            return array
        try:
            return array.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise BatchError(
                Reason.COLUMN_TYPE_WRONG,
                f'column "{name}" is {array.type}, where the first file has {kind}: {error}',
                code=ExitCode.SHARD,
            ) from error

    def schema(self) -> Any:
        """The columns that are written: known before the first row."""
        fields = [self.read.field(name) for name in self.binding.keys]
        for spec, name in zip(self._outputs(), self._names(), strict=True):
            kind = _arrow(spec)
            if _is_plain(spec):
                fields.append(pa.field(name, kind))
            elif self.flat:
                fields += [pa.field(f"{name}_{label}", kind) for label in _labels(spec, self.loaded)]
            else:
                fields.append(pa.field(name, pa.list_(kind)))
        text = pa.dictionary(pa.int32(), pa.string())
        return pa.schema([*fields, pa.field("model_version", text), pa.field("model_digest", text)])

    def _names(self) -> list[str]:
        """What outputs are called: a value is the prediction, a list of a classifier's the probabilities.

        So for the first value and the first list of a model with at most one of each; others keep their own names.
        """
        specs = self._outputs()
        plain, lists = [spec for spec in specs if _is_plain(spec)], [spec for spec in specs if not _is_plain(spec)]
        names = {}
        if len(plain) == 1:
            names[plain[0].name] = PREDICTION
        if len(lists) == 1 and plain:
            names[lists[0].name] = PROBABILITIES
        return [names.get(spec.name, spec.name) for spec in specs]

    def _written(self, array: Array, spec: TensorSpec) -> list[Any]:
        kind = _arrow(spec)
        if _is_plain(spec):
            return [pa.array(array.reshape(-1), kind)]
        if self.flat:
            matrix = array.reshape(-1, len(_labels(spec, self.loaded)))
            return [pa.array(np.ascontiguousarray(column), kind) for column in matrix.T]
        width = int(np.prod(array.shape[1:], dtype=int))
        offsets = pa.array(np.arange(len(array) + 1, dtype=np.int32) * width)
        return [pa.ListArray.from_arrays(offsets, pa.array(array.reshape(-1), kind))]


def _is_plain(spec: TensorSpec) -> bool:
    return len(spec.shape) <= 1 or spec.shape[1:] == (1,)


def _labels(spec: TensorSpec, loaded: Loaded) -> Sequence[object]:
    """What the values of a list are called. Raises BatchError where nobody knows how many there are."""
    width = spec.shape[1] if len(spec.shape) == 2 else -1
    classes = loaded.model.classes
    if classes and width in {-1, len(classes)}:
        return classes
    if width != -1 or _is_plain(spec):
        return range(width)
    raise BatchError(
        Reason.SETTINGS_INVALID,
        f'the model does not say how many values its output "{spec.name}" of shape {list(spec.shape)} has, and CSV '
        "needs a column for each: give classes in modelway.json, or write Parquet or JSON lines",
    )


def _arrow(spec: TensorSpec) -> Any:
    types = {"BOOL": pa.bool_(), "BYTES": pa.string(), "FP16": pa.float32(), "FP32": pa.float32(), "FP64": pa.float64()}
    return types.get(spec.datatype) or pa.type_for_alias(spec.datatype.lower())


def _joined(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _told(error: Exception) -> str:
    first = str(error).strip().splitlines()[:1]
    return f"{type(error).__name__}: {first[0][:200] if first else ''}"
