"""When a window is told to have drifted: modelway's rule for many windows at once, and its peers' by default.

The peers' rules are re-implemented from their documentation and source, as some of them do not install beside each
other, for windows of numbers and a reference of more than 1,000 rows:

- Evidently 0.7: the Wasserstein distance in standard deviations of the reference at least 0.1; the data set has drifted
  when half of its columns have.
- NannyML 0.13: the Jensen-Shannon distance over bins by Doane's rule above 0.1, in any column.
- alibi-detect 0.13, `KSDrift`: the Kolmogorov-Smirnov test at 0.05, by Bonferroni over the columns.
- TrustyAI, `KSTest`: the same at 0.05 in any column.

Each looks at one window alone, as it comes.
"""

from collections.abc import Mapping

import numpy as np
from scipy.special import kolmogorov

from modelway.stats.drift import STANDARD, Rule
from modelway.stats.drift_distance import INDEPENDENT, Spread, distance


def moved(
    reference: np.ndarray, windows: np.ndarray, rule: Rule = STANDARD, spread: Spread = INDEPENDENT
) -> np.ndarray:
    """Which features of which windows are beyond modelway's rule, as `stats.drift.judge` has it.

    Args:
        reference: [features, cells].
        windows: [windows, features, cells].
        rule: when a feature has drifted.
        spread: with an array of the features in each field.

    """
    seen = distance(reference, windows, spread)
    return (seen.psi > rule.max_psi) & (seen.p * windows.shape[1] < rule.level)


def alarms_of(beyond: np.ndarray, windows: int) -> tuple[np.ndarray, np.ndarray]:
    """In which windows an alarm begins, and in which there is one: `stats.drift.after` for all features at once."""
    begun, during = np.zeros(beyond.shape, dtype=bool), np.zeros(beyond.shape, dtype=bool)
    run, quiet = np.zeros(beyond.shape[1], dtype=int), np.zeros(beyond.shape[1], dtype=int)
    alarm = np.zeros(beyond.shape[1], dtype=bool)
    for place, now in enumerate(beyond):
        run, quiet = np.where(now, run + 1, 0), np.where(now, 0, quiet + 1)
        on = alarm & (quiet < windows) | (run >= windows)
        begun[place], during[place] = on & ~alarm, on
        alarm = on
    return begun, during


class Peers:
    """The peers' rules against one reference.

    Args:
        reference: values, [rows, features].

    """

    def __init__(self, reference: np.ndarray) -> None:
        self._sorted = np.sort(reference, axis=0)
        self._deviations = reference.std(axis=0)
        self._edges = [np.histogram_bin_edges(column, bins="doane") for column in reference.T]

    def alarms(self, window: np.ndarray) -> Mapping[str, bool]:
        """Which rules alarm at a window of values, [rows, features]."""
        values = np.sort(window, axis=0)
        wasserstein = self._wasserstein(values) >= 0.1
        p = self._ks(values)
        return {
            "Evidently, any column": bool(wasserstein.any()),
            "Evidently, data set": bool(wasserstein.mean() >= 0.5),
            "NannyML": bool((self._jensen_shannon(values) > 0.1).any()),
            "alibi-detect": bool((p < 0.05 / window.shape[1]).any()),
            "TrustyAI": bool((p < 0.05).any()),
        }

    def _wasserstein(self, values: np.ndarray) -> np.ndarray:
        """Between the window and the reference's quantiles at its ranks, in standard deviations."""
        rows = len(values)
        places = ((np.arange(rows) + 0.5) / rows * len(self._sorted)).astype(int)
        return np.abs(values - self._sorted[places]).mean(axis=0) / self._deviations

    def _ks(self, values: np.ndarray) -> np.ndarray:
        n, m = len(values), len(self._sorted)
        found = []
        for own, usual in zip(values.T, self._sorted.T, strict=True):
            below = np.searchsorted(usual, own, side="right") / m
            ranks = np.arange(n) / n
            found.append(max(np.abs(below - ranks).max(), np.abs(below - ranks - 1 / n).max()))
        return kolmogorov(np.array(found) * np.sqrt(n * m / (n + m)))

    def _jensen_shannon(self, values: np.ndarray) -> np.ndarray:
        found = []
        for own, usual, edges in zip(values.T, self._sorted.T, self._edges, strict=True):
            inner = edges[1:-1]
            q = np.diff(np.searchsorted(own, inner), prepend=0, append=len(own)) / len(own)
            p = np.diff(np.searchsorted(usual, inner), prepend=0, append=len(usual)) / len(usual)
            middle = (p + q) / 2
            found.append(np.sqrt((_divergence(p, middle) + _divergence(q, middle)) / 2))
        return np.array(found)


def _divergence(p: np.ndarray, q: np.ndarray) -> float:
    there = p > 0
    return float((p[there] * np.log2(p[there] / q[there])).sum())
