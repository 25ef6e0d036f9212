"""Deciding, without acting: `plan(observed)` says what should be. Pure; the controller carries it out."""

from modelway.plan.plan import plan
from modelway.plan.types import Child, ChildKey, Happening, Object, Observed, Plan, PodKey, Refusal, Settings, Touch

__all__ = [
    "Child",
    "ChildKey",
    "Happening",
    "Object",
    "Observed",
    "Plan",
    "PodKey",
    "Refusal",
    "Settings",
    "Touch",
    "plan",
]
