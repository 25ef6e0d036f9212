"""`GET /v1/observations?of=quality`: what labels show, for the operator; `stats.quality_counts` says what it means.

Counts only: no label is told with its prediction's id, and nothing of a key.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from modelway.stats.quality_counts import FORMAT, HORIZON


class QualityDocument(Struct, frozen=True, kw_only=True):
    """What one server, all of its workers, knows from labels."""

    format: Annotated[int, Meta(description="Of the counts; another one means other things by them.")] = FORMAT
    epoch: Annotated[str, Meta(description="Changes when the counts begin anew.")]
    model: str
    version: str | None
    revision: Annotated[str, Meta(description="As `--revision` said.")]
    window: Annotated[float, Meta(description="Seconds of predictions that are counted together.")]
    horizon: Annotated[int, Meta(description="Windows after which labels are too late.")] = HORIZON
    keys: Annotated[int, Meta(description="How many keys for prediction ids there are.")]
    outcomes: Annotated[dict[str, int], Meta(description="Labels by what became of them.")]
    answered: Annotated[
        list[dict[str, Any]], Meta(description="Rows that were answered with an id, by revision and window.")
    ]
    labelled: Annotated[
        list[dict[str, Any]], Meta(description="Rows whose labels came, by revision, window and the labels' age.")
    ]
    sliced: Annotated[
        list[dict[str, Any]], Meta(description="Of these the rows of each slice, by its name and value as well.")
    ]
