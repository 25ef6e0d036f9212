"""Whether the trees in a model's file are trees. Called by formats whose libraries follow a node's number unchecked.

XGBoost and LightGBM read the numbers of a node's children and feature from the file and use them as they are: a wrong
one ends the process, or a circle never ends. So they are checked before the library predicts.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
_LEAF: Final = -1


class NotATreeError(ValueError):
    """A place in the file, and what is wrong there."""


def integers(values: Any, where: str) -> Integers:
    """A flat array of whole numbers. Raises NotATreeError."""
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise NotATreeError(f"{where}: {error}") from error
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iub"):
        raise NotATreeError(f"{where}: expected whole numbers")
    return array.astype(np.int64)


def within(values: Integers, low: int, high: int, where: str) -> None:
    """Raise NotATreeError at the first value that is not in low ≤ value < high."""
    wrong = np.flatnonzero((values < low) | (values >= high))
    if wrong.size:
        raise NotATreeError(f"{where}[{wrong[0]}]: {values[wrong[0]]} is not within {low} and {high - 1}")


def of_length(values: Integers, length: int, where: str) -> None:
    """Raise NotATreeError unless there are so many values."""
    if len(values) != length:
        raise NotATreeError(f"{where}: {len(values)} values, where {length} are expected")


def check_linked(tree: Mapping[str, Any], features: int, where: str) -> None:
    """Check a tree of XGBoost: children and parents by number, -1 for none, node 0 the root.

    Each child names its parent, and the root is nobody's child, so whoever starts there comes to a leaf.
    """
    left, right, parents = (
        integers(tree[key], f"{where}.{key}") for key in ("left_children", "right_children", "parents")
    )
    if not left.size:
        raise NotATreeError(f"{where}: has no node")
    for key, values in {"right_children": right, "parents": parents}.items():
        of_length(values, len(left), f"{where}.{key}")
    inner = np.flatnonzero(left != _LEAF)
    for key, children in {"left_children": left, "right_children": right}.items():
        within(children, -1, len(left), f"{where}.{key}")
        wrong = inner[(children[inner] < 1) | (parents[children[inner]] != inner)]
        if wrong.size:
            raise NotATreeError(f"{where}.{key}[{wrong[0]}]: node {children[wrong[0]]} is no child of it")
    split = integers(tree["split_indices"], f"{where}.split_indices")
    of_length(split, len(left), f"{where}.split_indices")
    within(split, 0, max(features, 1), f"{where}.split_indices")
    _check_categories(tree, len(left), where)


def _check_categories(tree: Mapping[str, Any], nodes: int, where: str) -> None:
    """Which categories go right: a piece of one long list for each node that splits by them."""
    values, owners, starts, sizes, kinds = (
        integers(tree.get(key, ()), f"{where}.{key}")
        for key in ("categories", "categories_nodes", "categories_segments", "categories_sizes", "split_type")
    )
    within(owners, 0, nodes, f"{where}.categories_nodes")
    of_length(starts, len(owners), f"{where}.categories_segments")
    of_length(sizes, len(owners), f"{where}.categories_sizes")
    within(starts, 0, len(values) + 1, f"{where}.categories_segments")
    within(sizes, 0, len(values) + 1, f"{where}.categories_sizes")
    within(starts + sizes, 0, len(values) + 1, f"{where}.categories_segments")
    # XGBoost keeps a bit for each number up to the largest category; its own limit is that of a float's digits.
    within(values, 0, 2**24, f"{where}.categories")
    if not set(np.flatnonzero(kinds == 1).tolist()) <= set(owners.tolist()):
        raise NotATreeError(f"{where}.split_type: a node splits by categories that are not listed")


def check_numbered(left: Integers, right: Integers, leaves: int, where: str) -> None:
    """Check a tree of LightGBM: inner nodes count from 0, leaves are ~number, and a child comes after its parent."""
    for key, children in {"left_child": left, "right_child": right}.items():
        of_length(children, leaves - 1, f"{where}.{key}")
        within(children, -leaves, leaves - 1, f"{where}.{key}")
        wrong = np.flatnonzero((children >= 0) & (children <= np.arange(len(children))))
        if wrong.size:
            raise NotATreeError(f"{where}.{key}[{wrong[0]}]: leads back to node {children[wrong[0]]}")
