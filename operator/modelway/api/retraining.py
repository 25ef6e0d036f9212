"""`spec.monitoring.onDegraded` and `status.retraining`: a Job of the user's that makes a better model.

Read by `plan.monitoring.retraining`. No part of the revision. docs/monitoring.md explains it to users.
"""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from modelway.api.base import Model, Rule, rules
from modelway.api.units import Duration, Time

DEFAULT_COOLDOWN: Final = "24h"
DEFAULT_MAX_JOBS: Final = 3

Cause = Literal["PerformanceDegraded", "DataDrift", "ModelStale"]
DEFAULT_CAUSES: Final[tuple[Cause, ...]] = ("PerformanceDegraded", "DataDrift", "ModelStale")


class OnDegraded(Model):
    """A Job that is to make a better model, and when it begins."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.cooldown) || (duration(self.cooldown) >= duration('1m')"
                " && duration(self.cooldown) <= duration('8760h'))",
                "must be from 1m to 8760h (a year)",
                field=".cooldown",
            ),
        )
    )

    job_from: Annotated[str, Field(min_length=1, max_length=52, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
    """Name of a CronJob in the same namespace, which must be suspended. A Job is made from its template, as by `kubectl
    create job --from`, and told in its environment why (`MODELWAY_REASON` and others)."""

    # Not `on`: to YAML 1.1, which kubectl reads, that is the word true.
    conditions: Annotated[
        tuple[Cause, ...], Field(max_length=3, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = ()
    """Conditions that ask for a Job when they turn true. Left out: all three."""

    cooldown: Duration | None = None
    """Time from the beginning of one Job to that of the next, at least. What turns true in between waits for its end.
    Defaults to 24h."""

    max_jobs: Annotated[int, Field(ge=1, le=100)] | None = None
    """Jobs that are made for one and the same model, at most; another model begins anew. Defaults to 3."""


class RetrainingStatus(Model):
    """The last Job that was made."""

    job: Annotated[str, Field(max_length=63)]
    """Name of the Job."""

    condition: Annotated[str, Field(max_length=64)]
    """The condition that asked for it."""

    started_at: Time
    """When it was asked for. What has turned true until then is seen to by it."""

    result: Literal["Running", "Succeeded", "Failed", "Gone"]
    """What became of it. Gone: it was deleted before its end was seen."""

    model: Annotated[str, Field(max_length=128)]
    """The model that was to be replaced: the digest of its bytes, or the revision where it has none."""

    jobs: Annotated[int, Field(ge=1)]
    """How many Jobs were made for that model."""
