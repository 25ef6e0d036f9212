"""What is usual for each feature: the reference that `modelway profile` makes, or that is learnt from live rows.

As JSON it is the field `reference` of `modelway.json`, and what a server tells at `/v1/observations/reference`. A
reference that says what cannot be is refused with the place of it, never repaired.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from modelway.stats.drift_cells import HASHED, MOST_CATEGORIES, MOST_EDGES, Cells

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MOST_FEATURES: Final = 500
LONGEST_NAME: Final = 256

Record = dict[str, Any]


class ReferenceRefusedError(ValueError):
    """A reference says what cannot be; the message begins with the place."""


@dataclass(frozen=True, slots=True)
class Feature:
    """What is usual for one feature.

    Args:
        name: as the model's inputs are called.
        cells: where its values count.
        counts: rows of the reference in each cell.
        missing: rows without a value.
        magnitude: mean of log2 |x| over the numbers that are not 0; None where there are none, and for texts.

    """

    name: str
    cells: Cells
    counts: tuple[int, ...]
    missing: int = 0
    magnitude: float | None = None

    @property
    def rows(self) -> int:
        """Rows with a value."""
        return sum(self.counts)


def problem_of_feature(feature: Mapping[str, Any]) -> str:
    """What is wrong with the JSON form of a feature; empty where nothing is.

    Args:
        feature: `name`, `counts`, and `edges` with `lowest` and `highest`, or `categories`; `missing`, `mean`,
            `deviation`, `magnitude` where they are known. Types have been checked.

    """
    return next(_problems(feature), "")


def _problems(feature: Mapping[str, Any]) -> Iterator[str]:
    edges, counts = feature.get("edges"), feature["counts"]
    categories = feature.get("categories") or ()
    if len(feature["name"].encode()) > LONGEST_NAME:
        yield f"name: more than {LONGEST_NAME} bytes"
    if (edges is None) == (feature.get("categories") is None):
        yield "give either edges, of numbers, or categories, of texts"
    if edges is not None:
        yield from _problems_of_numbers(edges, feature)
        size = len(edges) + 1
    else:
        if len(categories) > MOST_CATEGORIES:
            yield f"categories: {len(categories)} are more than {MOST_CATEGORIES}; leave out the rarest"
        if len(set(categories)) < len(categories):
            yield "categories: the same one twice"
        size = len(categories) + 1 if categories else HASHED
    if len(counts) != size:
        yield f"counts: {len(counts)}, where there are {size} cells"
    if not sum(counts):
        yield "counts: no rows"


def _problems_of_numbers(edges: Sequence[float], feature: Mapping[str, Any]) -> Iterator[str]:
    if len(edges) > MOST_EDGES:
        yield f"edges: {len(edges)} are more than {MOST_EDGES}"
    if not all(map(isfinite, edges)) or any(low >= high for low, high in pairwise(edges)):
        yield "edges: they must rise, and be finite"
    lowest, highest = feature.get("lowest"), feature.get("highest")
    if lowest is None or highest is None or not lowest <= highest:
        yield "lowest, highest: numbers need both, and lowest is not above highest"
    elif any(not lowest <= edge <= highest for edge in edges):
        yield "edges: one lies outside lowest and highest"


def problem_of(features: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with all of them together."""
    if not features:
        return "features: none"
    if len(features) > MOST_FEATURES:
        return f"features: {len(features)} are more than {MOST_FEATURES}; leave out what matters least"
    seen: set[str] = set()
    for place, feature in enumerate(features):
        if feature["name"] in seen:
            return f'features.{place}.name: "{feature["name"]}" is there twice'
        seen.add(feature["name"])
    return ""


def from_record(record: Mapping[str, Any]) -> tuple[Feature, ...]:
    """The features of a reference in its JSON form.

    Raises:
        ReferenceRefusedError: it is not of that form, or says what cannot be.
    """
    features = record.get("features")
    if not isinstance(features, list) or not all(isinstance(one, dict) for one in features):
        raise ReferenceRefusedError("features: a list of objects is needed")
    for place, one in enumerate(features):
        problem = _problem_of_types(one) or problem_of_feature(one)
        if problem:
            raise ReferenceRefusedError(f"features.{place}.{problem}")
    if problem := problem_of(features):
        raise ReferenceRefusedError(problem)
    return tuple(feature_of(one) for one in features)


def feature_of(feature: Mapping[str, Any]) -> Feature:
    """A feature from its JSON form, which has been checked."""
    categories = feature.get("categories")
    if categories is not None:
        cells = Cells(categories=tuple(categories))
    else:
        cells = Cells(
            edges=tuple(map(float, feature["edges"])),
            lowest=float(feature["lowest"]),
            highest=float(feature["highest"]),
            mean=float(feature.get("mean") or 0.0),
            deviation=float(feature.get("deviation") or 0.0),
        )
    return Feature(
        name=feature["name"],
        cells=cells,
        counts=tuple(feature["counts"]),
        missing=feature.get("missing") or 0,
        magnitude=feature.get("magnitude"),
    )


def to_record(features: Sequence[Feature]) -> Record:
    """The JSON form."""
    return {"features": [_feature(one) for one in features]}


def _feature(feature: Feature) -> Record:
    cells = feature.cells
    record: Record = {"name": feature.name}
    if cells.categories is not None:
        record["categories"] = list(cells.categories)
    else:
        record |= {"edges": list(cells.edges), "lowest": cells.lowest, "highest": cells.highest}
        record |= {"mean": cells.mean, "deviation": cells.deviation}
    record["counts"] = list(feature.counts)
    if feature.missing:
        record["missing"] = feature.missing
    if feature.magnitude is not None:
        record["magnitude"] = feature.magnitude
    return record


def _problem_of_types(feature: Mapping[str, Any]) -> str:
    """What is of a wrong type, where nobody has checked that before."""
    if not isinstance(feature.get("name"), str):
        return "name: a text is needed"
    counts = feature.get("counts")
    if not isinstance(counts, list) or not all(type(count) is int and count >= 0 for count in counts):
        return "counts: a list of whole numbers from 0 on is needed"
    for name, kind in (("edges", (int, float)), ("categories", str)):
        value = feature.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(one, kind) for one in value)):
            return f"{name}: a list of {'texts' if kind is str else 'numbers'} is needed"
    for name in ("lowest", "highest", "mean", "deviation", "magnitude", "missing"):
        value = feature.get(name)
        if value is not None and not (isinstance(value, (int, float)) and isfinite(value)):
            return f"{name}: a finite number is needed"
    return ""
