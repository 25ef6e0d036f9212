"""Boosted trees of any library to ONNX: the sum of the trees, and what the objective makes of it.

onnxmltools has exporters of XGBoost and LightGBM models. They are not used: they guess from the numbers of rows in the
leaves whether a model classifies, round thresholds to single precision, refuse columns with names, and do not know all
kinds of missing values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from modelway.packing import anchors
from modelway.packing.anchors import Anchors
from modelway.packing.exporter import Precision
from modelway.packing.graph import IR_VERSION, ML_OPSET, OPSET, dressed
from modelway.packing.trees import EQUAL, LEAF, Tree, attributes
from modelway.server.formats.base import Model

_INPUT: Final = "rows"


class Link(StrEnum):
    """From the sum of the trees to the prediction."""

    IDENTITY = "identity"
    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"
    EXP = "exp"
    SIGNED_SQUARE = "signed square"
    SOFTPLUS = "softplus"
    STEP = "step"
    ARGMAX = "argmax"


@dataclass(frozen=True, slots=True)
class Forest:
    """All that a boosted model has learnt.

    Args:
        trees: at least one.
        width: how many columns a row has.
        outputs: how many sums there are.
        base: what each of them starts with.
        link: what becomes of them.
        factor: by which they are multiplied before.
        single: whether the library rounds rows to single precision.
        labels: what classes are called; none: their numbers.

    """

    trees: Sequence[Tree]
    width: int
    outputs: int
    base: Sequence[float]
    link: Link
    factor: float = 1.0
    single: bool = True
    labels: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class BoostedExporter:
    """A boosted model on its way to ONNX. There is one way: in double precision as far as the library itself goes."""

    model: Model
    forest: Forest
    libraries: tuple[str, ...]
    precisions: tuple[Precision, ...] = (Precision.DOUBLE,)

    def export(self, precision: Precision) -> onnx.ModelProto:
        """The graph; `precision` can only be double."""
        del precision
        graph = _Graph(self.forest)
        names = graph.outputs([spec.name for spec in self.model.outputs], self._predicts_labels())
        exported = graph.model(names)
        return dressed(exported, self.model.inputs, [(names[spec.name], spec) for spec in self.model.outputs])

    def anchors(self) -> Anchors:
        """Thresholds, and the categories that are tested for."""
        return anchors.merged(_anchors(tree) for tree in self.forest.trees)

    def _predicts_labels(self) -> bool:
        """Whether `predict` is the class and not its probability."""
        names = {spec.name for spec in self.model.outputs}
        first = self.model.outputs[0]
        return "label" not in names and (first.datatype in {"INT64", "BYTES"} or "predict_proba" in names)


def _anchors(tree: Tree) -> Anchors:
    inner = tree.left != LEAF
    tested = np.array([tree.modes.get(node, tree.mode) == EQUAL for node in range(len(tree.left))])
    numbers = anchors.of_thresholds(tree.feature[inner & ~tested], tree.threshold[inner & ~tested])
    categories: dict[int, list[float]] = {}
    for node in np.flatnonzero(inner & tested).tolist():
        categories.setdefault(int(tree.feature[node]), [-1.0, 0.0]).append(float(tree.threshold[node]))
    return Anchors(numbers.numbers, categories)


class _Graph:
    """The nodes of one model."""

    def __init__(self, forest: Forest) -> None:
        self._forest = forest
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._several = forest.outputs > 1

    def outputs(self, wanted: Sequence[str], predicts_labels: bool) -> Mapping[str, str]:
        """For each output of the original the tensor that holds it."""
        given = self._given()
        found: dict[str, str] = {}
        for name in wanted:
            if name == "predict_proba":
                found[name] = self._by_class(given)
            elif name == "label" or (name == "predict" and predicts_labels):
                found[name] = self._label(given)
            else:
                found[name] = self._add("Identity", [given])
        return found

    def model(self, names: Mapping[str, str]) -> onnx.ModelProto:
        """The graph with one tensor for each output."""
        rows = helper.make_tensor_value_info(_INPUT, TensorProto.DOUBLE, [None, self._forest.width])
        values = [helper.make_tensor_value_info(name, self._kind(name), None) for name in names.values()]
        graph = helper.make_graph(self._nodes, "boosted", [rows], values, self._constants)
        sets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        return helper.make_model(graph, opset_imports=sets, ir_version=IR_VERSION)

    def _given(self) -> str:
        """What the library's own `predict` gives: (n, k), or (n, 1) for one output."""
        forest = self._forest
        sums = self._sums()
        if forest.factor != 1.0:
            sums = self._add("Mul", [sums, self._constant([forest.factor])])
        return {
            Link.IDENTITY: lambda: sums,
            Link.SIGMOID: lambda: self._add("Sigmoid", [sums]),
            Link.SOFTMAX: lambda: self._add("Softmax", [sums], axis=1),
            Link.EXP: lambda: self._add("Exp", [sums]),
            Link.SOFTPLUS: lambda: self._add("Softplus", [sums]),
            Link.SIGNED_SQUARE: lambda: self._add("Mul", [sums, self._add("Abs", [sums])]),
            Link.STEP: lambda: self._number(self._add("Greater", [sums, self._constant([0.0])])),
            Link.ARGMAX: lambda: self._number(self._add("ArgMax", [sums], axis=1, keepdims=1)),
        }[forest.link]()

    def _number(self, name: str) -> str:
        return self._add("Cast", [name], to=TensorProto.FLOAT)

    def _sums(self) -> str:
        forest, rows = self._forest, _INPUT
        if forest.single:
            rows = self._add("Cast", [self._add("Cast", [rows], to=TensorProto.FLOAT)], to=TensorProto.DOUBLE)
        return self._add(
            "TreeEnsembleRegressor",
            [rows],
            domain="ai.onnx.ml",
            **attributes(forest.trees, outputs=forest.outputs, base=forest.base),
        )

    def _by_class(self, given: str) -> str:
        if self._several:
            return self._add("Identity", [given])
        return self._add("Concat", [self._add("Sub", [self._constant([1.0]), given]), given], axis=1)

    def _label(self, given: str) -> str:
        forest = self._forest
        if forest.link is Link.ARGMAX or forest.link is Link.STEP:
            number = self._add("Cast", [given], to=TensorProto.INT64)
        elif self._several:
            number = self._add("ArgMax", [given], axis=1, keepdims=1)
        else:
            likely = self._add("Greater", [given, self._constant([0.5])])
            number = self._add("Cast", [likely], to=TensorProto.INT64)
        if not len(forest.labels):
            return self._add("Identity", [number], prefix="label")
        texts = isinstance(forest.labels[0], str)
        kind = TensorProto.STRING if texts else TensorProto.INT64
        labels = [label.encode() if texts else int(label) for label in forest.labels]
        self._constants.append(helper.make_tensor("labels", kind, [len(labels)], labels))
        return self._add("Gather", ["labels", number], prefix="name" if texts else "label", axis=0)

    def _add(self, kind: str, inputs: Sequence[str], *, domain: str = "", prefix: str = "", **options: Any) -> str:
        output = f"{prefix or kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], domain=domain, **options))
        return output

    def _constant(self, values: Sequence[float]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(helper.make_tensor(name, TensorProto.FLOAT, [len(values)], list(values)))
        return name

    def _kind(self, name: str) -> int:
        return {"label": TensorProto.INT64, "name": TensorProto.STRING}.get(name.partition("_")[0], TensorProto.FLOAT)
