"""The nearest point of the boundary, and the e-value of one window against it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import rel_entr
from scipy.stats import binom

from modelway.stats.bernoulli import Stakes, project
from modelway.stats.evidence import log_ratio

shares = st.floats(1e-5, 1 - 1e-5)
margins = st.floats(1e-4, 0.5)
requests = st.integers(0, 10**6)


def arrays(*values: float) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(value, dtype=np.float64) for value in values)


def divergence(share: float, requests: tuple[int, int], alternative: tuple[float, float], margin: float) -> float:
    """What the projection minimises, computed another way."""
    points = (share + margin, share)
    arms = [arm for arm in zip(requests, alternative, points, strict=True) if arm[0]]
    return float(sum(n * (rel_entr(a, q) + rel_entr(1 - a, 1 - q)) for n, a, q in arms))


class TestProjection:
    @given(requests, requests, shares, shares, margins)
    def test_it_is_the_minimum_that_a_general_search_finds(self, n_c, n_s, a_c, a_s, margin):
        q_c, q_s = project(arrays(n_c, n_s), arrays(a_c, a_s), margin)
        assert q_c == pytest.approx(q_s + margin)
        assert q_s >= 0
        assert q_c <= 1 + 1e-12
        found = minimize_scalar(
            divergence, bounds=(0, 1 - margin), args=((n_c, n_s), (a_c, a_s), margin), options={"xatol": 1e-12}
        )
        ours = divergence(min(float(q_s), 1 - margin), (n_c, n_s), (a_c, a_s), margin)
        assert ours <= found.fun * (1 + 1e-9) + 1e-9

    @given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(1e-4, 0.4), st.floats(1.1, 30), margins)
    def test_the_slope_is_zero_to_the_stated_accuracy(self, n_c, n_s, a_s, strength, margin):
        a_c = min(a_s + strength * margin, 1 - 1e-5)
        _, q = project(arrays(n_c, n_s), arrays(a_c, a_s), margin)

        def slope(share: float) -> float:
            moved = share + margin
            return n_c * (moved - a_c) / (moved * (1 - moved)) + n_s * (share - a_s) / (share * (1 - share))

        width = 1e-10 * (0.001 + float(q))
        assert slope(float(q) - width) <= 0 <= slope(float(q) + width)

    @pytest.mark.parametrize(
        ("n", "alternative", "margin", "expected"),
        [
            pytest.param((0, 100), (0.05, 0.01), 0.02, 0.01, id="no candidate request: the stable share stays"),
            pytest.param((100, 0), (0.05, 0.01), 0.02, 0.03, id="no stable request: the candidate share stays"),
            pytest.param((100, 0), (0.01, 0.01), 0.02, 0.0, id="no stable request: a share cannot be below 0"),
            pytest.param((0, 100), (0.99, 0.99), 0.02, 0.98, id="no candidate request: nor above 1 with the margin"),
            pytest.param((100, 100), (0.03, 0.01), 0.02, 0.01, id="an alternative on the boundary is its own"),
        ],
    )
    def test_an_arm_without_requests_has_no_say(self, n, alternative, margin, expected):
        assert project(arrays(*n), arrays(*alternative), margin)[1] == pytest.approx(expected, abs=1e-12)

    def test_nothing_known_of_either_arm_still_gives_a_point_of_the_boundary(self):
        q_c, q_s = project(arrays(0, 0), arrays(0.05, 0.01), 0.02)
        assert 0 <= q_s <= 1
        assert q_c == pytest.approx(q_s + 0.02)

    def test_only_the_ratio_of_the_requests_matters(self):
        few, many = (project(arrays(n, 19 * n), arrays(0.05, 0.01), 0.02)[1] for n in (1, 10**6))
        assert few == pytest.approx(float(many), rel=1e-12)

    def test_many_at_once_are_the_same_as_one_by_one(self):
        n_c, n_s = arrays([1, 20, 500, 0], [380, 20, 3, 7])
        a_c, a_s = arrays([0.02, 0.5, 0.9, 0.3], [0.001, 0.1, 0.01, 0.1])
        together = project((n_c, n_s), (a_c, a_s), 0.01)[1]
        alone = [float(project(arrays(n_c[at], n_s[at]), arrays(a_c[at], a_s[at]), 0.01)[1]) for at in range(len(n_c))]
        assert together == pytest.approx(alone, rel=1e-11)


def expectations(
    n: tuple[int, int], truths: list[tuple[float, float]], alternative: tuple[float, float], margin: float
) -> np.ndarray:
    """E[E] at each of the truths, by summing over every outcome."""
    x_c, x_s = (grid.ravel() for grid in np.meshgrid(np.arange(n[0] + 1), np.arange(n[1] + 1)))
    alike = np.ones(x_c.shape)
    logs = log_ratio(
        ((n[0] * alike, n[1] * alike), (x_c * 1.0, x_s * 1.0)),
        (alternative[0] * alike, alternative[1] * alike),
        margin,
    )
    theta_c, theta_s = np.array(truths).T[:, :, np.newaxis]
    return (np.exp(logs) * binom.pmf(x_c, n[0], theta_c) * binom.pmf(x_s, n[1], theta_s)).sum(axis=1)


BLOCKS = [(1, 1), (2, 1), (1, 6), (5, 5), (3, 20), (20, 3), (8, 0), (0, 8)]
ALTERNATIVES = {
    "harm": [(0.04, 0.01), (0.011 + 0.03, 0.011), (0.5, 0.2), (0.9, 1e-5), (1 - 1e-5, 0.5)],
    "safe": [(0.01, 0.01), (0.3, 0.3), (1e-5, 1e-5), (0.999, 0.999), (0.02, 0.03)],
}
GRID = np.concatenate([[0.0, 1e-4, 1e-3], np.linspace(0.01, 1, 34)])


class TestOneWindow:
    @pytest.mark.parametrize("n", BLOCKS, ids=str)
    @pytest.mark.parametrize("process", ["harm", "safe"])
    def test_its_expectation_is_at_most_one_wherever_the_hypothesis_is_true(self, n, process):
        margin = 0.02
        for alternative in ALTERNATIVES[process]:
            truths = [
                (theta_c, theta_s)
                for theta_c, theta_s in itertools.product(GRID, GRID)
                if (theta_c <= theta_s + margin if process == "harm" else theta_c >= theta_s + margin)
            ]
            boundary = [(theta + margin, theta) for theta in GRID if theta + margin <= 1]
            assert expectations(n, truths + boundary, alternative, margin).max() <= 1 + 1e-9

    def test_its_expectation_is_exactly_one_at_the_projection(self):
        n, alternative, margin = (4, 9), (0.2, 0.05), 0.05
        q_c, q_s = project(arrays(*n), arrays(*alternative), margin)
        assert expectations(n, [(float(q_c), float(q_s))], alternative, margin) == pytest.approx(1, abs=1e-12)

    def test_it_grows_under_the_alternative(self):
        assert expectations((20, 380), [(0.05, 0.01)], (0.05, 0.01), 0.01) > 1.2

    @given(st.integers(1, 50), st.integers(1, 500), st.floats(1e-4, 0.5), st.floats(1.2, 30), st.floats(1e-3, 0.1))
    def test_harm_grows_with_each_bad_candidate_request_and_shrinks_with_each_bad_stable_one(
        self, n_c, n_s, base, strength, margin
    ):
        alternative = arrays(min(base + strength * margin, 1 - 1e-5), base)

        def harm(x_c: float, x_s: float) -> float:
            return float(log_ratio((arrays(n_c, n_s), arrays(x_c, x_s)), alternative, margin))

        assert harm(1, 0) > harm(0, 0)
        assert harm(n_c, 0) > harm(n_c - 1, 0)
        assert harm(0, 1) < harm(0, 0)
        assert harm(0, n_s) < harm(0, n_s - 1)

    def test_a_window_without_requests_says_nothing(self):
        assert float(log_ratio((arrays(0, 0), arrays(0, 0)), arrays(0.05, 0.01), 0.01)) == 0

    @pytest.mark.parametrize("arm", [0, 1], ids=["the candidate", "the stable revision"])
    def test_harm_says_nothing_while_one_arm_alone_has_requests(self, arm):
        n, x = ((50, 0), (10, 0)) if arm == 0 else ((0, 50), (0, 10))
        assert float(log_ratio((arrays(*n), arrays(*x)), arrays(0.05, 0.01), 0.01)) == pytest.approx(0, abs=1e-9)

    def test_a_million_requests_a_window_lose_no_precision(self):
        n, x, alternative = (10**6, 10**6), (30_000, 10_000), (0.03, 0.01)
        got = float(log_ratio((arrays(*n), arrays(*x)), arrays(*alternative), 0.01))
        q_s = minimize_scalar(divergence, bounds=(0.005, 0.05), args=(n, alternative, 0.01), options={"xatol": 1e-14}).x
        expected = sum(
            binom.logpmf(x[arm], n[arm], alternative[arm]) - binom.logpmf(x[arm], n[arm], (q_s + 0.01, q_s)[arm])
            for arm in (0, 1)
        )
        assert got == pytest.approx(expected, rel=1e-8)


class TestStakes:
    def test_mean_and_variance_are_those_of_simulated_requests(self):
        alternative = arrays(0.05, 0.01)
        stakes = Stakes.of(alternative, project(arrays(1, 4), alternative, 0.02))
        rng = np.random.default_rng(7)
        bad_c, bad_s = rng.binomial(1, 0.04, 200_000), rng.binomial(4, 0.012, 200_000)
        paid = stakes.paid(arrays(1, 4), (bad_c * 1.0, bad_s * 1.0))
        mean, variance = stakes.mean_and_variance(arrays(0.04, 0.012), np.asarray(4.0))
        assert float(mean) == pytest.approx(paid.mean(), abs=4 * paid.std() / np.sqrt(200_000))
        assert float(variance) == pytest.approx(paid.var(), rel=0.03)
