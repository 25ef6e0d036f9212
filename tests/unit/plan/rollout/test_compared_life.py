"""The life of a rollout (`test_life`) whose answers are compared as well, by pair and by share, and which has counters
of its own in Prometheus: nothing of either ever counts twice, whoever dies, and Prometheus may go and come.
"""

from dataclasses import replace
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from modelway.plan import Object, Observed, Plan
from support.routed import ERRORS, Behaviour, rollout_spec

from .test_life import STEPS, RolloutLife

_SELECTOR = 'answers_total{pod=~"$name-$revision-.*"}'
_CHECKS = [
    ERRORS,
    {"name": "answers", "predictions": {"maxShift": "20%"}, "onHarm": "Rollback"},
    {"name": "own", "prometheus": {"good": _SELECTOR, "total": _SELECTOR, "maxIncrease": "5%"}},
]


class ComparedLife(RolloutLife):
    spec: ClassVar[Object] = rollout_spec(
        rollout={"steps": STEPS, "checks": _CHECKS, "watchAfter": "2m"}, serving__startupTimeout="30s"
    )
    usual: ClassVar[Behaviour] = Behaviour(classes={"yes": 0.4, "no": 0.6}, differs=0.0)

    @rule(
        role=st.sampled_from(["candidate", "stable"]),
        differs=st.sampled_from([0.0, 0.7]),
        unhappy=st.sampled_from([0, 0.5]),
    )
    def answers_alike_or_not(self, role: str, differs: float, unhappy: float) -> None:
        if (revision := getattr(self.world, role)) is not None:
            self.world.behaviours[revision] = replace(self.usual, differs=differs, unhappy=unhappy)

    @rule(failure=st.sampled_from(["", "check own: Prometheus cannot be asked"]))
    def prometheus_goes_or_comes(self, failure: str) -> None:
        self.world.metrics_failure = failure

    def _check_evidence(self, before: int, seen: Observed, plan: Plan) -> None:
        super()._check_evidence(before, seen, plan)
        ledger = plan.ledger
        if ledger is None:
            return
        if (paired := ledger.paired.get("answers")) is not None:
            assert paired.disagreement.pairs <= self._pairs_of(ledger.stable, ledger.candidate), "a pair counted twice"
        own = ledger.evidence.get("own")
        pending = ledger.pending.get("own")
        for arm, revision in (("candidate", ledger.candidate), ("stable", ledger.stable)):
            counted = int(getattr(own, arm).requests) if own is not None else 0
            counted += getattr(pending, arm)[0] if pending is not None else 0
            assert counted <= self._answered(revision), f"more was counted of {arm} than it has answered"

    def _pairs_of(self, *revisions: str) -> int:
        """Requests that both have ever answered."""
        ids = [
            {request for pod, ring in self.world.rings.items() if f"-{revision}-" in pod for request, _, _ in ring}
            for revision in revisions
        ]
        return len(ids[0] & ids[1])

    def _answered(self, revision: str) -> int:
        return sum(counted[0] for pod, counted in self.world.own_counters.items() if f"-{revision}-" in pod)

    def teardown(self) -> None:
        self.world.metrics_failure = ""
        super().teardown()


TestComparedLife = ComparedLife.TestCase
TestComparedLife.settings = settings(stateful_step_count=25, max_examples=10)
