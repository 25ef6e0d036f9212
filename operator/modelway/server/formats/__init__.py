"""Model formats: what can be loaded, and how a file tells which one it is.

`REGISTRY` maps the name that `--format` and `modelway.json` use to the module that holds the format; the module is
imported when a model of that format is loaded, so a server for ONNX never pays for scikit-learn.

A format of somebody else's is an entry point of the group `modelway.formats` in an installed distribution; its value is
an `Entry`. Entry points are looked up only when a name or suffix is none of the built-in ones: reading the metadata of
all distributions takes longer than loading a small model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final, cast

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import signs
from modelway.server.formats.base import Format

GROUP: Final = "modelway.formats"
FULL_IMAGE: Final = "modelway-server-full"
FULL_RUNTIME: Final = "spec.serving.runtime: modelway-full"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a format is, and what has to be known before its libraries are imported.

    Args:
        module: the module that holds it: see `formats.base.Format`.
        suffixes: by which its files are found, in lower case with the dot.
        shared: suffixes that other kinds of files have as well; such a file counts only if `recognises` says so.
        recognises: tells by a file's content, cheaply and surely, whether it is of this format.
        libraries: the modules that it imports, to tell whether it is available without importing anything.
        runs_code: loading can run code of the file's, so it needs `code: AllowList`.
        extra: the extra of modelway that brings the libraries; empty for formats of others.
        in_base_image: whether the image `modelway-server` holds the libraries. `modelway-server-full` holds all.

    """

    module: str
    suffixes: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    recognises: Callable[[Path], bool] = lambda _path: False
    libraries: tuple[str, ...] = ()
    runs_code: bool = False
    extra: str = ""
    in_base_image: bool = False

    def format(self) -> Format:
        """Import the format and its libraries. Raises ModelError when one is not installed."""
        try:
            return cast("Format", import_module(self.module))
        except (ImportError, OSError) as error:  # OSError: a library of the system's that a wheel counts on
            raise ModelError(
                Reason.FORMAT_UNKNOWN, f"this server has no library for the format: {error}{self.remedy()}"
            ) from error

    def missing(self) -> tuple[str, ...]:
        """Libraries that are not installed. Nothing is imported."""
        return tuple(name for name in self.libraries if find_spec(name) is None)

    def remedy(self) -> str:
        """How to come by the libraries, as the end of a sentence; empty where only the format's maker knows."""
        if not self.extra:
            return ""
        image = "" if self.in_base_image else f"serve it with the image {FULL_IMAGE} ({FULL_RUNTIME}), or "
        return f"; {image}pip install 'modelway[{self.extra}]'"


REGISTRY: Final[Mapping[str, Entry]] = {
    "onnx": Entry(
        "modelway.server.formats.onnx", (".onnx",), libraries=("onnxruntime",), extra="server", in_base_image=True
    ),
    "sklearn": Entry(
        "modelway.server.formats.sklearn",
        (".pkl", ".pickle", ".joblib"),
        libraries=("sklearn", "joblib"),
        runs_code=True,
        extra="server",
        in_base_image=True,
    ),
    "skops": Entry(
        "modelway.server.formats.skops", (".skops",), libraries=("sklearn", "skops"), extra="skops", in_base_image=True
    ),
    "xgboost": Entry(
        "modelway.server.formats.xgboost",
        (".ubj",),
        shared=(".json",),
        recognises=signs.is_xgboost,
        libraries=("xgboost",),
        extra="xgboost",
    ),
    "lightgbm": Entry(
        "modelway.server.formats.lightgbm",
        shared=(".txt",),
        recognises=signs.is_lightgbm,
        libraries=("lightgbm",),
        extra="lightgbm",
    ),
    "catboost": Entry("modelway.server.formats.catboost", (".cbm",), libraries=("catboost",), extra="catboost"),
    "pfa": Entry(
        "modelway.server.formats.pfa",
        (".pfa",),
        shared=(".json",),
        recognises=signs.is_pfa,
        libraries=("numpy",),
        extra="server",
        in_base_image=True,
    ),
    "nnef": Entry("modelway.server.formats.nnef", (".nnef",), libraries=("nnef",), extra="nnef"),
}


def find(name: str) -> Entry | None:
    """The format of this name, built in or a plug-in; None when nobody brings it. Raises ModelError as `plugins`."""
    return REGISTRY.get(name) or plugins().get(name)


def plugins() -> dict[str, Entry]:
    """The formats that other distributions bring, by name.

    Raises ModelError for one that is no format, or takes the name of a built-in one or of another's: which of the two a
    model would be loaded by must not depend on the order of folders.
    """
    from importlib import metadata  # noqa: PLC0415 some 20 ms, which only plug-ins are worth

    found: dict[str, Entry] = {}
    for point in metadata.entry_points(group=GROUP):
        source = f'the entry point "{point.name}" of {point.dist.name if point.dist else "a distribution"}'
        if point.name in REGISTRY or point.name in found:
            raise ModelError(
                Reason.FORMAT_AMBIGUOUS, f"{source} takes the name of another format; uninstall it, or rename it there"
            )
        try:
            entry = point.load()
        except Exception as error:  # code of others
            raise ModelError(
                Reason.FORMAT_UNKNOWN, f"{source} cannot be imported: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(entry, Entry):
            raise ModelError(
                Reason.FORMAT_UNKNOWN, f"{source} is a {type(entry).__name__}, not a modelway.server.formats.Entry"
            )
        found[point.name] = entry
    return found
