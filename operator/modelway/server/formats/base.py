"""What a model format has to bring: the seam between the server and the libraries that run models.

A format is a module with a function `load`, and an entry in `formats.REGISTRY`. Everything before it (reading requests)
and after it (answers, metrics, limits) is shared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from modelway.server.metadata import Metadata
from modelway.server.tensors import Array, Batch, TensorSpec


class Code(StrEnum):
    """What a format that can run code when it is loaded may do (`spec.model.code`)."""

    REFUSE = "Refuse"
    ALLOW_LIST = "AllowList"


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What a format may want to know besides the path.

    Args:
        threads: how many CPU threads one prediction may use.
        allowed_globals: exact dotted names beyond the built-in allow-list.
        metadata: what `modelway.json` says; all fields unset where there is none.

    """

    threads: int = 1
    allowed_globals: frozenset[str] = frozenset()
    metadata: Metadata = field(default_factory=Metadata)


class Model(Protocol):
    """A loaded model. `predict` is called from several threads at once and must not mind."""

    @property
    def platform(self) -> str:
        """Runtime and file kind, as V2 metadata shows them: `onnxruntime_onnx`."""

    @property
    def inputs(self) -> Sequence[TensorSpec]:
        """What a request must bring, in the model's order."""

    @property
    def outputs(self) -> Sequence[TensorSpec]:
        """What can be asked for."""

    @property
    def default_outputs(self) -> tuple[str, ...]:
        """The outputs of a request that does not ask for any."""

    @property
    def features(self) -> Sequence[str]:
        """Names of a row's values where the model has one input and they are known; for messages."""

    @property
    def notes(self) -> Mapping[str, str]:
        """What an operator should know about this model, shown in V2 metadata: producer's versions, warnings."""

    def predict(self, batch: Batch) -> Mapping[str, Array]:
        """Compute the outputs in `batch.wanted`. May raise anything: it becomes a 500 with its first line."""


class Format(Protocol):
    """A way to load models; modules of this package are such."""

    def load(self, path: Path, options: LoadOptions) -> Model:
        """Load the file. Raises ModelError with the library's own words when it cannot be."""
