"""Events on ModelDeployments (events.k8s.io/v1), for `kubectl describe` and `kubectl events`.

The same Event (object, reason, message) within `_SERIES_SECONDS` is counted in a series, written at most once a
minute, so that no loop can flood the cluster. An Event that cannot be written is logged and dropped: telling must never
get in the way of doing.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Final

import aiohttp
import structlog

from modelway.api.kinds import EVENT, MODEL_DEPLOYMENT
from modelway.kube.client import Client, Object
from modelway.kube.errors import ApiError, Deposed

_log = structlog.get_logger(__name__)

_SERIES_SECONDS: Final = 360.0
_WRITE_SECONDS: Final = 60.0
_LONGEST_NOTE: Final = 1024
"""Bytes."""
_REMEMBERED: Final = 4096


@dataclass(slots=True)
class _Series:
    name: str
    count: int
    seen_at: float
    written_at: float


class Recorder:
    """Writes Events as one reporting instance."""

    def __init__(
        self, client: Client, *, instance: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._client = client
        self._instance = instance
        self._now = now
        self._series: dict[tuple[str, str, str], _Series] = {}

    async def tell(self, resource: Object, *, type: str, reason: str, message: str, action: str) -> None:  # noqa: A002
        """Write an Event about `resource`, or count it in the series that it belongs to."""
        note = _fitted(message)
        key = (resource["metadata"]["uid"], reason, note)
        series = self._series.get(key)
        try:
            if series is not None and monotonic() - series.seen_at < _SERIES_SECONDS:
                await self._again(series, resource)
            else:
                await self._first(key, resource, type=type, action=action)
        except (ApiError, aiohttp.ClientError, TimeoutError, OSError, Deposed) as error:
            _log.warning("event_not_written", reason=reason, error=str(error))

    async def _first(self, key: tuple[str, str, str], resource: Object, *, type: str, action: str) -> None:  # noqa: A002
        metadata, moment = resource["metadata"], self._moment()
        uid, reason, note = key
        name = f"{metadata['name']}.{hashlib.sha256(f'{uid}{reason}{note}{moment}'.encode()).hexdigest()[:16]}"
        while len(self._series) >= _REMEMBERED:
            self._series.pop(next(iter(self._series)))
        self._series[key] = _Series(name=name, count=1, seen_at=monotonic(), written_at=monotonic())
        body = {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.name,
            "metadata": {"name": name, "namespace": metadata["namespace"]},
            "eventTime": moment,
            "reportingController": "modelway.dev/operator",
            "reportingInstance": self._instance[:128],
            "type": type,
            "reason": reason,
            "action": action,
            "note": note,
            "regarding": {
                "apiVersion": MODEL_DEPLOYMENT.api_version,
                "kind": MODEL_DEPLOYMENT.name,
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": uid,
            },
        }
        await self._client.post(EVENT, body)

    async def _again(self, series: _Series, resource: Object) -> None:
        series.count += 1
        series.seen_at = monotonic()
        if series.seen_at - series.written_at < _WRITE_SECONDS and series.count > 2:
            return
        series.written_at = series.seen_at
        body = {
            "metadata": {"name": series.name, "namespace": resource["metadata"]["namespace"]},
            "series": {"count": series.count, "lastObservedTime": self._moment()},
        }
        await self._client.merge(EVENT, body)

    def _moment(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _fitted(message: str) -> str:
    """`message`, cut where it is longer than the API server takes."""
    encoded = message.encode()
    if len(encoded) <= _LONGEST_NOTE:
        return message
    ellipsis = "…"
    return encoded[: _LONGEST_NOTE - len(ellipsis.encode())].decode(errors="ignore") + ellipsis
