"""What a JSON protocol is to the server: bytes to a request, and outputs to bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from modelway.server.formats.base import Model
from modelway.server.tensors import Array, Batch


@dataclass(frozen=True, slots=True)
class Request:
    """A prediction that was asked for: the rows, and the caller's name for the request where the protocol has one."""

    batch: Batch
    id: str | None = None


class Wire(Protocol):
    """A protocol; the modules `v1` and `v2` are such. Pure, called from the event loop and from threads."""

    def parse(self, body: bytes, model: Model) -> Request:
        """Read a request. Raises InvalidInputError with the exact position of what is wrong."""

    def render(self, outputs: Mapping[str, Array], request: Request, *, name: str, version: str | None) -> bytes:
        """Write the answer, for the model of this name and version."""
