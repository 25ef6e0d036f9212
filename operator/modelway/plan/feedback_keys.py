"""Which keys for prediction ids there are to be, and when another one follows. Pure; called by `plan.plan`.

The operator can make Secrets and can neither read, change nor delete one. So each key has a ConfigMap beside it, the
marker, which holds nothing: it owns the Secret, tells by its own age how old the key is, and when it is deleted
Kubernetes' garbage collector deletes the Secret. There are two places for keys, and pods mount both, whatever is in
them. A key signs for a period; then the other place gets one, which signs from some minutes later on, when all pods
have it; and when no label for what the old one signed can come any more, the old one goes.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from modelway.api.kinds import CONFIG_MAP
from modelway.api.monitoring_quality import DEFAULT_QUALITY_WINDOW, Quality
from modelway.api.names import FEEDBACK_SLOTS, feedback_name
from modelway.api.resource import ModelDeployment
from modelway.api.units import seconds, time_of
from modelway.plan.children import owned
from modelway.plan.types import Child, ChildKey, KeySecret, Object, Observed
from modelway.stats.quality_counts import HORIZON

PERIOD: Final = 30 * 86400.0
"""Seconds that a key signs, where labels come no later."""
NEW: Final = timedelta(minutes=10)
"""How old a marker may be whose Secret may not be there yet."""
_MORE: Final = 1.1
"""A key stays for this much longer than labels can come."""
_ABOUT: Final = (
    "Owns the Secret of the same name, and tells by its age how old the key in it is; deleting it makes a new one."
)


def markers(observed: Observed, now: datetime) -> tuple[Child, ...]:
    """The markers that there are to be."""
    resource = observed.resource
    quality = resource.spec.quality
    if quality is None:
        return ()
    found = sorted(_live(observed).items(), key=lambda item: (_made(item[1]), item[0]))
    wanted = [slot for slot, _ in found]
    is_due = bool(found) and (now - _made(found[-1][1])).total_seconds() >= period(quality)
    if not found:
        wanted = [FEEDBACK_SLOTS[0]]
    elif is_due and len(found) == len(FEEDBACK_SLOTS):
        wanted = wanted[1:]  # its labels have all come; the next look makes another
    elif is_due:
        wanted += [slot for slot in FEEDBACK_SLOTS if slot not in wanted]
    return tuple(_marker(resource, slot) for slot in wanted)


def key_secrets(
    observed: Observed, wanted: tuple[Child, ...], now: datetime, *, keyless: bool
) -> tuple[KeySecret, ...]:
    """The Secrets that may have to be made.

    Whether one is there cannot be seen, so what is not new is taken to be there: an operator that starts tries nothing.

    Args:
        observed: what is seen.
        wanted: the markers that stay.
        now: the moment.
        keyless: whether a pod has told that it has no key; then somebody may have deleted a Secret.

    """
    keep = {child.key.name for child in wanted}
    live = [obj for obj in _live(observed).values() if obj["metadata"]["name"] in keep]
    return tuple(
        KeySecret(obj["metadata"]["name"], marker_uid=obj["metadata"]["uid"], is_first=len(live) == 1)
        for obj in live
        if keyless or now - _made(obj) < NEW
    )


def period(quality: Quality) -> float:
    """Seconds for which a key signs: no less than labels may be late by, for there are two places."""
    return max(PERIOD, _MORE * HORIZON * seconds(quality.window or DEFAULT_QUALITY_WINDOW))


def _live(observed: Observed) -> Mapping[str, Object]:
    name = observed.resource.metadata.name
    keys = {slot: ChildKey(CONFIG_MAP, feedback_name(name, slot)) for slot in FEEDBACK_SLOTS}
    return {slot: observed.children[key] for slot, key in keys.items() if key in observed.children}


def _made(marker: Object) -> datetime:
    return time_of(marker["metadata"]["creationTimestamp"])


def _marker(resource: ModelDeployment, slot: str) -> Child:
    name = feedback_name(resource.metadata.name, slot)
    return Child(CONFIG_MAP, owned(resource, CONFIG_MAP, name, data={"about": _ABOUT}))
