"""The watch as text: what is read is what was written, and what is damaged is nothing."""

import base64
import zlib
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.api.observations import value_key
from modelway.plan.monitoring.answers import usual_answers
from modelway.plan.monitoring.counting import Mark, Window
from modelway.plan.monitoring.family import Family
from modelway.plan.monitoring.keeping import MOST_BYTES, content_of, watch_from
from modelway.plan.monitoring.packing import Held, packed, unpacked
from modelway.plan.monitoring.readings import Served
from modelway.plan.monitoring.watch import Watch
from support.builders import NOW

MARK = Mark("e1", "l1", Held.of(np.arange(800)), 7, 1, 2, {"class:yes": 3}, is_last=True)
LAST = Window(Held.of(np.arange(800)), 40, 1, 2, {"class:no": 7}, Served(40, 1, ((250, 39),)), 1)
WATCH = Watch(
    of="sha256:1", began_at=NOW, closed_at=NOW + timedelta(hours=1), layout="l1", marks={"uid-1": MARK}, last=LAST
)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=300))
def test_numbers_are_packed_exactly(numbers):
    array = np.array(numbers, dtype=np.int64)
    assert unpacked(packed(array), len(numbers)).tolist() == numbers


@pytest.mark.parametrize(
    "text",
    [
        packed(np.arange(4)),
        packed(np.arange(2**20)),
        "",
        "no base64: ü",
        base64.b64encode(b"no zlib").decode(),
        base64.b64encode(zlib.compress(b"x" * 24)[:-6]).decode(),
    ],
    ids=["too many", "far too many", "empty", "other letters", "no stream", "cut off"],
)
def test_other_numbers_are_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 each of several parts says it in its own words
        unpacked(text, 3)


def test_what_is_read_is_what_was_written():
    read = watch_from(content_of(WATCH))
    assert read is not None
    assert read.marks == WATCH.marks
    assert read.marks["uid-1"].inputs.all().tolist() == MARK.inputs.all().tolist()
    assert (read.last, read.last.inputs.all().tolist()) == (LAST, LAST.inputs.all().tolist())
    assert content_of(read) == content_of(WATCH)


def test_what_is_usual_for_scores_is_read_again():
    scores = np.random.default_rng(1).beta(2, 5, 5000).tolist()
    bins, features = usual_answers(Counter(map(value_key, scores)), rows=1000)
    watch = replace(WATCH, bins=bins, answers=Family.of(features))
    read = watch_from(content_of(watch))
    assert read is not None
    assert (read.bins, [one.counts for one in read.answers.usual]) == (bins, [one.counts for one in features])
    assert content_of(read) == content_of(watch)


def test_what_an_older_operator_wrote_has_no_last_window():
    plain = orjson.loads(content_of(WATCH))
    del plain["last"]
    read = watch_from(orjson.dumps(plain).decode())
    assert (read.last, read.marks) == (None, WATCH.marks)


@pytest.mark.parametrize("place", range(0, len(content_of(WATCH)), 37))
def test_what_is_cut_off_is_nothing(place):
    assert watch_from(content_of(WATCH)[:place]) is None


@pytest.mark.parametrize("field", sorted(orjson.loads(content_of(WATCH))))
@pytest.mark.parametrize("value", [7, "x", [1], {"a": 1}], ids=["number", "text", "list", "object"])
def test_a_field_that_is_something_else_raises_nothing(field, value):
    plain = orjson.loads(content_of(WATCH))
    read = watch_from(orjson.dumps(plain | {field: value}).decode())
    assert read is None or isinstance(read, Watch)


def test_another_format_is_nothing():
    assert watch_from(content_of(WATCH).replace('"format":2', '"format":1')) is None


def test_too_many_pods_leave_their_counters_out_and_count_from_the_last_round_on():
    rng = np.random.default_rng(1)
    marks = {f"uid-{n}": replace(MARK, inputs=Held.of(rng.integers(0, 10**6, 800))) for n in range(400)}
    content = content_of(replace(WATCH, marks=marks))
    assert len(content) < MOST_BYTES
    read = watch_from(content)
    assert read is not None
    assert (dict(read.marks), read.began_at) == ({}, WATCH.closed_at)
