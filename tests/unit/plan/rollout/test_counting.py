"""From cumulative counters to windows: nothing twice, nothing from uncertain times, nothing hidden by a restart."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.plan.rollout.counting import Reading, count
from modelway.plan.rollout.ledger import Mark
from support.builders import NOW


def reading(requests, *, at=10.0, pod="a", epoch="e1"):
    return Reading(pod, epoch, NOW + timedelta(seconds=at), {"arm": (requests, 0)})


def mark(requests, *, era=1, epoch="e1"):
    return Mark(epoch, era, NOW, {"arm": (requests, 0)})


@pytest.mark.parametrize(
    ("marks", "one", "era", "counted"),
    [
        ({"a": mark(5)}, reading(12), 1, 7),
        ({"a": mark(5)}, reading(5), 1, 0),
        ({}, reading(12), 1, 0),
        ({"a": mark(5)}, reading(12), None, 0),
        ({"a": mark(5, era=None)}, reading(12), 1, 0),
        ({"a": mark(5, era=1)}, reading(12), 2, 0),
        ({"a": mark(500)}, reading(12, epoch="e2"), 1, 12),
        ({"a": mark(500)}, reading(12), 1, 12),
        ({"a": mark(5)}, reading(12, at=0.0), 1, 0),
    ],
    ids=[
        "what was added",
        "nothing new",
        "a pod that was never read: what it did before is unknown",
        "the weights are not certain now",
        "they were not certain before",
        "they have changed in between",
        "the process has started again, and its count is not lost",
        "a cluster was taken out and put in again",
        "an old reading",
    ],
)
def test_a_window(marks, one, era, counted):
    _, window = count(marks, [one], era=era)
    assert window.arms.get("arm", (0, 0))[0] == counted


def test_a_reading_counts_once():
    marks, first = count({"a": mark(5)}, [reading(12)], era=1)
    assert first.arms == {"arm": (7, 0)}
    again, second = count(marks, [reading(12)], era=1)
    assert (again, second.arms) == (marks, {})


def test_an_uncertain_moment_spoils_the_windows_of_pods_that_did_not_answer_too():
    marks, _ = count({"a": mark(5), "b": mark(7)}, [reading(12)], era=None)
    later = [reading(20, at=20), reading(30, at=20, pod="b")]
    _, window = count(marks, later, era=1)
    assert window.arms == {}


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([1, 1, 1, None]), st.booleans()), max_size=30),
    st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_however_it_is_read_no_more_is_counted_than_there_was(steps, forgets):
    """The operator falls back to what it had written, a process starts again, weights are uncertain at times."""
    marks = written = {"a": mark(0)}
    real = counted = kept = total = 0
    epoch = 1
    for index, ((added, era, restarts), forget) in enumerate(zip(steps, forgets, strict=False)):
        if restarts:
            real, epoch = 0, epoch + 1
        real, total = real + added, total + added
        if forget:
            marks, counted = written, kept
        marks, window = count(marks, [reading(real, at=index + 1.0, epoch=f"e{epoch}")], era=era)
        counted += window.arms.get("arm", (0, 0))[0]
        if index % 3 == 0:
            written, kept = marks, counted
        assert counted <= total


def test_marks_are_never_changed():
    before = {"a": mark(5)}
    count(before, [reading(12)], era=1)
    assert before == {"a": replace(mark(5))}
