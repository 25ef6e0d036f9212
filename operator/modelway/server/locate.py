"""Which file is the model, and of which format: `--format`, else `modelway.json`, else the suffix.

Nothing is guessed: where two files could be it, the error names both and says how to choose.
"""

from dataclasses import dataclass
from pathlib import Path

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server import metadata as metadata_file
from modelway.server.formats import REGISTRY
from modelway.server.metadata import FILENAME, Metadata


@dataclass(frozen=True, slots=True)
class Located:
    """A model that was found."""

    path: Path
    format: str
    metadata: Metadata


def locate(model: Path, *, format_name: str | None = None) -> Located:
    """Find the model in a folder, or take the file that `model` is. Raises ModelError."""
    if not model.exists():
        raise ModelError(Reason.MODEL_NOT_FOUND, f"there is nothing at {model}")
    folder = model if model.is_dir() else model.parent
    metadata = metadata_file.read(folder) if model.is_dir() else Metadata()
    name = format_name or metadata.format
    if name is not None and name not in REGISTRY:
        source = "--format" if format_name else FILENAME
        raise ModelError(
            Reason.FORMAT_UNKNOWN,
            f'{source} says "{name}", which is no known format; known are {", ".join(REGISTRY)}',
        )
    path = model if model.is_file() else _file(folder, name, metadata)
    return Located(path, name or _format_of(path), metadata)


def _file(folder: Path, name: str | None, metadata: Metadata) -> Path:
    if metadata.file is not None:
        path = folder / metadata.file
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ModelError(Reason.METADATA_INVALID, f"{FILENAME}: file {metadata.file} is outside the model's folder")
        if not path.is_file():
            raise ModelError(Reason.MODEL_NOT_FOUND, f"{FILENAME} names the file {metadata.file}, which is not there")
        return path
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != FILENAME)
    if not files:
        raise ModelError(Reason.MODEL_NOT_FOUND, f"the folder {folder} holds no file that could be a model")
    suffixes = REGISTRY[name].suffixes if name else _all_suffixes()
    candidates = [path for path in files if path.suffix.lower() in suffixes]
    if not candidates and name and len(files) == 1:
        return files[0]  # the format was said, so the suffix need not
    if not candidates:
        kind = f"the format {name} ({', '.join(suffixes)})" if name else f"a known format ({', '.join(suffixes)})"
        raise ModelError(
            Reason.FORMAT_UNKNOWN,
            f"no file has a suffix of {kind}: found {_some(files)}; set the format, or rename it",
        )
    if len(candidates) > 1:
        raise ModelError(
            Reason.FORMAT_AMBIGUOUS,
            f"several files could be the model: {_some(candidates)}; set the format, or `file` in {FILENAME}",
        )
    return candidates[0]


def _format_of(path: Path) -> str:
    for name, entry in REGISTRY.items():
        if path.suffix.lower() in entry.suffixes:
            return name
    raise ModelError(
        Reason.FORMAT_UNKNOWN,
        f'"{path.name}" has none of the known suffixes ({", ".join(_all_suffixes())}); set the format, or rename it',
    )


def _all_suffixes() -> tuple[str, ...]:
    return tuple(suffix for entry in REGISTRY.values() for suffix in entry.suffixes)


def _some(files: list[Path]) -> str:
    names = [path.name for path in files]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
