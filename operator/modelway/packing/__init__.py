"""Making a model ready to be served: `pack` describes it and records its answers, `convert` turns it into ONNX.

For the command line and for notebooks, and for the container that fetches a model; nothing here runs where requests are
answered. The names below are imported when they are used: packing needs no ONNX converter.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from modelway.packing.conversion import Conversion, convert
    from modelway.packing.originals import Trust
    from modelway.packing.package import Packed, pack
    from modelway.server.code import Code

__all__ = ["Code", "Conversion", "Packed", "Trust", "convert", "pack"]

_HOMES: Final = {
    "Code": "modelway.server.code",
    "Conversion": "modelway.packing.conversion",
    "Packed": "modelway.packing.package",
    "Trust": "modelway.packing.originals",
    "convert": "modelway.packing.conversion",
    "pack": "modelway.packing.package",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
