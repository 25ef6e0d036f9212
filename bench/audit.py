"""Counts writes in an API server's audit log: the server's own word for what a user did."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

_READS = {"get", "list", "watch"}


class Write(NamedTuple):
    """One successful write.

    Attributes:
        what: `verb resource`, with the subresource if there is one.
        name: of the object; empty for one whose name the server has made.
        at: when the request came, in seconds since 1970.
    """

    what: str
    name: str
    at: float


class Audit:
    """The requests of one user since the last look."""

    def __init__(self, log: Path, user: str) -> None:
        self._log = log
        self._user = user
        self._offset = 0

    def writes(self) -> Counter[str]:
        """Successful writes since the last call, by `verb resource`; renewals of Leases are left out."""
        return Counter(write.what for write in self.each())

    def each(self) -> list[Write]:
        """The same one by one, in the order in which they were answered."""
        found: list[Write] = []
        with self._log.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                event = json.loads(line)
                target = event.get("objectRef", {})
                if (
                    event["user"]["username"] != self._user
                    or event["stage"] != "ResponseComplete"
                    or event["verb"] in _READS
                    or target.get("resource") == "leases"
                    or event["responseStatus"]["code"] >= 400
                ):
                    continue
                subresource = f"/{target['subresource']}" if "subresource" in target else ""
                what = f"{event['verb']} {target['resource']}{subresource}"
                at = datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
                found.append(Write(what, target.get("name", ""), at))
        return found
