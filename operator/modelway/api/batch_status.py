"""`status.batchJobs`: what became of the runs of each entry of `spec.batchJobs`."""

from typing import Annotated, Literal

from pydantic import Field

from modelway.api.base import Model, list_map
from modelway.api.units import Time

_ShortName = Annotated[str, Field(max_length=253)]
_Word = Annotated[str, Field(max_length=1024)]
_FeatureName = Annotated[str, Field(max_length=300)]
_Count = Annotated[int, Field(ge=0)]


class ComparedInput(Model):
    """One of the model's inputs, as a run found it."""

    name: _FeatureName
    """Name of the feature, or its number where `spec.monitoring.features` hides names."""

    psi: Annotated[str, Field(max_length=16, pattern=r"^[0-9]+([.][0-9]+)?$")]
    """Corrected population stability index against the model's reference: 0.1 is moderate, 0.25 large."""

    drifted: bool = False
    """Whether that is above `spec.monitoring.drift.maxPSI`, and no chance."""


class BrokenInput(Model):
    """Something else that is wrong with an input."""

    name: _FeatureName
    """Name of the feature, or its number."""

    kind: Literal["Missing", "Invalid", "OutOfRange", "NewCategory", "Unit"]
    """What is wrong; docs/monitoring.md explains each."""


class ComparedInputs(Model):
    """How the rows of a run differ from what is usual for the model: one window, judged by itself."""

    features: _Count
    """Features that were compared; 0 where there were too few rows."""

    drifted_features: _Count = 0
    """How many of them have drifted."""

    worst: Annotated[tuple[ComparedInput, ...], Field(max_length=5, json_schema_extra=list_map("name"))] = ()
    """Those that differ most, drifted or not."""

    issues: Annotated[tuple[BrokenInput, ...], Field(max_length=5, json_schema_extra=list_map("name", "kind"))] = ()
    """What else is wrong with them."""


class BatchRun(Model):
    """One run: one Job."""

    job: _ShortName
    """Name of the Job."""

    date: Annotated[str, Field(max_length=32)] | None = None
    """What `{date}` and `{time}` stand for: `2026-11-20`, or with the time of day `2026-11-20T1430`; absent where the
    URIs need neither and the run was asked for by hand."""

    start_time: Time | None = None
    """When the Job was made."""

    completion_time: Time | None = None
    """When it ended."""

    result: Literal["Running", "Succeeded", "Failed"]
    """Running: it has not ended. Succeeded: every shard is done and `_SUCCESS` is written. Failed: it is not, and
    nothing goes on by itself."""

    reason: _Word | None = None
    """One word for why it failed or does not go on; docs/batch.md and docs/conditions.md explain each."""

    message: Annotated[str, Field(max_length=4096)] | None = None
    """What is wrong, in the words of whoever knows best, and what to do about it."""

    shards: _Count
    """Shards of the run."""

    succeeded_shards: _Count = 0
    """Shards that are done."""

    failed_shards: _Count | None = None
    """Shards that were given up."""

    rows: _Count | None = None
    """Rows of the input, those that failed among them."""

    failed_rows: _Count | None = None
    """Rows that have no answer; the folder `_errors` of the output lists them."""

    rows_per_core_second: _Count | None = None
    """Rows for each second of CPU time that scoring them took, over all shards."""

    inputs: ComparedInputs | None = None
    """How its inputs differ from what is usual; absent where the model has no reference, or another image scored."""

    duration_seconds: _Count | None = None
    """Seconds from its start to its end."""

    output: Annotated[str, Field(max_length=4096)] | None = None
    """Where the results are."""

    revision: _ShortName | None = None
    """Revision whose model scored."""

    digest: _ShortName | None = None
    """Digest of the model that scored."""


class BatchJobStatus(Model):
    """The runs of one entry."""

    name: _ShortName
    """Name of the entry."""

    cron_job: _ShortName
    """Name of its CronJob."""

    next_run: Time | None = None
    """When the next run is due; absent where none is."""

    missed_run: Time | None = None
    """A run that was due and has not begun; absent again when it or a later one has, or one by hand has ended well."""

    active_run: BatchRun | None = None
    """The run that began last of those that have not ended."""

    last_run: BatchRun | None = None
    """The run that ended last."""
