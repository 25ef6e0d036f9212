"""`spec.batchJobs`: the same model over whole data sets, at times or when asked.

Each entry becomes a CronJob whose Jobs are Indexed: a pod for each shard (`plan.batch`). What a schema can see is
refused when the resource is applied; what only the cluster or the runner can know stands in `status.batchJobs` and in
the condition `BatchFailed`.
"""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from modelway.api.base import Model, Rule, rules
from modelway.api.batch_data import BatchInput, BatchOutput, ColumnName
from modelway.api.batch_times import SCHEDULE, DateOffset
from modelway.api.pods import (
    ContainerSecurity,
    LabelKey,
    LabelValue,
    ObjectName,
    ObjectReference,
    Resources,
    ShortText,
    Toleration,
)

Spot = Literal["Never", "Preferred", "Required"]
ConcurrencyPolicy = Literal["Allow", "Forbid", "Replace"]

MOST_SHARDS: Final = 10_000
_DATABASE: Final = "postgresql://"
_TABLE: Final = "^postgresql://[a-zA-Z0-9.-]+(:[0-9]{1,5})?/[^/]+/[^/=]+(/[^/=]+=[^/]*)*/?$"


class BatchContainer(Model):
    """An image of your own in place of modelway's runner; docs/batch.md tells what it finds and how it is to end."""

    image: Annotated[str, Field(min_length=1, max_length=512)]
    """Image reference."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled, as in a pod."""

    command: Annotated[tuple[ShortText, ...], Field(max_length=64)] = ()
    """Entry point; the image's own when empty."""

    args: Annotated[tuple[ShortText, ...], Field(max_length=128)] = ()
    """Arguments; the image's own when empty."""

    model_path: Annotated[str, Field(max_length=512, pattern="^/.+")] | None = None
    """Folder where the model is mounted, read-only. Defaults to /mnt/models. Without `spec.model` nothing is
    mounted."""

    security_context: ContainerSecurity | None = None
    """Loosens the restricted security context."""


def _of_the_runner(field: str) -> Rule:
    """A field that only modelway's own runner reads."""
    return Rule(
        f"!(has(self.container) && has(self.{field}))",
        "only of the built-in runner: with container, tell your image by args",
        field=f".{field}",
    )


def _of_tables(side: str) -> tuple[Rule, ...]:
    """What the runner knows of URIs, and what goes with a table."""
    uri, is_table = f"self.{side}.uri", f"self.{side}.uri.startsWith('{_DATABASE}')"
    return (
        Rule(
            f"has(self.container) || {uri}.matches('^(s3|pvc|postgresql)://')",
            "must begin with s3://, pvc:// or postgresql://",
            field=f".{side}.uri",
        ),
        Rule(
            f"has(self.container) || !{is_table} || {uri}.matches('{_TABLE}')",
            "must name host, database and table, and may pick rows: postgresql://host:5432/database/schema.table/dt={date}",
            field=f".{side}.uri",
        ),
        Rule(
            f"has(self.container) || !{is_table} || !has(self.{side}.format)",
            "is of files: leave it out for a table",
            field=f".{side}.format",
        ),
    )


def _folder(uri: str) -> str:
    return f"({uri}.endsWith('/') ? {uri} : {uri} + '/')"


class BatchJob(Model):
    """One data set that the model scores."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.parallelism) || self.parallelism <= (has(self.shards) ? self.shards : 1)",
                "must not be more than shards (1 where they are left out): each pod scores one shard",
                field=".parallelism",
            ),
            Rule(
                "!has(self.maxFailedIndexes) || self.maxFailedIndexes <= (has(self.shards) ? self.shards : 1)",
                "must not be more than shards (1 where they are left out)",
                field=".maxFailedIndexes",
            ),
            Rule(
                f"!{_folder('self.output.uri')}.startsWith({_folder('self.input.uri')})"
                f" && !{_folder('self.input.uri')}.startsWith({_folder('self.output.uri')})",
                "must not be the input, nor lie in it, nor hold it: a second run would read what the first one wrote",
                field=".output.uri",
            ),
            *_of_tables("input"),
            *_of_tables("output"),
            Rule(
                f"has(self.container) || self.input.uri.startsWith('{_DATABASE}') == has(self.input.key)",
                "names the column that tells rows of a table apart: needed where the input is a table, only there",
                field=".input.key",
            ),
            Rule(
                "!(has(self.container) && has(self.input.key))",
                "only of the built-in runner: with container, tell your image by args",
                field=".input.key",
            ),
            _of_the_runner("rowsPerBatch"),
            _of_the_runner("columnMap"),
            _of_the_runner("features"),
            _of_the_runner("maxFailedRowsPerMillion"),
        )
    )

    name: Annotated[str, Field(max_length=63, pattern="^[a-z]([-a-z0-9]*[a-z0-9])?$")]
    """Name of the entry; part of the name of its CronJob, which status tells."""

    schedule: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=128,
                json_schema_extra=rules(
                    Rule(
                        f"self.matches('{SCHEDULE}')",
                        "must be minute, hour, day of the month, month and day of the week (0 to 6, 0 is Sunday), such"
                        " as 15 2 * * *, or @daily",
                    )
                ),
            ),
        ]
        | None
    ) = None
    """When it runs, in cron's form: `15 2 * * *`. Left out: when it is asked for, by `modelway batch run`."""

    time_zone: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Time zone of the schedule and of `{date}`, by its IANA name: `Europe/Madrid`. Defaults to Etc/UTC."""

    suspend: bool | None = None
    """No run begins by itself while this is true; runs that are under way go on."""

    concurrency_policy: ConcurrencyPolicy | None = None
    """What happens when a run is due and the last one still goes on. Defaults to Forbid: it begins when that
    has ended, and of several only the one that was due last. Allow: both run. Replace: the last one is cancelled."""

    starting_deadline_seconds: Annotated[int, Field(ge=10, le=31536000)] | None = None
    """Seconds after its time within which a run may still begin, as in a CronJob. Left out: any time."""

    input: BatchInput
    """The rows that are scored."""

    output: BatchOutput
    """What is written."""

    date_offset: DateOffset | None = None
    """How far `{date}` and `{time}` are from the scheduled time, by the clocks of the time zone: `-24h` is the day
    before. Defaults to 0s."""

    column_map: (
        Annotated[
            dict[LabelKey, ColumnName],
            Field(
                max_length=1024,
                json_schema_extra=rules(
                    Rule("self.all(name, name != '' && !name.contains('='))", "names must not be empty nor contain '='")
                ),
            ),
        ]
        | None
    ) = None
    """Where names differ: an input or feature of the model to the column that it is read from."""

    features: Annotated[tuple[ColumnName, ...], Field(max_length=4096)] = ()
    """For a model that knows no names: its columns, in its order."""

    shards: Annotated[int, Field(ge=1, le=MOST_SHARDS)] | None = None
    """Pieces that the input is cut into, each scored by a pod of its own. Defaults to 1."""

    parallelism: Annotated[int, Field(ge=1, le=MOST_SHARDS)] | None = None
    """Pods that run at once. Defaults to shards, at most 10."""

    rows_per_batch: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Rows that the model is given at once. Defaults to 4096."""

    backoff_limit_per_index: Annotated[int, Field(ge=0, le=100)] | None = None
    """How often a shard is tried again after a failure that may pass. Evictions and lost nodes do not count. Defaults
    to 3."""

    max_failed_indexes: Annotated[int, Field(ge=0, le=MOST_SHARDS)] | None = None
    """Shards that may fail before the rest of the run is given up. Left out: all others are scored all the same. A
    run with a failed shard has failed either way."""

    max_failed_rows_per_million: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Rows in a million that may have no answer; beyond that the run fails. Defaults to 0."""

    active_deadline_seconds: Annotated[int, Field(ge=1, le=31536000)] | None = None
    """Seconds after which a run is ended, and has failed. Left out: it may take any time."""

    successful_jobs_history_limit: Annotated[int, Field(ge=0, le=100)] | None = None
    """Jobs of scheduled runs that went well which are kept. Defaults to 3."""

    failed_jobs_history_limit: Annotated[int, Field(ge=0, le=100)] | None = None
    """Jobs of scheduled runs that failed which are kept. Defaults to 3."""

    credentials_secret_ref: ObjectReference | None = None
    """Secret with the credentials for input and output, given as environment variables to the container that scores,
    and to no other: the names are those of `spec.model.credentialsSecretRef`, and for tables libpq's (`PGUSER`,
    `PGPASSWORD`, `PGSSLMODE`)."""

    spot: Spot | None = None
    """Whether the pods run on nodes that may be taken away, which are the cheapest. Defaults to Preferred: on spot
    nodes where there are some. Required: nowhere else. Never: not on them."""

    queue_name: Annotated[str, Field(max_length=63, pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")] | None = None
    """LocalQueue of Kueue that admits the runs. Left out: they begin at once."""

    resources: Resources | None = None
    """Compute resources of the container that scores. It uses as many threads as the CPU limit allows."""

    service_account_name: ObjectName | None = None
    """ServiceAccount of the pods, for cloud identities. Left out: that of serving. Its token is not mounted."""

    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] | None = None
    """Labels that a node must have."""

    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = ()
    """Taints that the pods tolerate, beside those of spot nodes."""

    container: BatchContainer | None = None
    """Any image in place of the built-in runner."""
