"""scikit-learn models from skops files: a zip of JSON and arrays. It names types, and only known ones are made.

skops trusts a list of its own; beyond it, the allow-list for pickles counts, and `allowedGlobals`. Nothing else of the
file is looked up. Sizes are checked before anything is unpacked, as a zip may hold far more than it weighs.
"""

from pathlib import Path
from typing import Final
from zipfile import BadZipFile, ZipFile

import orjson
import sklearn
import skops.io

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import allowlist, estimators
from modelway.server.formats.base import Code, LoadOptions
from modelway.server.formats.estimators import SklearnModel
from modelway.server.formats.sklearn import version_notes

_SCHEMA: Final = "schema.json"
# Trees compress some tenfold; a thousandfold is made to exhaust memory.
_LARGEST_RATIO: Final = 200
_SMALL: Final = 64 * 2**20


def load(path: Path, options: LoadOptions) -> SklearnModel:
    """Load a skops file. Raises ModelError: FORBIDDEN_GLOBAL for a type that is not trusted, MODEL_LOAD_FAILED."""
    version = _check(path)
    allowed = allowlist.allowed() | options.allowed_globals
    try:
        wanted = skops.io.get_untrusted_types(file=path)
        if options.code is not Code.TRUST:
            _refuse([name for name in wanted if name not in allowed], path)
        estimator = skops.io.load(path, trusted=wanted)
    except ModelError:
        raise
    except Exception as error:  # whatever a class on the list makes of a broken state
        raise _broken(path, f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}") from error
    notes = version_notes(version) if version not in {"", sklearn.__version__} else {}
    return estimators.model(estimator, path, options, platform="sklearn_skops", notes=notes)


def _refuse(names: list[str], path: Path) -> None:
    if names:
        raise ModelError(
            Reason.FORBIDDEN_GLOBAL,
            f"{path.name} wants to use {', '.join(names[:5])}, which is not on the allow-list, so it was not loaded; "
            "if you made this model and know why it needs that, add it to allowedGlobals",
        )


def _check(path: Path) -> str:
    """The version of scikit-learn that the file names, if it does. Raises ModelError for what is no skops file."""
    try:
        with ZipFile(path) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
            if unpacked > max(_SMALL, _LARGEST_RATIO * path.stat().st_size):
                raise _broken(path, f"it would unpack to {unpacked >> 20} MiB from {path.stat().st_size >> 10} KiB")
            schema = orjson.loads(archive.read(_SCHEMA))
    except KeyError as error:
        raise _broken(path, f"it holds no {_SCHEMA}, so it is no skops file") from error
    except (BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise _broken(path, f"{error}; the file may be cut short") from error
    if not isinstance(schema, dict):
        raise _broken(path, f"{_SCHEMA} holds no object")
    return _sklearn_version(schema)


def _sklearn_version(schema: dict[str, object]) -> str:
    """The `_sklearn_version` in the state of the outermost estimator; empty where there is none."""
    node: object = schema
    for key in ("content", "content", "_sklearn_version", "content"):
        node = node.get(key) if isinstance(node, dict) else None
    return node.strip('"') if isinstance(node, str) else ""


def _broken(path: Path, problem: str) -> ModelError:
    return ModelError(Reason.MODEL_LOAD_FAILED, f"skops {skops.__version__} cannot read {path.name}: {problem}")
