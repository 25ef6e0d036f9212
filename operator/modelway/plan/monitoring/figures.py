"""Figures as they are told: rounded, and as they were told before until they say something else. Pure."""

from collections.abc import Callable, Iterable
from typing import Final

from modelway.api.batch_status import ComparedInput
from modelway.api.monitoring_status import MOST_TOLD, DriftedStatus
from modelway.plan.monitoring.family import Drifted

_SLACK: Final = 0.05
_SLACK_FACTOR: Final = 1.5
"""A figure is told anew when it has moved by more than both: half as large again says something else."""


def told_figures(
    drifted: Iterable[Drifted], name: Callable[[int], str], before: Iterable[DriftedStatus]
) -> tuple[DriftedStatus, ...]:
    """Those that have drifted most with their figures, the largest first.

    Args:
        drifted: they.
        name: of the feature at a place.
        before: what was told; a figure that has hardly moved stays.
    """
    known = {one.name: float(one.psi) for one in before}
    found = {name(one.place): one.psi for one in drifted}
    steady = {key: _steady(psi, known.get(key)) for key, psi in found.items()}
    # One of many that are alike does not take the place of another with each window.
    weighed = {key: psi * _SLACK_FACTOR + _SLACK if key in known else psi for key, psi in steady.items()}
    chosen = sorted(steady, key=lambda key: (-weighed[key], key))[:MOST_TOLD]
    order = sorted(chosen, key=lambda key: (-steady[key], key))
    return tuple(DriftedStatus(name=key, psi=f"{steady[key]:.2f}") for key in order)


def _steady(psi: float, before: float | None) -> float:
    if before is not None and before / _SLACK_FACTOR - _SLACK <= psi <= before * _SLACK_FACTOR + _SLACK:
        return before
    return round(psi, 2)


def listed(told: Iterable[DriftedStatus | ComparedInput], all_of_them: int) -> str:
    """Names and figures in one line; of more than are told, how many there are besides."""
    words = [f"{one.name} (PSI {one.psi})" for one in told]
    more = all_of_them - len(words)
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")
