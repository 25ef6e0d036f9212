"""What is learnt from stable windows whose rows depend on each other."""

import numpy as np
import pytest
from bench.drift_worlds import excess_spread, independent, reference, seasonal, shifted, wobbling_mean

from modelway.stats.drift_distance import INDEPENDENT, Spread, distance
from modelway.stats.drift_spread import (
    LEAST_WINDOWS,
    MOST_WINDOWS,
    Baseline,
    BaselineError,
    Pool,
    learn_spread,
    supposed,
)

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


def gathered(windows):
    """What `Baseline` comes to of the same windows, one after the other."""
    found = []
    for feature in range(windows.shape[1]):
        baseline = Baseline.of(windows.shape[2])
        for window in windows[:, feature]:
            baseline = baseline.plus(window, ordered=True, moved=False)
        found.append(baseline.spread())
    return Spread(np.array([one.mean for one in found]), np.array([one.variance for one in found]))


@pytest.mark.parametrize("world", [excess_spread, wobbling_mean])
@pytest.mark.parametrize("correlation", [0.001, 0.005, 0.02])
def test_windows_one_after_the_other_show_what_all_at_once_do(world, correlation):
    windows = world(correlation)(np.random.default_rng(5), 1000, WINDOWS)[:, :4]
    one_by_one, at_once = gathered(windows), learnt(windows)
    assert np.mean(one_by_one.mean) == pytest.approx(np.mean(at_once.mean), rel=0.15)
    assert np.mean(one_by_one.variance) == pytest.approx(np.mean(at_once.variance), rel=0.5, abs=1e-6)


def test_a_season_is_learnt_as_spread_although_its_windows_follow_each_other():
    windows = seasonal(0.4)(np.random.default_rng(6), 1000, WINDOWS)[:, :3]
    assert np.mean(gathered(windows).mean) == pytest.approx(np.mean(learnt(windows).mean), rel=0.3)


def test_the_fewer_windows_there_are_the_more_spread_is_feared():
    baseline, feared = Baseline.of(20), [supposed(20).mean]
    assert baseline.spread() == supposed(20)
    for window in independent(np.random.default_rng(7), 1000, LEAST_WINDOWS)[:, 0]:
        baseline = baseline.plus(window, ordered=True, moved=False)
        feared.append(baseline.spread().mean)
    assert feared[3] == supposed(20).mean > feared[4] >= feared[-2] > feared[-1]
    assert feared[-1] < 0.002


def test_windows_beyond_the_rule_are_compared_with_each_other():
    """A shift that lasts is no spread: it would hide itself."""
    rng = np.random.default_rng(7)
    shift = shifted("mean", 0.5)
    apart = together = Baseline.of(20)
    for window in independent(rng, 1000, 60)[:, 0]:
        apart, together = (one.plus(window, ordered=True, moved=False) for one in (apart, together))
    calm = apart.spread()
    for window in rng.multinomial(1000, shift, size=60):
        apart = apart.plus(window, ordered=True, moved=True)
        together = together.plus(window, ordered=True, moved=False)
    assert apart.spread().mean == pytest.approx(calm.mean, abs=0.002)
    assert together.spread().mean > 0.05


def test_a_baseline_is_complete_after_a_day():
    few, many = Pool(np.zeros(3, np.int64), 8), Pool(np.zeros(3, np.int64), MOST_WINDOWS - 9)
    baseline = Baseline(many, few)
    assert not baseline.is_complete
    assert baseline.plus(np.array([1, 2, 3]), ordered=True, moved=False).is_complete
    assert baseline.plus(np.array([1, 2, 3]), ordered=True, moved=True).is_complete


@pytest.mark.parametrize("world", [excess_spread, wobbling_mean])
def test_what_is_supposed_keeps_dependent_rows_quiet_until_their_spread_is_known(world):
    rng = np.random.default_rng(8)
    usual, windows = reference(rng), world(0.01)(rng, 1000, 200)
    found = distance(usual, windows, supposed(20))
    assert ((found.psi > 0.1) & (found.p * windows.shape[1] < 0.05)).mean() < 0.005


def test_what_is_supposed_hides_no_large_drift():
    rng = np.random.default_rng(9)
    usual, windows = reference(rng), rng.multinomial(1000, shifted("mean", 0.5), size=200)
    found = distance(usual[0], windows, supposed(20))
    assert ((found.psi > 0.1) & (found.p * 30 < 0.05)).mean() > 0.95
