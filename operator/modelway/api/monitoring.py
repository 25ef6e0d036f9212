"""`spec.monitoring`: what is watched of a model that answers, and what is too much.

Read by `plan.monitoring`. No part of the revision, but for `quality`, of which pods have to know: giving, changing or
removing anything else restarts no pod. docs/monitoring.md explains it to users, docs/statistics.md and its neighbours
what the rates promise.
"""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from modelway.api.base import Model, Rule, rules
from modelway.api.monitoring_quality import Quality
from modelway.api.monitoring_sink import Sink
from modelway.api.observing import Observe
from modelway.api.retraining import OnDegraded
from modelway.api.rollout import Threshold
from modelway.api.units import Duration, PartPercent

DEFAULT_WINDOW: Final = "5m"
DEFAULT_MIN_ROWS: Final = 500
DEFAULT_MAX_PSI: Final = 0.1
DEFAULT_WINDOWS: Final = 3
DEFAULT_LEARN_FOR: Final = "24h"
_ASKS_FOR: Final = "(has(self.onDegraded) && has(self.onDegraded.conditions) && '{}' in self.onDegraded.conditions)"


class Reference(Model):
    """What live rows are compared with, beside what the model's `modelway.json` says."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.learnFor) || (duration(self.learnFor) >= duration('1m')"
                " && duration(self.learnFor) <= duration('2160h'))",
                "must be from 1m to 2160h (90 days)",
                field=".learnFor",
            ),
        )
    )

    learn_for: Duration | None = None
    """Where the model does not say what is usual: how long live rows are counted before what they show counts as such;
    at least 10,000 rows in any case. Take in a whole period of what comes and goes: a day, a week. Defaults to 24h."""

    seasonality: Literal["HourOfWeek", "None"] | None = None
    """`HourOfWeek`: each hour of the week is compared with what is usual in it, as two weeks of live rows have shown.
    For traffic with a daily or weekly rhythm. Until they are over, and with `None`, all hours are compared with one and
    the same. Defaults to None."""

    time_zone: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Time zone of the hours of the week, by its IANA name: `Europe/Madrid`. Where clocks are changed, what people do
    moves with them. Another one begins anew. Defaults to Etc/UTC."""


class Drift(Model):
    """When inputs or answers have drifted: all of it, in as many windows in a row."""

    # The API server cuts the bound of a number to a whole one where it is given one, and lets a 0 pass.
    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule("!has(self.maxPSI) || self.maxPSI >= 0.01", "must be 0.01 or more", field=".maxPSI"),
        )
    )

    max_psi: Annotated[Annotated[float, Field(ge=0.01, le=10)] | None, Field(alias="maxPSI")] = None
    """Corrected population stability index above which a difference matters: 0.1 is moderate, 0.25 large. Defaults to
    0.1."""

    windows: Annotated[int, Field(ge=1, le=100)] | None = None
    """Windows in a row that must show it, and as many without it end it. Defaults to 3."""


class LatencyObjective(Model):
    """How many of the answers must be how fast."""

    threshold: Threshold
    """What counts as slow. Only these values: they are what routers and servers count."""

    percent: PartPercent
    """Share of the requests that must take at most so long, such as `99%`."""


class ServiceLevel(Model):
    """What is promised of the answers, whether a rollout is on its way or not."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule("has(self.errorRate) || has(self.latency)", "give errorRate, latency or both"),
        )
    )

    error_rate: PartPercent | None = None
    """Most of the requests that may fail: 5xx, timeouts and connections that broke."""

    latency: LatencyObjective | None = None
    """How fast answers must be."""


class Monitoring(Model):
    """What is watched of the revision that serves. Conditions tell what is found; `Ready` stays what it is."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.window) || (duration(self.window) >= duration('10s')"
                " && duration(self.window) <= duration('24h'))",
                "must be from 10s to 24h",
                field=".window",
            ),
            Rule(
                "!has(self.reference) || !has(self.reference.seasonality) || self.reference.seasonality == 'None'"
                " || !has(self.window) || duration(self.window) <= duration('1h')",
                "hours of the week cannot be told apart by longer windows: at most 1h, or no reference.seasonality",
                field=".window",
            ),
            Rule(
                f"!{_ASKS_FOR.format('ModelStale')} || has(self.maxModelAge)",
                "ModelStale never turns true without maxModelAge: give it, or leave ModelStale out",
                field=".onDegraded.conditions",
            ),
            Rule(
                f"!{_ASKS_FOR.format('PerformanceDegraded')} || has(self.quality)",
                "PerformanceDegraded never turns true without quality: give it, or leave PerformanceDegraded out",
                field=".onDegraded.conditions",
            ),
        )
    )

    window: Duration | None = None
    """How much time is looked at together. The pods are read once in it. Defaults to 5m."""

    min_rows: Annotated[int, Field(ge=100, le=1_000_000_000)] | None = None
    """Rows of a window without which nothing is said of it: neither alarm nor all-clear. Defaults to 500."""

    reference: Reference | None = None
    """What live rows are compared with. Left out: what the model says, else what a day of them shows."""

    drift: Drift | None = None
    """When inputs or answers have drifted. Left out: by the defaults of its fields."""

    slo: ServiceLevel | None = None
    """What is promised of the answers; condition `Degraded`. Left out: not watched."""

    quality: Quality | None = None
    """What labels must say of the predictions; condition `PerformanceDegraded`. Left out: not watched, and answers have
    no ids. Giving or removing it restarts the pods."""

    observe: Observe | None = None
    """Where an image of your own (`serving.container`) has rows and predictions in its requests and answers, so that
    they can be counted; needs routers (`traffic.router: Envoy`). Left out: they are not. Restarts no pod of the
    model."""

    max_model_age: Duration | None = None
    """Age since `model.trainingTime` from which on the model is stale; condition `ModelStale`. Left out: never."""

    features: Literal["Show", "Hide"] | None = None
    """`Hide`: features and slices are told by their number, `feature 3`, and not by their name, in conditions, events
    and metrics. Defaults to Show."""

    on_degraded: OnDegraded | None = None
    """A Job that is made when the model has become worse, to train a better one; condition `RetrainingFailed`. Left
    out: none."""

    sink: Sink | None = None
    """Whom each transition of these conditions is told to, as a CloudEvent. Left out: nobody, but for Events."""

    @property
    def hides(self) -> bool:
        """Whether features and slices are told by their place."""
        return self.features == "Hide"
