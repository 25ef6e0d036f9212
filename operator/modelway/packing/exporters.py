"""Which exporter a model goes through, by its format. Their libraries are imported when one is asked for."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final

from modelway.packing.errors import NotConvertibleError
from modelway.packing.exporter import Exporter
from modelway.packing.originals import Original

_MODULES: Final[Mapping[str, str]] = {
    "sklearn": "modelway.packing.sklearn_export",
    "skops": "modelway.packing.sklearn_export",
    "xgboost": "modelway.packing.xgboost_export",
    "lightgbm": "modelway.packing.lightgbm_export",
    "catboost": "modelway.packing.catboost_export",
}
"""Each has a function `exporter(model, path) -> Exporter`."""

FORMATS: Final = tuple(_MODULES)


def find(original: Original) -> Exporter:
    """The exporter of a model. Raises NotConvertibleError."""
    name = original.located.format
    if name == "onnx":
        raise NotConvertibleError(f"{original.located.path.name} is an ONNX model already; serve it as it is")
    if name not in _MODULES:
        raise NotConvertibleError(f"there is no way from {name} to ONNX; there is one from {', '.join(FORMATS)}")
    try:
        make: Callable[..., Exporter] = import_module(_MODULES[name]).exporter
    except ImportError as error:
        raise NotConvertibleError(
            f"converting needs {error.name or error}, which is not installed: pip install 'modelway[convert]', or use "
            "the image modelway-server-full"
        ) from error
    return make(original.inner, original.located.path)
