"""How far two samples are apart: what chance alone makes is subtracted, and intervals and probabilities are honest."""

import numpy as np
import pytest
from scipy import stats

from modelway.stats.drift_distance import Spread, chi_squared, distance, joined, together

EQUAL = np.full(20, 0.05)


def draws(rng, rows, shares=EQUAL, size=4000):
    return rng.multinomial(rows, shares, size=size)


@pytest.mark.parametrize("rows", [200, 1000, 10_000])
def test_without_a_change_the_corrected_psi_is_zero_on_average(rows):
    rng = np.random.default_rng(1)
    seen = distance(draws(rng, 10_000), draws(rng, rows))
    assert abs(seen.psi.mean()) < 0.08 * 19 / rows


@pytest.mark.parametrize("rows", [200, 1000, 10_000])
def test_small_probabilities_come_as_often_as_they_say(rows):
    rng = np.random.default_rng(2)
    p = distance(draws(rng, 10_000, size=20_000), draws(rng, rows, size=20_000)).p
    for level in (0.05, 0.01):
        assert stats.binomtest(int((p < level).sum()), len(p), level).pvalue > 1e-4


@pytest.mark.parametrize("rows", [500, 5000])
def test_the_interval_holds_the_true_psi(rows):
    rng = np.random.default_rng(3)
    shares = EQUAL * np.linspace(0.6, 1.4, 20)
    true = float(((shares - EQUAL) * np.log(shares / EQUAL)).sum())
    seen = distance(draws(rng, 10_000), draws(rng, rows, shares))
    assert 0.92 < ((seen.low <= true) & (true <= seen.high)).mean() < 0.99


def test_the_statistic_is_that_of_a_table_of_two_rows():
    reference, window = np.array([30, 50, 20]), np.array([5, 20, 15])
    expected = stats.chi2_contingency([reference, window], correction=False)
    seen = distance(reference, window)
    assert chi_squared(reference, window) == pytest.approx(expected.statistic)
    assert seen.p == pytest.approx(expected.pvalue)


def test_a_category_that_is_gone_has_a_finite_distance():
    seen = distance(np.array([500, 500]), np.array([1000, 0]))
    assert np.isfinite(seen.psi)
    assert seen.psi > 1
    assert seen.p < 1e-9


def test_what_stable_windows_have_anyway_is_no_drift():
    rng = np.random.default_rng(4)
    shares = EQUAL * np.linspace(0.8, 1.2, 20)
    window = draws(rng, 10_000, shares, size=1)[0]
    reference = draws(rng, 10_000, size=1)[0]
    plain, allowed = distance(reference, window), distance(reference, window, Spread(0.02, 0.0004))
    assert plain.p < 1e-4
    assert allowed.p > 0.05
    assert allowed.psi == pytest.approx(plain.psi - 0.02)


class TestJoined:
    def test_small_cells_are_taken_together_with_their_neighbours(self):
        groups = joined(np.array([1, 100, 1, 1, 100, 1]), 204, ordered=True)
        assert [group.tolist() for group in groups] == [[0, 1], [2, 3, 4, 5]]

    def test_of_categories_the_rarest_are(self):
        groups = joined(np.array([100, 1, 100, 2, 3]), 206, ordered=False)
        assert [sorted(group.tolist()) for group in groups] == [[1, 3, 4], [0], [2]]

    def test_a_new_category_is_seen_though_the_reference_has_none_of_it(self):
        usual, window = np.array([500, 500, 0]), np.array([350, 350, 300])
        groups = joined(usual, 1000, ordered=False)
        assert distance(together(usual, groups), together(window, groups)).p < 1e-9

    def test_all_rows_stay(self):
        counts = np.arange(20)
        groups = joined(counts, 50, ordered=True)
        assert sorted(np.concatenate(groups).tolist()) == list(range(20))
        assert together(counts, groups).sum() == counts.sum()

    def test_too_few_rows_leave_one_cell(self):
        assert len(joined(np.full(20, 100), 6, ordered=True)) == 1
