"""Keeps the ledger over the looks: begins it, finds it again, moves its clocks, and says when it is written. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar

from modelway.api.kinds import CONFIG_MAP
from modelway.api.names import EVIDENCE_KEY, EVIDENCE_SUFFIX, child_name
from modelway.api.rollout import Rollout
from modelway.api.status import RolloutStatus
from modelway.plan.revisions import Revision
from modelway.plan.rollout.evidence import gather, gather_labels
from modelway.plan.rollout.exits import count_exits
from modelway.plan.rollout.labels import counts_labels, windows_of
from modelway.plan.rollout.ledger import WRITE_SECONDS, Ledger, Mark, Traffic, Written, content_of, ledger_from
from modelway.plan.rollout.look import Look
from modelway.plan.rollout.pairing import RingMark
from modelway.plan.rollout.steps import Asked
from modelway.plan.types import ChildKey, Observed

_Mark = TypeVar("_Mark", Mark, RingMark)

_LONGEST_GAP: Final = 120.0
"""Seconds between two looks that count towards maxDuration; for longer the operator was not there to measure."""


def found_ledger(observed: Observed) -> Ledger | None:
    """What the last look remembered; after a start, what its written form tells; None when there is none."""
    if observed.ledger is not None:
        return observed.ledger
    name = child_name(observed.resource.metadata.name, EVIDENCE_SUFFIX)
    live = observed.children.get(ChildKey(CONFIG_MAP, name))
    content = (live.get("data") or {}).get(EVIDENCE_KEY) if live else None
    return ledger_from(content) if content is not None else None


def ledger_for(
    look: Look, found: Ledger | None, stable: Revision, candidate: Revision, rollout: RolloutStatus, *, by: Rollout
) -> Ledger:
    """The ledger of the rollout from `stable` to `candidate`: the one that was found, or one that begins now.

    Where it was lost in the middle, the candidate is taken to have had requests, and the evidence begins again.

    Args:
        look: the look.
        found: what the last look remembered.
        stable: the revision that serves.
        candidate: the one that is to follow.
        rollout: the status, which is right about step and weight.
        by: the steps and checks of a rollout that begins now.
    """
    if found is None or not found.is_of(stable.hash, candidate.hash):
        found = Ledger(
            stable=stable.hash,
            candidate=candidate.hash,
            rollout=by,
            floor=look.arm(stable).asked,
            seen_at=look.now,
            exposed=rollout.step is not None or bool(rollout.weight),
        )
    if found.weight != (rollout.weight or 0):  # killed after the decision was written, before this was
        found = with_asked(found, Asked(rollout.weight or 0))
    return at_step(found, rollout.step or "")


def with_asked(ledger: Ledger, asked: Asked) -> Ledger:
    """The ledger when the routers are asked for something: another thing than before begins another era."""
    if asked == Asked(ledger.weight, ledger.shadow):
        return ledger
    total = ledger.traffic.candidate + ledger.traffic.stable
    candidate = total * max(float(asked.weight), asked.shadow) / 100.0
    return replace(
        ledger,
        weight=asked.weight,
        shadow=asked.shadow,
        traffic=Traffic(candidate, total - total * asked.weight / 100.0),
        era=ledger.era + 1,
        live_at=None,
        certain_at=None,
        exposed=ledger.exposed or asked != Asked(),
    )


def at_step(ledger: Ledger, step: str) -> Ledger:
    """The ledger at `step`, whose requests are counted apart."""
    return ledger if ledger.step == step else replace(ledger, step=step, step_requests=0)


def observed_ledger(
    look: Look, ledger: Ledger, stable: Revision, candidate: Revision, *, counts: bool = False
) -> Ledger:
    """The ledger after what this look has to tell: counters, containers that ended, pods that are gone, time.

    Args:
        look: the look.
        ledger: as it was.
        stable: the revision that serves.
        candidate: the one that is to follow.
        counts: the time since the last look brings maxDuration closer.
    """
    ledger = _after_time(look, ledger, counts=counts)
    asked = Asked(ledger.weight, ledger.shadow)
    verified = look.is_live(stable, candidate, asked)
    if verified and ledger.live_at is None:
        ledger = replace(ledger, live_at=look.now)
    if ledger.exposed and ledger.rollout.steps:
        ledger = gather(ledger, look.observed.measured, verified=verified, now=look.now)
        ledger = with_labels(look, _without_gone(ledger, look), stable, candidate)
    ledger = with_exits(look, ledger, candidate, blamed=ledger.exposed)
    missing = None if look.arm(candidate).ready > 0 else ledger.missing_at or look.now
    return replace(ledger, missing_at=missing)


def with_labels(look: Look, ledger: Ledger, stable: Revision, candidate: Revision) -> Ledger:
    """The ledger after the labels that came, of predictions made while both answered."""
    if not counts_labels(ledger):
        return ledger
    return gather_labels(ledger, look.observed.measured, windows_of(candidate, stable), now=look.now)


def with_exits(look: Look, ledger: Ledger, revision: Revision, *, blamed: bool) -> Ledger:
    """The ledger after the ends of containers of `revision`."""
    exits, fresh = count_exits(ledger.exits, look.observed.pods, revision.hash)
    return replace(ledger, exits=exits, crashes=ledger.crashes + (fresh if blamed else 0))


def _after_time(look: Look, ledger: Ledger, *, counts: bool) -> Ledger:
    passed = min(max(0.0, (look.now - ledger.seen_at).total_seconds()), _LONGEST_GAP)
    return replace(ledger, seen_at=look.now, counted=ledger.counted + (passed if counts else 0.0))


def written(ledger: Ledger, *, at_once: bool, now: datetime) -> Ledger:
    """The ledger with its written form renewed, when that is due."""
    if not ledger.rollout.steps and ledger.rollout.watch_after is None:
        return ledger
    last = ledger.written
    if last is not None and not at_once and (now - last.at).total_seconds() < WRITE_SECONDS:
        return ledger
    content = content_of(ledger)
    return ledger if last is not None and last.content == content else replace(ledger, written=Written(content, now))


def _without_gone(ledger: Ledger, look: Look) -> Ledger:
    uids = {pod["metadata"]["uid"] for pod in look.observed.pods}
    if ledger.routers.keys() | ledger.servers.keys() | ledger.rings.keys() <= uids:
        return ledger
    return replace(
        ledger,
        routers=_left(ledger.routers, uids),
        servers=_left(ledger.servers, uids),
        rings=_left(ledger.rings, uids),
    )


def _left(marks: Mapping[str, _Mark], uids: set[str]) -> Mapping[str, _Mark]:
    return {uid: mark for uid, mark in marks.items() if uid in uids}
