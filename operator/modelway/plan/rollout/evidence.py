"""From readings to evidence: what each check counts as bad, and what it says. Pure; called by `decide` at every look.

Cheap when nothing is new: a reading that was counted before adds nothing, and a verdict is kept until there is more
evidence.
"""

from bisect import bisect_right
from dataclasses import replace
from datetime import datetime

from modelway.api.rollout import DEFAULT_FALSE_PROMOTION_RATE, DEFAULT_FALSE_ROLLBACK_RATE, Check, Rollout
from modelway.api.units import seconds, share
from modelway.plan.measured import SHADOW, ArmCounters, Measured, RouterReading
from modelway.plan.rollout.answers import Bins, fix_bins, merged
from modelway.plan.rollout.answers import tick as tick_of_answers
from modelway.plan.rollout.counting import Reading, Window, count
from modelway.plan.rollout.labels import Windows, with_labels
from modelway.plan.rollout.labels import due_ticks as due_ticks_of_labels
from modelway.plan.rollout.ledger import Counts, Ledger, Traffic
from modelway.plan.rollout.metered import asks, due_ticks, with_metrics, without_tick
from modelway.plan.rollout.pairing import LOOK_SECONDS, Paired, join, judge_answers, with_pairs
from modelway.stats import Counts as Counted
from modelway.stats import Evidence, Rates, Tick, Verdict, judge, update
from modelway.stats.bins import streams

_SMOOTHING = 0.3
"""Weight of the latest window in the requests per second that forecasts go by."""


def rates_of(rollout: Rollout) -> Rates:
    """The error rates that are promised."""
    return Rates(
        false_rollback=share(rollout.false_rollback_rate or DEFAULT_FALSE_ROLLBACK_RATE),
        false_promotion=share(rollout.false_promotion_rate or DEFAULT_FALSE_PROMOTION_RATE),
        checks=max(1, len(rollout.checks)),
    )


def gather(ledger: Ledger, measured: Measured, *, verified: bool, now: datetime) -> Ledger:
    """The ledger after the readings that it has not counted yet.

    Args:
        ledger: as it was.
        measured: the last readings.
        verified: whether every router has what this era asks for.
        now: the moment.
    """
    if not verified and not _is_news(ledger, measured):
        return ledger  # nothing is known, as after a start; what was certain before stays so
    era = ledger.era if verified else None
    ledger = replace(ledger, certain_at=(ledger.certain_at or now) if verified else None)
    if verified and not measured.unreachable and _is_news(ledger, measured):
        ledger = replace(ledger, read_at=now)
    routers, window = count(ledger.routers, (_of_router(one, ledger) for one in measured.routers), era=era)
    ledger = replace(ledger, routers=routers)
    if window.seconds:
        ledger = _with_requests(ledger, window, now)
    if any(check.predictions for check in ledger.rollout.checks):
        ledger = _with_pairs(_with_answers(ledger, measured, era), measured, now)
    return _with_metrics(ledger, measured, now) if asks(ledger) else ledger


def gather_labels(ledger: Ledger, measured: Measured, windows: Windows, *, now: datetime) -> Ledger:
    """The ledger after the labels that it has not counted yet, and the ticks that are complete with them.

    Which predictions they are of decides whether they count, so they do at any time, after a promotion as well.

    Args:
        ledger: as it was.
        measured: the last readings.
        windows: by which both revisions count them.
        now: the moment.
    """
    ledger = with_labels(ledger, measured, windows, now=now)
    for check, name, tick in due_ticks_of_labels(ledger, now=now):
        known = ledger.evidence.get(check.name) or Evidence.begin(margin_of(check))
        ledger = _updated(without_tick(ledger, name), check.name, known, tick)
    return ledger


def _is_news(ledger: Ledger, measured: Measured) -> bool:
    marks = ledger.routers
    return any(one.pod.uid not in marks or one.taken_at > marks[one.pod.uid].taken_at for one in measured.routers)


def _of_router(reading: RouterReading, ledger: Ledger) -> Reading:
    """Of each arm: requests, server errors, client errors, orphans, and those at most as slow as each latency check
    allows.
    """
    bounds = [1000.0 * seconds(check.latency.threshold) for check in ledger.rollout.checks if check.latency]
    arms = (ledger.stable, ledger.candidate, ledger.candidate + SHADOW)
    return Reading(
        pod=reading.pod.uid,
        epoch=reading.epoch,
        taken_at=reading.taken_at,
        arms={arm: _columns(reading.arms[arm], bounds) for arm in arms if arm in reading.arms},
    )


def _columns(counters: ArmCounters, bounds: list[float]) -> Counts:
    found = [bound for bound, _ in counters.at_most]
    fast = []
    for bound in bounds:
        index = bisect_right(found, bound)
        fast.append(counters.at_most[index - 1][1] if index else 0)
    return (counters.requests, counters.server_errors, counters.client_errors, counters.orphans, *fast)


def _with_requests(ledger: Ledger, window: Window, now: datetime) -> Ledger:
    """The evidence of errors and latencies after one window, which is one tick."""
    width = 4 + sum(check.latency is not None for check in ledger.rollout.checks)
    nothing = (0,) * width
    arms = window.arms
    copies = arms.get(ledger.candidate + SHADOW, nothing)
    candidate = tuple(a + b for a, b in zip(arms.get(ledger.candidate, nothing), copies, strict=True))
    stable = _without_orphans(arms.get(ledger.stable, nothing))
    ledger = replace(
        ledger,
        step_requests=ledger.step_requests + candidate[0],
        fed_at=now if candidate[0] else ledger.fed_at,
        traffic=_smoothed(ledger.traffic, candidate[0] / window.seconds, stable[0] / window.seconds),
    )
    if candidate[0] + stable[0] == 0:
        return ledger
    column = 3
    for check in ledger.rollout.checks:
        if check.latency is not None:
            column += 1
        elif check.error_rate is None:
            continue
        tick = Tick(_bad(check, candidate, column), _bad(check, stable, column))
        ledger = _updated(ledger, check.name, ledger.evidence.get(check.name) or Evidence.begin(margin_of(check)), tick)
    return ledger


def _without_orphans(counts: Counts) -> Counts:
    """Of the stable revision: that its pods are gone says nothing of what it is compared by. A candidate without pods
    may have crashed, and that is held against it.
    """
    requests, server_errors, client_errors, orphans, *fast = counts
    return (max(0, requests - orphans), max(0, server_errors - orphans), client_errors, orphans, *fast)


def _bad(check: Check, counts: Counts, column: int) -> Counted:
    """Requests and bad ones. Counters are not read at one instant, so one may be ahead of another by a request."""
    requests, server_errors, client_errors = counts[:3]
    if check.latency is not None:
        return Counted(requests, max(0, requests - counts[column]))
    also = client_errors if check.error_rate is not None and check.error_rate.count_client_errors else 0
    return Counted(requests, min(requests, server_errors + also))


def _with_answers(ledger: Ledger, measured: Measured, era: int | None) -> Ledger:
    """The evidence of how the answers are distributed."""
    if (bins := ledger.bins or _bins_of(ledger, measured)) is None:
        return ledger
    readings = (
        Reading(one.pod.uid, one.epoch, one.taken_at, {one.revision: bins.counts(one.answers)})
        for one in measured.servers
    )
    servers, window = count(ledger.servers, readings, era=era)
    ledger = replace(ledger, bins=bins, servers=servers)
    nothing = (0,) * bins.size
    candidate, stable_counts = (window.arms.get(arm, nothing) for arm in (ledger.candidate, ledger.stable))
    if not any(candidate) and not any(stable_counts):
        return ledger
    tick = tick_of_answers(bins, candidate, stable_counts)
    for check in ledger.rollout.checks:
        if check.predictions is not None:
            known = ledger.evidence.get(check.name) or Evidence.begin(margin_of(check), streams(bins.size))
            ledger = _updated(ledger, check.name, known, tick)
    return ledger


def _bins_of(ledger: Ledger, measured: Measured) -> Bins | None:
    """From the rows that came with the stable artefact, so that bins are there from the start.

    Where there are none, or too few, from all that the stable pods have answered so far.
    """
    stable = [one for one in measured.servers if one.revision == ledger.stable]
    from_maker = next((bins for one in stable if (bins := fix_bins(one.reference)) is not None), None)
    return from_maker or fix_bins(merged(one.answers for one in stable))


def _with_pairs(ledger: Ledger, measured: Measured, now: datetime) -> Ledger:
    """The evidence of answers to the same request.

    A pair needs no verified window: the request was mirrored, whatever the weights were, or there would be no pair.
    """
    if ledger.paired_at is not None and (now - ledger.paired_at).total_seconds() < LOOK_SECONDS:
        return ledger
    marks, pairs = join(ledger.rings, measured.servers, candidate=ledger.candidate, stable=ledger.stable)
    ledger = replace(ledger, rings=marks, paired_at=now if pairs else ledger.paired_at)
    for check in ledger.rollout.checks if pairs else ():
        if check.predictions is not None:
            known = ledger.paired.get(check.name) or Paired.begin(margin_of(check))
            paired = {**ledger.paired, check.name: with_pairs(known, pairs, ledger.bins)}
            ledger = _judged(replace(ledger, paired=paired), check.name)
    return ledger


def _with_metrics(ledger: Ledger, measured: Measured, now: datetime) -> Ledger:
    """The evidence of what Prometheus has counted."""
    ledger = with_metrics(ledger, measured, now=now)
    for check, tick in due_ticks(ledger, now=now):
        known = ledger.evidence.get(check.name) or Evidence.begin(margin_of(check))
        ledger = _updated(without_tick(ledger, check.name), check.name, known, tick)
    return ledger


def _updated(ledger: Ledger, name: str, evidence: Evidence, tick: Tick) -> Ledger:
    return _judged(replace(ledger, evidence={**ledger.evidence, name: update(evidence, tick)}), name)


def _judged(ledger: Ledger, name: str) -> Ledger:
    """With the verdict of the check `name` as its evidence is now."""
    rates, evidence = rates_of(ledger.rollout), ledger.evidence.get(name)
    is_of_answers = any(check.name == name and check.predictions for check in ledger.rollout.checks)
    if is_of_answers and any(step.shadow for step in ledger.rollout.steps):
        verdict = judge_answers(evidence, ledger.paired.get(name), rates)
    else:
        verdict = judge(evidence, rates) if evidence is not None else Verdict.NO_DATA
    return replace(ledger, verdicts={**ledger.verdicts, name: verdict})


def _smoothed(before: Traffic, candidate: float, stable: float) -> Traffic:
    if before == Traffic():
        return Traffic(candidate, stable)
    return Traffic(
        before.candidate + _SMOOTHING * (candidate - before.candidate),
        before.stable + _SMOOTHING * (stable - before.stable),
    )


def margin_of(check: Check) -> float:
    """By how much the share of bad requests may be larger, from 0 to 1."""
    if check.error_rate is not None:
        return share(check.error_rate.max_increase)
    if check.latency is not None:
        return share(check.latency.max_increase)
    if check.predictions is not None:
        return share(check.predictions.max_shift)
    if check.prometheus is not None:
        return share(check.prometheus.max_increase)
    if check.feedback is not None:
        return share(check.feedback.max_decrease)
    raise ValueError(f"check {check.name} says nothing to compare")  # the schema refuses it


def verdict_of(ledger: Ledger, check: Check) -> Verdict:
    """What the check says."""
    return ledger.verdicts.get(check.name, Verdict.NO_DATA)
