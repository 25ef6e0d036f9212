"""The rhythm of the week: what is learnt of it, and what is not."""

import numpy as np
import pytest
from bench.drift_seasons import MONDAY, season
from bench.drift_worlds import CELLS, shares

from modelway.stats.drift_cells import Cells
from modelway.stats.drift_distance import distance
from modelway.stats.drift_reference import Feature
from modelway.stats.drift_season import HOURS, LEARNT, Hour, Season

CELL = Cells(edges=tuple(map(float, range(CELLS - 1))), lowest=-1.0, highest=float(CELLS))
ROWS = 2000
FLAT = np.zeros(HOURS)
WAVE = season(0.6)


def feature(counts):
    return Feature("f", CELL, tuple(np.rint(counts).astype(int).tolist()), missing=100)


USUAL = {0: feature(shares(WAVE, 1.0).mean(axis=0) * 20_000), 2: feature(np.full(CELLS, 1000))}
FEATURES = [USUAL[0], None, USUAL[2]]


def drawn(rng, *means):
    return [rng.multinomial(ROWS, shares(np.float64(mean), 1.0)) for mean in means]


def learnt(rng, means, *, hours=LEARNT + 6, without=()):
    """What two weeks teach; `means` gives those of the features in an hour."""
    known = Season.begun(USUAL, Hour(MONDAY))
    for hour in range(hours):
        if hour % HOURS not in without:
            known = known.plus(drawn(rng, *means(hour)), FEATURES, MONDAY + hour)
    return known


@pytest.fixture(scope="module")
def known():
    return learnt(np.random.default_rng(1), lambda hour: (WAVE[hour % HOURS], 9.0, FLAT[hour % HOURS]))


def test_only_what_has_a_rhythm_is_compared_by_the_hour(known):
    assert known.seasonal == (0,)
    assert known.usual(USUAL, MONDAY).keys() == {0}


@pytest.mark.parametrize("hour", [3, 12, 24 * 5 + 12])
def test_an_hour_is_usual_as_it_was_in_two_weeks(known, hour):
    usual = known.usual(USUAL, MONDAY + 5 * HOURS + hour)[0]
    true = shares(WAVE[hour], 1.0)
    got = np.array(usual.counts) / usual.rows
    assert float(((got - true) * np.log(got / true)).sum()) < 0.02


def test_the_counts_of_an_hour_are_no_surer_than_its_rows(known):
    usual = known.usual(USUAL, MONDAY + 3)[0]
    assert usual.rows == pytest.approx(1 / (1 / USUAL[0].rows + 1 / (2 * ROWS)), rel=0.02)
    assert usual.missing / usual.rows == pytest.approx(USUAL[0].missing / USUAL[0].rows, rel=0.05)


def test_a_constant_difference_from_the_reference_stays(known):
    """Live rows that were never as the reference says have drifted, in each hour."""
    other = {0: feature(shares(WAVE + 1.0, 1.0).mean(axis=0) * 20_000)}
    rng = np.random.default_rng(2)
    for hour in range(0, HOURS, 12):
        usual = np.array(known.usual(other, MONDAY + hour)[0].counts)
        assert distance(usual, drawn(rng, WAVE[hour])[0]).psi > 0.4


def test_a_drift_in_the_midst_of_it_is_no_rhythm():
    def means(hour):
        return (WAVE[hour % HOURS] if hour < HOURS else WAVE[hour % HOURS] + 1.5 * (hour > HOURS + 60), 9.0, 0.0)

    assert learnt(np.random.default_rng(3), means).seasonal == ()


def test_an_hour_without_rows_is_compared_with_the_whole_week():
    nights = [day * 24 + hour for day in range(7) for hour in range(5)]
    known = learnt(np.random.default_rng(4), lambda hour: (WAVE[hour % HOURS], 9.0, FLAT[hour % HOURS]), without=nights)
    assert known.usual(USUAL, MONDAY + 2) == {}
    assert known.usual(USUAL, MONDAY + 6).keys() == {0}


def test_the_hour_itself_is_usual_in_its_hour():
    """A feature that is the time of day has all its rows in one cell in each hour."""
    clock = Feature("hour", Cells(edges=tuple(place + 0.5 for place in range(23))), (1000,) * 24)
    known = Season.begun({0: clock}, Hour(MONDAY))
    for hour in range(LEARNT + 1):
        window = np.zeros(24, np.int64)
        window[hour % 24] = 500
        known = known.plus([window], [clock], MONDAY + hour)
    assert known.seasonal == (0,)
    for hour in range(24):
        counts = known.usual({0: clock}, MONDAY + hour)[0].counts
        assert counts[hour] / sum(counts) > 0.97


def test_what_was_learnt_stays(known):
    later = known.plus(drawn(np.random.default_rng(5), 3.0, 3.0, 3.0), FEATURES, MONDAY + 900)
    assert later is known


def test_it_is_not_learnt_before_two_weeks_are_over():
    before = learnt(np.random.default_rng(6), lambda hour: (WAVE[hour % HOURS], 9.0, 0.0), hours=LEARNT)
    assert before.used is None
    assert before.usual(USUAL, MONDAY) == {}


def test_two_weeks_without_enough_windows_go_on():
    """A fortnight in which nearly nothing was seen a second time says nothing of what remains."""
    rng = np.random.default_rng(7)
    some = learnt(rng, lambda hour: (WAVE[hour % HOURS], 9.0, 0.0), without=range(20, HOURS))
    assert some.used is None


def test_what_remains_is_what_differs_from_the_same_hour_a_week_before(known):
    spread = known.spread(0)
    assert 0.0 <= spread.mean < 0.02
