"""Pairs of answers to one mirrored request: found once each, whoever reads when, and what they say."""

import math
from datetime import UTC, datetime
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.plan.measured import PodKey, ServerReading
from modelway.plan.rollout.answers import Bins
from modelway.plan.rollout.pairing import Answer, Paired, join, judge_answers, with_pairs
from modelway.stats import Evidence, Rates, Verdict, update
from modelway.stats.bins import streams, tick_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RATES = Rates(0.01, 0.05)


def reading(revision, pairs, *, before=0, pod="1", epoch="e1"):
    """Of one pod; `pairs` are (id, label, score)."""
    key = PodKey(f"{revision}-{pod}", f"uid-{revision}-{pod}")
    return ServerReading(key, NOW, epoch, revision, {}, tuple(pairs), before)


def joined(marks, *readings):
    return join(marks, readings, candidate="new", stable="old")


def answers(number, label="yes", score=None):
    return [(f"id{n}", label, score) for n in range(number)]


def test_answers_to_one_request_are_a_pair():
    ours, theirs = reading("new", [("a", "yes", 0.9)]), reading("old", [("b", "no", 0.1), ("a", "no", 0.2)])
    _, pairs = joined({}, ours, theirs)
    assert pairs == [(Answer("yes", 0.9), Answer("no", 0.2))]


def test_a_pair_is_found_once_however_often_it_is_read():
    readings = reading("new", answers(3)), reading("old", answers(3))
    marks, pairs = joined({}, *readings)
    assert len(pairs) == 3
    assert joined(marks, *readings)[1] == []


@pytest.mark.parametrize("late", ["new", "old"])
def test_the_slower_answer_of_a_pair_may_come_at_a_later_look(late):
    early = "old" if late == "new" else "new"
    marks, pairs = joined({}, reading(early, answers(3)), reading(late, answers(1)))
    assert len(pairs) == 1
    marks, pairs = joined(marks, reading(early, answers(3)), reading(late, answers(3)))
    assert len(pairs) == 2
    assert joined(marks, reading(early, answers(3)), reading(late, answers(3)))[1] == []


def test_a_ring_that_has_gone_on_counts_what_is_new_in_it():
    marks, _ = joined({}, reading("new", answers(4)), reading("old", answers(4)))
    fresh = [("x", "yes", None)]
    pairs = joined(
        marks, reading("new", answers(4)[2:] + fresh, before=2), reading("old", answers(4)[3:] + fresh, before=3)
    )[1]
    assert len(pairs) == 1


def test_a_process_that_has_started_again_begins_at_none():
    marks, _ = joined({}, reading("new", answers(4)), reading("old", answers(4)))
    fresh = [("x", "yes", None)]
    old = reading("old", answers(4) + fresh)
    assert len(joined(marks, reading("new", fresh, epoch="e2"), old)[1]) == 1


def test_a_pod_that_is_away_for_a_look_loses_none_that_its_ring_still_has():
    marks, pairs = joined({}, reading("old", answers(3)))
    assert pairs == []
    assert len(joined(marks, reading("new", answers(3)), reading("old", answers(3)))[1]) == 3


def test_an_id_that_came_twice_is_no_pair():
    twice = [("a", "yes", None), ("a", "no", None)]
    assert joined({}, reading("new", twice), reading("old", twice[:1]))[1] == []


def test_pods_of_other_revisions_are_let_be():
    assert joined({}, reading("new", answers(1)), reading("other", answers(1)))[1] == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["new", "old"]), st.sampled_from("12"), st.integers(0, 30), st.booleans()),
        max_size=60,
    )
)
def test_no_pair_counts_twice_whatever_is_answered_and_read(events):
    """Two pods of each arm answer; each event is an answer, and maybe a look at which one pod is silent."""
    rings = {(arm, pod): [] for arm in ("new", "old") for pod in "12"}
    marks, counted, seen = {}, [], set()
    for arm, pod, number, looks in events:
        if (arm, number) not in seen:
            seen.add((arm, number))
            rings[arm, pod].append((f"id{number}", f"class {number}", None))
        if looks:
            found = [
                reading(one, ring[-5:], before=max(0, len(ring) - 5), pod=of)
                for (one, of), ring in rings.items()
                if (one, of) != (arm, pod) or number % 2
            ]
            marks, pairs = joined(marks, *found)
            counted += [ours.label for ours, _ in pairs]
    assert len(counted) == len(set(counted))
    assert set(counted) <= {f"class {n}" for of, n in seen if ("old" if of == "new" else "new", n) in seen}


class TestDifferences:
    BINS = Bins((), (0, 100, 200, 300, 400, 500, 600, 700, 800, 900))

    def seen(self, ours, theirs, bins=None):
        return with_pairs(Paired.begin(0.1), [(Answer(*ours), Answer(*theirs))], bins)

    @pytest.mark.parametrize(
        ("ours", "theirs", "differs"),
        [
            ("yes", "yes", 0.0),
            ("yes", "no", 1.0),
            ("yes", "", 1.0),
            (f"#{crc32(b'yes'):08x}", "yes", 0.0),
            (f"#{crc32(b'no'):08x}", "yes", 1.0),
        ],
    )
    def test_classes_are_the_same_or_not(self, ours, theirs, differs):
        paired = self.seen((ours, None), (theirs, None))
        assert (paired.disagreement.pairs, paired.disagreement.mean) == (1, differs)
        assert not paired.shift.has_data

    @pytest.mark.parametrize(
        ("ours", "theirs", "shift"),
        [(0.5, 0.5, 0.0), (0.2, 0.20001, 0.0), (0.2, None, 1.0), (float("inf"), 0.2, 1.0), (-1.0, 1e9, 1.0)],
    )
    def test_scores_lie_apart_by_what_is_between_them(self, ours, theirs, shift):
        paired = self.seen(("", ours), ("", theirs), self.BINS)
        assert paired.shift.pairs == 1
        assert paired.shift.mean == pytest.approx(shift)
        assert not paired.disagreement.has_data

    def test_without_bins_of_scores_they_are_not_compared(self):
        assert not self.seen(("", 0.1), ("", 0.9)).shift.has_data


def paired_of(number, differing, margin=0.1, looks=10):
    """Evidence of so many pairs, of which so many differ, spread evenly, from looks of equal size."""
    differs = [n * differing // number < (n + 1) * differing // number for n in range(number)]
    pairs = [(Answer("yes", None), Answer("no" if one else "yes", None)) for one in differs]
    paired, size = Paired.begin(margin), math.ceil(number / looks)
    for start in range(0, number, size):
        paired = with_pairs(paired, pairs[start : start + size], None)
    return paired


def shares_of(number, *, moved=0.0):
    """Evidence of two classes after so many answers of each arm in ticks of 50."""
    evidence = Evidence.begin(0.1, streams(2))
    for _ in range(number // 50):
        ours = round(25 + 50 * moved)
        evidence = update(evidence, tick_of((ours, 50 - ours), (25, 25)))
    return evidence


class TestVerdict:
    def test_nothing_seen_is_no_data(self):
        assert judge_answers(None, None, RATES) is Verdict.NO_DATA

    def test_pairs_that_agree_are_safe_by_themselves(self):
        assert judge_answers(None, paired_of(200, 2), RATES) is Verdict.SAFE

    def test_pairs_that_differ_beyond_the_margin_are_harmful(self):
        assert judge_answers(shares_of(200), paired_of(400, 200), RATES) is Verdict.HARMFUL

    def test_the_shares_alone_can_be_safe_or_harmful(self):
        assert judge_answers(shares_of(2000), paired_of(3, 0), RATES) is Verdict.SAFE
        assert judge_answers(shares_of(2000, moved=0.4), paired_of(3, 0), RATES) is Verdict.HARMFUL

    def test_a_few_pairs_say_nothing_yet(self):
        assert judge_answers(None, paired_of(10, 0), RATES) is Verdict.CONTINUE

    def test_both_ways_to_safe_share_the_rate(self):
        """At a difference of exactly the margin, each way is wrong in at most half of 5 %."""
        random = np.random.default_rng(7)
        wrong = 0
        for _ in range(300):
            paired = Paired.begin(0.1)
            for _ in range(20):
                draws = random.random(50) < 0.1
                paired = with_pairs(
                    paired, [(Answer("a", None), Answer("b" if one else "a", None)) for one in draws], None
                )
                if judge_answers(None, paired, RATES) is Verdict.SAFE:
                    wrong += 1
                    break
        assert wrong <= 18, "2.5 % of 300 are 7.5; more than 18 have a chance of less than 1 in 1,000"

    def test_a_record_of_pairs_reads_as_it_was(self):
        paired = paired_of(50, 5)
        again = Paired.from_record(paired.to_record())
        assert again.to_record() == paired.to_record()
