"""Events: told once, counted when they come again, and never in the way."""

from datetime import UTC, datetime

import pytest

from modelway.kube import recorder as module
from modelway.kube.errors import Deposed, Forbidden
from modelway.kube.recorder import Recorder
from support.builders import model_deployment

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Client:
    def __init__(self) -> None:
        self.posted = []
        self.merged = []
        self.error = None

    async def post(self, _kind, body):
        if self.error:
            raise self.error
        self.posted.append(body)

    async def merge(self, _kind, body):
        if self.error:
            raise self.error
        self.merged.append(body)


@pytest.fixture
def clock(monkeypatch):
    time = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: time[0])
    return time


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def recorder(client):
    return Recorder(client, instance="operator-1", now=lambda: NOW)


async def tell(recorder, *, message="revision 1: all pods are ready", reason="Promoted", **metadata):
    await recorder.tell(model_deployment(**metadata), type="Normal", reason=reason, message=message, action="Promote")


async def test_an_event_says_who_what_and_about_whom(recorder, client, clock):
    await tell(recorder)
    (event,) = client.posted
    assert event["metadata"]["namespace"] == "ml"
    assert event["metadata"]["name"].startswith("fraud.")
    assert (event["type"], event["reason"], event["action"]) == ("Normal", "Promoted", "Promote")
    assert event["note"] == "revision 1: all pods are ready"
    assert (event["reportingController"], event["reportingInstance"]) == ("modelway.dev/operator", "operator-1")
    assert event["regarding"] == {
        "apiVersion": "modelway.dev/v1alpha1",
        "kind": "ModelDeployment",
        "name": "fraud",
        "namespace": "ml",
        "uid": model_deployment()["metadata"]["uid"],
    }


async def test_the_same_again_is_counted(recorder, client, clock):
    for _ in range(2):
        await tell(recorder)
    assert len(client.posted) == 1
    (series,) = client.merged
    assert series["metadata"]["name"] == client.posted[0]["metadata"]["name"]
    assert series["series"]["count"] == 2


async def test_a_loop_writes_once_a_minute(recorder, client, clock):
    for _ in range(600):
        await tell(recorder)
        clock[0] += 1
    assert len(client.posted) == 1
    assert len(client.merged) <= 11
    assert client.merged[-1]["series"]["count"] > 500


async def test_after_a_long_silence_it_is_a_new_event(recorder, client, clock):
    await tell(recorder)
    clock[0] = 400
    await tell(recorder)
    assert len(client.posted) == 2
    assert client.merged == []


@pytest.mark.parametrize(
    "other",
    [{"message": "revision 2"}, {"reason": "Superseded"}, {"uid": "another"}],
    ids=["message", "reason", "object"],
)
async def test_what_differs_is_another_event(recorder, client, clock, other):
    await tell(recorder)
    await tell(recorder, **other)
    assert len(client.posted) == 2


@pytest.mark.parametrize("text", ["x" * 5000, "ü" * 5000, "🙂" * 5000], ids=["ASCII", "two bytes", "four bytes"])
async def test_a_long_message_is_cut_to_the_bytes_that_are_allowed(recorder, client, clock, text):
    await tell(recorder, message=text)
    note = client.posted[0]["note"]
    assert 1000 < len(note.encode()) <= 1024
    assert note.endswith("…")


@pytest.mark.parametrize("error", [Forbidden(403, "Forbidden", "no"), Deposed("not ours"), TimeoutError()])
async def test_telling_is_never_in_the_way_of_doing(recorder, client, clock, error):
    client.error = error
    await tell(recorder)


async def test_what_was_told_is_not_remembered_for_ever(recorder, client, clock):
    for number in range(5000):
        await tell(recorder, message=str(number))
    assert len(recorder._series) <= 4096
