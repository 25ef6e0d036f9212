"""Modules that are loaded when they are first used, and cost nothing until then."""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any


class _Late(ModuleType):
    """Stands for a module until something of it is asked for.

    (`importlib.util.LazyLoader` loads at the next `import` of the module already, which asks for its `__spec__`.)
    """

    def __getattr__(self, attribute: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        real = importlib.import_module(self.__name__)
        vars(self).update(vars(real))
        return getattr(real, attribute)


def load_late(name: str) -> None:
    """Let `import name` be followed by loading when something of the module is asked for, and not before.

    Call it before anything imports the module; where it is loaded already, nothing changes.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    late = _Late(name)
    late.__file__ = spec.origin  # `inspect` asks every module for its file
    sys.modules[name] = late
