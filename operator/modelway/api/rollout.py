"""`spec.rollout`: how a new revision takes over from the one that serves.

Read by `plan.rollout`, which keeps a snapshot of it for the time of a rollout. docs/rollouts.md explains it to users,
docs/statistics.md what the rates promise.
"""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field

from modelway.api.base import Model, Rule, list_map, rules
from modelway.api.units import Duration, PartPercent, Percent

Threshold = Literal[
    "5ms", "10ms", "25ms", "50ms", "100ms", "150ms", "200ms", "250ms", "300ms", "400ms", "500ms", "750ms",
    "1s", "1.5s", "2s", "2.5s", "3s", "5s", "10s", "30s", "60s",
]  # fmt: skip
"""Bounds of the buckets in which the routers count how long answers took; between two of them nothing is known."""

StepName = Annotated[str, Field(min_length=1, max_length=63, pattern="^([a-z0-9]|[a-z0-9][-a-z0-9]*[a-z0-9])$")]

DEFAULT_FALSE_ROLLBACK_RATE: Final = "1%"
DEFAULT_FALSE_PROMOTION_RATE: Final = "5%"
DEFAULT_MAX_DURATION: Final = "24h"


class Shadow(Model):
    """Copies of users' requests go to the candidate too; its answers reach nobody."""

    percent: Percent
    """Share of the requests that is copied, such as `20%`."""


class Pause(Model):
    """Waits, at the weight of the step before."""

    duration: Duration | None = None
    """How long. Left out: until a human approves."""


class Preview(Model):
    """The candidate is reached under the Service `<name>-candidate` and gets no users' requests, until approved."""


class Step(Model):
    """One step of a rollout: exactly one of weight, shadow, preview and pause."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "[has(self.weight), has(self.shadow), has(self.preview), has(self.pause)].exists_one(given, given)",
                "exactly one of weight, shadow, preview and pause must be given",
            ),
            Rule(
                "has(self.weight) || has(self.shadow) || !(has(self.minDuration) || has(self.minRequests))",
                "minDuration and minRequests are of steps with weight or shadow; a pause has pause.duration",
            ),
        )
    )

    name: StepName
    """Name of the step, for status, approvals and people."""

    weight: Annotated[int, Field(ge=1, le=100)] | None = None
    """Percent of the requests that the candidate answers, from 1 to 100."""

    shadow: Shadow | None = None
    """Copy requests to the candidate and compare its answers; users only get those of the stable revision."""

    preview: Preview | None = None
    """Show the candidate to whoever asks for it by name, until a human approves."""

    pause: Pause | None = None
    """Wait: for a time, or until a human approves."""

    min_duration: Duration | None = None
    """Shortest time at this step, counted from when all routers have it."""

    min_requests: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Requests that the candidate must have answered at this step. With checks at least 1."""


class ErrorRate(Model):
    """Compares the shares of requests that failed: 5xx, timeouts and connections that broke."""

    max_increase: PartPercent
    """By how many percentage points more of the candidate's requests may fail than of the stable revision's."""

    count_client_errors: bool | None = None
    """Count 4xx as failed too. Defaults to false: they are the clients' doing, unless the model's schema changed."""


class Latency(Model):
    """Compares the shares of requests that took longer than a threshold, or were never answered."""

    threshold: Threshold
    """What counts as slow. Only these values: they are what the routers count."""

    max_increase: PartPercent
    """By how many percentage points more of the candidate's requests may be slow."""


class Predictions(Model):
    """Compares how the answers are distributed: shares of the classes, or of ranges of the score."""

    max_shift: PartPercent
    """By how many percentage points the share of any class or range may differ."""


SELECTOR: Final = (
    "^[a-zA-Z_:][a-zA-Z0-9_:]*"
    r'\{ *[a-zA-Z_][a-zA-Z0-9_]* *(=~|!~|!=|=) *"([^"\\\n]|\\["\\])*"'
    r'( *, *[a-zA-Z_][a-zA-Z0-9_]* *(=~|!~|!=|=) *"([^"\\\n]|\\["\\])*")* *,? *\}$'
)
"""A name and matchers, and nothing of what else there is in PromQL: what is sent is certain to be one selector."""
_NO_SELECTOR: Final = (
    'must be one selector of counters, such as requests_total{pod=~"$name-$revision-.*"}: '
    "no functions, ranges or sums, for modelway takes the differences itself"
)


_NO_REVISION: Final = "must have $revision in a matcher: else it selects the same of both revisions"


def _checked_selector(text: str) -> str:
    """Also of what was written beside the API server: the record of a rollout is read by this as well."""
    if re.fullmatch(SELECTOR, text) is None:
        raise ValueError(_NO_SELECTOR)
    return text


Selector = Annotated[
    str,
    AfterValidator(_checked_selector),
    Field(
        min_length=3,
        max_length=1024,
        json_schema_extra=rules(
            Rule(f"self.matches(r'{SELECTOR}')", _NO_SELECTOR),
            Rule("self.contains('$revision')", _NO_REVISION),
        ),
    ),
]


class Prometheus(Model):
    """Compares shares of what the cluster's Prometheus has counted: total less good is bad."""

    good: Selector
    """Selector of the counters of what was good, such as
    `answers_total{pod=~"$name-$revision-.*",result="ok"}`. `$namespace`, `$name` and `$revision` are filled in, and a
    matcher for the namespace of the ModelDeployment is added to it."""

    total: Selector
    """Selector of the counters of all, good and bad, of the same processes."""

    max_increase: PartPercent
    """By how many percentage points more of the candidate's may be bad."""


class Feedback(Model):
    """Compares what labels say of predictions that both revisions made at the same time.

    Only shares of rows that are right or wrong by themselves: those are what the comparison is valid for. F1 and AUC
    are not, and errors and losses have no bound.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "(self.metric in ['precision', 'recall']) == has(self.label)",
                "precision and recall are of one class: name it by label; accuracy has no label",
                field=".label",
            ),
        )
    )

    metric: Literal["accuracy", "precision", "recall"]
    """The share that is compared: of all labelled rows those that were right; of those that were predicted to be of the
    class; of those that are of the class."""

    label: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """The class whose precision or recall it is."""

    max_decrease: PartPercent
    """By how many percentage points the candidate's may be lower."""

    label_delay: Duration | None = None
    """How long labels are waited for: predictions count when they are this old, by labels that came within it. Needed
    where a label comes sooner or later depending on what was predicted. Left out: every label counts when it comes."""


class Check(Model):
    """What must not get worse: exactly one of errorRate, latency, predictions, prometheus and feedback."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "[has(self.errorRate), has(self.latency), has(self.predictions), has(self.prometheus),"
                " has(self.feedback)].exists_one(given, given)",
                "exactly one of errorRate, latency, predictions, prometheus and feedback must be given",
            )
        )
    )

    name: StepName
    """Name of the check, for status and people."""

    error_rate: ErrorRate | None = None
    """Compare failed requests."""

    latency: Latency | None = None
    """Compare slow requests."""

    predictions: Predictions | None = None
    """Compare the distribution of the answers; needs the built-in server."""

    prometheus: Prometheus | None = None
    """Compare counters of the model's own; needs the operator to know the cluster's Prometheus."""

    feedback: Feedback | None = None
    """Compare what labels say, of predictions made while both revisions answered; needs `spec.monitoring.quality`. It
    goes on in `watchAfter`."""

    on_harm: Literal["Rollback", "Hold"] | None = None
    """What happens when the check is Harmful: `Rollback`, or `Hold`, which takes all weight off the candidate and waits
    for a human. Defaults to Rollback, for predictions to Hold: a better model answers differently."""


class Rollout(Model):
    """How a new revision takes over. A rollout that is under way keeps what stood here when it began."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.steps) || self.steps.filter(step, has(step.weight)).map(step, step.weight).isSorted()",
                "weights must rise from step to step",
                field=".steps",
            ),
            Rule(
                "!has(self.steps) || self.steps.filter(step, has(step.weight)).all(step,"
                " self.steps.exists_one(other, has(other.weight) && other.weight == step.weight))",
                "weights must rise from step to step: two steps have the same weight",
                field=".steps",
            ),
            Rule(
                "!has(self.checks) || size(self.checks) == 0 || (has(self.steps)"
                " && self.steps.exists(step, has(step.shadow) || (has(step.weight) && step.weight < 100)))",
                "checks compare both revisions at the same time: they need a step with shadow or a weight below 100",
                field=".steps",
            ),
            Rule(
                "!has(self.checks) || !self.checks.exists(check, has(check.feedback)) || (has(self.steps)"
                " && self.steps.exists(step, has(step.weight) && step.weight < 100))",
                "labels come of answers that users have got: a check of feedback needs a step with a weight below 100",
                field=".steps",
            ),
        )
    )

    steps: Annotated[tuple[Step, ...], Field(max_length=20, json_schema_extra=list_map("name"))] = ()
    """What happens, one after the other. After the last step the candidate is promoted as soon as all checks are Safe.
    Left out: the candidate takes over when it is ready. Steps need `traffic.router: Envoy`, which is their default."""

    checks: Annotated[tuple[Check, ...], Field(max_length=16, json_schema_extra=list_map("name"))] = ()
    """What must not get worse. Left out: every candidate that gets through the steps is promoted."""

    false_rollback_rate: PartPercent | None = None
    """How many rollouts of acceptable versions may be rolled back by mistake: all checks and looks together, for
    independent requests. Defaults to 1%."""

    false_promotion_rate: PartPercent | None = None
    """How many rollouts of unacceptable versions may be promoted by mistake. Defaults to 5%."""

    max_duration: Duration | None = None
    """Longest time to wait for a decision, without pauses and without times in which nothing could be measured.
    Defaults to 24h."""

    on_inconclusive: Literal["Hold", "Rollback"] | None = None
    """What happens when that time is over: `Hold` keeps the weight and waits for a human, `Rollback` goes back.
    Defaults to Hold."""

    watch_after: Duration | None = None
    """How long the old revision is kept warm after a promotion; a new one that crashes in this time is rolled back, and
    so is one of which labels come that make a check of feedback Harmful. Left out: not at all."""
