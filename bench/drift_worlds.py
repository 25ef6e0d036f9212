"""Streams of windows for `bench.drift`: stable ones, those whose rows depend on each other, and those that drift.

Counts are [windows, features, cells]. The cells hold equal shares of a standard normal distribution, so every shift of
that has a known PSI.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from modelway.stats.drift_cells import FIGURES

FEATURES: Final = 30
CELLS: Final = 20
REFERENCE_ROWS: Final = 10_000
DAY: Final = 288
"""Windows of five minutes."""

EQUAL: Final = np.full(CELLS, 1.0 / CELLS)
_BORDERS: Final = ndtri(np.arange(1, CELLS) / CELLS)
_SHAPE = (FEATURES, CELLS)

World = Callable[[np.random.Generator, int, int], np.ndarray]
"""From chance, rows of a window and number of windows: the counts."""


def reference(rng: np.random.Generator) -> np.ndarray:
    """Counts of each feature's reference."""
    return rng.multinomial(REFERENCE_ROWS, EQUAL, size=FEATURES)


def independent(rng: np.random.Generator, rows: int, windows: int) -> np.ndarray:
    """Rows that know nothing of each other."""
    return rng.multinomial(rows, EQUAL, size=(windows, FEATURES))


def excess_spread(correlation: float) -> World:
    """Each window has shares of its own, spread over all cells alike: Dirichlet-multinomial counts."""

    def draw(rng: np.random.Generator, rows: int, windows: int) -> np.ndarray:
        shape = rng.standard_gamma(EQUAL * (1.0 - correlation) / correlation, size=(windows, *_SHAPE))
        return rng.multinomial(rows, shape / shape.sum(axis=-1, keepdims=True))

    return draw


def wobbling_mean(correlation: float) -> World:
    """Each window has a mean of its own: that much of the variance is common to its rows."""

    def draw(rng: np.random.Generator, rows: int, windows: int) -> np.ndarray:
        means = rng.standard_normal((windows, FEATURES)) * np.sqrt(correlation)
        return rng.multinomial(rows, shares(means, np.sqrt(1.0 - correlation)))

    return draw


def seasonal(amplitude: float) -> World:
    """The mean goes up and down once a day by so many standard deviations, at the same time for all features."""

    def draw(rng: np.random.Generator, rows: int, windows: int) -> np.ndarray:
        means = amplitude * np.sin(2 * np.pi * np.arange(windows) / DAY)
        return rng.multinomial(rows, shares(np.broadcast_to(means[:, None], (windows, FEATURES)), 1.0))

    return draw


def read(counts: np.ndarray) -> list[np.ndarray]:
    """A window's counts, [features, cells], as the operator reads them: each feature's with its figures before them."""
    return [np.concatenate([np.zeros(FIGURES, np.int64), part]) for part in counts]


def shares(means: np.ndarray, deviations: np.ndarray | float) -> np.ndarray:
    """Of normal distributions in each cell; the cells are a last axis."""
    below = ndtr((_BORDERS - np.asarray(means)[..., None]) / np.asarray(deviations)[..., None])
    found = np.diff(below, prepend=0.0, append=1.0)
    return found / found.sum(axis=-1, keepdims=True)


def psi(q: np.ndarray, p: np.ndarray = EQUAL) -> float:
    """The population stability index of two distributions."""
    return float(((q - p) * np.log(q / p)).sum())


def shifted(kind: str, target: float) -> np.ndarray:
    """Shares of a distribution whose PSI is `target`, by a shift of the mean or of the scale."""

    def made(amount: float) -> np.ndarray:
        return shares(np.float64(amount), 1.0) if kind == "mean" else shares(np.float64(0.0), 1.0 + amount)

    low, high = 0.0, 3.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if psi(made(middle)) < target else (low, middle)
    return made(low)


def without(cell: int) -> np.ndarray:
    """Shares where one category is gone and the others have its rows."""
    found = EQUAL.copy()
    found[cell] = 0.0
    return found / found.sum()
