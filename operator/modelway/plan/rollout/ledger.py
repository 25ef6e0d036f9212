"""What a rollout has counted so far, and the snapshot of the spec that it goes by.

Handed from look to look in memory; its written form stands in the ConfigMap `<name>-evidence`, at most 30 s old, and is
read back after a start. Decisions are not here but in `status`: where both differ, the status is right. A written form
that cannot be read, or of another format, is none at all: the evidence begins again, which can only delay a decision.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple, Self

import orjson

from modelway.api.rollout import Rollout
from modelway.plan.rollout.answers import Bins
from modelway.plan.rollout.pairing import Paired, RingMark
from modelway.stats import Evidence, Verdict, from_record, to_record
from modelway.stats.bins import streams

FORMAT: Final = 2
"""Raised with every change that gives written ledgers another meaning."""

WRITE_SECONDS: Final = 30.0
"""What was counted is written at most this often; with each decision at once."""

Counts = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to where the counters of one pod are counted.

    Attributes:
        epoch: of the process; another one began at 0.
        era: of the weights that all routers had at that time; None when it was not certain that they had them.
        taken_at: when the reading was taken.
        counts: what stood in it, by arm or by kind of answer.
    """

    epoch: str
    era: int | None
    taken_at: datetime
    counts: Mapping[str, Counts]


class Pending(NamedTuple):
    """What Prometheus, or labels, have counted for a check since its last tick.

    Attributes:
        since: when the first of it came.
        candidate, stable: all, and those that were bad.
    """

    since: datetime
    candidate: tuple[int, int]
    stable: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests per second of late."""

    candidate: float = 0.0
    stable: float = 0.0


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in the ConfigMap, and since when."""

    content: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The state of one rollout.

    Attributes:
        stable, candidate: hashes of the two revisions that are compared.
        rollout: `spec.rollout` as it stood when the rollout began.
        floor: pods of the stable revision when the rollout began; a rollback finds as many.
        step: the step that `step_requests` and `live_at` are of.
        weight, shadow: percent that is asked for since the era began.
        era: counts the changes of weight, so that no window spans one.
        seen_at: the last look.
        counted: seconds that count towards maxDuration.
        live_at: since when all routers have had what this era asks for.
        certain_at: the same without a look in between at which that was not certain.
        read_at: when counters could last be read.
        asked_at: when Prometheus last answered all that it was asked.
        labelled_at: when all servers last told what labels say.
        fed_at: when the candidate last had requests.
        paired_at: when there were pairs last.
        missing_at: since when the candidate has not had any ready pod.
        exposed: whether the candidate may have had requests.
        step_requests: requests that the candidate has answered in this step.
        traffic: at today's weight.
        routers, servers: up to where each pod's counters are counted; by the pod's uid.
        metrics: up to where the counters of each scraped process are counted; by check, revision and process.
        pending: what of them is in no tick yet, by name of the check; of labels by that and the window.
        compared: (first, last) window of predictions in which all routers had one and the same weights.
        labels_from: the first window that still counts.
        labellers: up to where the labels that each process was sent are counted; by its epoch.
        rings: up to where the answers to mirrored requests are paired; by the pod's uid.
        bins: of the answers; fixed as soon as there are enough of them.
        evidence, verdicts: by name of the check.
        paired: what pairs tell, by name of the check.
        exits: containers' ends that were seen, by the pod's uid.
        crashes: how many of them the candidate is to blame for.
        told_at: when the counts in status were last renewed.
        written: what stands in the ConfigMap; None when nothing does.
    """

    stable: str
    candidate: str
    rollout: Rollout
    floor: int
    seen_at: datetime
    step: str = ""
    weight: int = 0
    shadow: float = 0.0
    era: int = 0
    counted: float = 0.0
    live_at: datetime | None = None
    certain_at: datetime | None = None
    read_at: datetime | None = None
    asked_at: datetime | None = None
    labelled_at: datetime | None = None
    fed_at: datetime | None = None
    paired_at: datetime | None = None
    missing_at: datetime | None = None
    exposed: bool = False
    step_requests: int = 0
    traffic: Traffic = Traffic()
    routers: Mapping[str, Mark] = field(default_factory=dict)
    servers: Mapping[str, Mark] = field(default_factory=dict)
    metrics: Mapping[str, Mark] = field(default_factory=dict)
    pending: Mapping[str, Pending] = field(default_factory=dict)
    compared: tuple[tuple[int, int], ...] = ()
    labels_from: int = 0
    labellers: Mapping[str, Mark] = field(default_factory=dict)
    rings: Mapping[str, RingMark] = field(default_factory=dict)
    bins: Bins | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict, compare=False)
    paired: Mapping[str, Paired] = field(default_factory=dict, compare=False)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    exits: Mapping[str, int] = field(default_factory=dict)
    crashes: int = 0
    told_at: datetime | None = None
    written: Written | None = None

    def is_of(self, stable: str, candidate: str) -> bool:
        """Whether it is about these two revisions."""
        return (self.stable, self.candidate) == (stable, candidate)

    def after_promotion(self) -> Self:
        """It once there is nothing left to compare with but by labels, which still come."""
        of_labels = {check.name for check in self.rollout.checks if check.feedback is not None}
        return replace(
            self,
            evidence={name: one for name, one in self.evidence.items() if name in of_labels},
            paired={},
            verdicts={name: one for name, one in self.verdicts.items() if name in of_labels},
            certain_at=None,
            routers={},
            servers={},
            metrics={},
            pending={name: one for name, one in self.pending.items() if name.partition(" ")[0] in of_labels},
            rings={},
            exits={},
            crashes=0,
        )


def content_of(ledger: Ledger) -> str:
    """The written form, as JSON."""
    plain = {
        "format": FORMAT,
        "stable": ledger.stable,
        "candidate": ledger.candidate,
        "rollout": ledger.rollout.model_dump(mode="json", by_alias=True, exclude_none=True),
        "floor": ledger.floor,
        "step": ledger.step,
        "weight": ledger.weight,
        "shadow": ledger.shadow,
        "era": ledger.era,
        "counted": round(ledger.counted, 3),
        "exposed": ledger.exposed,
        "stepRequests": ledger.step_requests,
        "traffic": [ledger.traffic.candidate, ledger.traffic.stable],
        "routers": {uid: _of_mark(mark) for uid, mark in ledger.routers.items()},
        "servers": {uid: _of_mark(mark) for uid, mark in ledger.servers.items()},
        "metrics": {name: _of_mark(mark) for name, mark in ledger.metrics.items()},
        "pending": {name: [one.since.isoformat(), one.candidate, one.stable] for name, one in ledger.pending.items()},
        "compared": ledger.compared,
        "labelsFrom": ledger.labels_from,
        "labellers": {uid: _of_mark(mark) for uid, mark in ledger.labellers.items()},
        "rings": {uid: list(mark) for uid, mark in ledger.rings.items()},
        "bins": ledger.bins.to_record() if ledger.bins is not None else None,
        "evidence": {name: to_record(evidence) for name, evidence in ledger.evidence.items()},
        "paired": {name: paired.to_record() for name, paired in ledger.paired.items()},
        "verdicts": dict(ledger.verdicts),
        "exits": dict(ledger.exits),
        "crashes": ledger.crashes,
        "times": {name: at.isoformat() for name in _TIMES if (at := getattr(ledger, name)) is not None},
    }
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode()


def ledger_from(content: str) -> Ledger | None:
    """What `content_of` wrote, at the look that it tells of; None when it cannot be read."""
    try:
        plain = orjson.loads(content)
        if plain["format"] != FORMAT:
            return None
        times = {name: datetime.fromisoformat(at) for name, at in plain["times"].items() if name in _TIMES}
        ledger = Ledger(
            stable=str(plain["stable"]),
            candidate=str(plain["candidate"]),
            rollout=Rollout.model_validate(plain["rollout"]),
            floor=int(plain["floor"]),
            step=str(plain["step"]),
            weight=int(plain["weight"]),
            shadow=float(plain["shadow"]),
            era=int(plain["era"]),
            counted=float(plain["counted"]),
            exposed=bool(plain["exposed"]),
            step_requests=int(plain["stepRequests"]),
            traffic=Traffic(*map(float, plain["traffic"])),
            routers={str(uid): _mark_from(mark) for uid, mark in plain["routers"].items()},
            servers={str(uid): _mark_from(mark) for uid, mark in plain["servers"].items()},
            metrics={str(name): _mark_from(mark) for name, mark in plain.get("metrics", {}).items()},
            pending={str(name): _pending_from(one) for name, one in plain.get("pending", {}).items()},
            compared=tuple((int(first), int(last)) for first, last in plain.get("compared", ())),
            labels_from=int(plain.get("labelsFrom", 0)),
            labellers={str(uid): _mark_from(mark) for uid, mark in plain.get("labellers", {}).items()},
            rings={str(uid): RingMark(str(epoch), int(n)) for uid, (epoch, n) in plain.get("rings", {}).items()},
            bins=Bins.from_record(plain["bins"]) if plain["bins"] is not None else None,
            evidence={str(name): from_record(record) for name, record in plain["evidence"].items()},
            paired={str(name): Paired.from_record(one) for name, one in plain.get("paired", {}).items()},
            verdicts={str(name): Verdict(verdict) for name, verdict in plain["verdicts"].items()},
            exits={str(uid): int(count) for uid, count in plain["exits"].items()},
            crashes=int(plain["crashes"]),
            written=Written(content, times["seen_at"]),
            **times,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # of JSON, of pydantic and of a record: all are ValueErrors
    return ledger if all(_fits(ledger, name, evidence) for name, evidence in ledger.evidence.items()) else None


def _fits(ledger: Ledger, name: str, evidence: Evidence) -> bool:
    """Whether the evidence is of as many streams as its check has."""
    check = next((check for check in ledger.rollout.checks if check.name == name), None)
    if check is None or (check.predictions is not None and ledger.bins is None):
        return False
    expected = streams(ledger.bins.size) if check.predictions is not None and ledger.bins is not None else ()
    return evidence.safe.shape == expected


_TIMES: Final = (
    "seen_at",
    "live_at",
    "certain_at",
    "read_at",
    "asked_at",
    "labelled_at",
    "fed_at",
    "paired_at",
    "missing_at",
    "told_at",
)


def _of_mark(mark: Mark) -> list[Any]:
    return [
        mark.epoch,
        mark.era,
        mark.taken_at.isoformat(),
        {name: list(counts) for name, counts in mark.counts.items()},
    ]


def _mark_from(plain: list[Any]) -> Mark:
    epoch, era, taken_at, counts = plain
    return Mark(
        epoch=str(epoch),
        era=None if era is None else int(era),
        taken_at=datetime.fromisoformat(taken_at),
        counts={str(name): tuple(map(int, values)) for name, values in counts.items()},
    )


def _pending_from(plain: list[Any]) -> Pending:
    since, candidate, stable = plain
    (ours, our_bad), (theirs, their_bad) = candidate, stable
    return Pending(datetime.fromisoformat(since), (int(ours), int(our_bad)), (int(theirs), int(their_bad)))
