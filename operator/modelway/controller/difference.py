"""Whether a live child is as it should be. Pure; used by `apply`.

`says_child` tells whether everything that we want is there; it cannot see what somebody added. `content` is what a
child is, without what changes by itself, so that a later addition shows as a difference from how we left it.
"""

from typing import Any

from modelway.api.kinds import CRON_JOB, DEPLOYMENT, DISRUPTION_BUDGET, HTTP_ROUTE, NETWORK_POLICY, Kind
from modelway.plan import Object
from modelway.plan.canonical import digest_of

_WITH_GENERATION = {CRON_JOB, DEPLOYMENT, DISRUPTION_BUDGET, HTTP_ROUTE, NETWORK_POLICY}
_EXACT = {"selector", "matchLabels", "nodeSelector", "data", "requests", "limits"}
"""Mappings that are ours as a whole: a key more changes what they mean."""
_TYPE = {"apiVersion", "kind"}
_NOT_CONTENT = _TYPE | {"metadata", "status"}


def says(desired: Any, live: Any, *, exact: bool = False) -> bool:
    """Whether `live` says everything that `desired` says.

    The API server adds defaults, so `live` may have more keys; lists have to be equal in length, item by item. Absent
    equals empty, zero and false, for that is how Go leaves them out.
    """
    if desired == live:  # most are, and this is told at the speed of C
        return True
    if not desired and live is None:
        return True
    if isinstance(desired, dict) and isinstance(live, dict):
        if exact and live.keys() - desired.keys():
            return False
        return all(says(value, live.get(key), exact=key in _EXACT) for key, value in desired.items())
    if isinstance(desired, list) and isinstance(live, list):
        return len(desired) == len(live) and all(map(says, desired, live))
    return False


def says_child(desired: Object, live: Object) -> bool:
    """`says` for a whole child. Items of a list carry neither kind nor version, and need not."""
    return all(says(value, live.get(key), exact=key in _EXACT) for key, value in desired.items() if key not in _TYPE)


def content(kind: Kind, live: Object) -> str:
    """Hash of what a live child is: everything but metadata, status and a Deployment's number of replicas."""
    kept = {key: value for key, value in live.items() if key not in _NOT_CONTENT}
    if kind == DEPLOYMENT:
        kept["spec"] = {key: value for key, value in kept["spec"].items() if key != "replicas"}
    return digest_of(kept)


def marker(kind: Kind, live: Object) -> tuple[str, str]:
    """Equal markers mean equal content: the generation where the kind counts it, else the resourceVersion."""
    metadata = live["metadata"]
    version = metadata.get("generation") if kind in _WITH_GENERATION else None
    return metadata["uid"], str(version if version is not None else metadata["resourceVersion"])
