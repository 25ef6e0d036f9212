"""What Kubernetes' own Jobs say of themselves, whoever has made them. Pure.

Read by the operator of batch runs and of Jobs that make a better model, and by `modelway batch`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

LABEL_JOB: Final = "batch.kubernetes.io/job-name"
"""Kubernetes' own label of a Job's pods."""
LABEL_INDEX: Final = "batch.kubernetes.io/job-completion-index"
"""Likewise: which shard a pod has."""


class End(NamedTuple):
    """How a Job has ended.

    Args:
        result: what became of it.
        condition: of the Job's status, which says so.
    """

    result: Literal["Succeeded", "Failed"]
    condition: Mapping[str, Any]


def end_of(job: Mapping[str, Any]) -> End | None:
    """How a Job has ended; None while it goes on."""
    for condition in job.get("status", {}).get("conditions", ()):
        if condition["status"] == "True" and condition["type"] in {"Complete", "Failed"}:
            return End("Succeeded" if condition["type"] == "Complete" else "Failed", condition)
    return None


def indexes(text: str) -> Iterator[int]:
    """The numbers in `1,3-5`, as a Job's status writes which shards were given up."""
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
