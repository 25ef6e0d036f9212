"""`GET /v1/observations`: what was answered, for the operator; `api.observations` says what the counts mean.

Cumulative counts of all workers, whichever is asked, and the answers to mirrored requests. No row of a request is in
it, and of an answer its class and a bucket, not the score itself; only a remembered answer has that, and no more to it
than a hash of the request's id.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct

from modelway.api.observations import CLASS, FORMAT, LAST, NONE, OTHER, VALUE, value_key
from modelway.server.answers import Answers, Region

_BEYOND: Final = (float("nan"), float("inf"), float("-inf"))


class Observations(Struct, frozen=True, kw_only=True):
    """What one server, all of its workers, has answered."""

    format: Annotated[int, Meta(description="Of the counts' keys; another one means other things by them.")] = FORMAT
    epoch: Annotated[str, Meta(description="Changes when the counts begin anew.")]
    model: str
    version: str | None
    revision: Annotated[str, Meta(description="As `--revision` said.")]
    answers: Annotated[
        dict[str, int],
        Meta(description="Requests by `class:<label>`, `other:<n>`, `value:<bucket>` or `none`, one row a request."),
    ]
    reference: Annotated[
        dict[str, int], Meta(description="The same of the rows of the model's maker, as `modelway.json` has it.")
    ]
    pairs_before: Annotated[int, Meta(description="Answers that were remembered before the first of `pairs`.")]
    pairs: Annotated[
        Sequence[Sequence[str | float | None]],
        Meta(
            description="The last answers to mirrored requests, oldest first: hash of the request's id, class, score."
        ),
    ]


def render(answers: Answers, *, model: str, version: str | None, revision: str, reference: Mapping[str, int]) -> bytes:
    """The document as JSON."""
    remembered = answers.pairs()
    return msgspec.json.encode(
        Observations(
            epoch=answers.epoch,
            model=model,
            version=version,
            revision=revision,
            answers=counted(answers.regions()),
            reference=dict(reference),
            pairs_before=remembered.before,
            pairs=remembered.pairs,
        )
    )


def counted(regions: list[Region]) -> dict[str, int]:
    """The counts of several workers by their keys; those that are 0 left out."""
    found: dict[str, int] = {}
    for region in regions:
        for name, count in zip(region.names(), region.classes, strict=False):
            if count:
                found[CLASS + name] = found.get(CLASS + name, 0) + int(count)
    others, beyond, values = (
        np.sum([np.frombuffer(part) for part in parts], axis=0)
        for parts in zip(*((region.others, region.beyond, region.values) for region in regions), strict=True)
    )
    found |= {f"{OTHER}{place}": int(others[place]) for place in others.nonzero()[0]}
    found |= {f"{VALUE}{place - LAST}": int(values[place]) for place in values.nonzero()[0]}
    found |= {value_key(value): int(count) for value, count in zip(_BEYOND, beyond, strict=True) if count}
    if unseen := sum(region.unseen for region in regions):
        found[NONE] = int(unseen)
    return found
