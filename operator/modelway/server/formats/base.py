"""What a model format has to bring: the seam between the server and the libraries that run models.

A format is a module with a function `load`, and an `Entry` in `formats.REGISTRY` or, in somebody else's distribution,
behind an entry point. Everything before it (reading requests) and after it (answers, metrics, limits) is shared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from modelway.server.code import Code as Code  # noqa: PLC0414 part of what formats are given
from modelway.server.metadata import Metadata
from modelway.server.tensors import Array, Batch, TensorSpec


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What a format may want to know besides the path.

    Args:
        threads: how many CPU threads one prediction may use.
        allowed_globals: exact dotted names beyond the built-in allow-list.
        code: with TRUST a file that can run code is loaded as its library does it, without the allow-list.
        metadata: what `modelway.json` says; all fields unset where there is none.

    """

    threads: int = 1
    allowed_globals: frozenset[str] = frozenset()
    code: Code = Code.REFUSE
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
    def classes(self) -> Sequence[str | int | float | bool]:
        """A classifier's labels, in the order of its probabilities; none where they are not known."""

    @property
    def notes(self) -> Mapping[str, str]:
        """What an operator should know about this model, shown in V2 metadata: producer's versions, warnings."""

    def predict(self, batch: Batch) -> Mapping[str, Array]:
        """Compute the outputs in `batch.wanted`. May raise anything: it becomes a 500 with its first line."""


class Format(Protocol):
    """A way to load models; modules of this package are such."""

    def load(self, path: Path, options: LoadOptions) -> Model:
        """Load the file. Raises ModelError with the library's own words when it cannot be."""
