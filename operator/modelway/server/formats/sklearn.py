"""scikit-learn models from pickle and joblib files, through the allow-list; `estimators` has what comes after."""

import warnings
from pathlib import Path

import sklearn
from sklearn.exceptions import InconsistentVersionWarning

from modelway.server.formats import allowlist, estimators, unpickle
from modelway.server.formats.base import Code, LoadOptions
from modelway.server.formats.estimators import SklearnModel


def load(path: Path, options: LoadOptions) -> SklearnModel:
    """Load a pickle or joblib file. Raises ModelError."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InconsistentVersionWarning)
        allowed = None if options.code is Code.TRUST else allowlist.allowed() | options.allowed_globals
        estimator = unpickle.load(path, allowed)
    return estimators.model(
        estimator,
        path,
        options,
        platform="sklearn_joblib" if path.suffix == ".joblib" else "sklearn_pickle",
        notes=_notes(caught),
    )


def _notes(caught: list[warnings.WarningMessage]) -> dict[str, str]:
    versions = sorted(
        {
            str(item.message.original_sklearn_version)
            for item in caught
            if isinstance(item.message, InconsistentVersionWarning)
        }
    )
    return version_notes(versions[0]) if versions else {}


def version_notes(version: str) -> dict[str, str]:
    """What to tell of a model that another version of scikit-learn has made."""
    return {
        "scikit-learn": version,
        "warning": f"made with scikit-learn {version} and served with {sklearn.__version__}: "
        "answers may differ; golden requests in modelway.json would tell",
    }
