"""`convert`: a model to ONNX. Nothing is written that answers otherwise than the original (`gate`)."""

from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from modelway.packing import exporters, originals, rows, writing
from modelway.packing.anchors import Anchors, of_estimator
from modelway.packing.exporter import Exporter, Precision
from modelway.packing.gate import FILE, Attempt, Gate
from modelway.packing.originals import Original, Trust
from modelway.packing.parity import DEFAULT_TOLERANCE, Parity
from modelway.server import loading
from modelway.server.options import ServerOptions
from modelway.server.transform import Transformed


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was written, and how well it agrees.

    Args:
        folder: where it is.
        precision: in which numbers it computes.
        parity: of rows without missing values.
        takes_missing: whether it takes missing values; None where the original does not either.
        left_out: outputs of the original that it does not have.

    """

    folder: Path
    precision: Precision
    parity: Parity
    takes_missing: bool | None
    left_out: tuple[str, ...]


def convert(
    model: Path,
    to: Path,
    *,
    sample: Path | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    trust: Trust | None = None,
    replace: bool = False,
) -> Conversion:
    """Convert a model to ONNX.

    Args:
        model: its file or folder.
        to: a folder that is new or empty; it gets `model.onnx` and `modelway.json`.
        sample: a file with rows to compare on; without it rows are made from the model.
        tolerance: how far numbers may be off, as golden requests have it.
        trust: the policy for formats that can run code.
        replace: empty the folder first, of what an earlier run has left.

    Raises ModelError: CONVERSION_FAILED, PARITY_FAILED, ROWS_INVALID, and those of loading the original.

    """
    original = originals.load(model, trust or Trust())
    exporter = exporters.find(original)
    asked = rows.given(sample, original.model) if sample else rows.made(original.model, _anchors(original, exporter))
    with writing.folder(to, replace=replace) as staging:
        gate = Gate(original, asked, tolerance, staging)
        attempt = gate.first_that_agrees(exporter)
        takes_missing = gate.takes_missing(attempt)
        _finish(gate, attempt, exporter, takes_missing=bool(takes_missing))
    kept = {spec.name for spec in attempt.loaded.outputs}
    return Conversion(
        folder=to,
        precision=attempt.precision,
        parity=attempt.plain,
        takes_missing=takes_missing,
        left_out=tuple(spec.name for spec in original.model.outputs if spec.name not in kept),
    )


def _anchors(original: Original, exporter: Exporter) -> Anchors:
    """What is known of the columns that requests bring: the transform's, where there is one."""
    if not isinstance(original.model, Transformed):
        return exporter.anchors()
    transform = original.model.estimator
    return Anchors() if transform is None else of_estimator(transform)


def _finish(gate: Gate, attempt: Attempt, exporter: Exporter, *, takes_missing: bool) -> None:
    """Write the model with its metadata, and load it as it will be loaded: golden requests included."""
    original, source = gate.original, gate.original.metadata
    outputs = tuple(spec.name for spec in attempt.loaded.outputs)
    own = (
        writing.golden(original.model, gate.rows.plain, gate.tolerance, outputs=outputs)
        if gate.rows.given or not source.golden
        else ()
    )
    metadata = structs.replace(
        source,
        format="onnx",
        file=FILE,
        golden=(*source.golden, *own),
        producer=_producer(original, exporter),
        **writing.described(original.model, nullable=takes_missing, outputs=attempt.loaded.outputs),
    )
    (gate.folder / FILE).write_bytes(attempt.exported.SerializeToString())
    writing.write(metadata, gate.folder)
    loading.load(ServerOptions(gate.folder, "model", **original.trust.options()))


def _producer(original: Original, exporter: Exporter) -> dict[str, str]:
    made_with = original.metadata.producer or {}
    return writing.producer((*exporter.libraries, "onnx")) | made_with | {"convertedFrom": original.located.format}
