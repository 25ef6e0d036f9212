"""The steps and checks that a rollout goes by: those that stood in the spec when it began.

They are written down with what was counted, in a ConfigMap beside the ModelDeployment; the spec may say something else
by now, which counts for the next rollout. Asked for once a rollout. Where they cannot be read, because the user may not
see ConfigMaps or there is none, the spec is the best there is.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import orjson

from modelway.api.names import EVIDENCE_KEY, EVIDENCE_SUFFIX, child_name
from modelway.cli.errors import Forbidden, NotFound
from modelway.cli.rollout.picture import Object, Picture, read

_ABSENT: Final[Object] = {}


class Cluster(Protocol):
    """Who can be asked."""

    def config_map(self, name: str) -> Object:
        """A ConfigMap; raises KubectlError."""


class Rules:
    """What the rollouts of one ModelDeployment go by."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: tuple[object, Object] | None = None
        self._is_forbidden = False

    def picture(self, obj: Object) -> Picture:
        """The picture of a ModelDeployment, with the steps and checks of the rollout that is under way.

        Raises:
            KubectlError: the cluster cannot be reached.
        """
        return read(obj, rules=self._of(obj))

    def _of(self, obj: Object) -> Object | None:
        """The snapshot of the rollout under way; None where there is none, or nobody may see it."""
        status = obj.get("status") or {}
        stable, candidate = ((status.get(arm) or {}).get("revision") for arm in ("stable", "candidate"))
        if not (stable and candidate) or self._is_forbidden:
            return None
        rollout = stable, candidate, (status.get("rollout") or {}).get("startedAt")  # one may be tried again
        if self._known is None or self._known[0] != rollout:
            ledger = self._ledger(obj["metadata"]["name"])
            if (ledger.get("stable"), ledger.get("candidate")) != (stable, candidate):
                return None  # of another rollout: this one's is written in a moment, or has no steps
            self._known = rollout, ledger.get("rollout") or {}
        return self._known[1]

    def _ledger(self, name: str) -> Mapping[str, Any]:
        try:
            data = self._cluster.config_map(child_name(name, EVIDENCE_SUFFIX)).get("data") or {}
        except NotFound:
            return _ABSENT
        except Forbidden:
            self._is_forbidden = True
            return _ABSENT
        try:
            ledger = orjson.loads(data.get(EVIDENCE_KEY, "{}"))
        except orjson.JSONDecodeError:
            return _ABSENT  # somebody has edited it; the operator writes it anew
        return ledger if isinstance(ledger, dict) else _ABSENT
