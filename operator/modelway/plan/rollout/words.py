"""What a rollout says of itself: sentences with their numbers, and the table of checks in status. Pure.

Written at decisions and once a minute; in between status stays as it is, for each change would be a write.
"""

from typing import Final

import numpy as np

from modelway.api.conditions import Reason
from modelway.api.rollout import DEFAULT_MAX_DURATION, Check
from modelway.api.status import CheckCounts, CheckStatus, PairCounts, RolloutStatus
from modelway.api.units import seconds
from modelway.plan.measured import Measured
from modelway.plan.rollout.evidence import rates_of, verdict_of
from modelway.plan.rollout.labels import Windows, missing_told
from modelway.plan.rollout.labels import troubles_of as troubles_of_labels
from modelway.plan.rollout.ledger import Ledger
from modelway.plan.rollout.metered import troubles_of, unseen_of
from modelway.plan.rollout.pairing import Paired, harmful_by_pairs
from modelway.plan.rollout.steps import index_of, pause_seconds
from modelway.stats import Evidence, Traffic, Verdict, forecast, most_shifted
from modelway.stats.bins import GROWN, SHRUNK

BY_PROMOTE: Final = "by the annotation modelway.dev/promote"
"""Begins the reason of a promotion that a human has asked for."""
_MOST_PODS: Final = 3
_LONGEST: Final = 1000
"""Characters of a message; what a pod says of itself may be long."""
_SENTENCES: Final[dict[str, str]] = {
    Reason.WEIGHT_CHANGING: "{at}: the weight is {weight} % and changes when the pods and all routers are ready for it",
    Reason.AWAITING_APPROVAL: "{at} waits for the annotation modelway.dev/approve: {revision}/{step}",
    Reason.AWAITING_TIME: "{at} is a pause of {pause}",
    Reason.PAUSED: "paused: {at} and its weight of {weight} % stand still",
    Reason.SOURCE_DOWN: "the counters cannot be read ({pods}): the weight is kept, and nothing is decided",
    Reason.NO_DATA: "{at}: there are no requests to compare; the weight is kept",
    Reason.NO_LABELS: "{at}: {labels}; the weight is kept",
    Reason.CANDIDATE_PODS_MISSING: "no pod of the candidate is ready: it gets no requests until there is one",
    Reason.AWAITING_DECISION: "all checks are Safe, but with sticky requests no error rate is claimed: "
    "set modelway.dev/promote or modelway.dev/abort: {revision}",
    Reason.INCONCLUSIVE: "maxDuration is over without a decision: "
    "set modelway.dev/promote or modelway.dev/abort: {revision}",
}
_UNCHECKED: Final = "there are no checks: nothing is compared, and it goes on by time and requests alone"
_UNCHECKED_STICKY: Final = (
    "there are no checks: the same users stay with the candidate, and nothing compares what they get with what the "
    "others get; it goes on by time and requests alone"
)
_STICKY_HARM: Final = (
    "; with sticky requests no error rate is claimed, so it is not rolled back by itself: it gets no requests until a "
    "human decides"
)
_LABELLED: Final = {
    "accuracy": "labelled rows",
    "precision": 'labelled rows that were predicted to be "{}"',
    "recall": 'rows labelled "{}"',
}
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0


def of_crashes(ledger: Ledger) -> str:
    """Why the hard rule acts."""
    return f"its containers ended {ledger.crashes} times by themselves; see `kubectl logs --previous`"


def of_harm_to_some(ledger: Ledger, check: Check) -> str:
    """The same where requests are sticky, so that a few users may be all there is to it."""
    return of_harm(ledger, check) + _STICKY_HARM


def of_harm(ledger: Ledger, check: Check) -> str:
    """What a Harmful check has seen."""
    evidence, paired = ledger.evidence.get(check.name), ledger.paired.get(check.name)
    pairs = _pairs(paired)
    if check.predictions is not None and pairs is not None and harmful_by_pairs(evidence, paired):
        return f"{check.name}: {_pairs_told(pairs)}; allowed is {check.predictions.max_shift}"
    return f"{check.name}: {_numbers(ledger, check, evidence)}" if evidence is not None else f"{check.name} is Harmful"


def of_word(ledger: Ledger, word: str) -> str:
    """What a human has decided by an annotation, and what the checks had counted until then."""
    told = [
        f"{check.name}: {_numbers(ledger, check, evidence)}"
        for check in ledger.rollout.checks
        if (evidence := ledger.evidence.get(check.name)) is not None
    ]
    return "; ".join((word, *told))[:_LONGEST]


def of_promotion(ledger: Ledger) -> str:
    """Why the candidate takes over after its last step."""
    if not ledger.rollout.checks:
        return "all steps are done, and there are no checks: nothing was compared"
    seen = [ledger.evidence[check.name] for check in ledger.rollout.checks if check.name in ledger.evidence]
    requests = max((int(np.max(one.candidate.requests)) for one in seen), default=0)
    return f"all checks are Safe after {requests:,} requests of the candidate"


def checks_told(ledger: Ledger, *, is_down: bool) -> tuple[CheckStatus, ...]:
    """What each check says, with its counts."""
    return tuple(_check_told(ledger, check, is_down=is_down) for check in ledger.rollout.checks)


def message_of(rollout: RolloutStatus, ledger: Ledger, measured: Measured, windows: Windows, *, sticky: bool) -> str:
    """What is being waited for, in one sentence.

    Args:
        rollout: its state and reason.
        ledger: what was counted.
        measured: the last readings.
        windows: by which both revisions count labels.
        sticky: requests of one user stay with one revision.
    """
    step = ledger.rollout.steps[index_of(ledger.rollout, rollout.step)]
    at = f"step {step.name}"
    if (sentence := _SENTENCES.get(rollout.reason or "")) is None:
        told = _progress_told(ledger, at)
        return f"{told}; {_UNCHECKED_STICKY if sticky else _UNCHECKED}" if not ledger.rollout.checks else told
    troubles = (*troubles_of(ledger, measured), *troubles_of_labels(measured, windows), *measured.unreachable)
    pods = "; ".join(troubles[:_MOST_PODS]) or "no router has answered"
    pause = _time_told(pause_seconds(step) or 0.0)
    if rollout.reason == Reason.NO_DATA and (unseen := unseen_of(measured)):
        return f"{at}: Prometheus has nothing for {' and '.join(unseen)}; the weight is kept"[:_LONGEST]
    told = sentence.format(
        at=at,
        step=step.name,
        weight=ledger.weight,
        revision=ledger.candidate,
        pods=pods,
        pause=pause,
        labels=missing_told(ledger, windows),
    )
    return told[:_LONGEST]


def _progress_told(ledger: Ledger, at: str) -> str:
    slowest = None
    left = seconds(ledger.rollout.max_duration or DEFAULT_MAX_DURATION) - ledger.counted
    for check in ledger.rollout.checks:
        evidence = ledger.evidence.get(check.name)
        if evidence is None or verdict_of(ledger, check) is not Verdict.CONTINUE:
            continue
        told = _foretold(ledger, check, evidence, left)
        slowest = max(slowest, told) if slowest is not None else told
    if slowest is not None:
        return slowest[1]
    step = ledger.rollout.steps[index_of(ledger.rollout, ledger.step)]
    if step.min_requests is not None and ledger.step_requests < step.min_requests:
        return f"{at}: {ledger.step_requests:,} of {step.min_requests:,} requests"
    return f"{at}: {ledger.step_requests:,} requests so far"


def _foretold(ledger: Ledger, check: Check, evidence: Evidence, left: float) -> tuple[float, str]:
    """How long a check takes, in candidate requests still to come, and in words."""
    seen, what = int(np.max(evidence.candidate.requests)), _counted_of(check)
    told = forecast(evidence, rates_of(ledger.rollout), _traffic(ledger, check), seconds_left=max(left, 1.0))
    if told is None or told.requests is None:
        return float("inf"), f"{check.name}: {seen:,} {what}; no decision is in sight"
    words = f"{check.name}: {seen:,} of about {seen + told.requests:,} {what}"
    if told.seconds is not None:
        words += f"; about {_time_told(told.seconds)} left at today's rate"
    if told.is_futile and told.verdict is Verdict.SAFE:
        words += "; Safe is not to be expected before maxDuration: raise the weight, the margin or maxDuration"
    return float(told.requests), words


def _traffic(ledger: Ledger, check: Check) -> Traffic:
    """What a check counts in a second: requests of late; labels, which come in heaps, since the beginning."""
    evidence = ledger.evidence.get(check.name)
    if check.feedback is None or evidence is None:
        return Traffic(ledger.traffic.candidate, ledger.traffic.stable)
    passed = max(ledger.counted, 1.0)
    return Traffic(int(evidence.candidate.requests) / passed, int(evidence.stable.requests) / passed)


def _counted_of(check: Check) -> str:
    return "labels of the candidate" if check.feedback is not None else "candidate requests"


def _check_told(ledger: Ledger, check: Check, *, is_down: bool) -> CheckStatus:
    verdict, evidence = verdict_of(ledger, check), ledger.evidence.get(check.name)
    told = "SourceDown" if is_down and verdict not in {Verdict.SAFE, Verdict.HARMFUL} else verdict.value
    pairs = _pairs(ledger.paired.get(check.name))
    if evidence is None:
        return CheckStatus(name=check.name, verdict=told, pairs=pairs)
    candidate, stable = _counts(check, evidence)
    return CheckStatus(
        name=check.name,
        verdict=told,
        candidate=candidate,
        stable=stable,
        pairs=pairs,
        message=_shift_told(ledger, evidence) if check.predictions is not None else None,
    )


def _pairs(paired: Paired | None) -> PairCounts | None:
    if paired is None:
        return None
    classes, scores = paired.disagreement, paired.shift
    return PairCounts(
        pairs=max(classes.pairs, scores.pairs),
        differing=round(classes.total) if classes.has_data else None,
        score_shift=f"{_percent_told(100.0 * scores.mean)}%" if scores.has_data else None,
    )


def _pairs_told(found: PairCounts) -> str:
    told = []
    if found.differing is not None:
        told.append(f"the class differs in {found.differing:,}")
    if found.score_shift is not None:
        told.append(f"the score moves by {found.score_shift} of all scores on average")
    return f"of {found.pairs:,} requests that both have answered, {' and '.join(told)}"


def _numbers(ledger: Ledger, check: Check, evidence: Evidence) -> str:
    candidate, stable = _counts(check, evidence)
    theirs = f"of the stable revision's {_share_told(stable)}"
    if check.predictions is not None:
        margin = check.predictions.max_shift
        return (
            f"{_shift_told(ledger, evidence)}: {_share_told(candidate)}, {theirs}; allowed is a difference of {margin}"
        )
    if check.latency is not None:
        what = f"were slower than {check.latency.threshold}"
        return f"{_share_told(candidate)} {what}, {theirs}; allowed is {check.latency.max_increase} more"
    if check.prometheus is not None:
        told = f"{_share_told(candidate)} were not good, {theirs}; allowed is {check.prometheus.max_increase} more"
        return told.replace("requests (", "counted (")
    if check.feedback is not None:
        told = f"{_share_told(candidate)} were wrong, {theirs}; allowed is {check.feedback.max_decrease} more"
        return told.replace("requests (", f"{_LABELLED[check.feedback.metric].format(check.feedback.label)} (")
    margin = check.error_rate.max_increase if check.error_rate is not None else ""
    return f"{_share_told(candidate)} failed, {theirs}; allowed is {margin} more"


def _place(check: Check, evidence: Evidence) -> tuple[int, ...]:
    """Which stream is told of: that with the most evidence of harm."""
    if check.predictions is None:
        return ()
    shift = most_shifted(evidence)
    return (GROWN if shift.grown else SHRUNK, shift.bin)


def _shift_told(ledger: Ledger, evidence: Evidence) -> str:
    shift = most_shifted(evidence)
    name = ledger.bins.names()[shift.bin] if ledger.bins is not None else f"bin {shift.bin}"
    return f"answers {'with' if shift.grown else 'other than'} {name}"


def _counts(check: Check, evidence: Evidence) -> tuple[CheckCounts, CheckCounts]:
    """What was counted of the candidate and of the stable revision, in the stream that is told of."""
    at = _place(check, evidence)
    candidate, stable = (
        CheckCounts(requests=int(np.asarray(arm.requests)[at]), bad=int(np.asarray(arm.bad)[at]))
        for arm in (evidence.candidate, evidence.stable)
    )
    return candidate, stable


def _share_told(counts: CheckCounts) -> str:
    share = 100.0 * counts.bad / counts.requests if counts.requests else 0.0
    return f"{counts.bad:,} of {counts.requests:,} requests ({_percent_told(share)} %)"


def _percent_told(share: float) -> str:
    return f"{share:.0f}" if share >= 10 else f"{share:.2g}"


def _time_told(time: float) -> str:
    if time < 2 * _MINUTE:
        return f"{max(1, round(time))} s"
    return f"{round(time / _MINUTE)} min" if time < 2 * _HOUR else f"{round(time / _HOUR)} h"
