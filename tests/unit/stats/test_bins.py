"""Histograms of answers as streams."""

import numpy as np
import pytest

from modelway.stats import Evidence, Shift, most_shifted, tick_of, update
from modelway.stats.bins import streams


def test_each_bin_is_counted_in_both_directions():
    tick = tick_of([1, 2, 3], [10, 20, 30])
    assert np.asarray(tick.candidate.bad).tolist() == [[1, 2, 3], [5, 4, 3]]
    assert np.asarray(tick.stable.bad).tolist() == [[10, 20, 30], [50, 40, 30]]
    assert (np.asarray(tick.candidate.requests) == 6).all()
    assert np.asarray(tick.stable.requests).shape == streams(3)


def test_different_bins_are_refused():
    with pytest.raises(ValueError, match="the candidate counts 3 bins, the stable revision 2"):
        tick_of([1, 2, 3], [1, 2])


def test_one_bin_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        streams(1)


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        pytest.param([40, 20, 40], Shift(bin=0, grown=True), id="the first bin has grown"),
        pytest.param([20, 15, 65], Shift(bin=2, grown=True), id="the last bin has grown"),
        pytest.param([34, 33, 33], Shift(bin=2, grown=False), id="the last bin has shrunk"),
    ],
)
def test_the_bin_that_moved_most_is_named(candidate, expected):
    evidence = Evidence.begin(0.02, streams(3))
    for _ in range(20):
        evidence = update(evidence, tick_of(candidate, [250, 250, 500]))
    assert most_shifted(evidence) == expected
