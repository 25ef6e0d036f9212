"""From what pods tell of labels to PerformanceDegraded: merged exactly, judged by whole windows, kept over restarts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import msgspec
import numpy as np
import orjson
import pytest

from modelway.api.monitoring_quality import Quality
from modelway.plan.measured import PodKey
from modelway.plan.monitoring import quality as judge
from modelway.plan.monitoring.quality_state import content_of, state_from
from modelway.server.feedback_counts import FeedbackCounts
from modelway.server.receipt import BINARY, VALUE, Prediction, Receipt, class_mark
from modelway.stats.quality_counts import KEPT

STABLE = "aaaaaaaa"
HOUR = timedelta(hours=1)
START = datetime(2026, 11, 22, tzinfo=UTC)
ACCURACY = Quality(metric="accuracy", min=0.9)


class Pod:
    """A pod that takes labels, as the server's own code counts them."""

    def __init__(self, name="one", window=3600.0) -> None:
        self.name, self.window = name, window
        self.restart("epoch-0")

    def restart(self, epoch):
        self.epoch = epoch
        self.counts = FeedbackCounts(self.window, ("no", "yes"))

    def label(self, predicted_at, *, right=0, wrong=0, after=timedelta(0), revision=STABLE, p=0.9):
        prediction = Prediction(BINARY, (class_mark("yes"),), (p,), class_mark("yes"))
        receipt = Receipt(revision, int(predicted_at.timestamp()), prediction)
        for label, times in (("yes", right), ("no", wrong)):
            for _ in range(times):
                self.counts.answered([receipt])
                self.counts.add(receipt, 0, (label, None), (predicted_at + after).timestamp())

    def reading(self, **told):
        document = {"format": 1, "window": self.window, "keys": 1, **self.counts.told()} | told
        wire = orjson.loads(msgspec.json.encode(document))
        return SimpleNamespace(
            quality=wire, epoch=self.epoch, of=SimpleNamespace(pod=PodKey(self.name, f"uid-{self.name}"))
        )


def taken(state, *pods, now, quality=ACCURACY, present=None, revision=STABLE):
    readings = [pod if isinstance(pod, SimpleNamespace) else pod.reading() for pod in pods]
    uids = {reading.of.pod.uid for reading in readings} if present is None else present
    return judge.taken(state, readings, quality, revision=revision, present=uids, now=now)


def said(state, now, quality=ACCURACY):
    holds, reason, _ = judge.verdict(state, quality, now)
    return holds, str(reason)


def after_hours(*parts, quality=ACCURACY, pod=None):
    """The state, and the moment, after hours in each of which (right, wrong) labels came; read after each."""
    pod = pod or Pod()
    state, now = None, START
    for right, wrong in parts:
        pod.label(now + HOUR / 2, right=right, wrong=wrong)
        now += HOUR
        state = taken(state, pod, now=now, quality=quality)
    return state, now


GOOD, BAD, EDGE = (190, 10), (150, 50), (179, 21)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ([], (None, "NotYetMeasured")),
        ([(0, 0)], (None, "NoLabels")),
        ([(100, 50)], (None, "TooFewLabels")),
        ([GOOD], (False, "AsExpected")),
        ([BAD], (None, "TooFewLabels")),
        ([BAD, BAD], (True, "BeyondLimit")),
        ([GOOD, BAD], (False, "AsExpected")),
        ([GOOD, BAD, BAD], (True, "BeyondLimit")),
        ([GOOD, EDGE, EDGE], (False, "AsExpected")),
        ([BAD, BAD, EDGE, EDGE], (True, "BeyondLimit")),
        ([BAD, BAD, GOOD], (True, "BeyondLimit")),
        ([BAD, BAD, GOOD, GOOD], (False, "AsExpected")),
        ([BAD, BAD, (0, 0), (0, 0)], (True, "BeyondLimit")),
        ([(75, 25)] * 4, (True, "BeyondLimit")),
        ([(20, 5)] * 7, (None, "TooFewLabels")),
    ],
    ids=[
        "nothing", "no-labels", "few", "good", "one-bad", "bad", "good-then-one-bad", "good-then-bad",
        "below-but-not-for-certain", "bad-then-uncertain", "one-good-does-not-end-it", "good-ends-it",
        "silence-ends-nothing", "small-windows-together", "too-small-together",
    ],
)  # fmt: skip
def test_it_degrades_and_recovers_by_groups_in_a_row(hours, expected):
    state, now = after_hours(*hours) if hours else (None, START)
    assert said(state, now) == expected


def test_a_metric_that_should_be_low_has_a_most():
    pod, now = Pod(), START
    asked = Quality(metric="mae", max=1.0)
    rng = np.random.default_rng(4)
    state = None
    for hour, size in enumerate((0.5, 0.5, 3.0, 3.0)):
        when = START + hour * HOUR
        for error in rng.exponential(size, 300).tolist():
            receipt = Receipt(STABLE, int(when.timestamp()), Prediction(VALUE, (), (error,)))
            pod.counts.add(receipt, 0, (None, 0.0), when.timestamp())
        now = when + HOUR
        state = taken(state, pod, now=now, quality=asked)
        if hour == 1:
            assert said(state, now, asked) == (False, "AsExpected")
    assert said(state, now, asked) == (True, "BeyondLimit")
    assert judge.verdict(state, asked, now)[2] == "mae is beyond its limit, max 1, as labels show"


def test_the_class_of_a_metric_is_named():
    asked = Quality(metric="precision", label="yes", min=0.9)
    state, now = after_hours(BAD, BAD, quality=asked)
    assert judge.verdict(state, asked, now)[2] == 'precision of "yes" is beyond its limit, min 0.9, as labels show'


def test_a_window_is_judged_when_it_is_over():
    pod = Pod()
    pod.label(START, right=150, wrong=50)
    pod.label(START + HOUR, right=150, wrong=50)
    almost, over = START + 2 * HOUR - timedelta(seconds=1), START + 2 * HOUR
    assert said(taken(None, pod, now=almost), almost) == (None, "TooFewLabels")
    assert said(taken(None, pod, now=over), over) == (True, "BeyondLimit")


def test_labels_are_waited_for_and_later_ones_do_not_count():
    asked = Quality(metric="accuracy", min=0.9, label_delay="4h", windows=1)
    pod = Pod()
    pod.label(START, right=200, after=HOUR)
    pod.label(START, wrong=200, after=9 * HOUR)
    early, late = START + 4 * HOUR, START + 10 * HOUR
    assert said(taken(None, pod, now=early, quality=asked), early, asked) == (None, "TooFewLabels")
    assert said(taken(None, pod, now=late, quality=asked), late, asked) == (False, "AsExpected")
    patient = asked.model_copy(update={"label_delay": None})
    assert said(taken(None, pod, now=late, quality=patient), late, patient) == (True, "BeyondLimit")


def test_only_predictions_of_the_revision_that_serves_are_judged():
    pod = Pod()
    for hour in range(2):
        pod.label(START + hour * HOUR, wrong=300, revision="bbbbbbbb")
        pod.label(START + hour * HOUR, right=200)
    now = START + 2 * HOUR
    assert said(taken(None, pod, now=now), now) == (False, "AsExpected")
    assert said(taken(None, pod, now=now, revision="bbbbbbbb"), now) == (True, "BeyondLimit")


def test_pods_are_merged_whatever_becomes_of_them():
    """Every label counts once: after a restart of a process, the end of a pod, missed rounds and operator restarts."""
    rng = np.random.default_rng(7)
    pods = {name: Pod(name) for name in ("a", "b", "c")}
    total = {}
    state, now = None, START
    for step in range(60):
        now = START + step * timedelta(minutes=20)
        for pod in pods.values():
            right, wrong = rng.integers(0, 5, 2).tolist()
            pod.label(now, right=right, wrong=wrong)
            window = int(now.timestamp() // 3600)
            counts = total.setdefault(window, [0, 0])
            counts[0] += right
            counts[1] += right + wrong
        missed = rng.random() < 0.3
        unread = list(pods)[step % 3] if missed else None
        read = [pod for name, pod in pods.items() if name != unread]
        state = taken(state, *read, now=now, present={f"uid-{name}" for name in pods})
        if rng.random() < 0.5:
            state = state_from(orjson.loads(orjson.dumps(content_of(state))))
        fate = rng.random()
        victim = read[0].name
        if fate < 0.1:
            pods[victim].restart(f"epoch-{step}")
        elif fate < 0.2:
            del pods[victim]
            pods[f"pod-{step}"] = Pod(f"pod-{step}")
    state = taken(state, *pods.values(), now=now)
    assert {window: list(one[4:]) for window, one in state.merged().items()} == {
        window: counts for window, counts in total.items() if counts[1]
    }


def test_a_reading_again_changes_nothing():
    pod = Pod()
    pod.label(START, right=10)
    once = taken(None, pod, now=START)
    assert taken(once, pod, now=START) == once
    assert taken(once, now=START, present={"uid-one"}) == once


def test_what_cannot_be_read_leaves_things_as_they_are():
    state, now = after_hours(GOOD)
    damaged = Pod().reading(labelled="nonsense")
    silent = Pod().reading()
    silent.quality = None
    other_width = Pod(window=60.0)
    for reading in (damaged, silent, other_width.reading(), Pod().reading(format=2)):
        assert taken(state, reading, now=now) == state


def test_old_windows_are_forgotten():
    pod = Pod()
    pod.label(START, right=10)
    first, now = taken(None, pod, now=START), START + KEPT * HOUR
    assert list(taken(first, pod, now=now - HOUR).merged()) == [START.timestamp() // 3600]
    assert taken(first, pod, now=now).merged() == {}


def test_another_question_begins_anew():
    state, now = after_hours(BAD, BAD)
    pod = Pod()
    asked = Quality(metric="recall", label="yes", min=0.1)
    found = taken(state, pod, now=now, quality=asked)
    assert (found.merged(), found.degraded) == ({}, None)


def test_pods_without_a_key_are_told():
    state = taken(None, Pod().reading(keys=0), now=START)
    assert said(state, START) == (None, "NoKeys")
    assert said(taken(state, Pod().reading(keys=1), now=START), START) == (None, "NoLabels")


def test_figures_are_told_with_their_interval_and_stay_while_they_say_the_same():
    state, now = after_hours((180, 20), (180, 20))
    told = judge.status_of(state, ACCURACY, now, None)
    assert (told.metric, told.value, told.low, told.high) == ("accuracy", "0.9", "0.867", "0.926")
    state, now = after_hours((178, 22), (181, 19))
    assert judge.status_of(state, ACCURACY, now, told) == told
    state, now = after_hours((175, 25), (175, 25))
    uncertain = judge.status_of(state, ACCURACY, now, None)
    assert (uncertain.value, uncertain.high) == ("0.875", "0.904")
    state, now = after_hours((173, 27), (173, 27))
    assert judge.status_of(state, ACCURACY, now, uncertain).high == "0.895"  # it is now surely below
    state, now = after_hours(BAD, BAD)
    assert judge.status_of(state, ACCURACY, now, told).value == "0.75"


def test_without_enough_labels_the_accuracy_is_estimated_and_called_so():
    state, now = after_hours((5, 0))
    told = judge.status_of(state, ACCURACY, now, None)
    assert (told.value, told.estimated_accuracy) == (None, "0.90")
    pod = Pod()
    pod.label(START, right=5, p=0.89)
    nearly = taken(None, pod, now=now)
    assert judge.status_of(nearly, ACCURACY, now, told) == told
    assert judge.status_of(None, ACCURACY, now, None).estimated_accuracy is None


@pytest.mark.parametrize("metric", ["accuracy", "logLoss", "auc"])
def test_the_written_form_of_a_hundred_labels_an_hour_is_less_than_80_kb(metric):
    rng, pods = np.random.default_rng(1), (Pod("a"), Pod("b"))
    for hour in range(KEPT):
        for n in range(100):
            pods[n % 2].label(START + hour * HOUR, right=int(n >= 10), wrong=int(n < 10), p=rng.random())
    asked = Quality(metric=metric, max=0.5) if metric == "logLoss" else Quality(metric=metric, min=0.5)
    written = content_of(taken(None, *pods, now=START + (KEPT - 1) * HOUR, quality=asked))
    assert len(written["live"]["uid-a"][1]) == KEPT
    assert len(orjson.dumps(written)) < 80_000


def test_the_written_form_is_bounded():
    state = taken(None, *(Pod(str(number)) for number in range(3)), now=START)
    crowded = {f"uid-{n}": ("epoch", dict.fromkeys(range(10), (10**9,) * 200)) for n in range(20)}
    written = content_of(replace(state, live=crowded, degraded=True))
    assert len(orjson.dumps(written)) < 200_000
    assert state_from(written).degraded is True


@pytest.mark.parametrize("plain", [None, {}, [], {"of": "x", "seconds": "y"}])
def test_what_is_no_written_form_is_none(plain):
    assert state_from(plain) is None
