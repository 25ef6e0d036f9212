"""NNEF, Khronos' exchange format for neural networks: a folder with `graph.nnef` and a file for each variable.

The `nnef` package's own interpreter runs it. A graph fixes its batch, `external(shape = [1, …])`; rows are served in
any number by giving them to it in pieces of that size, which is right whatever the graph does with its shapes; the last
piece is filled up. A graph whose outputs have another first size than its inputs takes exactly what it declares.

The interpreter is C++ that trusts what it reads, so everything is checked first: standard operations only, every shape
worked out, every file in the folder and of the size that its header and the graph say. Nothing of the file runs.
"""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Final

import nnef
import numpy as np

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats.base import LoadOptions
from modelway.server.formats.declared import agreed
from modelway.server.metadata import Metadata
from modelway.server.tensors import Array, Batch, TensorSpec

GRAPH: Final = "graph.nnef"
_DATATYPES: Final = {"scalar": "FP32", "integer": "INT32", "logical": "BOOL"}
_LARGEST_GRAPH: Final = 16 * 2**20
_MOST_NESTED: Final = 64
_MOST_ELEMENTS: Final = 2**28
_HEADER: Final = 128
_MAGIC: Final = b"N\xef\x01\x00"
# `update` would let one request change the answers to the next.
_REFUSED: Final = {"update"}
_CONVOLVING: Final = {"conv", "deconv"}
_COMMENT: Final = re.compile(r"#[^\n]*")
_TEXT: Final = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
# The parser ends the process at a call whose result has no name.
_STATEMENT: Final = re.compile(r"\s*[\w\s,()\[\]]+=\s*\w+\s*(<\s*\w+\s*>)?\s*\([^{}]*\)\s*")


@dataclass(frozen=True, slots=True)
class NnefModel:
    """A session of the interpreter, and how many rows it takes at once (0: exactly the shapes that it declares)."""

    session: Any
    rows: int
    order: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    default_outputs: tuple[str, ...]
    features: tuple[str, ...] = ()
    classes: tuple[str | int | float | bool, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    platform: str = "nnef_interpreter"
    # A session keeps its tensors from one call to the next.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def predict(self, batch: Batch) -> dict[str, Array]:
        """Run the rows through the graph, piece by piece; threads take turns."""
        tensors = [batch.tensors[spec.name] for spec in self.inputs]
        if not self.rows:
            with self.lock:
                pieces = [self._run(tensors)]
        else:
            with self.lock:
                pieces = [
                    self._run([_piece(tensor, start, self.rows) for tensor in tensors])
                    for start in range(0, batch.rows, self.rows)
                ]
        columns = dict(zip(self.order, zip(*pieces, strict=True), strict=True))
        return {name: np.concatenate(columns[name])[: batch.rows if self.rows else None] for name in batch.wanted}

    def _run(self, tensors: list[Array]) -> tuple[Array, ...]:
        # The session copies memory as it lies, and gives arrays of its own that the next call writes over.
        return tuple(np.array(value) for value in self.session(*map(np.ascontiguousarray, tensors)))


def load(path: Path, options: LoadOptions) -> NnefModel:
    """Load the folder that `graph.nnef` stands in. Raises ModelError."""
    if path.name != GRAPH:
        raise _unreadable(path, f"the file has to be called {GRAPH}")
    _check_text(path)
    try:
        graph = nnef.parse_file(str(path), stdlib="", lowered=[])
    except nnef.Error as error:
        raise _unreadable(path, str(error)) from error
    _check_operations(graph, path)
    _check_variables(graph, path)
    try:
        nnef.infer_shapes(graph)
    except Exception as error:  # it raises what its checks happen to
        raise _unreadable(path, f"its shapes do not fit together: {error}") from error
    for name, tensor in graph.tensors.items():
        if prod(tensor.shape or ()) > _MOST_ELEMENTS:
            raise _unreadable(path, f'the tensor "{name}" would have {prod(tensor.shape)} elements')
    for operation in graph.operations:
        # Rows, channels and at least one more: the interpreter ends the process with fewer.
        if operation.name in _CONVOLVING and len(graph.tensors[operation.inputs["input"]].shape) < 3:
            raise _unreadable(path, f'the operation "{operation.name}" needs an input of three dimensions or more')
    try:
        session = nnef.Session(str(path.parent), stdlib="", lowered=[])
    except (nnef.Error, RuntimeError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    return _model(session, graph, path, options.metadata)


def _model(session: Any, graph: Any, path: Path, metadata: Metadata) -> NnefModel:
    sizes = {tuple(graph.tensors[name].shape[:1]) for name in (*graph.inputs, *graph.outputs)}
    first = next(iter(sizes))
    rows = first[0] if len(sizes) == 1 and first else 0
    inputs = agreed(_specs(graph, graph.inputs, rows, path), metadata.inputs, "inputs")
    outputs = _specs(graph, graph.outputs, rows, path)
    agreed(outputs, metadata.outputs, "outputs")
    return NnefModel(
        session,
        rows,
        order=tuple(graph.outputs),
        inputs=inputs,
        outputs=outputs,
        default_outputs=tuple(tensor.name for tensor in metadata.outputs or outputs),
        features=metadata.feature_names or () if len(inputs) == 1 else (),
        classes=metadata.classes or (),
        notes={"graph": graph.name, **(metadata.producer or {})},
    )


def _specs(graph: Any, names: list[str], rows: int, path: Path) -> tuple[TensorSpec, ...]:
    specs = []
    for name in names:
        tensor = graph.tensors[name]
        if tensor.dtype not in _DATATYPES:
            raise _unreadable(path, f'"{name}" is of type {tensor.dtype}, which has no form as a tensor')
        shape = (-1, *tensor.shape[1:]) if rows else tuple(tensor.shape)
        specs.append(TensorSpec(name, _DATATYPES[tensor.dtype], shape))
    return tuple(specs)


def _piece(tensor: Array, start: int, rows: int) -> Array:
    """So many rows from there; the last one again and again where there are fewer."""
    piece = tensor[start : start + rows]
    if len(piece) < rows:
        piece = np.concatenate([piece, np.repeat(piece[-1:], rows - len(piece), axis=0)])
    return piece


def _check_text(path: Path) -> None:
    """Raise ModelError for a text that would exhaust the parser."""
    if path.stat().st_size > _LARGEST_GRAPH:
        raise _unreadable(path, f"it is larger than {_LARGEST_GRAPH >> 20} MiB")
    try:
        text = _COMMENT.sub("", path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is no text") from error
    depth = 0
    for bracket in re.findall(r"[()\[\]{}]", text):
        depth += 1 if bracket in "([{" else -1
        if depth > _MOST_NESTED:
            raise _unreadable(path, f"nested deeper than {_MOST_NESTED} levels")
    if found := re.search(r"^\s*(fragment|extension)\b.*", text, re.MULTILINE):
        raise _unreadable(path, f"operations of the file's own are not supported: {found[0].strip():.80}")
    body = _TEXT.sub("''", text).partition("{")[2].rpartition("}")[0]
    for statement in body.split(";"):
        if statement.strip() and not _STATEMENT.fullmatch(statement):
            raise _unreadable(path, f"this is no assignment of an operation: {' '.join(statement.split()):.80}")


def _check_operations(graph: Any, path: Path) -> None:
    for operation in graph.operations:
        if operation.name not in nnef.StandardOperations or operation.name in _REFUSED:
            raise _unreadable(path, f'the operation "{operation.name}" is not supported')


def _check_variables(graph: Any, path: Path) -> None:
    """Raise ModelError unless each variable's file is in the folder and as long as its header and the graph say."""
    folder = path.parent.resolve()
    for operation in graph.operations:
        if operation.name != "variable":
            continue
        label = str(operation.attribs["label"])
        file = folder / f"{label.removeprefix('/')}.dat"
        if not file.resolve().is_relative_to(folder):
            raise _unreadable(path, f'the variable "{label}" is outside the folder')
        if not file.is_file():
            raise _unreadable(path, f"the file {label}.dat of a variable is missing")
        problem = _problem(file, list(operation.attribs["shape"]))
        if problem:
            raise _unreadable(path, f"{label}.dat: {problem}")


def _problem(file: Path, shape: list[int]) -> str:
    """What is wrong with a variable's file. https://registry.khronos.org/NNEF, "Tensor file format"."""
    with file.open("rb") as content:
        header = content.read(_HEADER)
    if len(header) < _HEADER or header[:4] != _MAGIC:
        return "it is no tensor file of NNEF 1.0; it may be cut short"
    numbers = np.frombuffer(header, "<u4")
    length, rank = int(numbers[1]), int(numbers[2])
    extents, bits = numbers[3 : 3 + min(rank, 8)].tolist(), int(numbers[11])
    if extents != shape:
        return f"its shape is {extents}, where the graph has {shape}"
    if not 1 <= bits <= 64 or length != (prod(extents) * bits + 7) // 8:
        return f"its header says {length} bytes for {prod(extents)} items of {bits} bits"
    if file.stat().st_size != _HEADER + length:
        return f"{file.stat().st_size} bytes, where {_HEADER + length} are expected; it may be cut short"
    return ""


def _unreadable(path: Path, problem: str) -> ModelError:
    return ModelError(Reason.MODEL_LOAD_FAILED, f"nnef cannot load {path.name}: {problem:.400}".replace("\n", " "))
