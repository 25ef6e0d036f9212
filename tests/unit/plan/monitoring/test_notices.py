"""What a sink is told: each transition of a model's health once, as a CloudEvent, and nothing that status would hide."""

import json
import re

import pytest

from support.builders import NAME, UID, stamp
from support.retraining import Upkeep

SINK = {"sink": {"url": "http://events.example.com/in"}}
REQUIRED = {"specversion", "id", "source", "type"}


def told(upkeep, subject):
    return [one.event["data"]["status"] for one in upkeep.world.notices if one.event["subject"] == subject]


@pytest.fixture
def upkeep():
    return Upkeep(monitoring=SINK | {"features": "Hide"})


def test_each_transition_is_told_once(upkeep):
    upkeep.window(times=5)
    upkeep.drift()
    upkeep.window(shift=8.0, times=5)
    upkeep.calm()
    assert told(upkeep, "DataDrift") == ["Unknown", "False", "True", "False"]


def test_every_condition_is_told_when_it_is_first_there(upkeep):
    first = {one.event["subject"] for one in upkeep.world.notices}
    assert first == {"DataDrift", "PredictionDrift", "DataQualityIssue", "ModelStale", "RetrainingFailed"}


def test_an_event_is_a_cloud_event_that_says_what_the_condition_says(upkeep):
    upkeep.drift()
    condition = upkeep.world.condition("DataDrift")
    notice = next(one for one in upkeep.world.notices if one.event["data"]["status"] == "True")
    event = notice.event
    assert notice.url == SINK["sink"]["url"]
    assert event.keys() >= REQUIRED
    assert (event["specversion"], event["type"]) == ("1.0", "dev.modelway.condition.changed.v1")
    assert event["source"] == f"/apis/modelway.dev/v1alpha1/namespaces/ml/modeldeployments/{NAME}"
    assert event["time"] == stamp(condition.last_transition_time)
    data = event["data"]
    assert (data["before"], data["reason"], data["message"]) == ("False", condition.reason, condition.message)
    assert (data["name"], data["namespace"], data["version"]) == (NAME, "ml", "1")
    assert len(json.dumps(event)) < 8000


def test_ids_tell_transitions_apart_and_are_the_same_for_one(upkeep):
    upkeep.drift()
    upkeep.calm()
    events = [one.event for one in upkeep.world.notices]
    assert len({one["id"] for one in events}) == len(events)


def test_a_name_that_is_hidden_is_in_none(upkeep):
    upkeep.drift()
    text = json.dumps([one.event for one in upkeep.world.notices])
    assert "feature 1" in text
    assert re.search(r"\bage\b", text) is None
    assert UID not in text


def test_without_a_sink_nobody_is_told():
    upkeep = Upkeep()
    upkeep.drift()
    assert upkeep.world.notices == []
