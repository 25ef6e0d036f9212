"""What the page says, section by section. Pure. `html` writes it.

Secrets have no way in: of the spec only what is named here is told, and of every URL in a text what may hold a
signature or a password is left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from modelway.api.status import CheckStatus, HistoryEntry
from modelway.artifacts.uri import redact
from modelway.plan.monitoring.answers import requests_in
from modelway.plan.monitoring.watch import rule_of
from modelway.report.distributions import Distribution
from modelway.report.facts import Facts
from modelway.report.features import answers_of, features_of
from modelway.report.quality import Level, OverTime, level_of, over_time
from modelway.report.sample import layout_of, sample_of
from modelway.report.words import Told, Tone, told

_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"'<>,;]+", re.IGNORECASE)
_MOST_OPEN: Final = 12
"""Features that are unfolded when the page is opened."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The features.

    Attributes:
        features: the worst first.
        opened: how many of them are unfolded at first.
        uncompared: why nothing is said of them, where that is so for all.
    """

    features: tuple[Distribution, ...]
    opened: int
    uncompared: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """A candidate on its way, or what became of it."""

    state: str
    message: str
    checks: tuple[CheckStatus, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """All of it.

    Attributes:
        name, namespace: of the ModelDeployment.
        at: when the cluster was asked.
        made_by: which version of modelway has made it.
        tone, headline: how the model is, in one line.
        facts: names and values, of the model.
        open: conditions that are wrong or unknown, the worst first.
        well: the others.
        missing: what the page does not say, and why.
        rows: which rows the inputs are of; empty where there are none.
        requests: which requests the answers are of; likewise.
        rule: when something counts as drifted.
        inputs: the features; None where no pod has told them.
        answers: the distributions of what is answered.
        quality: by labels; None where that is not asked for.
        estimate: of the accuracy without labels, as the status has it.
        level: how requests were answered; None where nobody counted that.
        rollout: what goes on; None where nothing does.
        history: what became of the last revisions, newest first.
    """

    name: str
    namespace: str
    at: datetime
    made_by: str
    tone: Tone
    headline: str
    facts: tuple[tuple[str, str], ...]
    open: tuple[Told, ...]
    well: tuple[Told, ...]
    missing: tuple[str, ...]
    rows: str
    requests: str
    rule: str
    inputs: Inputs | None
    answers: tuple[Distribution, ...]
    quality: OverTime | None
    estimate: str | None
    level: Level | None
    rollout: Rollout | None
    history: tuple[HistoryEntry, ...]


def page_of(facts: Facts) -> Page:
    """The page of what was gathered."""
    resource, status = facts.resource, facts.resource.status
    layout = layout_of(facts)
    sample = sample_of(facts, layout)
    conditions = tuple(replace(one, message=clean(one.message)) for one in told(status))
    tone, headline = _headline(conditions)
    quality = status.monitoring.quality if status.monitoring is not None else None
    return Page(
        name=resource.metadata.name,
        namespace=resource.metadata.namespace,
        at=facts.at,
        made_by=facts.made_by,
        tone=tone,
        headline=headline,
        facts=tuple(_facts(facts)),
        open=tuple(one for one in conditions if one.tone != Tone.GOOD),
        well=tuple(one for one in conditions if one.tone == Tone.GOOD),
        missing=(*map(clean, facts.missing), *_unwatched(facts)),
        rows=f"{sample.rows:,} rows: {sample.title}" if sample is not None else "",
        requests=f"{requests_in(sample.answers):,} requests: {sample.title}" if sample is not None else "",
        rule=_rule(facts),
        inputs=_inputs(features_of(facts, layout, sample)) if layout is not None else None,
        answers=answers_of(facts, sample),
        quality=over_time(facts),
        estimate=quality.estimated_accuracy if quality is not None else None,
        level=level_of(facts),
        rollout=_rollout(facts),
        history=tuple(one.model_copy(update={"reason": clean(one.reason)}) for one in status.history),
    )


def clean(text: str) -> str:
    """The text with all URLs in it as they may be shown."""
    return _URL.sub(lambda found: redact(found[0]), text)


def age(time: timedelta) -> str:
    """A span in the unit that matters."""
    hours = time.total_seconds() / 3600
    if hours < 1:
        return f"{max(time.total_seconds(), 0) / 60:.0f} minutes"
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"


def _headline(conditions: tuple[Told, ...]) -> tuple[Tone, str]:
    worst = conditions[0] if conditions else None
    if worst is None:
        return Tone.UNSURE, "The operator has not said anything of it yet"
    wrong = sum(one.tone == Tone.BAD for one in conditions)
    if wrong > 1:
        return Tone.BAD, f"{worst.words}, and {wrong - 1} more"
    if worst.tone == Tone.GOOD:
        return Tone.GOOD, "Nothing is wrong that is watched"
    return worst.tone, worst.words


def _facts(facts: Facts) -> Iterator[tuple[str, str]]:
    spec, status = facts.resource.spec, facts.resource.status
    stable = status.stable
    if stable is not None:
        yield "Version", stable.version or "none was given"
        yield "Revision", stable.revision
        if stable.digest:
            yield "Digest", stable.digest
        yield "Pods", f"{stable.ready_replicas} of {stable.replicas} are ready"
    if spec.model is not None:
        yield "Model in the spec", clean(spec.model.uri)
        if spec.model.version and (stable is None or spec.model.version != stable.version):
            yield "Version in the spec", spec.model.version
    trained = spec.model.training_time if spec.model is not None else None
    if facts.watch is not None:
        trained = facts.watch.trained_at  # of what serves: the spec may be asking for another model
    if trained is not None:
        yield "Trained", f"{trained:%Y-%m-%d %H:%M} UTC, {age(facts.at - trained)} ago"
    if (job := status.retraining) is not None:
        yield (
            "Last retraining",
            f"{job.job}: {job.result}, asked for by {job.condition} at {job.started_at:%Y-%m-%d %H:%M} UTC",
        )
    if status.url:
        yield "Reached at", clean(status.url)


def _unwatched(facts: Facts) -> Iterator[str]:
    """What nobody has asked to be watched."""
    if facts.resource.spec.monitoring is None:
        yield "Nothing is watched, as spec.monitoring is not given: no drift, no quality, no service level is judged."
        return
    if not facts.resource.spec.serves:
        return  # the rest is of requests, of which there are none
    given = facts.given
    if given.quality is None:
        yield "How good the predictions are is not watched: spec.monitoring.quality asks for it."
    if given.slo is None:
        yield "The service level is not watched: spec.monitoring.slo asks for it."
    if given.max_model_age is None:
        yield "The model's age is not watched: spec.monitoring.maxModelAge asks for it."


def _rule(facts: Facts) -> str:
    rule = rule_of(facts.given)
    return f"PSI above {rule.max_psi:g} and surely no chance, in {rule.windows} windows in a row"


def _inputs(features: tuple[Distribution, ...]) -> Inputs:
    bad = sum(one.tone == Tone.BAD for one in features)
    opened = len(features) if len(features) <= _MOST_OPEN else min(max(bad, 3), _MOST_OPEN)
    reasons = {one.verdict.because for one in features if one.verdict.psi is None}
    nothing = bool(features) and all(one.verdict.psi is None for one in features)
    return Inputs(features, opened, reasons.pop() if nothing and len(reasons) == 1 else "")


def _rollout(facts: Facts) -> Rollout | None:
    rollout, candidate = facts.resource.status.rollout, facts.resource.status.candidate
    if rollout is None or (rollout.state == "Stable" and candidate is None):
        return None
    words = [rollout.state + (f" ({rollout.reason})" if rollout.reason else "")]
    if rollout.revision:
        version = f" (version {candidate.version})" if candidate is not None and candidate.version else ""
        words.append(f"revision {rollout.revision}{version}")
    if rollout.step:
        words.append(f"step {rollout.step}")
    if rollout.weight is not None:
        words.append(f"weight {rollout.weight} %")
    return Rollout(", ".join(words), clean(rollout.message or ""), rollout.checks)
