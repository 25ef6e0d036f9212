"""Fitted estimators into files of the format that suits them: each library's own, and skops for scikit-learn.

None of them runs code when it is loaded. An estimator of another library is refused: save it as its maker says, and
give its path.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from modelway.packing.errors import UnwritableError

LIBRARIES: Final[Mapping[str, tuple[str, ...]]] = {
    "": (),
    "onnx": ("onnxruntime",),
    "sklearn": ("scikit-learn", "numpy"),
    "skops": ("scikit-learn", "skops", "numpy"),
    "xgboost": ("xgboost-cpu", "xgboost"),
    "lightgbm": ("lightgbm",),
    "catboost": ("catboost",),
    "pfa": (),
    "nnef": ("nnef",),
}
"""Distributions whose versions are worth knowing, by the format's name."""


def save(model: Any, folder: Path, stem: str) -> tuple[str, str]:
    """Write a fitted estimator to a file; gives the file's name and its format's. Raises UnwritableError."""
    library = type(model).__module__.partition(".")[0]
    if library == "xgboost":
        model.save_model(str(folder / f"{stem}.ubj"))
        return f"{stem}.ubj", "xgboost"
    if library == "lightgbm":
        getattr(model, "booster_", model).save_model(str(folder / f"{stem}.txt"))
        return f"{stem}.txt", "lightgbm"
    if library == "catboost":
        model.save_model(str(folder / f"{stem}.cbm"), format="cbm")
        return f"{stem}.cbm", "catboost"
    if hasattr(model, "get_params") and (hasattr(model, "predict") or hasattr(model, "transform")):
        return _save_with_skops(model, folder / f"{stem}.skops"), "skops"
    raise UnwritableError(
        f"a {type(model).__name__} is no estimator of scikit-learn, XGBoost, LightGBM or CatBoost; save it to a file, "
        "and give its path"
    )


def _save_with_skops(model: Any, path: Path) -> str:
    try:
        import skops.io  # noqa: PLC0415 an extra
    except ImportError as error:
        raise UnwritableError("saving a scikit-learn estimator needs skops: pip install 'modelway[skops]'") from error
    skops.io.dump(model, path)
    return path.name
