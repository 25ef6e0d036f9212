"""What rollouts are doing, as metrics: weights, evidence, counts, decisions and how long they took.

Told by the reconciler after each look, asked by `/metrics`. A rollout's series are there for as long as it is: they are
made when somebody asks, from what was last told, so nothing has to be taken away later.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from modelway.api.status import HistoryEntry, RolloutStatus
from modelway.kube.store import Owner
from modelway.plan.rollout.ledger import Ledger

_SECONDS: Final = (30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 259_200)
_OWNER: Final = ("namespace", "name")


@dataclass(frozen=True, slots=True)
class _Told:
    rollout: RolloutStatus
    ledger: Ledger | None


class RolloutMetrics(Collector):
    """The metrics of all rollouts that this process leads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._told: dict[Owner, _Told] = {}
        self._decisions = Counter(
            "modelway_rollout_decisions",
            "Candidates that were promoted, rejected or superseded.",
            labelnames=("result",),
            registry=registry,
        )
        self._seconds = Histogram(
            "modelway_rollout_duration_seconds",
            "Time from the start of a rollout to its decision.",
            buckets=_SECONDS,
            labelnames=("result",),
            registry=registry,
        )
        for result in ("Promoted", "Rejected", "Superseded"):
            self._decisions.labels(result=result)
            self._seconds.labels(result=result)
        registry.register(self)

    def saw(self, owner: Owner, rollout: RolloutStatus | None, ledger: Ledger | None) -> None:
        """Take in how the rollout of `owner` is; None: there is none."""
        if rollout is None:
            self.forget(owner)
        else:
            self._told[owner] = _Told(rollout, ledger)

    def decided(self, entry: HistoryEntry, began: datetime | None) -> None:
        """Count a decision; `began` is when its rollout did, where that is known."""
        self._decisions.labels(result=entry.result).inc()
        if began is not None:
            self._seconds.labels(result=entry.result).observe((entry.time - began).total_seconds())

    def forget(self, owner: Owner) -> None:
        """The ModelDeployment, or its rollout, is gone."""
        self._told.pop(owner, None)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All series as they are now."""
        state = _family("state", "1 for the state that a rollout is in.", "state")
        weight = _family("weight", "Percent of the requests that the candidate is to answer.")
        live = _family("live_weight", "The same as read from the routers: the least and the most.", "bound")
        requests = _family("requests", "Requests that a check has counted.", "check", "arm")
        bad = _family("bad_requests", "Those that were bad in the sense of the check.", "check", "arm")
        evidence = _family(
            "log_e_value",
            "Evidence as a natural logarithm: that the candidate is worse by more than the margin (harm), that it is "
            "not (safe); of several streams the one that decides.",
            "check",
            "hypothesis",
        )
        for owner, told in self._told.items():
            state.add_metric([*owner, told.rollout.state], 1)
            if told.rollout.weight is not None:
                weight.add_metric(owner, told.rollout.weight)
            if (bounds := told.rollout.live_weight) is not None:
                live.add_metric([*owner, "min"], bounds.min)
                live.add_metric([*owner, "max"], bounds.max)
            for check in told.rollout.checks:
                for arm, counts in (("candidate", check.candidate), ("stable", check.stable)):
                    if counts is not None:
                        requests.add_metric([*owner, check.name, arm], counts.requests)
                        bad.add_metric([*owner, check.name, arm], counts.bad)
            for name, harm, safe in _evidence(told.ledger) if told.ledger is not None else ():
                evidence.add_metric([*owner, name, "harm"], harm)
                evidence.add_metric([*owner, name, "safe"], safe)
        yield from (state, weight, live, requests, bad, evidence)


def _evidence(ledger: Ledger) -> Iterator[tuple[str, float, float]]:
    """Of each check the log e-values of harm and safe; of shares and pairs those that come to a decision first."""
    for name in ledger.evidence.keys() | ledger.paired.keys():
        shares, paired = ledger.evidence.get(name), ledger.paired.get(name)
        pairs = paired.seen if paired is not None else ()
        found = [kind for kind in ((shares,) if shares is not None else (), pairs) if kind]
        if found:
            harm = max(float(np.max(one.log_harm)) for kind in found for one in kind)
            yield name, harm, max(min(float(np.min(one.log_safe)) for one in kind) for kind in found)


def _family(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"modelway_rollout_{name}", documentation, labels=(*_OWNER, *labels))
