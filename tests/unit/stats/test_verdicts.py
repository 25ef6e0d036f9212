"""From evidence to a verdict, at the rates asked for."""

import math

import numpy as np
import pytest

from modelway.stats import Counts, Evidence, PairedEvidence, Rates, Tick, Verdict, judge, tick_of, update, update_pairs

RATES = Rates(false_rollback=0.01, false_promotion=0.05)


def with_logs(harm: float, safe: float, streams: int = 1) -> Evidence:
    """Evidence of known strength; the other streams are undecided for harm and proven safe."""
    some = Counts(np.full(streams, 100), np.zeros(streams, dtype=int))
    harms, safes = np.full((streams, 6), -50.0), np.full(streams, 50.0)
    harms[0], safes[0] = harm, safe
    return Evidence(0.01, harms, safes, some, some)


class TestJudge:
    @pytest.mark.parametrize(
        ("harm", "safe", "verdict"),
        [
            pytest.param(math.log(101), -3.0, Verdict.HARMFUL, id="harm reaches 1 over the false-rollback rate"),
            pytest.param(math.log(98), -3.0, Verdict.CONTINUE, id="harm just below"),
            pytest.param(-3.0, math.log(20.01), Verdict.SAFE, id="safe reaches 1 over the false-promotion rate"),
            pytest.param(-3.0, math.log(19.9), Verdict.CONTINUE, id="safe just below"),
            pytest.param(math.log(101), math.log(21), Verdict.HARMFUL, id="harm wins"),
        ],
    )
    def test_limits_are_those_of_the_rates(self, harm, safe, verdict):
        assert judge(with_logs(harm, safe), RATES) is verdict

    @pytest.mark.parametrize(
        ("candidate", "stable"), [(0, 0), (0, 1000), (1000, 0)], ids=["neither", "no candidate", "no stable"]
    )
    def test_without_requests_of_both_arms_there_is_no_data_whatever_the_evidence(self, candidate, stable):
        evidence = Evidence.begin(0.01)
        for _ in range(5):
            evidence = update(evidence, Tick(Counts(candidate, 0), Counts(stable, 0)))
        assert judge(evidence, RATES) is Verdict.NO_DATA

    def test_without_pairs_there_is_no_data(self):
        assert judge(PairedEvidence.begin(0.05), RATES) is Verdict.NO_DATA

    def test_checks_share_the_false_rollback_rate(self):
        evidence = with_logs(math.log(250), -3.0)
        assert judge(evidence, RATES) is Verdict.HARMFUL
        assert judge(evidence, Rates(0.01, 0.05, checks=3)) is Verdict.CONTINUE

    def test_streams_of_one_check_share_it_too(self):
        assert judge(with_logs(math.log(390), -3.0, streams=4), RATES) is Verdict.CONTINUE
        assert judge(with_logs(math.log(410), -3.0, streams=4), RATES) is Verdict.HARMFUL

    def test_the_false_promotion_rate_is_not_shared(self):
        assert judge(with_logs(-3.0, math.log(20.1), streams=40), Rates(0.01, 0.05, checks=5)) is Verdict.SAFE

    def test_one_stream_that_is_not_safe_keeps_the_check_from_being_safe(self):
        assert judge(with_logs(-3.0, 2.9, streams=40), RATES) is Verdict.CONTINUE

    def test_pairs_are_judged_by_the_same_rates(self):
        worse = better = PairedEvidence.begin(0.05)
        for _ in range(10):
            worse, better = update_pairs(worse, [1.0] * 10), update_pairs(better, [0.0] * 20)
        assert judge(worse, RATES) is Verdict.HARMFUL
        assert judge(better, RATES) is Verdict.SAFE

    def test_a_story_of_bins_comes_to_its_end(self):
        evidence = Evidence.begin(0.1, (2, 3))
        while judge(evidence, RATES) in {Verdict.NO_DATA, Verdict.CONTINUE}:
            evidence = update(evidence, tick_of([10, 5, 5], [100, 100, 180]))
        assert judge(evidence, RATES) is Verdict.HARMFUL


class TestRates:
    @pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 5.0, float("nan")])
    def test_a_rate_must_be_a_share(self, rate):
        with pytest.raises(ValueError, match="false_rollback"):
            Rates(rate, 0.05)
        with pytest.raises(ValueError, match="false_promotion"):
            Rates(0.05, rate)

    def test_there_must_be_a_check(self):
        with pytest.raises(ValueError, match="at least one check"):
            Rates(0.01, 0.05, checks=0)
