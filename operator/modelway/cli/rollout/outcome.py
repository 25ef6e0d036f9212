"""How a rollout has ended, and which exit code that is. Pure."""

from enum import StrEnum
from typing import Final

from modelway.cli.rollout.picture import DECIDED, Picture


class Outcome(StrEnum):
    """What became of a revision."""

    PROMOTED = "Promoted"
    REJECTED = "Rejected"
    SUPERSEDED = "Superseded"

    @property
    def exit_code(self) -> int:
        """Of `status --watch`: 0 only where the revision serves."""
        return 0 if self is Outcome.PROMOTED else NOT_PROMOTED


NOT_PROMOTED: Final = 1
ERROR: Final = 2
INTERRUPTED: Final = 130


def outcome_of(picture: Picture, revision: str | None) -> Outcome | None:
    """What became of `revision`; None while that is open, or the operator has not seen the spec yet.

    It is over when nothing is left to be carried out: a revision that is being promoted or rolled back is still open.
    """
    if revision is None or not picture.is_current or _is_carried_out(picture, revision):
        return None
    candidate = picture.candidate.revision if picture.candidate else None
    if revision == candidate:
        return Outcome.REJECTED if picture.state == "Rejected" else None
    if picture.stable is not None and picture.stable.revision == revision:
        return Outcome.PROMOTED
    if picture.state == "Rejected" and picture.revision == revision:
        return Outcome.REJECTED
    for entry in picture.history:
        if entry.revision == revision:
            return Outcome.REJECTED if entry.result == Outcome.REJECTED else Outcome.SUPERSEDED
    return Outcome.SUPERSEDED


def _is_carried_out(picture: Picture, revision: str) -> bool:
    """Whether what was decided about `revision` is still being done."""
    return picture.state in DECIDED and picture.subject in {revision, None}
