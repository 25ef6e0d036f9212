"""The server's Prometheus metrics, at `/metrics`.

`version` and `revision` are labels of everything, so that a stable and a candidate can be told apart behind one
Service. `protocol` is v1, v2 or grpc for predictions and `other` for whatever else is asked; probes and scrapes that
succeed are not counted at all, they would drown the rest. Counting is done in shared memory (`tally`); the text is made
from it when somebody asks (`exposition`), by whichever worker is asked and for all of them.
"""

from collections.abc import Callable
from typing import Final

from modelway.server.tally import BATCHED, BATCHES, BUCKETS, LOAD_SECONDS, PROTOCOLS, Tally

__all__ = ["BUCKETS", "CONTENT_TYPE", "PROTOCOLS", "Metrics"]

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """All metrics of a server, as one of its workers counts and shows them.

    Args:
        model: the label of that name, as the next two.
        version: likewise.
        revision: likewise.
        in_flight: gives this process's predictions that are being read, waiting or computed.
        tally: what the workers share; left out: this process is alone.
        worker: which of them this is.

    """

    def __init__(
        self,
        *,
        model: str,
        version: str,
        revision: str,
        in_flight: Callable[[], int],
        tally: Tally | None = None,
        worker: int = 0,
    ) -> None:
        self.labels = {"model": model, "version": version, "revision": revision}
        self.tally = tally or Tally()
        self.worker = worker
        self.in_flight = in_flight
        self.info: dict[str, str] = {}
        self._own = self.tally.region(worker)
        # One call less on the path of every request.
        self.count = self._own.count
        self.predicted = self._own.observe
        self.rows = self._own.add_rows

    def batched(self, requests: int) -> None:
        """Count requests that were predicted together."""
        self._own.fields[BATCHES] += 1.0
        self._own.fields[BATCHED] += requests

    def loaded(self, *, format_name: str, platform: str, seconds: float) -> None:
        """Tell that the model is there."""
        self._own.fields[LOAD_SECONDS] = seconds
        self.info = {"format": format_name, "platform": platform}

    def render(self) -> bytes:
        """The text exposition."""
        # Imported by the first scrape: it costs 6 MB and 60 ms that no start should wait for.
        from modelway.server import exposition  # noqa: PLC0415

        return exposition.render(self)
