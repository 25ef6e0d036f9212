"""scikit-learn to ONNX: skl2onnx, with converters of our own for trees."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import helper
from skl2onnx import convert_sklearn
from skl2onnx.common import data_types
from sklearn.base import is_classifier

from modelway.packing import anchors, sklearn_trees
from modelway.packing.anchors import Anchors
from modelway.packing.errors import NotConvertibleError
from modelway.packing.exporter import Precision
from modelway.packing.graph import ML_OPSET, OPSET, dressed
from modelway.server.formats.base import Model
from modelway.server.formats.estimators import SklearnModel, parts
from modelway.server.tensors import TensorSpec

_FIRST: Final = ("predict", "transform")
_SECOND: Final = ("predict_proba", "decision_function", "transform")


@dataclass(frozen=True, slots=True)
class SklearnExporter:
    """An estimator on its way to ONNX."""

    model: Model
    estimator: Any
    libraries: tuple[str, ...] = ("scikit-learn", "skl2onnx")
    precisions: tuple[Precision, ...] = (Precision.SINGLE, Precision.DOUBLE)

    def export(self, precision: Precision) -> onnx.ModelProto:
        """Raises NotConvertibleError."""
        try:
            with warnings.catch_warnings(), _convertible(self.estimator):
                warnings.simplefilter("ignore")  # of its dependencies' next releases
                exported = self._converted(precision)
            _mend(exported)
            return dressed(exported, self.model.inputs, self._outputs(exported))
        except NotConvertibleError:
            raise
        except Exception as error:  # skl2onnx and what it stands on raise what they meet
            raise NotConvertibleError(
                f"skl2onnx cannot convert this {type(self.estimator).__name__}: {_first_line(error)}"
            ) from error

    def anchors(self) -> Anchors:
        """Values of each column at which the model may change its mind."""
        return anchors.of_estimator(self.estimator)

    def _converted(self, precision: Precision) -> onnx.ModelProto:
        arguments = {
            "initial_types": [(spec.name, _type(spec, precision)) for spec in self.model.inputs],
            "target_opset": {"": OPSET, "ai.onnx.ml": ML_OPSET},
            "custom_conversion_functions": sklearn_trees.converters(),
        }
        if not is_classifier(self.estimator):
            exported: onnx.ModelProto = convert_sklearn(self.estimator, **arguments)
            return exported
        try:
            # So that labels and probabilities come as tensors, not as a list with a dictionary a row.
            exported = convert_sklearn(self.estimator, options={"zipmap": False}, **arguments)
        except NameError:  # a classifier without probabilities does not know that option
            exported = convert_sklearn(self.estimator, **arguments)
        return exported

    def _outputs(self, exported: onnx.ModelProto) -> list[tuple[str, TensorSpec]]:
        """Which output of the graph is which method's: skl2onnx gives predictions first, then scores."""
        own = {spec.name: spec for spec in self.model.outputs}
        found: list[tuple[str, TensorSpec]] = []
        for value, names in zip(exported.graph.output, (_FIRST, _SECOND), strict=False):
            taken = {spec.name for _, spec in found}
            method = next((name for name in names if name in own and name not in taken), None)
            if method is not None:
                found.append((value.name, own[method]))
        return found


def exporter(model: Model, path: Path) -> SklearnExporter:
    """How the estimator of a loaded model is converted."""
    if not isinstance(model, SklearnModel):
        raise NotConvertibleError(f"{path.name} holds no scikit-learn estimator")
    return SklearnExporter(model, model.estimator)


@contextmanager
def _convertible(estimator: Any) -> Iterator[None]:
    """The estimator without what keeps skl2onnx from converting it and changes no prediction.

    `flatten_transform` is the shape of what a voting ensemble gives as a transformer, which is not converted.
    """
    flat = [part for part in parts(estimator) if getattr(part, "flatten_transform", False) is True]
    for part in flat:
        part.flatten_transform = False
    try:
        yield
    finally:
        for part in flat:
            part.flatten_transform = True


def _mend(exported: onnx.ModelProto) -> None:
    """Have texts put into lower case as Unicode says, in a locale that every system has."""
    for node in exported.graph.node:
        if node.op_type == "StringNormalizer":
            kept = [attribute for attribute in node.attribute if attribute.name != "locale"]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute("locale", "C.UTF-8")])


def _type(spec: TensorSpec, precision: Precision) -> Any:
    shape = [None if size == -1 else size for size in spec.shape]
    if spec.datatype == "BYTES":
        return data_types.StringTensorType(shape if len(shape) > 1 else [None, 1])
    if spec.datatype == "BOOL":
        return data_types.BooleanTensorType(shape)
    if spec.datatype.startswith(("INT", "UINT")):
        return data_types.Int64TensorType(shape)
    return (data_types.DoubleTensorType if precision is Precision.DOUBLE else data_types.FloatTensorType)(shape)


def _first_line(error: Exception) -> str:
    lines: Sequence[str] = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
