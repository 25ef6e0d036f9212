"""`GET /v1/observations?of=inputs` and `?of=reference`: what was asked, for the operator.

Counts only, cumulative, of all workers whichever is asked. What a number in them means is told by the reference, which
the operator reads once for each layout: its borders, and the names of categories that the model's maker gave. No value
of a request is in either; texts that nobody has named are told apart by a checksum.
"""

import re
import zlib
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct

from modelway.api.observations import FORMAT
from modelway.server.exchange import Answer
from modelway.server.metadata import Reference
from modelway.server.observed_layout import Layout
from modelway.server.observed_memory import MARK, REFUSED, ROWS, SKIPPED
from modelway.server.tally import Tally

ASKED_FOR: Final = ("answers", "inputs", "reference", "quality")
"""Values of the parameter `of`; the first is what is told where it is left out."""
_GZIP: Final = re.compile(rb"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")


class Inputs(Struct, frozen=True, kw_only=True):
    """What one server, all of its workers, was asked about."""

    format: Annotated[int, Meta(description="Of the counts; another one means other things by them.")] = FORMAT
    epoch: Annotated[str, Meta(description="Changes when the counts begin anew.")]
    model: str
    version: str | None
    revision: Annotated[str, Meta(description="As `--revision` said.")]
    layout: Annotated[str, Meta(description="That of `?of=reference`; counts of another do not add up.")]
    share: Annotated[float, Meta(description="Of the requests that are counted, as `--observe-share` said.")]
    rows: Annotated[int, Meta(description="Rows that were counted.")]
    skipped: Annotated[int, Meta(description="Rows that were not, because too many waited to be counted.")]
    refused: Annotated[int, Meta(description="Requests that were not what the model takes (400).")]
    features: Annotated[
        list[list[int]],
        Meta(
            description="For each feature of the layout: missing, invalid, below, above, total, squares, nonzero, "
            "magnitude, and rows in each cell."
        ),
    ]


class InputReference(Struct, frozen=True, kw_only=True):
    """What the counts of a layout are of."""

    format: Annotated[int, Meta(description="As of the counts.")] = FORMAT
    layout: str
    learning: Annotated[bool, Meta(description="Whether there is no reference, and one may be learnt from the counts.")]
    features: Annotated[
        list[dict[str, Any]],
        Meta(description="In the order of the counts: as in `modelway.json`; while learning their name and kind."),
    ]
    uncounted: Annotated[
        dict[str, str], Meta(description="Columns and features that are not counted, with the reason.")
    ]


def render_inputs(
    tally: Tally, layout: Layout, *, model: str, version: str | None, revision: str, share: float
) -> bytes:
    """The document of what was asked, as JSON."""
    return msgspec.json.encode(inputs_of(tally, layout, model=model, version=version, revision=revision, share=share))


def inputs_of(tally: Tally, layout: Layout, *, model: str, version: str | None, revision: str, share: float) -> Inputs:
    """The document of what was asked."""
    regions = [region for region in tally.inputs.regions() if region.fields[MARK] == layout.mark]
    counts = np.zeros(layout.size, dtype=np.int64)
    for region in regions:
        counts += np.asarray(region.counts)[: layout.size]
    rows, skipped, refused = (sum(region.fields[field] for region in regions) for field in (ROWS, SKIPPED, REFUSED))
    return Inputs(
        epoch=tally.answers.epoch,
        model=model,
        version=version,
        revision=revision,
        layout=layout.id,
        share=share,
        rows=rows,
        skipped=skipped,
        refused=refused,
        features=[counts[one.begin : one.end].tolist() for one in layout.counted],
    )


def render_reference(layout: Layout, reference: Reference | None) -> bytes:
    """The document of what the counts mean, as JSON."""
    features = layout.told()
    if reference is not None:
        by_name = {one.name: one for one in reference.features}
        features = [msgspec.to_builtins(by_name[one.name]) for one in layout.counted]
    return msgspec.json.encode(
        InputReference(layout=layout.id, learning=layout.learning, features=features, uncounted=dict(layout.uncounted))
    )


def packed(body: bytes, accepted: bytes | None) -> Answer:
    """The answer, gzipped for those who say that they read that: counts of a month are a third of their digits."""
    if not _GZIP.search(accepted or b""):
        return Answer(200, body)
    squeezed = zlib.compress(body, level=6, wbits=31)
    return Answer(200, squeezed, headers={"content-encoding": "gzip"})
