"""The two e-processes: valid at every look, exactly as defined, and with the operating points that were promised."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from tests.unit.stats import reference

from modelway.stats import Counts, Evidence, Tick, tick_of, update
from modelway.stats.evidence import CAP


def tick(n_c: object, x_c: object, n_s: object, x_s: object) -> Tick:
    return Tick(Counts(n_c, x_c), Counts(n_s, x_s))


def after(windows: list[tuple[int, int, int, int]], margin: float) -> Evidence:
    evidence = Evidence.begin(margin)
    for window in windows:
        evidence = update(evidence, tick(*window))
    return evidence


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, int, int, int]]:
    windows = []
    for _ in range(draw(st.integers(1, 8))):
        n_c, n_s = draw(st.integers(0, 60)), draw(st.integers(0, 900))
        x_c, x_s = draw(st.integers(0, n_c)), draw(st.integers(0, n_s))
        windows.append((n_c, min(x_c, draw(st.integers(0, 60))), n_s, min(x_s, draw(st.integers(0, 30)))))
    return windows


class TestDefinition:
    @given(histories(), st.sampled_from([0.001, 0.01, 0.05, 0.2]))
    def test_both_processes_are_those_of_the_slow_reference(self, windows, margin):
        evidence = after(windows, margin)
        assert float(evidence.log_safe) == pytest.approx(reference.log_safe(windows, margin), rel=1e-6, abs=1e-6)
        assert float(evidence.log_harm) == pytest.approx(reference.log_harm(windows, margin), rel=1e-6, abs=1e-6)

    def test_known_values(self):
        evidence = after([(20, 0, 380, 4), (20, 1, 380, 3), (20, 0, 380, 5), (20, 0, 380, 2)], 0.01)
        assert float(evidence.log_harm) == pytest.approx(-0.4709172550641, abs=1e-12)
        assert float(evidence.log_safe) == pytest.approx(-0.0996569556892, abs=1e-12)

    def test_nothing_is_bet_on_the_first_window(self):
        evidence = after([(1000, 1000, 19000, 0)], 0.01)
        assert float(evidence.log_safe) == 0
        assert float(evidence.log_harm) == pytest.approx(0, abs=1e-12)

    def test_counts_of_other_streams_are_refused(self):
        with pytest.raises(ValueError, match=r"\(2, 4\) streams for evidence of \(2, 3\)"):
            update(Evidence.begin(0.1, (2, 3)), tick_of([1, 2, 3, 4], [1, 2, 3, 4]))

    def test_it_begins_at_one(self):
        evidence = Evidence.begin(0.01)
        assert (float(evidence.log_harm), float(evidence.log_safe)) == (0, 0)
        assert not evidence.has_data

    def test_a_window_without_requests_changes_nothing(self):
        before = after([(20, 1, 380, 4)] * 3, 0.01)
        later = update(before, tick(0, 0, 0, 0))
        assert (later.log_harm, later.log_safe) == (before.log_harm, before.log_safe)

    def test_many_streams_at_once_are_the_same_as_one_by_one(self):
        rng = np.random.default_rng(11)
        shape, windows = (3, 4), []
        for _ in range(6):
            n_c, n_s = rng.integers(0, 50, shape), rng.integers(0, 900, shape)
            windows.append((n_c, rng.binomial(n_c, 0.1), n_s, rng.binomial(n_s, 0.05)))
        together = Evidence.begin(0.02, shape)
        for window in windows:
            together = update(together, tick(*window))
        for at in itertools.product(*map(range, shape)):
            alone = after([tuple(int(part[at]) for part in window) for window in windows], 0.02)
            assert float(together.log_harm[at]) == pytest.approx(float(alone.log_harm), rel=1e-9, abs=1e-12)
            assert float(together.log_safe[at]) == pytest.approx(float(alone.log_safe), rel=1e-9, abs=1e-12)

    def test_bins_in_another_order_are_the_same_evidence_in_another_order(self):
        rng = np.random.default_rng(5)
        order = rng.permutation(4)
        plain, mixed = Evidence.begin(0.05, (2, 4)), Evidence.begin(0.05, (2, 4))
        for _ in range(5):
            ours, theirs = rng.multinomial(40, [0.1, 0.2, 0.3, 0.4]), rng.multinomial(400, [0.25] * 4)
            plain, mixed = update(plain, tick_of(ours, theirs)), update(mixed, tick_of(ours[order], theirs[order]))
        assert mixed.log_harm == pytest.approx(plain.log_harm[:, order])
        assert mixed.log_safe == pytest.approx(plain.log_safe[:, order])

    @pytest.mark.parametrize("margin", [0.0, 1.0, -0.01, 5.0, float("nan")])
    def test_a_margin_must_be_a_share(self, margin):
        with pytest.raises(ValueError, match=r"write 1% as 0\.01"):
            Evidence.begin(margin)


def outcomes(n_c: int, n_s: int) -> tuple[np.ndarray, np.ndarray]:
    x_c, x_s = np.meshgrid(np.arange(n_c + 1), np.arange(n_s + 1))
    return x_c.ravel(), x_s.ravel()


class TestValidity:
    @pytest.mark.parametrize("margin", [0.02, 0.2], ids="margin {}".format)
    @pytest.mark.parametrize("n", [(2, 3), (1, 6), (4, 1)], ids=str)
    def test_whatever_has_come_before_the_next_window_does_not_gain_on_average(self, n, margin):
        """Every outcome of three windows, after a first one that is given: a supermartingale, not only E[E] ≤ 1."""
        x_c, x_s = outcomes(*n)
        evidence = after([(20, 2, 60, 5)], margin)
        evidence = Evidence(
            margin,
            *(np.asarray(values)[np.newaxis] for values in (evidence.harm, evidence.safe)),
            Counts(np.array([20]), np.array([2])),
            Counts(np.array([60]), np.array([5])),
        )
        truths = {
            "harm": [(base + margin, base) for base in (0.001, 0.05, 0.3, 0.7)] + [(0.05, 0.2), (0.0, 0.0)],
            "safe": [(base + margin, base) for base in (0.0, 0.001, 0.05, 0.3, 0.7)] + [(0.9, 0.1), (1.0, 0.5)],
        }
        for _ in range(3):
            following = update(spread(evidence, len(x_c)), tick(n[0], x_c, n[1], x_s))
            for process, points in truths.items():
                gain = np.exp(getattr(following, f"log_{process}") - getattr(evidence, f"log_{process}")[:, np.newaxis])
                for theta_c, theta_s in points:
                    weights = binom.pmf(x_c, n[0], theta_c) * binom.pmf(x_s, n[1], theta_s)
                    assert (gain @ weights).max() <= 1 + 1e-9
            evidence = flat(following)

    @pytest.mark.parametrize("base", [0.001, 0.02, 0.3])
    def test_false_alarms_at_the_margin_stay_below_the_rate_at_every_look(self, base):
        """Ville's inequality on 2,000 runs with small windows, the truth on the boundary, and the base drifting."""
        runs, margin = 2000, 0.05
        rng = np.random.default_rng(2106)
        evidence = Evidence.begin(margin, (runs,))
        highest_harm, highest_safe = np.zeros(runs), np.zeros(runs)
        for look in range(60):
            share = base * (1 + 0.5 * np.sin(look / 10))
            n_c, n_s = rng.poisson(6, runs), rng.poisson(30, runs)
            evidence = update(evidence, tick(n_c, rng.binomial(n_c, share + margin), n_s, rng.binomial(n_s, share)))
            highest_harm = np.maximum(highest_harm, evidence.log_harm)
            highest_safe = np.maximum(highest_safe, evidence.log_safe)
        for rate in (0.2, 0.05, 0.01):
            most = binom.isf(1e-4, runs, rate)
            assert (highest_harm >= np.log(1 / rate)).sum() <= most
            assert (highest_safe >= np.log(1 / rate)).sum() <= most

    def test_evidence_is_capped_from_above_and_never_raised_from_below(self):
        broken = after([(200, 200, 3800, 0)] * 260, 0.01)
        fine = after([(20_000, 10, 380_000, 190)] * 260, 0.05)
        assert float(broken.log_harm) <= CAP
        assert float(broken.harm.max()) == CAP
        assert float(broken.log_safe) < -300
        assert float(fine.log_safe) == CAP
        assert float(fine.log_harm) > -5

    def test_no_single_tick_decides_however_clear_it_seems(self):
        calm = after([(50, 1, 950, 19)] * 20, 0.01)
        burst = update(calm, tick(50, 50, 950, 0))
        assert float(burst.log_harm - calm.log_harm) <= 4
        assert float(burst.log_harm) < np.log(100)
        assert float(update(update(burst, tick(50, 50, 950, 0)), tick(50, 50, 950, 0)).log_harm) >= np.log(100)

    def test_bursts_on_one_pod_do_not_add_up_to_harm(self):
        """A fifth of the requests bad in 2 % of the looks, between good ones: the mean is well within the margin."""
        rng, runs = np.random.default_rng(6), 200
        evidence, highest = Evidence.begin(0.01, (runs,)), np.zeros(runs)
        for _ in range(240):
            share = np.where(rng.random(runs) < 0.02, 0.2, 0.02)
            evidence = update(evidence, tick(50, rng.binomial(50, share), 950, rng.binomial(950, 0.02, runs)))
            highest = np.maximum(highest, evidence.log_harm)
        assert (highest >= np.log(100)).mean() <= 0.05

    def test_extremes_stay_finite(self):
        for window in [(10**9, 10**9, 10**9, 0), (10**9, 0, 10**9, 10**9), (10**9, 0, 0, 0), (0, 0, 10**9, 10**9)]:
            evidence = after([(1, 0, 1, 0), window, window], 0.3)
            assert np.isfinite(evidence.harm).all()
            assert np.isfinite(evidence.safe).all()


def spread(evidence: Evidence, count: int) -> Evidence:
    """The same state `count` times, as a last axis."""
    return Evidence(
        evidence.margin,
        np.repeat(evidence.harm[:, np.newaxis], count, axis=1),
        np.repeat(evidence.safe[:, np.newaxis], count, axis=1),
        Counts(*(np.repeat(np.asarray(part)[:, np.newaxis], count, axis=1) for part in parts(evidence.candidate))),
        Counts(*(np.repeat(np.asarray(part)[:, np.newaxis], count, axis=1) for part in parts(evidence.stable))),
    )


def flat(evidence: Evidence) -> Evidence:
    return Evidence(
        evidence.margin,
        evidence.harm.reshape(-1, evidence.harm.shape[-1]),
        evidence.safe.ravel(),
        Counts(*(np.asarray(part).ravel() for part in parts(evidence.candidate))),
        Counts(*(np.asarray(part).ravel() for part in parts(evidence.stable))),
    )


def parts(counts: Counts) -> tuple[object, object]:
    return counts.requests, counts.bad


class TestPower:
    @pytest.mark.parametrize(
        ("base", "margin", "excess", "process", "published"),
        [
            pytest.param(0.01, 0.01, 0, "safe", 820, id="1 %, margin 1 %: identical is Safe"),
            pytest.param(0.01, 0.01, 5, "harm", 220, id="1 %, margin 1 %: five margins worse is Harmful"),
            pytest.param(0.1, 0.05, 0, "safe", 380, id="10 %, margin 5 %: identical is Safe"),
            pytest.param(0.1, 0.05, 3, "harm", 220, id="10 %, margin 5 %: three margins worse is Harmful"),
        ],
    )
    def test_the_operating_points_are_reached(self, base, margin, excess, process, published):
        runs, limit = 200, np.log({"harm": 100, "safe": 20}[process])
        rng = np.random.default_rng(1)
        evidence, needed = Evidence.begin(margin, (runs,)), np.full(runs, np.inf)
        while np.isinf(needed).mean() > 0.4:
            bad = rng.binomial(20, base + excess * margin, runs), rng.binomial(380, base, runs)
            evidence = update(evidence, tick(20, bad[0], 380, bad[1]))
            arrived = np.isinf(needed) & (getattr(evidence, f"log_{process}") >= limit)
            needed[arrived] = np.asarray(evidence.candidate.requests)[arrived]
        assert np.median(needed) <= 1.5 * published

    def test_harm_that_begins_after_ten_thousand_good_requests_is_found_within_two_thousand(self):
        rng = np.random.default_rng(3)
        evidence = Evidence.begin(0.01, (20,))
        for _ in range(50):
            evidence = update(evidence, tick(200, rng.binomial(200, 0.01, 20), 3800, rng.binomial(3800, 0.01, 20)))
        assert float(evidence.harm.max()) < 0
        for _ in range(10):
            evidence = update(evidence, tick(200, rng.binomial(200, 0.06, 20), 3800, rng.binomial(3800, 0.01, 20)))
        assert float(evidence.log_harm.min()) >= np.log(100)

    def test_a_bin_with_most_of_the_answers_is_watched_as_well_as_any(self):
        """A share above one half, in both directions."""
        rng = np.random.default_rng(4)
        evidence = Evidence.begin(0.05, (2, 2))
        for _ in range(100):
            evidence = update(evidence, tick_of(rng.multinomial(20, [0.8, 0.2]), rng.multinomial(380, [0.95, 0.05])))
        assert float(evidence.log_harm[1, 0]) >= np.log(400)
        assert float(evidence.log_harm[0, 1]) >= np.log(400)


class TestCounts:
    @pytest.mark.parametrize(
        ("requests", "bad", "told"),
        [
            pytest.param(5, 6, "same window", id="more bad ones than requests"),
            pytest.param(5, -1, "counter reset", id="less than none"),
            pytest.param(np.array([5, 5]), np.array([1, 6]), "same window", id="one of several streams"),
        ],
    )
    def test_impossible_counts_are_refused(self, requests, bad, told):
        with pytest.raises(ValueError, match=told):
            Counts(requests, bad)
