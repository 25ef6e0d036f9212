"""The model that is packed or converted: loaded as the server loads it, and asked as the server asks it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelway.server import loading
from modelway.server.code import Code
from modelway.server.formats.base import Model
from modelway.server.locate import Located, locate
from modelway.server.metadata import Metadata
from modelway.server.options import ServerOptions
from modelway.server.transform import Transformed


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a model's file is trusted, and what it is.

    Args:
        code: what a format that can run code may do.
        allowed_globals: dotted names that a pickle may use beyond the built-in list.
        format: the format's name; left out: found out.

    """

    code: Code = Code.REFUSE
    allowed_globals: frozenset[str] = frozenset()
    format: str | None = None

    def options(self) -> dict[str, Any]:
        """As options of the server."""
        return {"code": self.code, "allowed_globals": self.allowed_globals}


@dataclass(frozen=True, slots=True)
class Original:
    """A loaded model, where it was found, and how far it was trusted."""

    model: Model
    located: Located
    trust: Trust

    @property
    def metadata(self) -> Metadata:
        """What `modelway.json` says; nothing where there is none."""
        return self.located.metadata

    @property
    def inner(self) -> Model:
        """The model without the transform before it."""
        return self.model.model if isinstance(self.model, Transformed) else self.model

    @property
    def beside(self) -> tuple[str, ...]:
        """Files that belong to the model beside its own: the transform's."""
        transform = self.metadata.transform
        return () if transform is None else (transform.file or transform.module or "",)


def load(path: Path, trust: Trust) -> Original:
    """Load a model and ask its golden requests. Raises ModelError."""
    located = locate(path, format_name=trust.format)
    loaded = loading.load(ServerOptions(path, "model", format=trust.format, **trust.options()))
    return Original(loaded.model, located, trust)
