"""What a run was asked to do. Made by the command line; the part of it that decides what is written enters the plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from modelway.batch.errors import BatchError, Reason
from modelway.batch.sql import location
from modelway.stats.drift import STANDARD, Rule

MOST_SHARDS: Final = 10_000


class Format(StrEnum):
    """How rows are written in a file."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class Settings:
    """A run's settings.

    Args:
        input: URI of a file, of a folder (ends with a slash), or a pattern (`*`, `?`, and `**` for folders).
        output: URI of the folder that the run writes.
        input_format: of the input's files.
        output_format: of the parts.
        keys: columns of the input that are written beside the answers.
        mapping: the column that an input or feature of the model is read from, where it has another name.
        features: columns in the order in which a model that knows no names takes them.
        shards: how many pieces the input is cut into.
        rows_per_batch: rows that the model is given at once.
        max_failed_rows_per_million: beyond these the run fails; not part of the plan, so it may be raised.
        split_lines: CSV has no line break inside quotes, so one file may be cut at any line.
        key: of an input that is a table: the column that tells its rows apart, by which it is cut.
        rule: when the inputs have drifted; not part of the plan.

    """

    input: str
    output: str
    input_format: Format = Format.PARQUET
    output_format: Format = Format.PARQUET
    keys: tuple[str, ...] = ()
    mapping: Mapping[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    shards: int = 1
    rows_per_batch: int = 4096
    max_failed_rows_per_million: int = 0
    split_lines: bool = False
    key: str = ""
    rule: Rule = STANDARD

    def __post_init__(self) -> None:
        """Refuse what cannot work whatever the input is. Raises BatchError(SETTINGS_INVALID)."""
        if not 1 <= self.shards <= MOST_SHARDS:
            raise _invalid(f"{self.shards} shards; there may be 1 to {MOST_SHARDS}")
        if self.rows_per_batch < 1:
            raise _invalid(f"{self.rows_per_batch} rows a batch; at least 1 is needed")
        if not 0 <= self.max_failed_rows_per_million <= 1_000_000:
            raise _invalid(f"{self.max_failed_rows_per_million} failed rows in a million; write 0 to 1000000")
        for what, names in (("key columns", self.keys), ("features", self.features)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise _invalid(f"the {what} name {twice[0]} twice")
        source, target = self.input.rstrip("/"), self.output.rstrip("/")
        if target == source or f"{source}/".startswith(f"{target}/") or f"{target}/".startswith(f"{source}/"):
            raise _invalid(
                f"the output {self.output} and the input {self.input} are in each other; a second run would read it"
            )

        self._check_tables()

    def _check_tables(self) -> None:
        tables = [location.parse(uri) if location.is_table(uri) else None for uri in (self.input, self.output)]
        if tables[0] is not None and not self.key:
            raise _invalid(f"{tables[0]} is a table: name the column that tells its rows apart with --key")
        for table, form in zip(tables, (self.input_format, self.output_format), strict=True):
            if table is not None and form is not Format.PARQUET:
                raise _invalid(f"{table} is a table and has no format {form}; leave the format out")
        if tables[0] is None and self.key:
            raise _invalid(f"a key is of tables, and the input {self.input} is none; leave it out")
        if tables[0] is not None and tables[1] is not None and tables[0].is_same_as(tables[1]):
            raise _invalid(f"{tables[1]} is also the input; a second run would read what the first one wrote")

    def deciding(self) -> dict[str, object]:
        """The settings that decide what the parts hold, as JSON."""
        key: dict[str, object] = {"key": self.key} if self.key else {}
        return key | {
            "input": self.input,
            "inputFormat": str(self.input_format),
            "outputFormat": str(self.output_format),
            "columns": list(self.keys),
            "mapping": dict(sorted(self.mapping.items())),
            "features": list(self.features),
            "rowsPerBatch": self.rows_per_batch,
            "splitLines": self.split_lines,
        }


def _invalid(problem: str) -> BatchError:
    return BatchError(Reason.SETTINGS_INVALID, problem)
