"""How a batch run fails: a reason for machines, a sentence for people, and the exit code that Kubernetes acts on.

The model's own failures (`ModelError`, and the `ArtifactError` of a digest) are those of the server; all other ends
are a `BatchError`. Exit codes are the contract with the Job's pod failure policy: 42 fails the shard, 43 the run,
anything else is tried again.
"""

from enum import IntEnum, StrEnum, unique


class ExitCode(IntEnum):
    """What the process ends with."""

    DONE = 0
    AGAIN = 1
    """It may go better next time: the store is out of reach."""
    SHARD = 42
    """This shard's input cannot be read, now or later."""
    RUN = 43
    """No shard can do its work: the model, the settings, or the run as a whole."""


@unique
class Reason(StrEnum):
    """Why a run or a shard gave up. A value never changes its meaning."""

    SETTINGS_INVALID = "SettingsInvalid"
    """What was asked for cannot work: output inside the input, columns named twice, a shard beyond their number."""
    DATE_UNKNOWN = "DateUnknown"
    """The URIs need a date, and none is known: the Job was made by hand and says none."""
    INPUT_NOT_FOUND = "InputNotFound"
    """There is no file at the input's URI."""
    INPUT_UNREADABLE = "InputUnreadable"
    """A file is broken, or not of the format that was said."""
    INPUT_CHANGED = "InputChanged"
    """The input is not the one that was planned: a file was replaced or removed, or came after the run was done."""
    COLUMN_MISSING = "ColumnMissing"
    """The input lacks a column that the model or the output needs."""
    COLUMN_TYPE_WRONG = "ColumnTypeWrong"
    """A column's type cannot be what the model takes."""
    PLAN_DIFFERS = "PlanDiffers"
    """The output was begun with another model, other settings or another number of shards."""
    OUTPUT_NOT_EMPTY = "OutputNotEmpty"
    """The output holds parts that are not this run's."""
    PART_CHANGED = "PartChanged"
    """A part is not the one that its shard wrote; its record was removed, so the next try scores it again."""
    TOO_MANY_FAILED_ROWS = "TooManyFailedRows"
    """More rows failed than maxFailedRowsPerMillion allows."""
    PREDICTION_FAILED = "PredictionFailed"
    """The model raised, or gave something that is no answer for each row."""
    STORE_FAILED = "StoreFailed"
    """Input or output could not be reached, over all retries."""
    STORE_REFUSED = "StoreRefused"
    """The store refused: credentials, bucket, permissions."""
    INTERNAL_ERROR = "InternalError"
    """A fault of modelway's own; please report it with the log."""


_CODES = {
    Reason.INPUT_UNREADABLE: ExitCode.SHARD,
    Reason.STORE_FAILED: ExitCode.AGAIN,
    Reason.PART_CHANGED: ExitCode.AGAIN,
    Reason.INTERNAL_ERROR: ExitCode.AGAIN,
}


class BatchError(Exception):
    """A run or a shard cannot go on.

    Args:
        reason: for machines.
        message: one sentence for a person: where, what is wrong, what to do.
        code: the exit code; left out: the reason's own.

    """

    def __init__(self, reason: Reason, message: str, *, code: ExitCode | None = None) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.code = _CODES.get(reason, ExitCode.RUN) if code is None else code


class ChangedError(Exception):
    """The file of this key is not the one that is meant any more; `run` tells it as INPUT_CHANGED."""
