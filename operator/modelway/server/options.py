"""What `modelway serve` was told. Made by the command line, read by everything in this package."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from modelway.server.code import Code

OBSERVE_RATE: Final = 250
"""Rows a second whose inputs are counted at most, where nothing else is said."""


def every_address() -> str:
    """The host that stands for all addresses of this machine: of both families where its kernel has both."""
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The server's settings; durations in seconds, sizes in bytes.

    Args:
        model_dir: the folder (or file) that holds the model.
        name: the model's name in paths and answers.
        version: free text, in answers and metrics; left out: what `modelway.json` says.
        revision: the operator's name for this configuration; a metrics label.
        format: left out: `modelway.json`, else the file's suffix.
        code: whether formats that can run code are loaded.
        allowed_globals: exact dotted names that a pickle may use beyond the built-in list.
        host: address to listen on; `::` is every one, of IPv4 too.
        port: port to listen on; 0 takes a free one.
        threads: CPU threads for one prediction.
        concurrency: predictions that run at once in threads.
        queue: requests that may wait for one of them; more are answered 503.
        timeout: from a request's arrival to its answer, else 504.
        drain: how long SIGTERM is answered by serving on, so that every proxy has seen the pod leave.
        keep_alive: how long an idle connection is kept. Longer than Envoy's hour, so that the client closes first and
            no request meets a connection that is just being closed.
        max_body: the largest request.
        max_rows: rows of a request at most.
        grpc_port: port of the gRPC protocol; 0 is off.
        max_connections: connections open at once, for each worker.
        max_batch: rows of different requests that are predicted together at most; 1 switches that off.
        max_wait: how long a batch may wait to fill while others are about.
        workers: processes that serve, each with a model of its own.
        observe: whether answers are counted by class and score, and inputs by value, and the counts told.
        observe_share: of the requests whose inputs are counted, from 0 to 1.
        observe_rate: rows a second whose inputs a worker counts at most.
        feedback_keys: file or folder of the keys that sign prediction ids; left out: there are none, and no labels.
        feedback_window: seconds of predictions whose labels are counted together.
        feedback_slices: values of slices that labels are counted by, by name.

    """

    model_dir: Path
    name: str
    version: str | None = None
    revision: str = ""
    format: str | None = None
    code: Code = Code.REFUSE
    allowed_globals: frozenset[str] = frozenset()
    host: str = field(default_factory=every_address)
    port: int = 8080
    threads: int = 1
    concurrency: int = 2
    queue: int = 128
    timeout: float = 5.0
    drain: float = 10.0
    keep_alive: float = 3700.0
    max_body: int = 16 * 2**20
    max_rows: int = 10_000
    grpc_port: int = 0
    max_connections: int = 4096
    max_batch: int = 64
    max_wait: float = 0.0
    workers: int = 1
    observe: bool = True
    observe_share: float = 1.0
    observe_rate: float = OBSERVE_RATE
    feedback_keys: Path | None = None
    feedback_window: float = 3600.0
    feedback_slices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
