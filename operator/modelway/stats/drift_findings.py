"""What is wrong with a window's inputs, other than that they have drifted: values missing, out of range, of categories
that nobody knows, of another unit.

A finding needs one window: what is broken is told at once. It is made where the share of such rows is surely above that
of the reference by more than a margin: the lower end of Wilson's interval for the window (Wilson 1927) above the upper
end of the reference's, both at so small an error that all features of a window together raise a false one in fewer than
one window of a thousand, by Bonferroni. A drift of the values themselves is none of this: that is `drift`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import log, log10, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from modelway.stats.drift_cells import ABOVE, BELOW, INVALID, MISSING, NONZERO, cell_counts, magnitude_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelway.stats.counts import Ints
    from modelway.stats.drift_reference import Feature


class Kind(StrEnum):
    """What is wrong."""

    MISSING = "Missing"
    INVALID = "Invalid"
    RANGE = "OutOfRange"
    CATEGORY = "NewCategory"
    UNIT = "Unit"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a feature in a window.

    Args:
        feature: its name.
        kind: what is wrong.
        share: of the window's rows that are so.
        usual: the share in the reference.
        factor: by which the numbers have grown, for `Kind.UNIT`; else 1.

    """

    feature: str
    kind: Kind
    share: float
    usual: float
    factor: float = 1.0

    def __str__(self) -> str:
        """A sentence for people; no value of a row is in it."""
        if self.kind is Kind.UNIT:
            way, grown = ("large", self.factor) if self.factor >= 1 else ("small", 1 / self.factor)
            times = float(f"{grown:.1g}")
            return f"{self.feature}: numbers are about {times:,.0f} times as {way} as usual; has the unit changed?"
        words = {
            Kind.MISSING: "have no value",
            Kind.INVALID: "are no finite number",
            Kind.RANGE: "lie outside the range of the reference",
            Kind.CATEGORY: "are of categories that the reference does not have",
        }
        return f"{self.feature}: {self.share:.1%} of the rows {words[self.kind]}, usually {self.usual:.1%}"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is put up with.

    Args:
        margin: by how much a share may rise.
        error: probability of a false finding in a window.
        factor: by which numbers may grow or shrink on the geometric mean.
        min_rows: with fewer nothing is said.

    """

    margin: float = 0.02
    error: float = 0.001
    factor: float = 8.0
    min_rows: int = 30


STANDARD: Final = Tolerance()
_LEAST_NUMBERS: Final = 30  # other than 0, for their size to be told


def findings(reference: Sequence[Feature], window: Sequence[Ints], tolerance: Tolerance = STANDARD) -> list[Finding]:
    """What is wrong with a window, in the order of the features.

    Args:
        reference: the features.
        window: their counts, as `drift_cells.counted` has them.
        tolerance: what is put up with.

    """
    z = NormalDist().inv_cdf(1.0 - tolerance.error / (2.0 * 4.0 * max(len(reference), 1)))
    found = []
    for feature, counts in zip(reference, window, strict=True):
        found += _shares(feature, counts, tolerance, z)
        found += _unit(feature, counts, tolerance)
    return found


def wilson(times: int, rows: int, z: float) -> tuple[float, float]:
    """Wilson's interval for a share, at z standard deviations."""
    share = times / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _shares(feature: Feature, counts: Ints, tolerance: Tolerance, z: float) -> list[Finding]:
    values, usual = int(cell_counts(counts).sum()), feature.rows
    missing, invalid = int(counts[MISSING]), int(counts[INVALID])
    rows, usual_rows = values + missing + invalid, usual + feature.missing
    asked = [(Kind.MISSING, missing, rows, feature.missing, usual_rows), (Kind.INVALID, invalid, rows, 0, usual_rows)]
    if feature.cells.categories is None:
        asked.append((Kind.RANGE, int(counts[BELOW] + counts[ABOVE]), values, 0, usual))
    elif feature.cells.categories:
        asked.append((Kind.CATEGORY, int(counts[-1]), values, feature.counts[-1], usual))
    found = []
    for kind, times, among, usual_times, usual_among in asked:
        if among < tolerance.min_rows:
            continue
        most_usual = wilson(usual_times, usual_among, z)[1] if usual_times else 0.0
        if wilson(times, among, z)[0] > most_usual + tolerance.margin:
            found.append(Finding(feature.name, kind, times / among, usual_times / usual_among))
    return found


def _unit(feature: Feature, counts: Ints, tolerance: Tolerance) -> list[Finding]:
    """Numbers of another size altogether: the geometric mean has moved by a large factor."""
    magnitude = magnitude_of(counts)
    if feature.magnitude is None or magnitude is None or counts[NONZERO] < _LEAST_NUMBERS:
        return []
    doublings = magnitude - feature.magnitude
    if abs(doublings) * log(2) < log(tolerance.factor):
        return []
    return [Finding(feature.name, Kind.UNIT, 1.0, 0.0, factor=10 ** (doublings * log10(2)))]
