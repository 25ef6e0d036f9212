"""The life of a rollout (`test_life`) that labels decide, too: none ever counts twice, whoever is killed and whenever
labels come; steps do not wait for them; and it ends, before a promotion or after.
"""

from dataclasses import replace
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from modelway.plan import Object, Observed, Plan
from support.routed import ERRORS, Behaviour, RoutedSimulation, rollout_spec

from .test_life import STEPS, RolloutLife

_CHECKS = [ERRORS, {"name": "right", "feedback": {"metric": "accuracy", "maxDecrease": "20%"}}]
_QUALITY = {"metric": "accuracy", "min": 0.5, "window": "10s"}


class CountedOnce(RoutedSimulation):
    """After every look no more labels are evidence, or wait to be, than ever came."""

    def look(self, *, observed: Observed | None = None, writes: int | None = None) -> Plan:
        plan = super().look(observed=observed, writes=writes)
        if (ledger := plan.ledger) is None:
            return plan
        found = ledger.evidence.get("right")
        for arm, revision in (("candidate", ledger.candidate), ("stable", ledger.stable)):
            counted = int(getattr(found, arm).requests) if found is not None else 0
            counted += sum(getattr(one, arm)[0] for one in ledger.pending.values())
            assert counted <= self.labels_of(revision), f"more labels were counted of {arm} than came"
        return plan


class LabelledLife(RolloutLife):
    spec: ClassVar[Object] = rollout_spec(
        rollout={"steps": STEPS, "checks": _CHECKS, "watchAfter": "2m"},
        serving__startupTimeout="30s",
        monitoring__quality=_QUALITY,
    )
    usual: ClassVar[Behaviour] = Behaviour(wrong=0.1)
    simulation = CountedOnce

    def __init__(self) -> None:
        super().__init__()
        self.world.label_window = 10.0

    @rule(role=st.sampled_from(["candidate", "stable"]), wrong=st.sampled_from([0.1, 0.8, None]))
    def is_right_or_wrong(self, role: str, wrong: float | None) -> None:
        if (revision := getattr(self.world, role)) is not None:
            self.world.behaviours[revision] = replace(self.usual, wrong=wrong)

    @rule(seconds=st.sampled_from([0.0, 15.0, 120.0]))
    def labels_take_longer_or_less(self, seconds: float) -> None:
        self.world.labels_take = seconds

    @rule(failure=st.sampled_from(["", "no answer within 5 s"]))
    def pods_tell_of_labels_or_not(self, failure: str) -> None:
        self.world.labels_failure = failure

    def teardown(self) -> None:
        self.world.labels_failure, self.world.labels_take = "", 0.0
        super().teardown()


TestLabelledLife = LabelledLife.TestCase
TestLabelledLife.settings = settings(stateful_step_count=25, max_examples=10)
