"""What a library's models need to become ONNX: the seam behind which the converters live."""

from enum import StrEnum
from typing import Protocol

import onnx

from modelway.packing.anchors import Anchors


class Precision(StrEnum):
    """In which numbers the converted model computes."""

    SINGLE = "single precision"
    DOUBLE = "double precision"


class Exporter(Protocol):
    """A model on its way to ONNX."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """Distributions whose versions tell how the model was made and converted."""

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """What can be tried, the cheapest first."""

    def export(self, precision: Precision) -> onnx.ModelProto:
        """The graph, with inputs and outputs of the original's names and datatypes. Raises NotConvertibleError."""

    def anchors(self) -> Anchors:
        """Values of each column at which the model may change its mind; empty where that is not known."""
