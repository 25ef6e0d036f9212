"""What `modelway observe` was told. Made by the command line, read by everything in this package."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from modelway.server.options import OBSERVE_RATE, every_address

MOST_BYTES: Final = 256 * 1024
"""Of a body. Routers send no larger ones (`plan.routing.observing`)."""


@dataclass(frozen=True, slots=True)
class ObserverOptions:
    """The observer's settings; durations in seconds.

    Args:
        name: of the model that is observed.
        model_dir: folder where its `modelway.json` may be; None: there is none.
        version: free text; left out: what `modelway.json` says.
        revision: the operator's name for what is observed.
        request_path: where the rows of a request are.
        response_path: where the predictions of its answer are.
        share: of the requests that routers show; told, and theirs to keep.
        rate: rows a second that are counted at most.
        host: address to listen on.
        port: where counts are told; 0 takes a free one.
        grpc_port: where routers send what they see; likewise.
        drain: how long SIGTERM is answered by going on.

    """

    name: str
    model_dir: Path | None = None
    version: str | None = None
    revision: str = ""
    request_path: str = "/instances/*"
    response_path: str = "/predictions/*"
    share: float = 1.0
    rate: float = OBSERVE_RATE
    host: str = field(default_factory=every_address)
    port: int = 8080
    grpc_port: int = 9000
    drain: float = 10.0
