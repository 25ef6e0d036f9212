"""Makes the Secrets with keys for prediction ids: the only place where a key is ever in the operator's memory.

Called by `apply` with what the plan wants. Whether a Secret is there cannot be looked up, for the operator may read
none: it is tried to be made, and who is there first stays. One that is about to be collected with an earlier marker is
still there too, so for a while it is tried again.
"""

import base64
import os
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

import structlog

from modelway.api.kinds import CONFIG_MAP, SECRET
from modelway.api.names import FEEDBACK_KEY, child_labels
from modelway.api.units import rfc3339
from modelway.kube.client import Client
from modelway.kube.errors import BadRequest, Conflict, Forbidden, Invalid
from modelway.kube.store import Owner
from modelway.plan import Object
from modelway.plan.types import KeySecret

SPREAD: Final = timedelta(minutes=10)
"""After which all pods have a new key: kubelets look at mounted Secrets every minute or two."""
_AGAIN: Final = timedelta(minutes=1)
"""After which one that is there is tried again: it may have been about to be collected."""
_BYTES: Final = 32

_log = structlog.get_logger(__name__)


class KeyMaker:
    """Makes keys through `client`.

    Args:
        client: writes.
        now: the moment, in UTC.
        chance: gives so many bytes that nobody can foresee.
    """

    def __init__(
        self, client: Client, *, now: Callable[[], datetime], chance: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._client = client
        self._now = now
        self._chance = chance
        self._tried: dict[Owner, dict[str, datetime]] = {}

    def forget(self, owner: Owner) -> None:
        """The owner is gone."""
        self._tried.pop(owner, None)

    async def make(self, owner: Owner, wanted: Iterable[KeySecret]) -> None:
        """Make what is not there, and try again what was there after some time.

        Raises:
            ApiError: something passing went wrong.
        """
        now, tried = self._now(), self._tried.pop(owner, {})
        kept: dict[str, datetime] = {}
        for one in wanted:
            again = tried.get(one.marker_uid)
            if again is None or now >= again:
                again = now + await self._try(owner, one)
            kept[one.marker_uid] = again
        if kept:
            self._tried[owner] = kept

    async def _try(self, owner: Owner, wanted: KeySecret) -> timedelta:
        """Try to make it; tells after what time to try again, should it still be wanted then."""
        try:
            await self._client.post(SECRET, self._secret(owner, wanted))
        except Conflict:
            return _AGAIN
        except (BadRequest, Forbidden, Invalid) as error:
            _log.warning(
                "feedback_key_refused",
                namespace=owner.namespace,
                name=owner.name,
                secret=wanted.name,
                error=str(error),
                effect="answers have no prediction ids",
            )
            return SPREAD
        _log.info("feedback_key_made", namespace=owner.namespace, name=owner.name, secret=wanted.name)
        return SPREAD

    def _secret(self, owner: Owner, wanted: KeySecret) -> Object:
        since = self._now() if wanted.is_first else self._now() + SPREAD
        key = base64.b64encode(self._chance(_BYTES)).decode()
        line = f"{key} {rfc3339(since)}\n"
        reference = {
            "apiVersion": CONFIG_MAP.api_version,
            "kind": CONFIG_MAP.name,
            "name": wanted.name,
            "uid": wanted.marker_uid,
        }
        return {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.name,
            "metadata": {
                "name": wanted.name,
                "namespace": owner.namespace,
                "labels": child_labels(owner.name),
                "ownerReferences": [reference],
            },
            "type": "Opaque",
            "immutable": True,
            "data": {FEEDBACK_KEY: base64.b64encode(line.encode()).decode()},
        }
