"""Real values: scikit-learn's own data sets as streams, with drifts that are put into them.

Rows are drawn with replacement, so a stream is stable until something is done to it. All goes the way that a
deployment's rows go: profile, cells, counts, verdicts, windows in a row, findings.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from modelway.profiling import profile
from modelway.stats.drift import Rule, Streak, after, judge
from modelway.stats.drift_cells import counted
from modelway.stats.drift_findings import findings

_WINDOWS: Final = 200
_AFTER: Final = 20
_ROWS: Final = 500
_SETS: Final = {"breast cancer": load_breast_cancer, "diabetes": load_diabetes, "wine": load_wine}
_Change = Callable[[np.ndarray], np.ndarray]


class Watch:
    """What the operator does with a stream of windows.

    Args:
        reference: values, [rows, features].
        rule: when a feature has drifted.

    """

    def __init__(self, reference: np.ndarray, rule: Rule) -> None:
        names = [f"f{place}" for place in range(reference.shape[1])]
        self._reference = profile(reference, names=names).features
        self._rule = rule
        self._streaks = [Streak()] * len(names)
        self.findings: list[str] = []
        self.drifted: list[str] = []

    def see(self, window: np.ndarray) -> bool:
        """Whether any feature has drifted after this window."""
        counts = [counted(column, one.cells) for one, column in zip(self._reference, window.T, strict=True)]
        verdicts = judge(self._reference, counts, self._rule)
        self._streaks = [
            after(streak, verdict, self._rule) for streak, verdict in zip(self._streaks, verdicts, strict=True)
        ]
        self.findings = [f"{one.kind}:{one.feature}" for one in findings(self._reference, counts)]
        self.drifted = [one.name for one, streak in zip(self._reference, self._streaks, strict=True) if streak.alarm]
        return bool(self.drifted)


def cells(rule: Rule) -> Iterator[tuple[str, Callable[[np.random.Generator, float], dict[str, Any]]]]:
    """Name and work of each row of the table."""
    for name in _SETS:
        for kind in _CHANGES:
            yield f"{name}, {kind}", _run(name, kind, rule)


def _run(name: str, kind: str, rule: Rule) -> Callable[[np.random.Generator, float], dict[str, Any]]:
    def run(rng: np.random.Generator, effort: float) -> dict[str, Any]:
        data = np.asarray(_SETS[name]().data, dtype=np.float64)
        watch = Watch(data[rng.integers(0, len(data), 10_000)], rule)
        before = max(10, round(_WINDOWS * effort))
        false_drift, false_findings = 0, 0
        for _ in range(before):
            false_drift += watch.see(data[rng.integers(0, len(data), _ROWS)])
            false_findings += bool(watch.findings)
        change = _CHANGES[kind](data)
        drift = finding = None
        named = ""
        for place in range(1, _AFTER + 1):
            watch.see(change(data[rng.integers(0, len(data), _ROWS)]))
            if drift is None and "f0" in watch.drifted:
                drift = place
            if finding is None and watch.findings:
                finding, named = place, watch.findings[0]
        return {
            "stable_windows": before,
            "windows_with_false_drift": false_drift,
            "windows_with_false_findings": false_findings,
            "drift_after": drift,
            "finding_after": finding,
            "finding": named,
        }

    return run


def _first(change: Callable[[np.ndarray, float], np.ndarray]) -> Callable[[np.ndarray], _Change]:
    """A change of the first column, given its standard deviation."""

    def made(data: np.ndarray) -> _Change:
        deviation = float(data[:, 0].std())

        def changed(window: np.ndarray) -> np.ndarray:
            window = window.copy()
            window[:, 0] = change(window[:, 0], deviation)
            return window

        return changed

    return made


_CHANGES: Final = {
    "mean by 0.5 deviations": _first(lambda column, deviation: column + 0.5 * deviation),
    "scale by 1.5": _first(lambda column, _: column.mean() + 1.5 * (column - column.mean())),
    "a tenth missing": _first(lambda column, _: np.where(np.arange(len(column)) % 10 == 0, np.nan, column)),
    "all missing": _first(lambda column, _: np.full_like(column, np.nan)),
    "unit by 1,000": _first(lambda column, _: column * 1000.0),
}
