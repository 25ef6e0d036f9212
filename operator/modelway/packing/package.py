"""`pack`: a model, some rows and its own answers to them become a folder that the server loads and checks by itself."""

import shutil
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec import structs

from modelway.artifacts import digest
from modelway.packing import profile, samples, saving, usual, writing
from modelway.packing.errors import UnwritableError
from modelway.packing.originals import Trust
from modelway.packing.parity import DEFAULT_TOLERANCE
from modelway.packing.samples import Sample
from modelway.server import loading
from modelway.server.formats.base import Model
from modelway.server.locate import Located, locate
from modelway.server.metadata import FILENAME, Metadata, Tensor, Transform
from modelway.server.options import ServerOptions

_MODULE: Final = ".py"


@dataclass(frozen=True, slots=True)
class Packed:
    """What was packed.

    Args:
        folder: where it is.
        digest: of the folder, as `spec.model.digest` takes it.
        metadata: what `modelway.json` says.

    """

    folder: Path
    digest: str
    metadata: Metadata


def pack(
    model: object,
    rows: object,
    to: str | Path | None = None,
    *,
    transform: object = None,
    reference: object = None,
    version: str | None = None,
    training_time: datetime | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    trust: Trust | None = None,
) -> Packed:
    """Pack a model.

    Args:
        model: the path of a file or folder; or, in a notebook, a fitted estimator of scikit-learn, XGBoost, LightGBM or
            CatBoost.
        rows: the path of sample rows (CSV, JSON, Parquet, npy, npz), an array, or a table; some are enough.
        to: a folder that is new or empty. Left out: `modelway.json` is written beside the model.
        transform: what comes before the model: the path of a fitted scikit-learn transformer or of a Python module, or
            a fitted transformer. The rows are then the transform's.
        reference: what is usual for the inputs: a profile, or the rows to make one of, as `modelway.profile` takes them
            (the path of a Parquet or CSV file, a table, an array with a column for each value); columns that the model
            has not are left out. Best are the rows that it was trained on.
        version: free text.
        training_time: with time zone.
        tolerance: of the golden requests.
        trust: the policy for formats that can run code.

    Raises ModelError: ROWS_INVALID, STORAGE_UNWRITABLE, and those of loading the model.

    """
    trusted = trust or Trust()
    target = _target(model, to)
    with _opened(target, beside=to is None) as folder:
        metadata = _gathered(model, transform, folder, trusted, beside=to is None)
        if metadata.transform is not None and metadata.transform.module is not None and metadata.inputs is None:
            metadata = structs.replace(metadata, inputs=_inputs(rows))
        found = _loaded(folder, metadata, trusted)
        sample = samples.read(Path(rows), found) if isinstance(rows, (str, Path)) else samples.of(rows, found)
        if reference is not None:
            metadata = structs.replace(metadata, reference=usual.of(found, sample, reference))
        said = {"version": version, "training_time": training_time}
        metadata = structs.replace(
            metadata,
            **_described(found, sample),
            golden=writing.golden(found, sample.tensors, tolerance),
            answers=profile.of(found, sample.tensors),
            producer=(metadata.producer or {}) | writing.producer(saving.LIBRARIES[metadata.format or ""]),
            **{name: value for name, value in said.items() if value is not None},
        )
        _loaded(folder, metadata, trusted)
    return Packed(target, digest.of_path(target).value, metadata)


def trained_at(path: Path) -> datetime:
    """When a model's file was written, which is when it was trained if nobody has copied it since."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(microsecond=0)


def _target(model: object, to: str | Path | None) -> Path:
    if to is not None:
        return Path(to)
    if not isinstance(model, (str, Path)):
        raise UnwritableError("name a folder for the model to be packed into: pack(model, rows, 'folder')")
    path = Path(model)
    if path.is_dir():
        return path
    others = [other.name for other in sorted(path.parent.iterdir()) if other.name not in {path.name, FILENAME}]
    if path.exists() and others:
        raise UnwritableError(
            f"{path.parent} holds other files beside the model, {others[0]} for one, and would be packed with them; "
            "name a folder with --output"
        )
    return path.parent


def _opened(target: Path, *, beside: bool) -> AbstractContextManager[Path]:
    return nullcontext(target) if beside else writing.folder(target)


def _gathered(model: object, transform: object, folder: Path, trust: Trust, *, beside: bool) -> Metadata:
    """Bring model and transform into the folder; gives what is known of them so far."""
    if isinstance(model, (str, Path)):
        located = locate(Path(model), format_name=trust.format)
        metadata = _copied(Path(model), located, folder, beside=beside)
    else:
        file, format_name = saving.save(model, folder, "model")
        metadata = Metadata(format=format_name, file=file)
    if transform is None:
        return metadata
    if not isinstance(transform, (str, Path)):
        file, _ = saving.save(transform, folder, "transform")
        return structs.replace(metadata, transform=Transform(file=file))
    path = Path(transform)
    if not path.is_file():
        raise UnwritableError(f"there is no transform at {path}")
    if path.resolve().parent != folder.resolve():
        shutil.copyfile(path, folder / path.name)
    kind = {"module": path.name} if path.suffix == _MODULE else {"file": path.name}
    return structs.replace(metadata, transform=Transform(**kind))


def _copied(model: Path, located: Located, folder: Path, *, beside: bool) -> Metadata:
    if not beside:
        for path in model.iterdir() if model.is_dir() else [model]:
            if path.is_dir():
                shutil.copytree(path, folder / path.name)
            elif path.name != FILENAME:
                shutil.copyfile(path, folder / path.name)
    root = model if model.is_dir() else model.parent
    return structs.replace(
        located.metadata, format=located.format, file=located.path.relative_to(root).as_posix(), golden=()
    )


def _loaded(folder: Path, metadata: Metadata, trust: Trust) -> Model:
    """Write the metadata and load what is there, golden requests included."""
    writing.write(metadata, folder)
    return loading.load(ServerOptions(folder, "model", **trust.options())).model


def _described(model: Model, sample: Sample) -> dict[str, Any]:
    described = writing.described(model)
    return described | ({"feature_names": sample.names} if sample.names else {})


def _inputs(rows: object) -> tuple[Tensor, ...]:
    """An input for each column of the sample: what a transform in Python takes, which only its rows can tell."""
    return tuple(
        Tensor(name=name, datatype="BYTES" if texts else "FP64", shape=(-1, 1), lenient=not texts)
        for name, texts in samples.kinds(rows).items()
    )
