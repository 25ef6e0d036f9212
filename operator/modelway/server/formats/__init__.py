"""Model formats: what can be loaded, and how a folder tells which one it is.

`REGISTRY` maps the name that `--format` and `modelway.json` use to the module that holds the format; the module is
imported when a model of that format is loaded, so a server for ONNX never pays for scikit-learn.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from modelway.server.formats.base import Format


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a format is, and what has to be known before its libraries are imported.

    Args:
        module: the module that holds it.
        suffixes: by which its files are found.
        runs_code: loading can run code of the file's, so it needs `code: AllowList`.

    """

    module: str
    suffixes: tuple[str, ...]
    runs_code: bool = False

    def format(self) -> Format:
        """Import the format's libraries."""
        return cast("Format", import_module(self.module))


REGISTRY: Final[dict[str, Entry]] = {
    "onnx": Entry("modelway.server.formats.onnx", (".onnx",)),
    "sklearn": Entry("modelway.server.formats.sklearn", (".pkl", ".pickle", ".joblib"), runs_code=True),
}
