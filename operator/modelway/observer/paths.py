"""Where in a JSON document something is: JSON Pointers (RFC 6901), with `*` for each element of a list. Pure.

`/instances/*` is each element of the list `instances`, `/answer/score` one value, and the empty path the document.
A name that is `*` itself cannot be told; `~1` stands for a slash in a name and `~0` for a tilde.
"""

import re
from typing import Any, Final

EACH: Final = "*"
_POINTER: Final = re.compile(r"(/([^~/]|~[01])*)*")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")

Path = tuple[str, ...]


class PathError(ValueError):
    """It is no path. The message says what one looks like."""


def path_of(text: str) -> Path:
    """The steps of a path.

    Raises:
        PathError: it is none.
    """
    if not _POINTER.fullmatch(text):
        raise PathError(f'"{text}" is no JSON Pointer such as /instances/* or /answer/score')
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])


def values_at(document: Any, path: Path) -> list[Any]:
    """What is found there, in the document's order; nothing where the document has no such place."""
    found = [document]
    for step in path:
        if step == EACH:
            found = [value for one in found if isinstance(one, list) for value in one]
        else:
            found = [value for one in found for value in _inside(one, step)]
    return found


def _inside(value: Any, step: str) -> list[Any]:
    if isinstance(value, dict):
        return [value[step]] if step in value else []
    if isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
        return [value[int(step)]]
    return []
