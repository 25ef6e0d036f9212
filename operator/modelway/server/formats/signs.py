"""By which signs a file is recognised whose suffix many formats share (`.json`, `.txt`). Called by `locate`.

The first bytes decide wherever they can, as models may be large. What is said of a file is sure: a file that only might
be of a format is not. No library is imported.
"""

import re
from pathlib import Path
from typing import Final

import orjson

_HEAD: Final = 4096
_FIRST_KEY: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"([^"\\]{1,40})"\s*:\s*(.)', re.DOTALL)
# https://datamininggroup.org/pfa/docs/document_structure: all the fields that a document may have.
_PFA_FIELDS: Final = frozenset(
    {"name", "method", "input", "output", "begin", "action", "end", "fcns", "zero", "merge", "cells", "pools"}
    | {"randseed", "doc", "version", "metadata", "options"}
)
_PFA_REQUIRED: Final = {"input", "output", "action"}
# A PFA document is told from other JSON by all of its fields, so it is read whole; larger ones need to be named.
_PFA_LARGEST: Final = 256 * 2**20


def is_xgboost(path: Path) -> bool:
    """Whether this is a model of XGBoost in JSON: an object with `learner` and `version`, in any order.

    PFA has a `version` as well, which is a number, where XGBoost's is an array.
    """
    found = _FIRST_KEY.match(_head(path))
    return found is not None and (found[1] == b"learner" or (found[1] == b"version" and found[2] == b"["))


def is_pfa(path: Path) -> bool:
    """Whether this is a PFA document: a JSON object with `input`, `output` and `action`."""
    found = _FIRST_KEY.match(_head(path))
    # Writers may put a comment, "@", before anything else.
    if found is None or (found[1].decode("utf-8", "replace") not in _PFA_FIELDS and not found[1].startswith(b"@")):
        return False
    if path.stat().st_size > _PFA_LARGEST:
        return False
    try:
        document = orjson.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(document, dict) and document.keys() >= _PFA_REQUIRED


def is_lightgbm(path: Path) -> bool:
    """Whether this is a model file of LightGBM in text."""
    return re.match(rb"tree\r?\nversion=v\d", _head(path)) is not None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)
