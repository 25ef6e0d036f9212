"""Reading a pickle or joblib file without running it: only names on the allow-list are looked up.

Two readers share one gate. The standard library's C unpickler reads plain pickles; joblib's, in Python and some five
times slower for small objects, reads joblib's own form, in which arrays follow the pickle as raw bytes, compressed or
not. Which form a file has shows in its first bytes, or when it asks for joblib's array wrapper. joblib reads arrays of
objects as a nested pickle; it routes their names through the same gate (a test holds it to that).
"""

import pickle
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from joblib.numpy_pickle import NumpyUnpickler
from joblib.numpy_pickle_utils import _validate_fileobject_and_memmap

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason

_WRAPPER: Final = ("joblib.numpy_pickle", "NumpyArrayWrapper")


class ForbiddenGlobalError(ModelError):
    """The pickle names something that is not on the list."""

    def __init__(self, name: str) -> None:
        super().__init__(
            Reason.FORBIDDEN_GLOBAL,
            f"the pickle wants to use {name}, which is not on the allow-list, so it was not loaded; "
            "if you made this model and know why it needs that name, add it to allowedGlobals",
        )
        self.name = name


class _IsJoblibError(Exception):
    """The file is of joblib's form."""


class _Plain(pickle.Unpickler):
    def __init__(self, file: BinaryIO, allowed: frozenset[str] | None) -> None:
        super().__init__(file)
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == _WRAPPER:
            raise _IsJoblibError
        _check(module, name, self._allowed)
        return super().find_class(module, name)


class _Joblib(NumpyUnpickler):  # type: ignore[misc]
    def __init__(self, file: BinaryIO, name: str, allowed: frozenset[str] | None) -> None:
        super().__init__(name, file, ensure_native_byte_order=True)
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) != _WRAPPER:
            _check(module, name, self._allowed)
        return super().find_class(module, name)

    def get_extension(self, code: int) -> NoReturn:
        # Names by number, from a registry that is empty unless some library fills it; its cache is no gate.
        raise ForbiddenGlobalError(f"extension {code}")


def load(path: Path, allowed: frozenset[str] | None) -> object:
    """The object in a file.

    Args:
        path: a pickle, or a joblib file, compressed or not.
        allowed: the dotted names that it may use; None where the file is trusted to run code.

    Raises ModelError: FORBIDDEN_GLOBAL, MODEL_LOAD_FAILED for a file that is broken; OSError.

    """
    try:
        with path.open("rb") as file, _validate_fileobject_and_memmap(file, str(path)) as (content, _):
            return _read(file, content, str(path), allowed)
    except (ModelError, OSError):
        raise
    except Exception as error:
        # Whatever the unpickler, a decompressor or a class on the list makes of a broken or foreign state.
        hint = "; the file may be cut short" if isinstance(error, (EOFError, pickle.UnpicklingError)) else ""
        raise ModelError(
            Reason.MODEL_LOAD_FAILED, f"{path.name} cannot be read: {type(error).__name__}: {_said(error)}{hint}"
        ) from error


def _read(file: BinaryIO, content: BinaryIO | str, name: str, allowed: frozenset[str] | None) -> object:
    if isinstance(content, str):
        raise pickle.UnpicklingError("joblib before 0.10 kept arrays in files of their own; save the model anew")
    if content is not file:  # compressed
        return _Joblib(content, name, allowed).load()
    try:
        return _Plain(file, allowed).load()
    except _IsJoblibError:
        file.seek(0)
        return _Joblib(file, name, allowed).load()


def _check(module: str, name: str, allowed: frozenset[str] | None) -> None:
    if allowed is not None and f"{module}.{name}" not in allowed:
        raise ForbiddenGlobalError(f"{module}.{name}")


def _said(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
