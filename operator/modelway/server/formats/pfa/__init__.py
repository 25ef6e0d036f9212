"""PFA, the Portable Format for Analytics: models as JSON documents, by an evaluator of our own (docs/adr).

What model writers make is supported: linear models with links, trees and their ensembles, clusters, support vector
machines, naive Bayes, small neural networks, and the expressions around them. A document that asks for more is refused
when it is loaded, with the place. Documents are data: they can neither read, nor write, nor go on for ever.

A record of numbers is one input `X` with the fields as features; with texts among them, or booleans, each field is an
input of its own. Fields that may be null take missing values.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats.base import LoadOptions
from modelway.server.formats.pfa import types
from modelway.server.formats.pfa.errors import PfaError
from modelway.server.formats.pfa.program import Program
from modelway.server.formats.pfa.tensors import PfaModel, model
from modelway.server.formats.pfa.types import Types

_REQUIRED: Final = ("input", "output", "action")
# What keeps a state between rows, or gives another number of answers than rows.
_REFUSED: Final = ("begin", "end", "pools", "zero", "merge")
_LARGEST: Final = 512 * 2**20


def load(path: Path, options: LoadOptions) -> PfaModel:
    """Load a PFA document in JSON. Raises ModelError."""
    if path.stat().st_size > _LARGEST:
        raise _unreadable(path, f"it is larger than {_LARGEST >> 20} MiB")
    try:
        document = orjson.loads(path.read_bytes())
    except ValueError as error:
        raise _unreadable(path, f"{error}; the file may be cut short") from error
    try:
        return _compiled(document, options)
    except PfaError as error:
        raise _unreadable(path, str(error)) from error
    except RecursionError as error:
        raise _unreadable(path, "it is nested too deeply") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise _unreadable(path, f"it is no well-formed document: {type(error).__name__}: {error}") from error


def _compiled(document: Any, options: LoadOptions) -> PfaModel:
    if not isinstance(document, dict):
        raise PfaError("", "expected an object")
    for name in _REQUIRED:
        if name not in document:
            raise PfaError("", f'"{name}" is missing')
    if document.get("method", "map") != "map":
        raise PfaError("method", f'only "map" is supported, not {document["method"]!r:.60}')
    for name in _REFUSED:
        if document.get(name):
            raise PfaError(name, "is not supported: an answer may depend on its own row only")
    declared = Types(document)
    program = Program(declared, dict(_cells(document, declared)), document.get("fcns") or {})
    for name in program.defined:
        program.user_function(name, f"fcns.{name}")
    given, answered = declared.of(document["input"], "input"), declared.of(document["output"], "output")
    code = program.block(document["action"], frozenset({"input"}), "action")
    return model(code, given, answered, options)


def _cells(document: Mapping[str, Any], declared: Types) -> Iterator[tuple[str, Any]]:
    for name, cell in (document.get("cells") or {}).items():
        if cell.get("source", "embedded") != "embedded":
            raise PfaError(f"cells.{name}.source", "values have to stand in the document itself")
        yield name, types.read(cell["init"], declared.of(cell["type"], f"cells.{name}.type"), f"cells.{name}.init")


def _unreadable(path: Path, problem: str) -> ModelError:
    return ModelError(Reason.MODEL_LOAD_FAILED, f"{path.name} is no PFA document that can be served: {problem}")
