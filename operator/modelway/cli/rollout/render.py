"""A picture as text: one screen for people, one line where there is no terminal, JSON for programs. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from modelway.cli.rollout.outcome import outcome_of
from modelway.cli.rollout.picture import Arm, Check, Count, Picture, titled

_ALWAYS_SHOWN_UNLESS: Final = {"Ready": "True"}
"""Conditions that are news when they have another status."""
_NEVER_SHOWN: Final = frozenset({"Reconciling"})
_LATEST: Final = 5
"""Entries of the history that are shown."""


def render(picture: Picture, now: datetime, *, command: str = "modelway rollout") -> str:
    """One screen: who serves, how far the rollout is, what the checks say, and what to do.

    Args:
        picture: of the ModelDeployment.
        now: the moment, with a time zone.
        command: how the user calls it, for the commands that are suggested.
    """
    parts = [
        _head(picture, now),
        _arms(picture),
        _told(picture, command),
        _checks(picture.checks),
        _steps(picture),
        _history(picture, now),
        _conditions(picture),
    ]
    return "\n\n".join(part for part in parts if part)


def line(picture: Picture) -> str:
    """The same in one line, for logs: what it says changes only when something has happened."""
    words = [picture.state + (f" ({picture.reason})" if picture.reason else "")]
    if picture.candidate is not None:
        words.append(picture.candidate.title)
        if picture.step:
            words.append(_place(picture))
        words.append(f"weight {_weights(picture)}")
    elif picture.stable is not None:
        words.append(f"{picture.stable.title} serves")
    if picture.message:
        words.append(picture.message)
    words += [f"{check.name} {check.verdict}" for check in picture.checks]
    return "; ".join(words)


def as_json(obj: dict[str, Any], picture: Picture) -> dict[str, Any]:
    """What programs get: the status as the operator wrote it, and what it comes to.

    `outcome` is of the revision that the spec asks for: Promoted, Rejected or Superseded, or null while it is open.
    """
    status = obj.get("status") or {}
    outcome = outcome_of(picture, picture.revision)
    return {
        "name": picture.name,
        "namespace": picture.namespace,
        "revision": picture.revision,
        "outcome": outcome.value if outcome else None,
        **{
            key: status[key]
            for key in ("stable", "candidate", "rollout", "failure", "history", "conditions")
            if key in status
        },
    }


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two blanks between them."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join(row).rstrip() for row in padded)


def _head(picture: Picture, now: datetime) -> str:
    words = [f"{picture.namespace}/{picture.name}", picture.state]
    if picture.reason:
        words[-1] += f" ({picture.reason})"
    if picture.step and picture.candidate is not None:
        words.append(_place(picture) + (f" for {_span(now - picture.since)}" if picture.since else ""))
    lines = ["   ".join(words)]
    if not picture.is_current:
        lines.append("the operator has not seen the last change of the spec yet: what follows speaks of the one before")
    if picture.is_paused:
        lines.append("spec.paused is true: steps do not go on and a changed spec is not acted on")
    if picture.is_edited and picture.candidate is not None:
        lines.append("spec.rollout has changed since this rollout began: that counts for the next one")
    return "\n".join(lines)


def _place(picture: Picture) -> str:
    number = f" {picture.step_number} of {len(picture.steps)}" if picture.step_number else ""
    return f"step{number}: {picture.step}"


def _arms(picture: Picture) -> str:
    rows = [("", "REVISION", "VERSION", "PODS", "TRAFFIC")]
    stable, candidate = picture.stable, picture.candidate
    if stable is not None:
        weight = picture.weight or 0 if candidate is not None else 0
        rows.append(("stable", *_arm(stable), f"{100 - weight} %"))
    if candidate is not None:
        rows.append(
            ("candidate", *_arm(candidate), _weights(picture) if stable is not None else "none until it is ready")
        )
    return table(rows) if len(rows) > 1 else ""


def _arm(arm: Arm) -> tuple[str, str, str]:
    return arm.revision, arm.version or "", f"{arm.ready}/{arm.replicas} ready"


def _weights(picture: Picture) -> str:
    """What was asked for, and what the routers say where that is something else."""
    asked = picture.weight or 0
    if picture.live is None or picture.live == (asked, asked):
        return f"{asked} %" + (", live" if picture.live else "")
    low, high = picture.live
    return f"{asked} % asked, {low} % live" if low == high else f"{asked} % asked, {low} to {high} % live"


def _told(picture: Picture, command: str) -> str:
    lines = [picture.message] if picture.message else []
    if commands := _suggestions(picture):
        target = f"{picture.name} -n {picture.namespace}"
        lines += [f"  {command} {verb} {target}{rest}" for verb, rest in commands]
    return "\n".join(lines)


def _suggestions(picture: Picture) -> list[tuple[str, str]]:
    """Commands that a human may want now, with what each does."""
    if picture.state == "Rejected":
        return [("retry", "   # try it again"), ("undo", "    # put the spec back")]
    if picture.reason == "AwaitingApproval":
        return [("approve", "   # go on"), ("abort", "     # give the candidate up")]
    if picture.state == "Holding" and picture.reason in {"CheckFailed", "AwaitingDecision", "Inconclusive"}:
        return [("promote", "   # take it all the same"), ("abort", "     # give it up")]
    return []


def _checks(checks: Iterable[Check]) -> str:
    rows = [("CHECK", "VERDICT", "CANDIDATE", "STABLE", "MAY DIFFER BY", "")]
    rows += [
        (one.name, one.verdict, _count(one.candidate), _count(one.stable), one.limit, one.message or "")
        for one in checks
    ]
    return table(rows) if len(rows) > 1 else ""


def _count(count: Count | None) -> str:
    if count is None or not count.requests:
        return "no requests"
    return f"{count.bad:,} of {count.requests:,} ({100 * count.bad / count.requests:.2f} %)"


def _steps(picture: Picture) -> str:
    if not picture.steps or picture.candidate is None:
        return ""
    number = picture.step_number
    rows = [("", "STEP", "")]
    for place, step in enumerate(picture.steps, start=1):
        mark = "" if number is None or place > number else "now" if place == number else "done"
        rows.append((mark, step.name, step.does))
    return table(rows)


def _history(picture: Picture, now: datetime) -> str:
    rows = [("HISTORY", "", "", "")]
    for entry in picture.history[:_LATEST]:
        ago = f"{_span(now - entry.time)} ago" if entry.time else ""
        rows.append((ago, entry.result, titled(entry.revision, entry.version), entry.reason))
    return table(rows) if len(rows) > 1 else ""


def _conditions(picture: Picture) -> str:
    rows = [("CONDITION", "", "", "")]
    rows += [
        (one.type, one.status, one.reason, one.message)
        for one in picture.conditions
        if one.type not in _NEVER_SHOWN and one.status != _ALWAYS_SHOWN_UNLESS.get(one.type, "False")
    ]
    return table(rows) if len(rows) > 1 else ""


def _span(time: Any) -> str:
    """A time that has passed, in the two largest units that matter."""
    seconds = max(0, int(time.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 2:
        return f"{seconds} s"
    if hours < 2:
        return f"{minutes} min"
    return f"{hours} h" if days < 2 else f"{days} days"
