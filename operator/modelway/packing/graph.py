"""An exported graph made to look like the model that it came from.

A converted model takes the same requests and gives the same outputs, under the same names and of the same datatypes, as
the original: whoever asks it need not know. Exporters name and type things as they like, so casts and names are put
around what they wrote.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import onnx
from onnx import TensorProto, compose, helper

from modelway import __version__
from modelway.server.tensors import TensorSpec

TYPES: Final[Mapping[str, int]] = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
FLOATS: Final = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16}

OPSET: Final = 21
ML_OPSET: Final = 3
IR_VERSION: Final = 10

_INSIDE: Final = "inside/"


def dressed(
    exported: onnx.ModelProto, inputs: Sequence[TensorSpec], outputs: Sequence[tuple[str, TensorSpec]]
) -> onnx.ModelProto:
    """`exported` with the inputs and outputs of the original.

    Args:
        exported: its inputs are in the order of `inputs`.
        inputs: of the original.
        outputs: what of `exported` becomes which output of the original.

    """
    inside = compose.add_prefix(exported, _INSIDE)
    values = {value.name: value for value in inside.graph.output}
    given = [(values[_INSIDE + name], spec) for name, spec in outputs]
    nodes = [
        *(node for own, spec in zip(inside.graph.input, inputs, strict=True) for node in _before(own, spec)),
        *inside.graph.node,
        *(node for own, spec in given for node in _behind(own, spec)),
    ]
    graph = helper.make_graph(
        nodes,
        "modelway",
        [_value(spec.name, TYPES[spec.datatype], spec) for spec in inputs],
        [_value(spec.name, _kind_of(own, spec), spec) for own, spec in given],
        list(inside.graph.initializer),
        sparse_initializer=list(inside.graph.sparse_initializer),
    )
    domains = {one.domain: one.version for one in inside.opset_import} | {"": OPSET}
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in domains.items()],
        functions=list(inside.functions),
        producer_name="modelway",
        producer_version=__version__,
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model


def _before(own: onnx.ValueInfoProto, spec: TensorSpec) -> list[onnx.NodeProto]:
    """From an input of the original to the exporter's."""
    tensor = own.type.tensor_type
    shape = [dimension.dim_value or -1 for dimension in tensor.shape.dim]
    return _chain(
        spec.name,
        own.name,
        cast=tensor.elem_type,
        kind=TYPES[spec.datatype],
        shape=shape if len(shape) != len(spec.shape) else None,
    )


def _behind(own: onnx.ValueInfoProto, spec: TensorSpec) -> list[onnx.NodeProto]:
    """From an output of the exporter's to the original's."""
    kind = own.type.tensor_type.elem_type
    return _chain(
        own.name, spec.name, cast=_kind_of(own, spec), kind=kind, shape=[-1] if len(spec.shape) == 1 else None
    )


def _kind_of(own: onnx.ValueInfoProto, spec: TensorSpec) -> int:
    """An output's type. A float stays as wide as it was computed: digits that are cast to do not become true."""
    kind: int = own.type.tensor_type.elem_type
    return kind if {kind, TYPES[spec.datatype]} <= FLOATS else TYPES[spec.datatype]


def _chain(source: str, target: str, *, cast: int, kind: int, shape: Sequence[int] | None) -> list[onnx.NodeProto]:
    """Nodes from `source` of type `kind` to `target`: reshaped where `shape` is given, cast where that is needed."""
    nodes = []
    if shape is not None:
        size = helper.make_tensor(f"{target}/shape", TensorProto.INT64, [len(shape)], list(shape))
        nodes.append(helper.make_node("Constant", [], [f"{target}/shape"], value=size))
        nodes.append(helper.make_node("Reshape", [source, f"{target}/shape"], [f"{target}/reshaped"]))
        source = f"{target}/reshaped"
    last = helper.make_node("Cast", [source], [target], to=cast) if cast != kind else None
    return [*nodes, last or helper.make_node("Identity", [source], [target])]


def _value(name: str, kind: int, spec: TensorSpec) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, [None if size == -1 else size for size in spec.shape])
