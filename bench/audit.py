"""Counts writes in an API server's audit log: the server's own word for what a user did."""

import json
from collections import Counter
from pathlib import Path

_READS = {"get", "list", "watch"}


class Audit:
    """The requests of one user since the last look."""

    def __init__(self, log: Path, user: str) -> None:
        self._log = log
        self._user = user
        self._offset = 0

    def writes(self) -> Counter[str]:
        """Successful writes since the last call, by `verb resource`; renewals of Leases are left out."""
        counted: Counter[str] = Counter()
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
                counted[f"{event['verb']} {target['resource']}{subresource}"] += 1
        return counted
