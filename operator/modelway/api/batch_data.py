"""`input` and `output` of `spec.batchJobs`: which rows are scored, and where the answers go."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from modelway.api.base import Model, Rule, rules
from modelway.api.uris import IN_A_BUCKET, NO_PASSWORD, NO_WAY_UP

Format = Literal["parquet", "csv", "jsonl"]
ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern="^[^, ]([^,]*[^, ])?$")]
"""Passed on in lists with commas."""


def _uri(purpose: str) -> Any:
    """The rules of a URI with placeholders."""
    return Field(
        min_length=1,
        max_length=2048,
        json_schema_extra=rules(
            Rule(
                "!self.matches('[{}]') || !self.replace('{date}', '').replace('{time}', '').matches('[{}]')",
                f"{purpose} knows {{date}} and {{time}}, and no other braces",
            ),
            IN_A_BUCKET,
            Rule(
                "!self.startsWith('pvc://') || self.matches('^pvc://[a-z0-9]([a-z0-9.-]*[a-z0-9])?/.+')",
                "must name a PersistentVolumeClaim and a path in it: pvc://claim/path",
            ),
            NO_PASSWORD,
            NO_WAY_UP,
        ),
    )


class BatchInput(Model):
    """The rows that are scored."""

    uri: Annotated[str, _uri("the input")]
    """Where they are: a file, a folder with a slash at its end, or a pattern (`*`, `?`, and `**` over folders), in
    `s3://bucket/…` or `pvc://claim/…` (mounted); or a table of PostgreSQL,
    `postgresql://host:5432/database/schema.table/column=value`, of which the values pick rows. `{date}` becomes the
    day, as 2026-11-20, and `{time}` the time of day, as 1430. With `container` it may be anything that the image
    understands."""

    format: Format | None = None
    """How the files are written. Defaults to parquet; `csv` has a header line, `jsonl` an object a line, and both may
    be compressed (.gz, .bz2, .zst, .lz4)."""

    split_lines: bool | None = None
    """CSV holds no line break inside quotes, so one file may be cut at any line. Defaults to false: CSV is cut between
    files only."""

    key: ColumnName | None = None
    """Of a table: the column that tells its rows apart, by which it is cut into shards. An index on it makes that
    quick."""


class BatchOutput(Model):
    """What is written."""

    uri: Annotated[str, _uri("the output")]
    """The folder for the results, in `s3://bucket/…` or `pvc://claim/…`; `{date}` and `{time}` as in the input. Or a
    table of PostgreSQL, `postgresql://host:5432/database/schema.table/column={date}`, which is made where it is not
    there; the values stand in each row. One folder, or value, holds one run: an entry with a schedule needs a
    placeholder here, or its second run has nothing to do."""

    format: Format | None = None
    """How the files are written. Defaults to parquet."""

    columns: Annotated[tuple[ColumnName, ...], Field(max_length=256)] = ()
    """Columns of the input that are written beside the answers, such as keys. Each once."""
