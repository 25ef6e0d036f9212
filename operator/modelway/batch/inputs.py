"""What a run was asked about, beside what is usual for its model: counted shard by shard, compared when all are done.

Where the artefact has a reference (`modelway profile`), a shard counts a sample of the rows that it has answered in the
reference's cells and writes that into its record. Whoever finishes the run adds the shards up and judges the sum as one
window, by the rule of `stats.drift`. Nothing of it touches what the parts hold.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

from msgspec import structs

from modelway.batch.columns import Binding
from modelway.batch.counting import Sample, Total
from modelway.server.loading import Loaded
from modelway.server.metadata import Reference
from modelway.server.observed_layout import Layout, lay_out
from modelway.stats.drift import Rule, Verdict, judge, worst
from modelway.stats.drift_findings import Finding, findings
from modelway.stats.drift_reference import feature_of

_MOST_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class Compared:
    """What a run's inputs say.

    Args:
        names: of the features, in their order.
        rule: by which they were judged.
        rows: that were counted.
        verdicts: of each.
        findings: what is wrong with them other than a drift.

    """

    names: tuple[str, ...]
    rule: Rule
    rows: int
    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]

    def told(self, *, hides: bool) -> dict[str, Any]:
        """What status tells: figures of all, names of the few that differ most; `hides`: numbers in their place."""
        known = worst(self.verdicts)
        return {
            "features": len(known),
            "driftedFeatures": sum(one.moved is True for one in known),
            "worst": [
                {"name": self._called(one.feature, hides=hides), "psi": _figure(one.psi), "drifted": one.moved}
                for one in sorted(known, key=lambda one: not one.moved)[:_MOST_TOLD]
            ],
            "issues": [
                {"name": self._called(one.feature, hides=hides), "kind": str(one.kind)}
                for one in self.findings[:_MOST_TOLD]
            ],
        }

    def record(self) -> dict[str, Any]:
        """All of it, for the manifest."""
        return {
            "rows": self.rows,
            "maxPSI": self.rule.max_psi,
            "minRows": self.rule.min_rows,
            "features": [_record(one) for one in self.verdicts],
            "issues": [{"name": one.feature, "kind": str(one.kind), "message": str(one)} for one in self.findings],
        }

    def _called(self, name: str, *, hides: bool) -> str:
        return f"feature {self.names.index(name) + 1}" if hides else name


@dataclass(frozen=True, slots=True)
class Inputs:
    """How a run's inputs are counted and judged.

    Args:
        layout: what is counted where.
        reference: what is usual.
        rule: when a feature has drifted; a run is one window.

    """

    layout: Layout
    reference: Reference
    rule: Rule

    @classmethod
    def of(cls, loaded: Loaded, binding: Binding, rule: Rule) -> Self | None:
        """For a model; None where its maker has not said what is usual, or nothing of that is an input of it."""
        if loaded.usual is None:
            return None
        # A model that knows no names has those that the run gives it.
        features = tuple(one.name for one in binding.columns) if binding.matrix is not None else ()
        layout = lay_out(loaded.model, replace(loaded.signature, features=features), loaded.usual)
        return cls(layout, loaded.usual, rule) if layout.size else None

    def sample(self) -> Sample:
        """For a shard."""
        return Sample(self.layout)

    def total(self) -> Total:
        """For all of them."""
        return Total(self.layout.id, self.layout.size)

    def compared(self, total: Total) -> Compared:
        """What the counts of all shards say."""
        by_name = {one.name: one for one in self.reference.features}
        counted = self.layout.counted
        usual = [feature_of(structs.asdict(by_name[one.name])) for one in counted]
        window = total.window()
        parts = [window[one.begin : one.end] for one in counted]
        return Compared(
            names=tuple(one.name for one in counted),
            rule=self.rule,
            rows=total.rows,
            verdicts=tuple(judge(usual, parts, self.rule)),
            findings=tuple(findings(usual, parts)),
        )


def _figure(psi: float | None) -> str:
    return f"{max(psi or 0.0, 0.0):.2f}"  # what is below is chance


def _record(one: Verdict) -> dict[str, Any]:
    if one.psi is None:
        return {"name": one.feature, "because": one.because}
    figures = {"psi": one.psi, "low": one.low, "high": one.high, "p": one.p}
    return {
        "name": one.feature,
        **{key: round(value or 0.0, 6) for key, value in figures.items()},
        "drifted": one.moved,
    }
