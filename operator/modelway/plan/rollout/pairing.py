"""Pairs of answers to one mirrored request: found in what the servers remember, and brought into evidence. Pure.

Each pod remembers its last answers to mirrored requests with a hash of the request's id (`ServerReading.pairs`), and
each of them has a number of its own. A pair is counted when one of both answers is new since the pod's mark; where both
are old it was counted before, or one of them was never read beside the other. So no pair counts twice, whoever reads
how often, and a process that starts again with its last marks goes on from there.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, NamedTuple, Self
from zlib import crc32

from modelway.plan.measured import ServerReading
from modelway.plan.rollout.answers import Bins
from modelway.stats import (
    Evidence,
    PairedEvidence,
    Rates,
    Verdict,
    from_paired_record,
    to_paired_record,
    update_pairs,
)

LOOK_SECONDS: Final = 5.0
"""Pairs that come within this time of the last ones wait, and belong to one look with those that follow. Pods are read
every ten seconds, but twice a second while something is on its way: else one burst would be many looks."""

_UNNAMED: Final = "#"
"""Begins what stands for a class that a server does not tell by its name: a checksum of it."""
_STREAMS: Final = 2
"""Of pairs: answers that differ, and how far scores lie apart."""


class RingMark(NamedTuple):
    """Up to where the remembered answers of one pod are counted.

    Attributes:
        epoch: of the process; another one began at 0.
        through: answers that were ever remembered by it.
    """

    epoch: str
    through: int


class Answer(NamedTuple):
    """One of a pair: the class or empty, the score or None."""

    label: str
    score: float | None


Answers = tuple[Answer, Answer]
"""Of the candidate and of the stable revision to the same request."""


@dataclass(frozen=True, slots=True)
class Paired:
    """What a check knows from pairs.

    Attributes:
        disagreement: 1 where the classes differ, else 0.
        shift: how far the scores lie apart (`Bins.shift`).
    """

    disagreement: PairedEvidence
    shift: PairedEvidence

    @classmethod
    def begin(cls, margin: float) -> Self:
        """Nothing known yet."""
        nothing = PairedEvidence.begin(margin, lowest=0.0)
        return cls(nothing, nothing)

    @property
    def seen(self) -> tuple[PairedEvidence, ...]:
        """Those with data; a model may have answers without classes, or without scores."""
        return tuple(one for one in (self.disagreement, self.shift) if one.has_data)

    def to_record(self) -> dict[str, Any]:
        """As JSON."""
        return {"disagreement": to_paired_record(self.disagreement), "shift": to_paired_record(self.shift)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """What `to_record` wrote.

        Raises:
            RecordError: it did not write this.
            KeyError: likewise.
        """
        return cls(from_paired_record(record["disagreement"]), from_paired_record(record["shift"]))


def join(
    marks: Mapping[str, RingMark], servers: Iterable[ServerReading], *, candidate: str, stable: str
) -> tuple[Mapping[str, RingMark], list[Answers]]:
    """The marks after these readings, and the pairs that are new.

    Args:
        marks: by the pod's uid.
        servers: the last reading of each pod.
        candidate: hash of its revision.
        stable: the same.

    """
    after = dict(marks)
    arms: dict[str, dict[str, tuple[Answer, bool]]] = {candidate: {}, stable: {}}
    times: Counter[tuple[str, str]] = Counter()
    for reading in servers:
        if (known := arms.get(reading.revision)) is None:
            continue
        mark = marks.get(reading.pod.uid)
        counted = mark.through if mark is not None and mark.epoch == reading.epoch else 0
        for number, (request, label, score) in enumerate(reading.pairs, reading.pairs_before):
            known[request] = (Answer(label, score), number >= counted)
            times[reading.revision, request] += 1
        through = reading.pairs_before + len(reading.pairs)
        after[reading.pod.uid] = RingMark(reading.epoch, max(counted, through))
    found = []
    for request, (ours, ours_is_new) in arms[candidate].items():
        theirs, theirs_is_new = arms[stable].get(request, (None, False))
        if theirs is None or not (ours_is_new or theirs_is_new):
            continue
        if times[candidate, request] == times[stable, request] == 1:  # else nobody knows which is whose
            found.append((ours, theirs))
    return after, found


def with_pairs(paired: Paired, pairs: Sequence[Answers], bins: Bins | None) -> Paired:
    """The evidence after these pairs.

    Where one of both has a class, or a score, and the other has not, they are as different as can be. Scores are only
    compared where there are bins of scores, for it is these that say what is far.
    """
    classes = [float(not _same(one.label, other.label)) for one, other in pairs if one.label or other.label]
    scores = [] if bins is None or not bins.edges else [_shift(bins, *pair) for pair in pairs if _has_score(*pair)]
    return Paired(
        disagreement=update_pairs(paired.disagreement, classes) if classes else paired.disagreement,
        shift=update_pairs(paired.shift, scores) if scores else paired.shift,
    )


def judge_answers(evidence: Evidence | None, paired: Paired | None, rates: Rates) -> Verdict:
    """What a check of answers says in a rollout with a step that mirrors requests.

    Harmful as soon as one stream is, of the shares or of the pairs, all of which share the rate. Safe when all shares
    are, or all that pairs tell: either by itself would be enough, so each has half of the rate.

    Args:
        evidence: of the shares, if any.
        paired: of the pairs, if any.
        rates: of the rollout.

    """
    of_shares = evidence if evidence is not None and evidence.has_data else None
    of_pairs = paired.seen if paired is not None else ()
    if of_shares is None and not of_pairs:
        return Verdict.NO_DATA
    limit = rates.harm_limit((evidence.log_harm.size if evidence is not None else 0) + _STREAMS)
    logs = [float(one.log_harm.max()) for one in (*of_pairs, *((of_shares,) if of_shares is not None else ()))]
    if max(logs) >= limit:
        return Verdict.HARMFUL
    is_safe = (of_shares is not None and _all_safe((of_shares,), rates)) or _all_safe(of_pairs, rates)
    return Verdict.SAFE if is_safe else Verdict.CONTINUE


def harmful_by_pairs(evidence: Evidence | None, paired: Paired | None) -> bool:
    """Whether the pairs have more evidence of harm than the shares, so that they are to be told of."""
    of_shares = float(evidence.log_harm.max()) if evidence is not None and evidence.has_data else 0.0
    return paired is not None and any(float(one.log_harm.max()) > of_shares for one in paired.seen)


def _all_safe(found: Sequence[Evidence | PairedEvidence], rates: Rates) -> bool:
    """Whether there is evidence and all of it says Safe, at half of the rate."""
    limit = Rates(rates.false_rollback, rates.false_promotion / 2.0, rates.checks).safe_limit
    return bool(found) and all(float(one.log_safe.min()) >= limit for one in found)


def _same(one: str, other: str) -> bool:
    """Whether two answers are of one class, though one server may not tell it by its name any more."""
    if one.startswith(_UNNAMED) != other.startswith(_UNNAMED):
        return _checksum(one) == _checksum(other)
    return one == other


def _checksum(label: str) -> str:
    return label if label.startswith(_UNNAMED) else f"{_UNNAMED}{crc32(label.encode()):08x}"


def _has_score(one: Answer, other: Answer) -> bool:
    return one.score is not None or other.score is not None


def _shift(bins: Bins, one: Answer, other: Answer) -> float:
    if one.score is None or other.score is None or not (isfinite(one.score) and isfinite(other.score)):
        return 0.0 if one.score == other.score else 1.0
    return bins.shift(one.score, other.score)
