"""Where features stand, window after window: quiet as long as nothing drifts, whatever their rows have in common."""

import numpy as np
import pytest
from bench.drift_worlds import CELLS, excess_spread, independent, read, reference, shifted, wobbling_mean

from modelway.plan.monitoring.family import Family
from modelway.stats.drift import Rule
from modelway.stats.drift_cells import Cells
from modelway.stats.drift_reference import Feature
from modelway.stats.drift_spread import LEAST_WINDOWS, MOST_WINDOWS

RULE = Rule(min_rows=200)
FEATURES = 4
WINDOWS = LEAST_WINDOWS + 30
"""Some with a spread that is supposed, some with one that was learnt."""


def family(rng):
    usual = reference(rng)
    edges = tuple(float(place) for place in range(CELLS - 1))
    cells = Cells(edges=edges, lowest=-1.0, highest=float(CELLS))
    return Family.of([Feature(f"f{place}", cells, tuple(usual[place].tolist())) for place in range(FEATURES)])


def seen(window):
    """Counts of each feature, with the figures before them."""
    return read(window[:FEATURES])


@pytest.mark.parametrize("world", [independent, excess_spread(0.01), wobbling_mean(0.01)])
def test_rows_as_usual_are_quiet_before_and_after_their_spread_is_known(world):
    rng = np.random.default_rng(1)
    known = family(rng)
    for window in world(rng, 1000, WINDOWS):
        known = known.after(seen(window), RULE)
        assert known.drifted() == []
    assert all(one.baseline.excess.compared >= LEAST_WINDOWS for one in known.standings)


def test_a_drift_is_told_by_the_third_window_and_is_over_by_the_third_without():
    rng = np.random.default_rng(2)
    known = family(rng)
    told = []
    for place in range(9):
        window = independent(rng, 1000, 1)[0]
        if 3 <= place < 6:
            window[2] = rng.multinomial(1000, shifted("mean", 0.5))
        known = known.after(seen(window), RULE)
        told.append([one.place for one in known.drifted()])
    assert told == [[], [], [], [], [], [2], [2], [2], []]


@pytest.mark.parametrize("first", [0, 12, 60, 120])
def test_a_drift_that_stays_is_told_and_not_learnt(first):
    rng = np.random.default_rng(2)
    known = family(rng)
    for place in range(MOST_WINDOWS + 20):
        window = independent(rng, 1000, 1)[0]
        if place >= first:
            window[2] = rng.multinomial(1000, shifted("mean", 0.5))
        known = known.after(seen(window), RULE)
        assert [one.place for one in known.drifted()] == ([2] if place >= first + 2 else [])


def test_one_that_cannot_be_compared_is_left_out():
    rng = np.random.default_rng(3)
    whole = family(rng)
    known = Family.of([None, *whole.usual[1:]])
    for window in independent(rng, 1000, 3):
        known = known.after(seen(window), RULE)
    assert known.compared == FEATURES - 1
    assert known.standings[0].psi is None
    assert not known.is_silent(1)
