"""How long it will take: against simulated walks and simulated rollouts."""

import math
from typing import Any

import numpy as np
import pytest

from modelway.stats import Counts, Evidence, Forecast, Rates, Tick, Traffic, Verdict, forecast, tick_of, update
from modelway.stats.passage import chance_of_reaching

RATES = Rates(false_rollback=0.01, false_promotion=0.05)
TRAFFIC = Traffic(candidate=2.0, stable=38.0)
HOUR = 3600.0


def seen(candidate: tuple[Any, Any], stable: tuple[Any, Any], margin: float = 0.01, ticks: int = 1) -> Evidence:
    evidence = Evidence.begin(margin, np.shape(candidate[0]))
    for _ in range(ticks):
        evidence = update(evidence, Tick(Counts(*candidate), Counts(*stable)))
    return evidence


def expected(evidence: Evidence, traffic: Traffic = TRAFFIC, seconds_left: float = HOUR) -> Forecast:
    found = forecast(evidence, RATES, traffic, seconds_left=seconds_left)
    assert found is not None
    return found


class TestPassage:
    @pytest.mark.parametrize(("drift", "steps"), [(0.05, 400), (-0.02, 400), (0.0, 400)], ids=str)
    def test_it_is_the_share_of_simulated_walks(self, drift, steps):
        rng, level, deviation = np.random.default_rng(21), 6.0, 0.4
        walks = rng.normal(drift, deviation, (2500, steps)).cumsum(axis=1)
        # Brownian motion is watched between the steps, too: the usual correction for that
        share = (walks.max(axis=1) >= level - 0.5826 * deviation).mean()
        chance = chance_of_reaching(np.array(level), np.array(drift), np.array(deviation**2), steps)
        assert float(chance) == pytest.approx(share, abs=0.03)

    def test_it_rises_with_the_steps_to_its_limit(self):
        args = (np.array(3.0), np.array(-0.01), np.array(0.02))
        chances = [float(chance_of_reaching(*args, steps)) for steps in (1, 10, 1e2, 1e4, 1e8, math.inf)]
        assert chances == sorted(chances)
        assert chances[-1] == pytest.approx(math.exp(-2 * 0.01 * 3 / 0.02))

    @pytest.mark.parametrize("level", [1e-3, 1.0, 1e3])
    @pytest.mark.parametrize("drift", [-1e3, -1e-9, 0.0, 1e-9, 1e3])
    @pytest.mark.parametrize("variance", [1e-12, 1.0, 1e6])
    def test_it_is_a_chance_at_any_size(self, level, drift, variance):
        for steps in (1e-3, 1.0, 1e9):
            chance = float(chance_of_reaching(np.array(level), np.array(drift), np.array(variance), steps))
            assert 0 <= chance <= 1

    def test_a_level_that_was_reached_is_reached(self):
        assert float(chance_of_reaching(np.array(0.0), np.array(-1.0), np.array(1.0), 1)) == 1


class TestForecast:
    def test_nothing_is_foretold_before_the_stable_arm_is_known(self):
        assert forecast(Evidence.begin(0.01), RATES, TRAFFIC, seconds_left=HOUR) is None

    def test_nothing_is_foretold_without_stable_requests_to_compare_with(self):
        assert forecast(seen((20, 0), (380, 4)), RATES, Traffic(2.0, 0.0), seconds_left=HOUR) is None

    def test_before_the_candidate_has_had_a_request_it_is_thought_to_be_alike(self):
        found = expected(seen((0, 0), (3800, 38)))
        assert found.verdict is Verdict.SAFE
        assert 820 / 2 <= found.requests <= 820 * 2
        assert found.seconds == pytest.approx(found.requests / 2.0, rel=0.01)

    def test_a_bad_candidate_is_foretold_to_be_harmful_and_futile(self):
        found = expected(seen((20, 2), (380, 4), ticks=6))
        assert found.verdict is Verdict.HARMFUL
        assert found.is_futile
        assert found.requests < 500

    def test_a_decision_that_has_come_takes_no_more_requests(self):
        found = expected(seen((20, 0), (380, 4), ticks=100))
        assert (found.verdict, found.requests, found.chance_of_safe) == (Verdict.SAFE, 0, 1.0)

    def test_less_time_is_less_chance(self):
        evidence = seen((20, 0), (380, 4), ticks=5)
        chances = [expected(evidence, seconds_left=seconds).chance_of_safe for seconds in (0, 60, 600, HOUR, math.inf)]
        assert chances == sorted(chances)
        assert chances[0] == 0
        assert expected(evidence, seconds_left=10).is_futile
        assert not expected(evidence, seconds_left=HOUR).is_futile

    def test_more_traffic_is_less_time(self):
        evidence = seen((20, 0), (380, 4), ticks=5)
        slow, fast = expected(evidence), expected(evidence, Traffic(200.0, 3800.0))
        assert fast.requests == slow.requests
        assert fast.seconds == pytest.approx(slow.seconds / 100, rel=0.01)

    def test_without_candidate_requests_there_is_a_number_but_no_time(self):
        found = expected(seen((20, 0), (380, 4), ticks=5), Traffic(0.0, 38.0))
        assert found.seconds is None
        assert found.requests > 0
        assert found.is_futile

    def test_a_tiny_margin_at_little_traffic_is_futile_within_an_hour(self):
        assert expected(seen((2, 0), (38, 1), margin=0.001, ticks=20), Traffic(0.02, 0.38)).is_futile

    def test_of_many_streams_the_slowest_is_told(self):
        evidence = Evidence.begin(0.05, (2, 3))
        for _ in range(3):
            evidence = update(evidence, tick_of([4, 8, 8], [76, 152, 152]))
        found = expected(evidence)
        assert found.verdict is Verdict.SAFE
        assert found.requests > expected(seen((20, 4), (380, 76), margin=0.05, ticks=3)).requests / 2

    def test_the_forecast_made_on_the_way_is_right_within_a_factor_of_two_in_the_middle(self):
        """Identical arms, forecast after 100 candidate requests: against the median of 200 rollouts from that point."""
        rng, runs = np.random.default_rng(31), 200
        told = expected(seen((50, 1), (950, 19), margin=0.02, ticks=2))
        every = np.zeros(runs, dtype=int)
        evidence, needed = (
            seen((every + 50, every + 1), (every + 950, every + 19), margin=0.02, ticks=2),
            np.full(runs, np.inf),
        )
        for look in range(1, 100):
            tick = Tick(Counts(20, rng.binomial(20, 0.02, runs)), Counts(380, rng.binomial(380, 0.02, runs)))
            evidence = update(evidence, tick)
            needed[np.isinf(needed) & (evidence.log_safe >= math.log(20))] = 20 * look
        assert np.median(needed) / 2 <= told.requests <= np.median(needed) * 2
