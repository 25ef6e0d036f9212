"""Where the steps of a rollout come from that is under way: asked for once, and again when it is another rollout."""

import json

import pytest

from modelway.cli.errors import Forbidden, KubectlError
from modelway.cli.rollout.rules import Rules
from support.rollouts import CANDIDATE, STABLE, STARTS, promoted, resource, under_way


class Cluster:
    """Answers with the ledger of one rollout, or an error; counts how often it was asked."""

    def __init__(self, *steps, error=None) -> None:
        self.asked = []
        self.steps = steps
        self.error = error

    def config_map(self, name):
        self.asked.append(name)
        if self.error is not None:
            raise self.error
        rollout = {"steps": [{"name": step, "weight": 5} for step in self.steps]}
        return {"data": {"ledger": json.dumps({"stable": STABLE, "candidate": CANDIDATE, "rollout": rollout})}}


def names(picture):
    return [step.name for step in picture.steps]


SPEC = ["shadow", "five", "sign-off", "half"]


def test_they_are_asked_for_once_a_rollout():
    cluster = Cluster("one")
    rules = Rules(cluster)
    assert [names(rules.picture(under_way())) for _ in range(3)] == [["one"]] * 3
    assert cluster.asked == ["fraud-evidence"]
    cluster.steps = ("two",)
    again = under_way(startedAt="2026-11-21T11:59:00Z")
    assert [names(rules.picture(again)) for _ in range(2)] == [["two"]] * 2
    assert len(cluster.asked) == 2


def test_without_a_rollout_nobody_is_asked():
    cluster = Cluster("one")
    for obj in (promoted(), resource(stable=None, candidate=STARTS)):
        assert names(Rules(cluster).picture(obj)) == SPEC
    assert cluster.asked == []


def test_who_may_not_see_them_is_not_refused_again_and_again():
    cluster = Cluster(error=Forbidden("no"))
    rules = Rules(cluster)
    assert [names(rules.picture(under_way())) for _ in range(3)] == [SPEC] * 3
    assert len(cluster.asked) == 1


def test_they_are_asked_for_until_they_are_there():
    """A rollout has begun, and its snapshot is written in a moment."""
    cluster = Cluster("one")
    rules = Rules(cluster)
    other = STARTS | {"revision": "99999999"}
    waiting = under_way()
    waiting["status"]["candidate"] = other
    assert names(rules.picture(waiting)) == SPEC
    assert names(rules.picture(under_way())) == ["one"]
    assert len(cluster.asked) == 2


def test_a_cluster_that_is_away_is_told_and_asked_again():
    cluster = Cluster("one", error=KubectlError("connection refused"))
    rules = Rules(cluster)
    for _ in range(2):
        with pytest.raises(KubectlError, match="connection refused"):
            rules.picture(under_way())
    cluster.error = None
    assert names(rules.picture(under_way())) == ["one"]
