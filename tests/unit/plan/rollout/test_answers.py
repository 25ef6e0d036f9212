"""Bins of the answers: made once, complete, and the same for both arms whatever the order of the counts."""

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.api.observations import LAST, MOST_CLASSES, OTHERS, bucket_bounds, bucket_of, other_of, value_key
from modelway.plan.rollout import answers
from modelway.plan.rollout.answers import Bins, fix_bins, merged, tick
from modelway.stats import bins as share_bins
from modelway.stats.evidence import Evidence, update

class_keys = st.text(max_size=4).map(lambda name: f"class:{name}") | st.integers(0, OTHERS - 1).map(
    lambda place: f"other:{place}"
)
value_keys = st.one_of(
    st.integers(-LAST, LAST).map(lambda bucket: f"value:{bucket}"),
    st.sampled_from(["value:nan", "value:inf", "value:-inf"]),
)
counted = st.dictionaries(class_keys | value_keys | st.just("none"), st.integers(0, 1000), max_size=60)


def scores(*values):
    return merged({value_key(value): 1} for value in values)


def family(counts, kind):
    return sum(count for key, count in counts.items() if key.startswith(kind))


@given(st.lists(counted, max_size=6), st.randoms())
def test_merging_adds_up_in_any_order(counts, chance: random.Random):
    shuffled = counts[:]
    chance.shuffle(shuffled)
    assert merged(counts) == merged(shuffled) == merged([merged(counts[:2]), merged(counts[2:])])
    assert sum(merged(counts).values()) == sum(sum(one.values()) for one in counts)


@given(counted, counted)
def test_every_answer_is_in_one_bin_of_its_family(stable, later):
    bins = fix_bins(stable, rows=1)
    if bins is None:
        return
    classes, values = bins.sizes
    counts = bins.counts(later)
    assert len(counts) == bins.size == len(bins.names())
    assert sum(counts[:classes]) == (family(later, ("class:", "other:")) if classes else 0)
    assert sum(counts[classes:]) == (family(later, "value:") if values else 0)


@given(counted, counted, counted)
def test_counts_of_bins_add_up_as_the_answers_do(stable, one, other):
    bins = fix_bins(stable, rows=1)
    if bins is not None:
        together = bins.counts(merged([one, other]))
        assert together == tuple(map(sum, zip(bins.counts(one), bins.counts(other), strict=True)))


@given(counted)
def test_bins_are_the_same_after_they_were_written(stable):
    bins = fix_bins(stable, rows=1)
    if bins is not None:
        assert Bins.from_record(json.loads(json.dumps(bins.to_record()))) == bins


@given(counted, st.randoms())
def test_bins_do_not_depend_on_the_order_of_the_counts(stable, chance: random.Random):
    items = list(stable.items())
    chance.shuffle(items)
    assert fix_bins(dict(items), rows=1) == fix_bins(stable, rows=1)


def test_there_are_no_bins_before_there_are_enough_answers():
    assert fix_bins({"class:a": 499, "none": 1000}) is None
    assert fix_bins({"class:a": 499, "class:b": 1}) == Bins(classes=("a", "b"), edges=())


def test_a_family_of_which_too_little_is_known_has_no_bins():
    bins = fix_bins({"class:a": 500, "value:3": 20})
    assert bins.sizes == (2, 0)


def test_classes_and_scores_both_count():
    stable = {"class:no": 900, "class:yes": 100} | {f"value:{bucket}": 10 for bucket in range(1000, 1100)}
    bins = fix_bins(stable)
    assert bins.names()[:3] == ('class "no"', 'class "yes"', "other classes")
    assert bins.sizes == (3, 13)
    assert bins.counts(stable)[:3] == (900, 100, 0)


def test_bins_of_scores_hold_about_a_tenth_each_and_what_never_came_is_apart():
    values = np.random.default_rng(1).normal(300.0, 40.0, 5000)
    stable = scores(*values)
    counts = fix_bins(stable).counts(stable)
    below, *inside, beyond, no_number = counts
    assert (below, beyond, no_number) == (0, 0, 0)
    assert 9 <= len(inside) <= 11
    assert all(400 <= count <= 700 for count in inside[:-1])


def test_answers_that_are_nearly_all_the_same_have_a_bin_of_their_own():
    stable = scores(*[0.0] * 600, *[1.0] * 300, *np.linspace(0.2, 0.8, 100))
    bins = fix_bins(stable)
    by_name = dict(zip(bins.names(), bins.counts(stable), strict=True))
    assert 600 in by_name.values()
    assert 300 in by_name.values()
    moved = bins.counts(scores(*[0.1] * 600))
    assert not set(np.flatnonzero(moved)) & {bins.counts(scores(0.0)).index(1), bins.counts(scores(1.0)).index(1)}


def test_a_model_that_always_answers_the_same_is_told_from_another():
    bins = fix_bins(scores(*[0.3] * 500))
    assert bins.counts(scores(0.3)) != bins.counts(scores(0.31)) != bins.counts(scores(0.29))
    assert bins.counts(scores(0.29)) != bins.counts(scores(0.3))


def test_rounding_moves_no_answer_to_another_bin():
    votes = [number / 100 for number in range(101) for _ in range(10)]
    bins = fix_bins(scores(*votes))
    converted = [float(np.float32(vote) * np.float32(1 - 1e-7)) for vote in votes]
    assert bins.counts(scores(*votes)) == bins.counts(scores(*converted))


def test_many_classes_share_a_bin():
    stable = {f"class:{number:02}": 1000 - number for number in range(40)}
    bins = fix_bins(stable)
    assert bins.classes == tuple(f"{number:02}" for number in range(answers.MOST_CLASSES))
    assert bins.counts(stable)[-1] == sum(1000 - number for number in range(answers.MOST_CLASSES, 40))


@pytest.mark.parametrize("told", [60, MOST_CLASSES])
def test_very_many_classes_are_compared_by_what_is_the_same_in_every_server(told):
    """Whichever classes a server tells apart by name, the bins count the same."""
    names = [f"city {number}" for number in range(140)]
    bins = fix_bins({f"class:{name}": 10 for name in names[:told]} | {"other:3": 10 * (told == MOST_CLASSES)})
    assert bins.classes is None
    one, other = (
        merged(
            [{f"class:{name}": 1} for name in order[:100]] + [{f"other:{other_of(name)}": 1} for name in order[100:]]
        )
        for order in (names, names[::-1])
    )
    assert one != other
    assert bins.counts(one) == bins.counts(other)


def test_a_window_has_the_totals_of_each_family():
    bins = Bins(classes=("a",), edges=(10, 20))
    window = tick(
        bins, bins.counts({"class:a": 3, "class:b": 1, "value:15": 7}), bins.counts({"class:a": 5, "value:30": 2})
    )
    grown, shrunk = share_bins.GROWN, share_bins.SHRUNK
    assert window.candidate.requests.tolist()[grown] == [4, 4, 7, 7, 7, 7]
    assert window.candidate.bad.tolist()[grown] == [3, 1, 0, 7, 0, 0]
    assert window.candidate.bad.tolist()[shrunk] == [1, 3, 7, 0, 7, 7]
    assert window.stable.requests.tolist()[grown] == [5, 5, 2, 2, 2, 2]
    evidence = update(Evidence.begin(0.1, share_bins.streams(bins.size)), window)
    assert evidence.log_harm.shape == (2, bins.size)


def test_counts_of_other_bins_are_refused():
    bins = Bins(classes=("a",), edges=())
    with pytest.raises(ValueError, match="3 counts, where there are 2 bins"):
        tick(bins, (1, 2, 3), (1, 2))
    with pytest.raises(ValueError, match="3 counts"):
        tick(bins, (1, 2), (1, 2, 3))


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"classes": ["a"]},
        {"classes": ["a"], "edges": None},
        {"classes": [1], "edges": []},
        {"classes": [], "edges": []},
        {"classes": [], "edges": [3, 3]},
        {"classes": [], "edges": [LAST + 1]},
        {"classes": [], "edges": ["x"]},
    ],
)
def test_a_record_that_nobody_wrote_is_refused(record):
    with pytest.raises(ValueError, match="begin again"):
        Bins.from_record(record)


def test_bins_are_named_for_people():
    bins = fix_bins(scores(*[0.5] * 500))
    low, high = bucket_bounds(bucket_of(0.5))
    assert bins.names() == (
        f"score below {low:.4g}",
        f"score {low:.4g} to {high:.4g}",
        f"score from {high:.4g}",
        "score not a number",
    )
