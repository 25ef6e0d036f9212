"""Slices of the predictions: each is judged by itself, and one that is bad is told although all together are good."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import msgspec
import orjson
import pytest

from modelway.api.monitoring_quality import Quality, Slice
from modelway.plan.measured import PodKey
from modelway.plan.monitoring import quality as judge
from modelway.plan.monitoring.quality_slices import sliced
from modelway.plan.monitoring.quality_state import content_of, state_from
from modelway.server.feedback_counts import FeedbackCounts
from modelway.server.receipt import BINARY, Prediction, Receipt, class_mark

STABLE = "aaaaaaaa"
HOUR = timedelta(hours=1)
START = datetime(2026, 11, 22, tzinfo=UTC)
COUNTRY = Slice(name="country", values=("DE", "FR"))
ASKED = Quality(metric="accuracy", min=0.8, min_labels=100, slices=(COUNTRY,))
GOOD, BAD, EDGE = (95, 5), (60, 40), (77, 23)


class Pod:
    """A pod that takes labels, as the server's own code counts them."""

    def __init__(self, name="one", epoch="e1") -> None:
        self.name, self.epoch = name, epoch
        self.counts = FeedbackCounts(3600.0, ("no", "yes"), {"country": ("DE", "FR")})

    def label(self, when, country, right, wrong):
        prediction = Prediction(BINARY, (class_mark("yes"),), (0.9,), class_mark("yes"))
        receipt = Receipt(STABLE, int(when.timestamp()), prediction)
        slices = {"country": country} if country else {}
        for label, times in (("yes", right), ("no", wrong)):
            for _ in range(times):
                self.counts.add(receipt, 0, (label, None), when.timestamp(), slices)

    def reading(self):
        document = {"format": 1, "window": 3600.0, "keys": 1, **self.counts.told()}
        wire = orjson.loads(msgspec.json.encode(document))
        pod = PodKey(self.name, f"uid-{self.name}")
        return SimpleNamespace(quality=wire, epoch=self.epoch, of=SimpleNamespace(pod=pod))


def taken(state, *pods, now, quality=ASKED):
    readings = [pod.reading() for pod in pods]
    uids = {reading.of.pod.uid for reading in readings}
    return judge.taken(state, readings, quality, revision=STABLE, present=uids, now=now)


def after_hours(*hours, quality=ASKED):
    """The state after hours, in each of which labels came: (right, wrong) by country."""
    pod, state, now = Pod(), None, START
    for by_country in hours:
        for country, (right, wrong) in by_country.items():
            pod.label(now + HOUR / 2, country, right, wrong)
        now += HOUR
        state = taken(state, pod, now=now, quality=quality)
    return state, now


def said(state, now, quality=ASKED, **options):
    holds, _, message = judge.verdict(state, quality, now, **options)
    return holds, message


def figures(state, now, quality=ASKED):
    return {(one.name, one.value): one.figure and one.figure.rows for one in sliced(state.slices, quality, now)}


def test_a_bad_slice_is_told_although_all_together_are_good():
    state, now = after_hours(*[{"DE": BAD, "FR": GOOD, "IT": (900, 100)}] * 2)
    assert state.degraded is False
    assert said(state, now) == (True, 'accuracy where country is "DE" is beyond its limit, min 0.8, as labels show')
    told = judge.status_of(state, ASKED, now, None)
    assert [(one.name, one.value, one.figure) for one in told.slices] == [("country", "DE", "0.6")]


def test_it_is_over_when_the_slice_is_good_again():
    bad, good = {"DE": BAD, "FR": (900, 100)}, {"DE": GOOD, "FR": (900, 100)}
    state, now = after_hours(bad, bad, good)
    assert said(state, now)[0] is True
    state, now = after_hours(bad, bad, good, good)
    assert said(state, now) == (
        False,
        "accuracy keeps its limit, min 0.8, as labels show, and so does each slice with enough of them",
    )


def test_values_that_are_not_named_are_one_slice():
    state, now = after_hours(*[{"IT": BAD, "ES": BAD, "DE": (900, 100)}] * 2)
    assert figures(state, now) == {("country", "DE"): 2000, ("country", "FR"): None, ("country", "OTHER"): 400}
    assert '"OTHER" is beyond' in said(state, now)[1]


def test_labels_without_the_name_are_in_no_slice():
    state, now = after_hours(*[{"": (300, 0), "DE": GOOD}] * 2)
    assert figures(state, now) == {("country", "DE"): 200, ("country", "FR"): None, ("country", "OTHER"): None}


def test_a_slice_with_few_labels_is_not_judged():
    state, now = after_hours(*[{"DE": (5, 20), "FR": GOOD}] * 2)
    assert said(state, now)[0] is False


def test_a_slice_has_a_limit_of_its_own():
    asked = ASKED.model_copy(update={"slices": (COUNTRY.model_copy(update={"min": 0.5}),)})
    hours = [{"DE": BAD, "FR": (900, 100)}] * 2
    assert said(*after_hours(*hours, quality=asked), quality=asked)[0] is False
    assert said(*after_hours(*hours))[0] is True


def test_of_many_slices_each_must_be_surer():
    """An interval that is beyond the limit for one slice is not, where there are three of them."""
    alone = [{"DE": (145, 55), "": (900, 100)}] * 2
    together = [{"DE": (145, 55), "FR": GOOD, "IT": GOOD, "": (900, 100)}] * 2
    strict = ASKED.model_copy(update={"min": 0.77})
    assert said(*after_hours(*alone, quality=strict), quality=strict)[0] is True
    assert said(*after_hours(*together, quality=strict), quality=strict)[0] is False


def test_hidden_slices_are_told_by_their_place():
    state, now = after_hours(*[{"DE": GOOD, "FR": BAD, "": (900, 100)}] * 2)
    assert said(state, now, hide=True)[1] == (
        'accuracy where slice 1 is "value 2" is beyond its limit, min 0.8, as labels show'
    )
    (told,) = judge.status_of(state, ASKED, now, None, hide=True).slices
    assert (told.name, told.value) == ("slice 1", "value 2")


def test_a_figure_stays_while_it_says_the_same():
    state, now = after_hours(*[{"DE": BAD, "": (900, 100)}] * 2)
    first = judge.status_of(state, ASKED, now, None)
    state, now = after_hours(*[{"DE": (62, 38), "": (900, 100)}] * 2)
    assert judge.status_of(state, ASKED, now, first).slices == first.slices
    state, now = after_hours(*[{"DE": (30, 70), "": (900, 100)}] * 2)
    assert judge.status_of(state, ASKED, now, first).slices[0].figure == "0.3"


def test_pods_are_merged_and_what_those_that_are_gone_said_is_kept():
    one, two = Pod("one"), Pod("two")
    for hour in range(2):
        one.label(START + hour * HOUR, "DE", 50, 10)
        two.label(START + hour * HOUR, "DE", 40, 5)
    now = START + 2 * HOUR
    state = taken(taken(None, one, two, now=now), one, now=now)
    assert figures(state, now)["country", "DE"] == 210
    read = state_from(orjson.loads(orjson.dumps(content_of(state))))
    again = taken(read, one, now=now)
    assert figures(again, now)["country", "DE"] == 210
    assert {key: one.degraded for key, one in again.slices.items()} == {
        key: one.degraded for key, one in state.slices.items()
    }


def test_a_process_that_began_anew_loses_nothing_of_its_slices():
    pod = Pod()
    pod.label(START, "DE", 60, 60)
    state = taken(None, pod, now=START + HOUR)
    anew = Pod(epoch="e2")
    anew.label(START, "DE", 10, 10)
    assert figures(taken(state, anew, now=START + HOUR), START + HOUR)["country", "DE"] == 140


def test_what_is_written_of_slices_is_little():
    four = tuple(Slice(name=f"n{n}", values=tuple(f"v{v}" for v in range(20))) for n in range(4))
    asked = ASKED.model_copy(update={"slices": four})
    state = taken(None, Pod(), now=START, quality=asked)
    windows = dict.fromkeys(range(64), (10**9,) * 6)
    many = {key: one.__class__("x", 3600.0, windows, degraded=True) for key, one in state.slices.items()}
    written = content_of(state.__class__("x", 3600.0, slices=many))
    assert len(many) == 84
    assert len(orjson.dumps(written)) < 45_000
    assert all(one.degraded for one in state_from(written).slices.values())


@pytest.mark.parametrize("slices", [7, [[1]], [["a", 0, None, []]], {"a": 1}])
def test_what_is_no_written_form_of_slices_is_none(slices):
    state = taken(None, Pod(), now=START)
    assert state_from(content_of(state) | {"slices": slices}) is None
