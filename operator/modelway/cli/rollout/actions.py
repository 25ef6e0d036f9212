"""What a human may ask of a rollout, as annotations that the operator reads: approve, promote, abort, retry.

Pure: from a picture to what is to be written and what that will do, or to a refusal that says what to do instead.
Annotations name the revision, so one that comes late never hits another candidate.
"""

from dataclasses import dataclass

from modelway.api.names import ANNOTATION_ABORT, ANNOTATION_APPROVE, ANNOTATION_PROMOTE, ANNOTATION_RETRY
from modelway.cli.errors import Refused
from modelway.cli.rollout.picture import DECIDED, Arm, Entry, Picture, Step, titled


@dataclass(frozen=True, slots=True)
class Action:
    """An annotation to write.

    Attributes:
        says: what will happen.
        warnings: what a human should know besides.
        needs_consent: whether it is done only when a human says yes.
        removes: annotations that said otherwise of the same revision, and would still hold.
        resource_version: of the picture it was made from, when it is right for that only.
    """

    annotation: str
    value: str
    says: str
    warnings: tuple[str, ...] = ()
    needs_consent: bool = False
    removes: tuple[str, ...] = ()
    resource_version: str | None = None


def approve(picture: Picture, step_name: str | None) -> Action:
    """End a pause or a preview; one that is still to come is approved beforehand.

    Raises:
        Refused: no rollout is under way, or the step waits for nobody.
    """
    candidate, _ = _under_way(picture)
    step = _step_to_approve(picture, step_name)
    number = picture.steps.index(step)
    after = picture.steps[number + 1] if number + 1 < len(picture.steps) else None
    then = (
        f"goes on from step {step.name} to {after.name} ({after.does})"
        if after
        else "is promoted once all checks are Safe"
    )
    return Action(
        ANNOTATION_APPROVE, f"{candidate.revision}/{step.name}", f"{candidate.title} {then}", tuple(_frozen(picture))
    )


def promote(picture: Picture) -> Action:
    """Give the candidate all traffic, whatever steps and checks are left; or a revision that was rejected.

    Raises:
        Refused: there is neither.
    """
    if picture.is_current and picture.state == "Rejected" and picture.revision and picture.stable:
        entry = _rejected(picture, picture.revision)
        revision, title = picture.revision, entry.title if entry else titled(picture.revision, None)
        stable, warnings = picture.stable, [f"it was rejected: {entry.reason}" if entry else "it was rejected"]
    else:
        candidate, stable = _under_way(picture)
        revision, title, warnings = candidate.revision, candidate.title, _left_out(picture, candidate)
    return Action(
        ANNOTATION_PROMOTE,
        revision,
        f"{title} takes all traffic from {stable.title} as soon as all its pods are ready",
        (*warnings, *_frozen(picture)),
        needs_consent=True,
        removes=_standing(picture, revision, ANNOTATION_ABORT),
    )


def _left_out(picture: Picture, candidate: Arm) -> list[str]:
    """What a promotion does not wait for."""
    warnings = [
        f"check {check.name} is {check.verdict}, not Safe" for check in picture.checks if check.verdict != "Safe"
    ]
    left = picture.steps[picture.step_number :] if picture.step_number else ()
    if left:
        warnings.append(f"steps are left out: {', '.join(step.name for step in left)}")
    if not picture.checks:
        warnings.append(f"nothing has been compared yet: {candidate.title} has had no step with checks")
    return warnings


def _frozen(picture: Picture) -> list[str]:
    return ["spec.paused is true: nothing happens until it is not"] if picture.is_paused else []


def abort(picture: Picture) -> Action:
    """Take all traffic off the candidate and reject it.

    Raises:
        Refused: no rollout is under way.
    """
    candidate, stable = _under_way(picture)
    return Action(
        ANNOTATION_ABORT,
        candidate.revision,
        f"{stable.title} gets all traffic again, and {candidate.title} is rejected until its spec changes or you "
        "say retry",
        removes=_standing(picture, candidate.revision, ANNOTATION_PROMOTE),
    )


def retry(picture: Picture) -> Action:
    """Try a rejected revision again, from the first step and without the old evidence.

    Raises:
        Refused: the revision of the spec is not rejected.
    """
    _must_be_current(picture)
    if picture.is_under_way and picture.candidate is not None:
        raise Refused(f"{picture.candidate.title} is being tried already; see: rollout status {picture.name}")
    if picture.state != "Rejected" or picture.revision is None:
        raise Refused(f"nothing is rejected: {_serving(picture)}")
    rejected = _rejected(picture, picture.revision)
    number = 1 + max(rejected.attempt if rejected else 0, _number(picture))
    title = rejected.title if rejected else titled(picture.revision, None)
    return Action(
        ANNOTATION_RETRY,
        f"{picture.revision}#{number}",
        f"{title} is tried again from the first step; what was counted before is not used",
        removes=_standing(picture, picture.revision, ANNOTATION_ABORT, ANNOTATION_PROMOTE),
        resource_version=picture.resource_version,
    )


def _standing(picture: Picture, revision: str, *annotations: str) -> tuple[str, ...]:
    """Those of `annotations` that name `revision`: they are never consumed."""
    return tuple(one for one in annotations if picture.annotations.get(one) == revision)


def _under_way(picture: Picture) -> tuple[Arm, Arm]:
    """Candidate and stable revision of a rollout that nothing is decided about."""
    _must_be_current(picture)
    name, candidate = picture.name, picture.candidate
    if picture.state == "Rejected":
        rejected = _rejected(picture, picture.revision or "")
        why = f": {rejected.reason}" if rejected else ""
        raise Refused(
            f"{titled(picture.revision or '?', rejected.version if rejected else None)} was rejected{why}\n"
            f"try it again with: rollout retry {name}"
        )
    if picture.state in DECIDED:
        doing = "promoted" if picture.state == "Promoting" else "rolled back"
        raise Refused(f"it is decided: {titled(picture.subject or '?', None)} is being {doing}")
    if candidate is None:
        raise Refused(f"no rollout is under way: {_serving(picture)}")
    if picture.stable is None:
        raise Refused(f"{candidate.title} is the first one: it takes all traffic as soon as it is ready")
    return candidate, picture.stable


def _must_be_current(picture: Picture) -> None:
    if not picture.is_current:
        raise Refused(
            "the operator has not seen the last change of the spec yet; try again in a moment, "
            "and look whether the operator runs if that does not help"
        )


def _step_to_approve(picture: Picture, name: str | None) -> Step:
    steps = {step.name: step for step in picture.steps}
    if name is not None and name not in steps:
        raise Refused(f"there is no step {name}; the steps are: {', '.join(steps) or 'none'}")
    step = steps.get(name or picture.step or "")
    if step is None or not step.can_be_approved:
        at = f"step {step.name} ({step.does}) ends by itself" if step else f"it is at step {picture.step}"
        coming = [one.name for one in picture.steps[picture.step_number or 0 :] if one.can_be_approved]
        hint = f"\napprove beforehand with: --step {coming[0]}" if coming and name is None else ""
        raise Refused(f"nothing to approve: {at}{hint}")
    if picture.step_number and picture.steps.index(step) + 1 < picture.step_number:
        raise Refused(f"step {step.name} is over: the rollout is at step {picture.step}")
    return step


def _serving(picture: Picture) -> str:
    if picture.stable is None:
        return "no revision has served yet"
    return (
        f"{picture.stable.title} serves\n"
        f"a new spec.model begins a rollout; go back to an earlier revision with: rollout undo {picture.name}"
    )


def _rejected(picture: Picture, revision: str) -> Entry | None:
    entries = (entry for entry in picture.history if entry.revision == revision and entry.result == "Rejected")
    return next(entries, None)


def _number(picture: Picture) -> int:
    """The number in the annotation that stands there, when it is of this revision."""
    revision, _, number = picture.annotations.get(ANNOTATION_RETRY, "").partition("#")
    return int(number) if revision == picture.revision and number.isdecimal() else 0
