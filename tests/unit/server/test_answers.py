"""Counting answers in shared memory, and the answers that are remembered for comparison."""

import math
import os
from collections import Counter
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.api.observations import LONGEST_CLASS, MOST_CLASSES, PAIRS, other_of, value_key
from modelway.server.answers import UNTOLD, Answers
from modelway.server.observations import counted

LATER = 10.0
labels = st.one_of(st.none(), st.text(max_size=3), st.integers(-5, 5), st.sampled_from(["x" * 65, b"bytes", "ü" * 40]))
scores = st.one_of(st.none(), st.floats(width=32))


def seen(label=None, score=None):
    return label, score


def hash_of(identity):
    return sha256(identity).hexdigest()[:16]


def paired(answers, now=LATER):
    return [(pair.request, pair.label, pair.score) for pair in answers.pairs(now=now).pairs]


@pytest.fixture
def answers():
    return Answers(workers=2)


def test_counts_of_all_workers_are_added(answers):
    first, second = answers.regions()
    first.count(seen("no", 0.25))
    second.count(seen("yes", 0.75))  # which is the first class that it meets
    second.count(seen("no", 0.25))
    assert counted(answers.regions()) == {"class:no": 2, "class:yes": 1, value_key(0.25): 2, value_key(0.75): 1}


def test_what_is_no_number_is_counted_apart(answers):
    region = answers.region(0)
    for score in (math.nan, math.inf, -math.inf, 1e300):
        region.count(seen(score=score))
    assert counted([region]) == {"value:nan": 1, "value:inf": 1, "value:-inf": 1, value_key(1e300): 1}


def test_an_answer_without_class_and_score_is_counted_as_none(answers):
    answers.region(1).count(seen())
    assert counted(answers.regions()) == {"none": 1}


def test_labels_that_read_the_same_are_one_class(answers):
    region = answers.region(0)
    for label in ("1", 1, b"1", math.nan, math.nan, "nan"):
        region.count(seen(label))
    assert counted([region]) == {"class:1": 3, "class:nan": 3}


def test_classes_beyond_those_that_are_told_apart_are_counted_by_group(answers):
    region = answers.region(0)
    for number in range(MOST_CLASSES + 40):
        region.count(seen(f"city {number}"))
    region.count(seen("city 3"))
    found = counted([region])
    groups = Counter(f"other:{other_of(f'city {number}')}" for number in range(MOST_CLASSES, MOST_CLASSES + 40))
    assert {key: count for key, count in found.items() if key.startswith("other:")} == groups
    assert found["class:city 3"] == 2
    assert sum(found.values()) == MOST_CLASSES + 41


def test_long_texts_are_never_told(answers):
    region = answers.region(0)
    region.count(seen("a" * LONGEST_CLASS))
    region.count(seen("b" * (LONGEST_CLASS + 1)), b"id", now=0)
    assert set(counted([region])) == {f"class:{'a' * LONGEST_CLASS}", f"other:{other_of('b' * (LONGEST_CLASS + 1))}"}
    assert b"b" * 20 not in bytes(answers._memory)


def test_texts_that_are_no_unicode_are_counted(answers):
    region = answers.region(0)
    for label in (b"\xff\xfe", "\ud800", "\ud800" * 70):
        region.count(seen(label))
    assert sum(counted([region]).values()) == 3


def test_what_a_worker_counted_outlives_it(answers):
    answers.region(1).count(seen("no"))
    answers.region(1).count(seen("yes"))
    successor = answers.region(1)
    successor.count(seen("yes"))
    successor.count(seen("maybe"))
    assert counted(answers.regions()) == {"class:no": 1, "class:yes": 2, "class:maybe": 1}


def test_another_process_counts_in_the_same_memory(answers):
    pid = os.fork()
    if pid == 0:
        answers.region(1).count(seen("theirs", 0.5), b"id", now=1.0)
        os._exit(0)
    os.waitpid(pid, 0)
    assert counted(answers.regions()) == {"class:theirs": 1, value_key(0.5): 1}
    assert paired(answers) == [(hash_of(b"id"), "theirs", 0.5)]


def test_each_start_has_an_epoch_of_its_own(answers):
    assert answers.epoch != Answers().epoch


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2), labels, scores), max_size=200))
def test_no_answer_is_lost_nor_counted_twice(given_answers):
    shared = Answers(workers=3)
    regions = shared.regions()
    for worker, label, score in given_answers:
        regions[worker].count(seen(label, score))
    found = counted(shared.regions())
    by_family = Counter()
    for key, count in found.items():
        by_family[key.partition(":")[0]] += count
    assert by_family["class"] + by_family["other"] == sum(label is not None for _, label, _ in given_answers)
    assert by_family["value"] == sum(score is not None for _, _, score in given_answers)
    assert by_family["none"] == sum(label is None and score is None for _, label, score in given_answers)
    alone = Answers()
    for _, label, score in given_answers:
        alone.region(0).count(seen(label, score))
    assert counted(alone.regions()) == found


def test_metrics_tell_classes_by_name_and_the_rest_together(answers):
    answers.region(0).count(seen("a"))
    answers.region(1).count(seen("a"))
    answers.region(1).count(seen("b" * 100))
    assert answers.by_class() == {"a": 2, UNTOLD: 1}


# Pairs.


def test_remembered_answers_of_all_workers_come_in_their_order(answers):
    first, second = answers.regions()
    first.count(seen("a", 0.5), b"1", now=1.0)
    second.count(seen("b"), b"2", now=2.0)
    first.count(seen(None, 1.5), b"3", now=3.0)
    first.count(seen("not mirrored", 1.0))
    assert paired(answers) == [(hash_of(b"1"), "a", 0.5), (hash_of(b"2"), "b", None), (hash_of(b"3"), "", 1.5)]
    assert answers.pairs(now=LATER).before == 0


def test_a_class_that_is_not_told_is_remembered_by_a_checksum(answers):
    region = answers.region(0)
    for number, text in enumerate(("x" * 100, "y" * 100, "x" * 100)):
        region.count(seen(text), b"id%d" % number, now=number)
    one, other, same = (label for _, label, _ in paired(answers))
    assert one == same != other
    assert one.startswith("#")


def test_a_score_that_is_no_number_is_remembered_as_none(answers):
    answers.region(0).count(seen("a", math.nan), b"1", now=1.0)
    assert paired(answers) == [(hash_of(b"1"), "a", None)]


def test_answers_of_the_last_second_are_not_told_yet_so_that_their_order_is_final(answers):
    first, second = answers.regions()
    second.count(seen("b"), b"2", now=9.5)
    first.count(seen("a"), b"1", now=8.0)
    assert [label for _, label, _ in paired(answers, now=10.0)] == ["a"]
    assert answers.pairs(now=10.0).before == 0
    assert [label for _, label, _ in paired(answers, now=11.0)] == ["a", "b"]


def test_answers_whose_other_half_never_came_are_forgotten_but_counted(answers):
    for number in range(10):
        answers.region(0).count(seen(str(number)), b"%d" % number, now=100.0 * number)
    remembered = answers.pairs(now=905.0)
    assert [pair.label for pair in remembered.pairs] == ["8", "9"]
    assert remembered.before == 8


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=1, max_size=60), st.integers(1, 3))
def test_numbers_of_remembered_answers_never_change(workers, times):
    """Whoever has seen n of them finds the next one as number n, though rings run over at different times."""
    shared = Answers(workers=2)
    regions = shared.regions()
    order = []
    told = {}
    for turn in range(times):
        for place, worker in enumerate(workers * (PAIRS // len(workers) + 1)):
            now = turn * 20.0 + place * 1e-4
            identity = b"%d-%d" % (turn, place)
            regions[worker].count(seen(None, 1.0), identity, now=now)
            order.append(hash_of(identity))
        found = shared.pairs(now=turn * 20.0 + 10.0)
        assert len(found.pairs) <= PAIRS
        for number, pair in enumerate(found.pairs, start=found.before):
            assert order[number] == pair.request
            assert told.setdefault(number, pair.request) == pair.request
    assert found.before + len(found.pairs) == len(order)


def test_a_ring_that_ran_over_keeps_the_newest(answers):
    region = answers.region(0)
    for number in range(PAIRS + 10):
        region.count(seen(None, float(number)), b"%d" % number, now=1.0)
    found = answers.pairs(now=LATER)
    assert found.pairs[-1].score == PAIRS + 9
    assert len(found.pairs) == PAIRS - 1  # the oldest may be being written over
    assert found.before == 11
