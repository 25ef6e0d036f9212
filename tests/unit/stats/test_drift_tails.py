"""Tails of distributions, compared with scipy's, which only tests have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from modelway.stats.drift_tails import chi_squared_tail, gamma_tail


@given(st.floats(0.05, 500), st.floats(0, 1000))
def test_the_gamma_tail_is_scipys(shape, x):
    assert gamma_tail(shape, x) == pytest.approx(special.gammaincc(shape, x), rel=1e-9, abs=1e-14)


def test_arrays_are_broadcast():
    x = np.array([0.0, 3.0, 30.0])
    assert chi_squared_tail(np.array([[2.0], [19.0]]), x) == pytest.approx(stats.chi2.sf(x, [[2.0], [19.0]]))


def test_nothing_is_certain_to_be_reached():
    assert gamma_tail(2.0, -1.0) == gamma_tail(2.0, 0.0) == 1.0
