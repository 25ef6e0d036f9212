"""What is learnt from stable windows whose rows depend on each other."""

import numpy as np
import pytest
from bench.drift_worlds import excess_spread, independent, reference, wobbling_mean

from modelway.stats.drift_distance import INDEPENDENT, Spread, distance
from modelway.stats.drift_spread import BaselineError, learn_spread

WINDOWS = 288


def learnt(windows):
    found = [learn_spread(windows[:, feature], ordered=True) for feature in range(windows.shape[1])]
    return Spread(np.array([one.mean for one in found]), np.array([one.variance for one in found]))


def alarms(usual, windows, spread):
    """The share of windows in which some of 30 features is below the level."""
    return float((distance(usual, windows, spread).p < 0.05 / windows.shape[1]).any(axis=1).mean())


def test_of_independent_rows_there_is_next_to_none():
    spread = learnt(independent(np.random.default_rng(1), 1000, WINDOWS))
    assert spread.mean.max() < 0.1 * 19 / 1000


@pytest.mark.parametrize("world", [excess_spread, wobbling_mean])
@pytest.mark.parametrize("correlation", [0.005, 0.02])
def test_dependent_rows_alarm_all_the_time_until_their_spread_is_known(world, correlation):
    rng = np.random.default_rng(2)
    usual, made = reference(rng), world(correlation)
    spread = learnt(made(rng, 1000, WINDOWS))
    windows = made(rng, 1000, 200)
    assert alarms(usual, windows, INDEPENDENT) > 0.5
    assert alarms(usual, windows, spread) < 0.2


def test_a_spread_holds_for_windows_of_another_size():
    rng = np.random.default_rng(3)
    made = excess_spread(0.005)
    spread = learnt(made(rng, 1000, WINDOWS))
    assert alarms(reference(rng), made(rng, 5000, 200), spread) < 0.2


def test_a_constant_difference_from_the_reference_is_not_learnt_as_usual():
    rng = np.random.default_rng(4)
    shares = np.linspace(0.5, 1.5, 20) / 20
    windows = rng.multinomial(1000, shares, size=(WINDOWS, 1))
    spread = learnt(windows)
    assert (
        distance(
            rng.multinomial(10_000, np.full(20, 0.05)),
            windows[0, 0],
            Spread(*map(float, (spread.mean[0], spread.variance[0]))),
        ).psi
        > 0.05
    )


@pytest.mark.parametrize(
    ("windows", "because"),
    [
        pytest.param(np.full((49, 4), 10), "49 windows with rows, where 50 are needed", id="too few"),
        pytest.param(np.concatenate([np.full((49, 4), 10), np.zeros((9, 4), int)]), "49 windows", id="without rows"),
        pytest.param(np.tile([100, 0, 0], (60, 1)), "all rows lie in one cell", id="one cell"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_told(windows, because):
    with pytest.raises(BaselineError, match=because):
        learn_spread(windows, ordered=True)
