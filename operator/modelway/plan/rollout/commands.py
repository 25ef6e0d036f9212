"""What humans say by annotation: approve, promote, abort, retry. Read, never consumed; each names its revision.

So an annotation that is left standing, in Git for example, does nothing to the next revision. Pure; called by `roles`.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Self

from modelway.api.names import ANNOTATION_ABORT, ANNOTATION_APPROVE, ANNOTATION_PROMOTE, ANNOTATION_RETRY

_FORMS: Final = {
    ANNOTATION_APPROVE: (re.compile(r"([0-9a-f]{8})(?:/([a-z0-9-]+))?"), "<revision> or <revision>/<step>"),
    ANNOTATION_PROMOTE: (re.compile(r"([0-9a-f]{8})"), "<revision>"),
    ANNOTATION_ABORT: (re.compile(r"([0-9a-f]{8})"), "<revision>"),
    ANNOTATION_RETRY: (re.compile(r"([0-9a-f]{8})#([0-9]{1,9})"), "<revision>#<number>"),
}


@dataclass(frozen=True, slots=True)
class Commands:
    """What is said; None where nothing is, or nothing that can be read.

    Attributes:
        approve: revision and step; without a step, all of them.
        promote, abort: revision.
        retry: revision and the number of the try.
        unread: for each annotation that says nothing readable, the sentence that tells so.
    """

    approve: tuple[str, str | None] | None = None
    promote: str | None = None
    abort: str | None = None
    retry: tuple[str, int] | None = None
    unread: tuple[str, ...] = ()

    @classmethod
    def of(cls, annotations: Mapping[str, str]) -> Self:
        """Read the resource's annotations."""
        found, unread = {}, []
        for name, (form, told) in _FORMS.items():
            if (text := annotations.get(name)) is None:
                continue
            if (match := form.fullmatch(text.strip())) is not None:
                found[name] = match
            else:
                unread.append(f"{name}: {text[:80]!r} does not read {told}")
        approve, promote = found.get(ANNOTATION_APPROVE), found.get(ANNOTATION_PROMOTE)
        abort, retry = found.get(ANNOTATION_ABORT), found.get(ANNOTATION_RETRY)
        return cls(
            approve=(approve[1], approve[2]) if approve else None,
            promote=promote[1] if promote else None,
            abort=abort[1] if abort else None,
            retry=(retry[1], int(retry[2])) if retry else None,
            unread=tuple(unread),
        )

    def approves(self, revision: str, step: str) -> bool:
        """Whether a human lets `revision` go on after `step`."""
        return self.approve in {(revision, step), (revision, None)}

    def attempt(self, revision: str) -> int:
        """The number of the try that is asked for; 0 when none is."""
        return self.retry[1] if self.retry is not None and self.retry[0] == revision else 0

    def complaint(self, known: Collection[str], steps: Collection[str]) -> str | None:
        """What cannot be acted on, in one sentence; None when all can.

        Args:
            known: hashes of all revisions that are, or were not long ago.
            steps: names of the steps of the rollout under way; empty when none is.
        """
        if self.unread:
            return self.unread[0]
        named = {
            ANNOTATION_APPROVE: self.approve and self.approve[0],
            ANNOTATION_PROMOTE: self.promote,
            ANNOTATION_ABORT: self.abort,
            ANNOTATION_RETRY: self.retry and self.retry[0],
        }
        for name, revision in named.items():
            if revision is not None and revision not in known:
                return f"{name}: there is no revision {revision}; status.candidate.revision names the candidate"
        if steps and self.approve is not None and self.approve[1] not in {None, *steps}:
            return f"{ANNOTATION_APPROVE}: the rollout has no step {self.approve[1]}; it has {', '.join(steps)}"
        return None
