"""What is wrong with the inputs, window by window: found in one, and over after as many without as end a drift.

Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from modelway.plan.monitoring.answers import requests_in
from modelway.plan.monitoring.counting import Window
from modelway.stats.counts import Ints
from modelway.stats.drift_findings import STANDARD, Finding, Kind, findings, wilson
from modelway.stats.drift_reference import Feature

REFUSED: Final = "Refused"
"""The kind of an issue with whole requests."""
_REQUESTS: Final = -1
"""In the place of a feature: of the requests."""
_DEVIATIONS: Final = 3.3
"""For one question a window: 0.0005."""


@dataclass(frozen=True, slots=True)
class Issue:
    """Something wrong.

    Attributes:
        share: of the rows, or of the requests, that are so.
        usual: the share in the reference.
        factor: by which numbers have grown, for a changed unit; else 1.
        calm: windows without it since.
    """

    share: float
    usual: float = 0.0
    factor: float = 1.0
    calm: int = 0

    def words(self, name: str, kind: str) -> str:
        """A sentence for people; no value of a row is in it."""
        if kind == REFUSED:
            return f"{self.share:.0%} of the requests are not what the model takes, and are refused (400)"
        return str(Finding(name, Kind(kind), round(self.share, 2), round(self.usual, 3), self.factor))


Issues = Mapping[tuple[int, str], Issue]
"""By the feature's place and the kind."""


def after(
    issues: Issues, window: Window, usual: Sequence[Feature | None], counts: Sequence[Ints], *, windows: int
) -> dict[tuple[int, str], Issue]:
    """What is wrong after one more window.

    Args:
        issues: what was before.
        window: what was counted.
        usual: what is usual for each feature; None for those that cannot be compared.
        counts: of each feature.
        windows: without it, and it is over.
    """
    found = dict(_found(usual, counts))
    requests = window.refused + requests_in(window.answers)
    if requests >= STANDARD.min_rows and wilson(window.refused, requests, _DEVIATIONS)[0] > STANDARD.margin:
        found[_REQUESTS, REFUSED] = Issue(window.refused / requests)
    if not requests and not window.rows:
        return dict(issues)  # nobody asked anything: neither worse nor better
    waning = {
        key: Issue(issue.share, issue.usual, issue.factor, issue.calm + 1)
        for key, issue in issues.items()
        if key not in found and issue.calm + 1 < windows
    }
    return waning | found


def is_of_requests(place: int) -> bool:
    """Whether an issue is with whole requests."""
    return place == _REQUESTS


def _found(usual: Sequence[Feature | None], counts: Sequence[Ints]) -> Iterator[tuple[tuple[int, str], Issue]]:
    places = {feature.name: place for place, feature in enumerate(usual) if feature is not None}
    compared = [(feature, one) for feature, one in zip(usual, counts, strict=True) if feature is not None]
    for one in findings([feature for feature, _ in compared], [found for _, found in compared]):
        yield (places[one.feature], str(one.kind)), Issue(one.share, one.usual, one.factor)
