"""Where a model may change its mind: thresholds, means, categories, words, read out of what it has learnt.

Rows that are made around them (`probes`) meet the branches that rows drawn at random would hardly ever meet. Only
hints: what is not found here costs coverage, never correctness, so estimators that are not known are passed over.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PER_COLUMN: Final = ("mean_", "center_", "data_min_", "data_max_", "statistics_", "theta_", "cluster_centers_")
"""Fitted attributes with a typical value for each column."""
_COLUMN_WISE: Final = "sklearn.preprocessing"
"""Transformers of this module that can be undone work on each column by itself."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """What is known of each column, counted from 0 over all inputs.

    Args:
        numbers: values around which a column is interesting.
        categories: all values that a column of categories was trained on.
        words: what a model of texts has a weight for.

    """

    numbers: Mapping[int, Floats] = field(default_factory=dict)
    categories: Mapping[int, Sequence[Any]] = field(default_factory=dict)
    words: tuple[str, ...] = ()


def merged(parts: Iterable[Anchors]) -> Anchors:
    """All of several."""
    numbers: dict[int, Floats] = {}
    categories: dict[int, Sequence[Any]] = {}
    words: dict[str, None] = {}
    for part in parts:
        for column, values in part.numbers.items():
            finite = values[np.isfinite(values)]
            numbers[column] = np.unique(np.concatenate([numbers.get(column, finite), finite]))
        categories |= part.categories
        words |= dict.fromkeys(part.words)
    return Anchors(numbers, categories, tuple(words))


def of_thresholds(features: NDArray[Any], thresholds: NDArray[Any]) -> Anchors:
    """The thresholds of tests, by the column that each test looks at."""
    return Anchors({int(column): np.asarray(thresholds[features == column], float) for column in np.unique(features)})


def of_estimator(estimator: Any) -> Anchors:
    """What a fitted scikit-learn estimator has learnt about its columns."""
    return merged(_found(estimator))


def _found(estimator: Any) -> Iterator[Anchors]:
    yield from _of_steps(estimator)
    yield from _of_columns(estimator)
    yield from _of_trees(estimator)
    yield from _of_attributes(estimator)
    for _, part in getattr(estimator, "transformer_list", ()):  # a union: each part sees all columns
        yield of_estimator(part)
    members = getattr(estimator, "estimators_", ())
    for member in np.ravel(np.array(members, dtype=object)) if len(members) else ():
        yield of_estimator(member)


def _of_steps(estimator: Any) -> Iterator[Anchors]:
    """A pipeline: what its last step tells, seen back through the steps before it."""
    steps = [step for _, step in getattr(estimator, "steps", ()) if step not in {None, "passthrough"}]
    told = Anchors()
    for step in reversed(steps):
        told = merged([_undone(step, told), of_estimator(step)])
    yield told


def _undone(step: Any, told: Anchors) -> Anchors:
    if not hasattr(step, "inverse_transform") or not type(step).__module__.startswith(_COLUMN_WISE):
        return told if not hasattr(step, "transform") else Anchors()
    width = getattr(step, "n_features_in_", 0)
    before: dict[int, Floats] = {}
    for column, values in told.numbers.items():
        if column >= width:
            return Anchors()
        rows = np.zeros((len(values), width))
        rows[:, column] = values
        try:
            before[column] = np.asarray(step.inverse_transform(rows))[:, column]
        except (ValueError, IndexError, TypeError):  # an encoder: its columns are not its input's
            return Anchors()
    return Anchors(before)


def _of_columns(estimator: Any) -> Iterator[Anchors]:
    """A ColumnTransformer: what each of its parts tells, at the columns that the part is given."""
    names = {str(name): index for index, name in enumerate(getattr(estimator, "feature_names_in_", ()))}
    for _, part, columns in getattr(estimator, "transformers_", ()):
        if isinstance(part, str):
            continue
        own = of_estimator(part)
        where = _positions(columns, names, getattr(estimator, "n_features_in_", 0))
        yield Anchors(
            {where[column]: values for column, values in own.numbers.items() if column < len(where)},
            {where[column]: values for column, values in own.categories.items() if column < len(where)},
            own.words,
        )


def _positions(columns: Any, names: Mapping[str, int], width: int) -> list[int]:
    if isinstance(columns, slice):
        return list(range(width))[columns] if not isinstance(columns.start, str) else []
    listed = [columns] if isinstance(columns, (str, int)) else list(columns)
    if listed and all(isinstance(one, (bool, np.bool_)) for one in listed):
        return [index for index, taken in enumerate(listed) if taken]
    return [names.get(one, 0) if isinstance(one, str) else int(one) % max(width, 1) for one in listed]


def _of_trees(estimator: Any) -> Iterator[Anchors]:
    tree = getattr(estimator, "tree_", None)
    if tree is not None:
        inner = tree.children_left != -1
        yield of_thresholds(tree.feature[inner], tree.threshold[inner])
    for stage in getattr(estimator, "_predictors", ()):  # histogram gradient boosting
        for grown in stage:
            inner = grown.nodes["is_leaf"] == 0
            yield of_thresholds(grown.nodes["feature_idx"][inner], grown.nodes["num_threshold"][inner])


def _of_attributes(estimator: Any) -> Iterator[Anchors]:
    width = int(getattr(estimator, "n_features_in_", 0))
    for name in _PER_COLUMN:
        values = getattr(estimator, name, None)
        if isinstance(values, np.ndarray) and values.dtype.kind == "f" and values.shape[-1:] == (width,):
            spread = getattr(estimator, "scale_", None) if name in {"mean_", "center_"} else None
            typical = values.reshape(-1, width)
            if isinstance(spread, np.ndarray):
                typical = np.vstack([typical - 2 * spread, typical, typical + 2 * spread])
            yield Anchors(dict(enumerate(typical.T)))
    weights = getattr(estimator, "coef_", None)
    if isinstance(weights, np.ndarray) and weights.shape[-1:] == (width,):
        # Where a column's share of the sum is about 1.
        reach = 1 / np.clip(np.abs(weights.reshape(-1, width)).max(axis=0), 1e-6, 1e6)
        yield Anchors({column: np.array([-value, value]) for column, value in enumerate(reach)})
    categories = getattr(estimator, "categories_", None)
    if isinstance(categories, list):
        yield Anchors(categories={column: list(values) for column, values in enumerate(categories)})
    edges = getattr(estimator, "bin_edges_", None)
    if isinstance(edges, np.ndarray) and edges.dtype == object:
        yield Anchors({column: np.asarray(values, float) for column, values in enumerate(edges)})
    words = getattr(estimator, "vocabulary_", None)
    if isinstance(words, dict):
        yield Anchors(words=tuple(str(word) for word in words))
