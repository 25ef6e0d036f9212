"""The check `predictions`: from what the servers counted to bins whose shares can be compared.

The bins are made once, from the profile that came with the model, or from what the stable arm answered first, and are
kept for the rest of the rollout: bins that moved with the answers would hide what they are to show. Classes and scores
are two families of bins, and each answer is in one bin of every family that its model has. Every possible answer has a
bin: of a family nothing is left out, and what the stable arm never answered has bins of its own. Pure.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isnan
from typing import Any, Final, Self

import numpy as np

from modelway.api.observations import CLASS, LAST, OTHER, OTHERS, VALUE, bucket_bounds, bucket_in, bucket_of, other_of
from modelway.stats import bins as share_bins
from modelway.stats.counts import Counts, Tick

MIN_ROWS: Final = 500
"""Answers of the stable arm from which its bins are made."""
QUANTILES: Final = 10
"""A bin of scores holds about so much of the stable arm's: one part in ten."""
MOST_CLASSES: Final = 20
"""Classes with a bin of their own; the rest share one."""
_FEW: Final = 50
"""Where there are more classes than this, some server may soon tell them apart no more (`observations.MOST_CLASSES`),
each another: then all are compared by what remains the same everywhere, a checksum of their name."""

Counted = Mapping[str, int]
"""Answers by their key (`api.observations`)."""


@dataclass(frozen=True, slots=True)
class Bins:
    """Where answers are counted for the comparison.

    Attributes:
        classes: those with a bin of their own; behind them is one for all others. None: there is one for each of
            `OTHERS`. Empty: the model's answers have no class.
        edges: rising numbers of buckets, the first of each bin of scores but the first; and one bin more for what is
            no number. Empty: the answers have no score.

    """

    classes: tuple[str, ...] | None
    edges: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, int]:
        """How many bins of classes and of scores."""
        classes = OTHERS if self.classes is None else len(self.classes) + 1 if self.classes else 0
        return classes, len(self.edges) + 2 if self.edges else 0

    @property
    def size(self) -> int:
        """How many bins."""
        return sum(self.sizes)

    def names(self) -> tuple[str, ...]:
        """What the answers in each bin are, for messages."""
        classes, scores = self.sizes
        named: list[str] = []
        if self.classes is None:
            named += [f"group {place} of the classes" for place in range(classes)]
        elif classes:
            named += [*(f'class "{name}"' for name in self.classes), "other classes"]
        if scores:
            borders = [-inf, *(bucket_bounds(edge)[0] if edge else 0.0 for edge in self.edges), inf]
            named += [*(_between(low, high) for low, high in pairwise(borders)), "score not a number"]
        return tuple(named)

    def counts(self, counted: Counted) -> tuple[int, ...]:
        """The answers in each bin. Cumulative where what was counted is: windows are differences of these."""
        classes, scores = ([0] * size for size in self.sizes)
        for key, count in counted.items():
            if key.startswith(VALUE):
                if scores:
                    scores[self._of_score(bucket_in(key))] += count
            elif classes and (place := self._of_class(key)) is not None:
                classes[place] += count
        return (*classes, *scores)

    def shift(self, one: float, other: float) -> float:
        """How far two scores lie apart, in parts of all there are of the stable arm's: from 0 to 1.

        Raises:
            ValueError: there are no bins of scores, or one of both is not finite.
        """
        if not self.edges:
            raise ValueError("the answers have no scores to compare")
        places = (self._of_score(bucket_of(score)) for score in (one, other))
        return abs(next(places) - next(places)) / len(self.edges)

    def to_record(self) -> dict[str, Any]:
        """The bins as JSON."""
        return {"classes": None if self.classes is None else list(self.classes), "edges": list(self.edges)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """What `to_record` wrote.

        Raises:
            ValueError: it did not write this.
        """
        try:
            classes, edges = record["classes"], tuple(record["edges"])
            names = None if classes is None else tuple(classes)
        except (KeyError, TypeError) as error:
            raise ValueError("no bins of answers; begin again") from error
        if not all(isinstance(edge, int) and -LAST <= edge <= LAST for edge in edges) or sorted(set(edges)) != [*edges]:
            raise ValueError("the edges of the bins are not rising numbers of buckets; begin again")
        if not all(isinstance(name, str) for name in names or ()) or (names == () and not edges):
            raise ValueError("the classes of the bins are no texts, or there are no bins; begin again")
        return cls(names, edges)

    def _of_class(self, key: str) -> int | None:
        if key.startswith(CLASS):
            name = key.removeprefix(CLASS)
            if self.classes is None:
                return other_of(name)
            return self.classes.index(name) if name in self.classes else len(self.classes)
        if key.startswith(OTHER):
            return int(key.removeprefix(OTHER)) if self.classes is None else len(self.classes)
        return None

    def _of_score(self, bucket: float) -> int:
        if isnan(bucket):
            return len(self.edges) + 1
        return int(np.searchsorted(self.edges, bucket, side="right"))


def merged(counts: Iterable[Counted]) -> dict[str, int]:
    """The counts of several processes, added up."""
    total: Counter[str] = Counter()
    for counted in counts:
        total.update(counted)
    return dict(total)


def fix_bins(stable: Counted, *, rows: int = MIN_ROWS) -> Bins | None:
    """The bins for the rest of the rollout; None while there are too few answers.

    Args:
        stable: what the stable arm answered, or the profile that came with its model.
        rows: how many answers are enough.

    """
    named = {key.removeprefix(CLASS): count for key, count in stable.items() if key.startswith(CLASS)}
    others = sum(count for key, count in stable.items() if key.startswith(OTHER))
    scores = {bucket_in(key): count for key, count in stable.items() if key.startswith(VALUE)}
    of_classes, of_scores = sum(named.values()) + others, sum(scores.values())
    if max(of_classes, of_scores) < rows:
        return None
    classes: tuple[str, ...] | None = ()
    if of_classes >= rows:
        classes = None if others or len(named) > _FEW else _most(named)
    edges = _edges(scores) if of_scores >= rows else ()
    return Bins(classes, edges)


def tick(bins: Bins, candidate: Sequence[int], stable: Sequence[int]) -> Tick:
    """Both arms' answers in one window, for evidence with `stats.bins.streams(bins.size)`.

    Args:
        bins: the bins.
        candidate: its answers in each bin.
        stable: the same.

    Raises:
        ValueError: the counts are not of these bins.

    """
    classes, scores = bins.sizes
    for counts in (candidate, stable):
        if len(counts) != bins.size:
            raise ValueError(f"{len(counts)} counts, where there are {bins.size} bins")
    parts = [part for part in (slice(classes), slice(classes, classes + scores)) if len(candidate[part])]
    families = [share_bins.tick_of(candidate[part], stable[part]) for part in parts]
    return Tick(_joined(one.candidate for one in families), _joined(one.stable for one in families))


def _most(named: Counted) -> tuple[str, ...]:
    """The most frequent classes, in an order that does not depend on that of the counts."""
    return tuple(sorted(sorted(named, key=lambda name: (-named[name], name))[:MOST_CLASSES]))


def _edges(scores: Mapping[int | float, int]) -> tuple[int, ...]:
    """Where bins of scores begin.

    A bucket that is a quantile by itself is a bin by itself, as 0 and 1 are for a forest that is sure; so are the gap
    behind it and what is beyond all answers, in which the stable arm has none.
    """
    share = sum(scores.values()) / QUANTILES
    known = sorted((int(bucket), count) for bucket, count in scores.items() if abs(bucket) <= LAST)
    if not known:
        return (-LAST, LAST)
    edges = {known[0][0], known[-1][0] + 1}
    gathered = 0
    for bucket, count in known:
        if count >= share:
            edges |= {bucket, bucket + 1}
            gathered = 0
        elif gathered >= share:
            edges.add(bucket)
            gathered = count
        else:
            gathered += count
    return tuple(sorted(edge for edge in edges if edge <= LAST))


def _between(low: float, high: float) -> str:
    if low == -inf:
        return f"score below {high:.4g}"
    return f"score from {low:.4g}" if high == inf else f"score {low:.4g} to {high:.4g}"


def _joined(counts: Iterable[Counts]) -> Counts:
    found = list(counts)
    return Counts(
        requests=np.concatenate([one.requests for one in found], axis=-1),
        bad=np.concatenate([one.bad for one in found], axis=-1),
    )
