"""What a protocol is to the server: bytes to a request, and outputs to an answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from modelway.server.exchange import Answer
from modelway.server.signature import Signature
from modelway.server.tensors import Array, Batch


@dataclass(frozen=True, slots=True)
class Request:
    """A prediction that was asked for: the rows, and the caller's name for the request where the protocol has one.

    A protocol whose answers have several forms has a class of its own for each but the first.
    """

    batch: Batch
    id: str | None = None


class Wire(Protocol):
    """A protocol; the modules `v1`, `v2` and `csv_rows` are such. Pure, called from the event loop and from threads."""

    def parse(self, body: bytes, signature: Signature) -> Request:
        """Read a request. Raises RequestError with the exact position of what is wrong."""

    def render(self, outputs: Mapping[str, Array], request: Request, *, name: str, version: str | None) -> Answer:
        """Write the answer, for the model of this name and version."""
