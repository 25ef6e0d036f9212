"""Which file is the model, and of which format: what was said, else `MLmodel`, else suffix and content.

`--format` says it first, then `modelway.json`. Nothing is guessed: where two files could be it, the error names both
and says how to choose.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server import metadata as metadata_file
from modelway.server.formats import REGISTRY, Entry, find, plugins
from modelway.server.metadata import FILENAME, Metadata

MLMODEL = "MLmodel"


@dataclass(frozen=True, slots=True)
class Located:
    """A model that was found: its file, its format's name, where that is, and what is said about the model."""

    path: Path
    format: str
    entry: Entry
    metadata: Metadata


def locate(model: Path, *, format_name: str | None = None) -> Located:
    """Find the model in a folder, or take the file that `model` is. Raises ModelError."""
    if not model.exists():
        raise ModelError(Reason.MODEL_NOT_FOUND, f"there is nothing at {model}")
    if model.is_file():
        name = _known(format_name, "--format") or _name_of(model)
        return Located(model, name, _entry(name), Metadata())
    metadata = metadata_file.read(model)
    said_name = _known(format_name, "--format") or _known(metadata.format, FILENAME)
    if metadata.file is not None:
        path = _said(model, metadata.file)
        name = said_name or _name_of(path)
    elif (model / MLMODEL).is_file():
        from modelway.server import mlflow  # noqa: PLC0415 reads YAML, which only such folders need

        flavour = mlflow.read(model, said_name)
        said = {field: value for field, value in structs.asdict(metadata).items() if value is not None}
        path, name, metadata = flavour.path, flavour.format, structs.replace(flavour.metadata, **said)
    else:
        path, name = _found(model, said_name, metadata)
    return Located(path, name, _entry(name), metadata)


def _known(name: str | None, source: str) -> str | None:
    if name is not None and find(name) is None:
        known = ", ".join([*REGISTRY, *plugins()])
        raise ModelError(Reason.FORMAT_UNKNOWN, f'{source} says "{name}", which is no known format; known are {known}')
    return name


def _entry(name: str) -> Entry:
    entry = find(name)
    if entry is None:
        raise ModelError(Reason.FORMAT_UNKNOWN, f'"{name}" is no known format')
    return entry


def _said(folder: Path, file: str) -> Path:
    path = folder / file
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(Reason.METADATA_INVALID, f"{FILENAME}: file {file} is outside the model's folder")
    if not path.is_file():
        raise ModelError(Reason.MODEL_NOT_FOUND, f"{FILENAME} names the file {file}, which is not there")
    return path


def _found(folder: Path, name: str | None, metadata: Metadata) -> tuple[Path, str]:
    """The one file in a folder that can be a model, of this format if it was said."""
    transform = metadata.transform
    known = {FILENAME, transform.file or transform.module if transform else None}
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name not in known)
    if not files:
        raise ModelError(Reason.MODEL_NOT_FOUND, f"the folder {folder} holds no file that could be a model")
    if name is not None:
        return _named(files, name), name
    candidates = _candidates(files, REGISTRY) or _candidates(files, plugins())
    if not candidates:
        raise _unrecognised(files)
    if len(candidates) > 1:
        raise _several([path for path, _ in candidates])
    return candidates[0]


def _named(files: list[Path], name: str) -> Path:
    entry = _entry(name)
    known = {name: entry}
    candidates = [path for path, _ in _candidates(files, known)] or [
        path for path in files if path.suffix.lower() in entry.shared
    ]
    if len(candidates) > 1:
        raise _several(candidates)
    if not candidates and len(files) > 1:
        suffixes = ", ".join(_suffixes([entry]))
        raise ModelError(
            Reason.FORMAT_UNKNOWN,
            f"no file has a suffix of the format {name} ({suffixes}): found {_some(files)}; "
            f"name it as `file` in {FILENAME}, or rename it",
        )
    return candidates[0] if candidates else files[0]  # the format was said, so the suffix need not


def _name_of(path: Path) -> str:
    candidates = _candidates([path], REGISTRY) or _candidates([path], plugins())
    if not candidates:
        raise _unrecognised([path])
    return candidates[0][1]


def _candidates(files: Iterable[Path], entries: Mapping[str, Entry]) -> list[tuple[Path, str]]:
    return [
        (path, name)
        for path in files
        for name, entry in entries.items()
        if path.suffix.lower() in entry.suffixes or (path.suffix.lower() in entry.shared and entry.recognises(path))
    ]


def _unrecognised(files: list[Path]) -> ModelError:
    entries = {**REGISTRY, **plugins()}
    sharing = [name for name, entry in entries.items() if files[0].suffix.lower() in entry.shared]
    if len(files) == 1 and sharing:
        return ModelError(
            Reason.FORMAT_AMBIGUOUS,
            f"{files[0].name} may be of the format {' or '.join(sharing)} by its suffix, and its content shows none; "
            "it may be broken, else set the format",
        )
    return ModelError(
        Reason.FORMAT_UNKNOWN,
        f"no file has a suffix of a known format ({', '.join(_suffixes(entries.values()))}): "
        f"found {_some(files)}; set the format, or rename it",
    )


def _several(files: list[Path]) -> ModelError:
    return ModelError(
        Reason.FORMAT_AMBIGUOUS,
        f"several files could be the model: {_some(files)}; set the format, or `file` in {FILENAME}",
    )


def _suffixes(entries: Iterable[Entry]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(suffix for entry in entries for suffix in (*entry.suffixes, *entry.shared)))


def _some(files: list[Path]) -> str:
    names = [path.name for path in files]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
