"""The parity gate: ways of converting a model are tried, the cheapest first, until one answers as the original does.

Each is written to a folder and loaded by the server's own loader, so what is compared is what will be served. Where the
two differ on missing values alone, and the rows were made up here, the model is taken all the same, and will refuse
missing values: a request then gets an error and never a wrong answer.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnx
from msgspec import structs

from modelway.artifacts.errors import ModelError
from modelway.packing import parity, writing
from modelway.packing.errors import NotConvertibleError, ParityError
from modelway.packing.exporter import Exporter, Precision
from modelway.packing.originals import Original
from modelway.packing.parity import Parity
from modelway.packing.rows import Rows
from modelway.server import loading
from modelway.server.formats.base import Model
from modelway.server.metadata import Metadata
from modelway.server.options import ServerOptions
from modelway.server.tensors import Array

FILE: Final = "model.onnx"
OPTIONAL: Final = frozenset({"decision_function"})
"""Outputs that are left out where the converter writes something else: nobody gets them without asking."""
_LONGEST_ROW: Final = 400


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way of converting, and what came of it."""

    precision: Precision
    exported: onnx.ModelProto
    loaded: Model
    plain: Parity
    missing: Parity | None


@dataclass(frozen=True, slots=True)
class Gate:
    """What ways of converting are measured by.

    Args:
        original: the model.
        rows: what both are asked.
        tolerance: how far numbers may be off.
        folder: where converted models are written and loaded from.

    """

    original: Original
    rows: Rows
    tolerance: float
    folder: Path

    def first_that_agrees(self, exporter: Exporter) -> Attempt:
        """Try the exporter's ways. Raises ParityError when none agrees, NotConvertibleError when there is none."""
        attempts: list[Attempt] = []
        refusals: list[NotConvertibleError] = []
        for precision in exporter.precisions:
            try:
                attempt = self._attempt(precision, exporter.export(precision))
            except NotConvertibleError as error:
                refusals.append(error)
                continue
            if not attempt.plain.failing(self.tolerance) and self.takes_missing(attempt) is not False:
                return attempt
            attempts.append(attempt)
        if not attempts:
            raise refusals[0]
        best = min(attempts, key=lambda attempt: attempt.plain.largest)
        if best.plain.failing(self.tolerance):
            raise ParityError(self._told(best, best.plain, self.rows.plain))
        if best.missing is not None and self.rows.given:
            raise ParityError(self._told(best, best.missing, self.rows.missing or {}))
        return best

    def takes_missing(self, attempt: Attempt) -> bool | None:
        """Whether missing values are answered as the original answers them; None where it was not asked any."""
        return None if attempt.missing is None else not attempt.missing.failing(self.tolerance)

    def _attempt(self, precision: Precision, exported: onnx.ModelProto) -> Attempt:
        loaded = self._load(exported)
        plain = parity.compare(self.original.model, loaded, self.rows.plain, self.tolerance)
        failing = set(plain.failing(self.tolerance))
        if failing and failing <= OPTIONAL:
            exported = _without(exported, failing)
            loaded = self._load(exported)
            plain = parity.compare(self.original.model, loaded, self.rows.plain, self.tolerance)
        missing = self.rows.missing
        return Attempt(
            precision,
            exported,
            loaded,
            plain,
            parity.compare(self.original.model, loaded, missing, self.tolerance) if missing is not None else None,
        )

    def _load(self, exported: onnx.ModelProto) -> Model:
        (self.folder / FILE).write_bytes(exported.SerializeToString())
        source = self.original.metadata
        metadata = Metadata(format="onnx", file=FILE, transform=source.transform)
        if source.transform is not None:
            metadata = structs.replace(metadata, inputs=source.inputs, feature_names=source.feature_names)
            self._copy_transform()
        writing.write(metadata, self.folder)
        try:
            return loading.load(ServerOptions(self.folder, "model", **self.original.trust.options())).model
        except ModelError as error:
            raise NotConvertibleError(f"the converted model cannot be served: {error.message}") from error

    def _copy_transform(self) -> None:
        for name in self.original.beside:
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.original.located.path.parent / name, target)

    def _told(self, attempt: Attempt, found: Parity, rows: Mapping[str, Array]) -> str:
        worst = found.worst
        row = {name: parity.plain(array[worst.row]) for name, array in rows.items()}
        shown = str(row if len(row) > 1 else next(iter(row.values())))
        return (
            f"the converted model answers otherwise than the original: {worst.output} of row {worst.row} is "
            f"{worst.got}, where the original has {worst.expected} ({found.told()}, {attempt.precision}; tolerance "
            f"{self.tolerance:g}); the row: {shown[:_LONGEST_ROW]}{'…' if len(shown) > _LONGEST_ROW else ''}"
        )


def _without(exported: onnx.ModelProto, outputs: set[str]) -> onnx.ModelProto:
    kept = [value for value in exported.graph.output if value.name not in outputs]
    copy = onnx.ModelProto()
    copy.CopyFrom(exported)
    del copy.graph.output[:]
    copy.graph.output.extend(kept)
    return copy
