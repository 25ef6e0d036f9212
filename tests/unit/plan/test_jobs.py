"""What a Kubernetes Job says of itself."""

import pytest

from modelway.plan.jobs import end_of, indexes


def condition(kind, status="True"):
    return {"type": kind, "status": status}


@pytest.mark.parametrize(
    ("status", "result"),
    [
        ({}, None),
        ({"conditions": [condition("Suspended"), condition("SuccessCriteriaMet")]}, None),
        ({"conditions": [condition("Failed", "False"), condition("Complete", "Unknown")]}, None),
        ({"conditions": [condition("SuccessCriteriaMet"), condition("Complete")]}, "Succeeded"),
        ({"conditions": [condition("FailureTarget"), condition("Failed")]}, "Failed"),
    ],
    ids=["new", "about-to-end", "not-so", "complete", "failed"],
)
def test_a_job_has_ended_by_the_condition_that_says_so(status, result):
    ended = end_of({"status": status})
    assert (ended and ended.result) == result
    assert ended is None or ended.condition == status["conditions"][-1]


@pytest.mark.parametrize(("text", "numbers"), [("", []), ("7", [7]), ("1,3-5,9", [1, 3, 4, 5, 9]), ("0-1", [0, 1])])
def test_shards_are_listed_as_spans(text, numbers):
    assert list(indexes(text)) == numbers
