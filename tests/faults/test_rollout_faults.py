"""Faults in the middle of a rollout, on the real cluster, under load.

Each time: the right revision serves in the end, no request is lost but those that the fault itself or a bad version has
cost, and what the operator has counted agrees with what was sent: nothing twice, nothing lost but what a killed router
had counted and nobody had read.
"""

import os
from collections import Counter
from typing import Any

import pytest

from support.entrance import PARENT, answers, asking
from support.trial import CONNECTIONS, NAME, RATE, SELECTOR, Sent, Silence, Trial, kill, kill_leader

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

KILLS = int(os.environ.get("MODELWAY_FAULTS_OPERATOR_KILLS", "20"))
SILENCE = float(os.environ.get("MODELWAY_FAULTS_SILENCE", "300"))
READING = 10.0
"""Seconds between two readings: what was counted since the last one may be lost with a router."""
NEW_PODS = 10
"""Seconds in which pods are made and get ready."""

DIES_SOMETIMES = """
import os, time
ends = {ends}

def transform(tensors):
    if time.time() % 10 < 1:
        {how}
    return tensors["X"]
"""
A_WORKER_DIES = DIES_SOMETIMES.format(ends="'a worker'", how="os.kill(os.getpid(), 9)")
THE_CONTAINER_ENDS = DIES_SOMETIMES.format(ends="'the container'", how="os._exit(1)")


@pytest.fixture(autouse=True)
def calm(trial: Trial) -> None:
    """What a test before has left behind, be it one that failed, is over."""
    trial.until_at_rest()


def told(trial: Trial, before: Any, books: str = "") -> str:
    after = trial.load.now()
    words = f"{after.requests - before.requests:,} requests, {after.failed - before.failed} failed"
    return f"{words}; {books}" if books else words


def test_the_operator_killed_again_and_again(trial: Trial, tell: list[str]) -> None:
    before, stable = trial.load.now(), trial.version_at_rest
    revision = trial.begin(min_duration="150s")
    trial.until_live(revision)
    for _ in range(KILLS):
        kill_leader()
    assert trial.until_ended(revision)["result"] == "Promoted"
    trial.until_calm(trial.version)
    trial.failed_since(before)
    tell.append(f"{KILLS} kills, promoted; {told(trial, before, trial.balance(revision, stable, before, seconds=1))}")


@pytest.mark.parametrize("whose", ["router", "candidate", "stable"])
def test_a_pod_killed(trial: Trial, tell: list[str], whose: str) -> None:
    before, stable = trial.load.now(), trial.version_at_rest
    of_stable = trial.status["stable"]["revision"]
    revision = trial.begin()
    trial.until_live(revision, counted=100)
    pods = {"router": trial.routers, "candidate": lambda: trial.pods(revision), "stable": lambda: trial.pods(of_stable)}
    kill(pods[whose]()[0])
    entry = trial.until_ended(revision)
    assert entry["result"] == "Promoted", entry
    trial.until_calm(trial.version)
    trial.failed_since(before, allowed=CONNECTIONS)  # what was under way
    books = trial.balance(revision, stable, before, seconds=READING if whose == "router" else 0)
    tell.append(f"{whose}: promoted; {told(trial, before, books)}")


def test_metrics_unreachable(trial: Trial, tell: list[str]) -> None:
    before, stable = trial.load.now(), trial.version_at_rest
    revision = trial.begin(min_duration="120s")
    trial.until_live(revision)
    with Silence(trial.routers()) as silence:
        trial.until("it holds", lambda: silence.keep() and trial.status["rollout"]["state"] == "Holding", seconds=150)
        held, silent = trial.status["rollout"], trial.load.now()
        assert (held["reason"], "cannot be read" in held["message"]) == ("SourceDown", True), held
        trial.until(
            f"{SILENCE:g} s are over",
            lambda: silence.keep() and trial.load.now().at >= silent.at + SILENCE,
            seconds=SILENCE + 60,
        )
        still = trial.status["rollout"]
        assert (still["state"], still["weight"], still["liveWeight"]) == ("Holding", 40, {"min": 40, "max": 40}), still
    assert trial.until_ended(revision)["result"] == "Promoted"
    trial.until_calm(trial.version)
    trial.failed_since(before)
    books = trial.balance(revision, stable, before, seconds=0)
    tell.append(f"held for {SILENCE:g} s and said so, then promoted; {told(trial, before, books)}")


def test_a_candidate_whose_workers_die_is_found_by_the_evidence(trial: Trial, tell: list[str]) -> None:
    before, stable = trial.load.now(), trial.version_at_rest
    revision = trial.begin(A_WORKER_DIES, min_duration="10m", margin="1%", workers=2)
    tell.append(found_out(trial, revision, "CheckFailed", before, stable))


def test_a_candidate_whose_containers_end_is_found_by_the_hard_rule(trial: Trial, tell: list[str]) -> None:
    before, stable = trial.load.now(), trial.version_at_rest
    revision = trial.begin(THE_CONTAINER_ENDS, min_duration="10m", margin="99.9%")
    tell.append(found_out(trial, revision, "Crashing", before, stable))


def found_out(trial: Trial, revision: str, word: str, before: Sent, stable: str) -> str:
    """It is rejected for `word`, and only what it was sent has failed; in words."""
    entry = trial.until_ended(revision, seconds=400)
    assert (entry["result"], entry["reason"].split(":")[0]) == ("Rejected", word), entry
    trial.until_calm(stable)
    sent, failed = (getattr(trial.load.now(), what) - getattr(before, what) for what in ("requests", "failed"))
    assert 0 < failed <= 0.4 * sent
    return f"{entry['reason']}; {told(trial, before)}"


def test_config_maps_edited_by_hand(trial: Trial, tell: list[str]) -> None:
    before, stable = trial.load.now(), trial.version_at_rest
    revision = trial.begin(min_duration="60s")
    trial.until_live(revision, counted=100)
    files = trial.kubectl.get("configmap", f"{NAME}-router")["data"]
    for data in ('{"routes.json":"{}"}', '{"clusters.json":"no JSON"}'):
        trial.kubectl.run("patch", "configmap", f"{NAME}-router", "--type=merge", f'--patch={{"data":{data}}}')
        trial.until(
            "the routers' files are as they were",
            lambda: trial.kubectl.get("configmap", f"{NAME}-router")["data"] == files,
        )
    evidence = trial.kubectl.get("configmap", f"{NAME}-evidence")["data"]["ledger"]
    trial.kubectl.run("patch", "configmap", f"{NAME}-evidence", "--type=merge", '--patch={"data":{"ledger":"{}"}}')
    trial.until(
        "the evidence is back",
        lambda: (ledger := trial.kubectl.get("configmap", f"{NAME}-evidence")["data"]["ledger"]) and len(ledger) > 100,
    )
    assert len(evidence) > 100
    trial.kubectl.run("delete", "configmap", f"{NAME}-evidence")
    assert trial.until_ended(revision)["result"] == "Promoted"
    trial.until_calm(trial.version)
    trial.failed_since(before)
    books = trial.balance(revision, stable, before, seconds=0)
    tell.append(f"routers' files, evidence edited and deleted: repaired, promoted; {told(trial, before, books)}")


HOST = "faulted.example.com"
FILTER = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-theirs"]}}


def test_the_route_edited_by_hand(trial: Trial, tell: list[str], entrance: str) -> None:
    trial.patch(traffic={"parentRefs": [PARENT], "hostnames": [HOST]})
    trial.until("the Gateway leads here", lambda: answers(entrance, HOST, 200, model=NAME))
    before, stable = trial.load.now(), trial.version_at_rest
    route = trial.kubectl.get("httproute", NAME)["spec"]
    outcomes: Counter[str] = Counter()
    with asking(
        entrance, HOST, outcomes, model=NAME, pause=0.1
    ):  # beside the load, which is what keeps the servers busy
        revision = trial.begin(min_duration="60s")
        trial.until_live(revision, counted=100)
        rules = [route["rules"][0] | {"filters": [FILTER]}]
        for edited in ({"hostnames": [HOST, "theirs.example.com"]}, {"rules": rules}):
            trial.edit_route(edited)
            trial.until("the route is as it was", lambda: trial.kubectl.get("httproute", NAME)["spec"] == route)
    assert outcomes.keys() == {str(stable), str(trial.version)}, outcomes
    before_that = trial.kubectl.get("httproute", NAME)["metadata"]["uid"]
    trial.kubectl.run("delete", "httproute", NAME)

    def is_made_again() -> bool:
        found = trial.kubectl.list("httproutes", SELECTOR)
        return any(one["metadata"]["uid"] != before_that and one["spec"] == route for one in found)

    trial.until("the route is made again", is_made_again)
    trial.until("the Gateway leads here again", lambda: answers(entrance, HOST, 200, model=NAME))
    assert trial.until_ended(revision)["result"] == "Promoted"
    trial.until_calm(trial.version)
    trial.failed_since(before)
    trial.patch(traffic={"parentRefs": None, "hostnames": None})
    asked = f"{outcomes.total():,} requests through the Gateway, 0 failed"
    tell.append(f"edited and deleted: repaired, promoted; {told(trial, before)}; {asked}")


def test_a_new_spec_in_the_middle(trial: Trial, tell: list[str]) -> None:
    before, stable = trial.load.now(), trial.version_at_rest
    first = trial.begin(min_duration="10m")
    trial.until_live(first, counted=100)
    second = trial.begin()
    assert trial.until_ended(first)["result"] == "Superseded"
    assert trial.until_ended(second)["result"] == "Promoted"
    trial.until_calm(trial.version)
    trial.failed_since(before)
    tell.append(
        f"superseded, the new one promoted; {told(trial, before, trial.balance(second, stable, before, seconds=0))}"
    )


def test_back_to_the_old_spec_in_the_middle(trial: Trial, tell: list[str]) -> None:
    before, stable = trial.load.now(), trial.version_at_rest
    revision = trial.begin(min_duration="10m")
    trial.until_live(revision, counted=100)
    trial.go_back()
    assert trial.until_ended(revision)["result"] == "Superseded"
    trial.until_calm(stable)
    assert trial.status["rollout"]["state"] == "Stable"
    trial.failed_since(before)
    tell.append(f"superseded, the old one serves on; {told(trial, before)}")


def test_traffic_to_zero_in_the_middle(trial: Trial, tell: list[str]) -> None:
    before, stable = trial.load.now(), trial.version_at_rest
    revision = trial.begin(margin="0.5%")  # more than is sent before the traffic ends is needed to decide
    trial.until_live(revision, counted=50)
    trial.load.stop()
    held = trial.until_rollout(state="Holding", reason="NoData", seconds=180)
    assert held["weight"] == 40, held
    trial.load.begin()
    assert trial.until_ended(revision)["result"] == "Promoted"
    trial.until_calm(trial.version)
    trial.failed_since(before)
    del stable  # the load that was stopped has not told its last requests, so the books cannot be compared
    tell.append(f"held, then promoted; {told(trial, before)}")


def test_the_stable_deployment_deleted_in_the_middle(trial: Trial, tell: list[str]) -> None:
    before, stable = trial.load.now(), trial.version_at_rest
    deployment = f"{NAME}-{trial.status['stable']['revision']}"
    revision = trial.begin(min_duration="60s")
    trial.until_live(revision, counted=100)
    trial.kubectl.run("delete", "deployment", deployment, "--wait=false")
    assert trial.until_ended(revision)["result"] == "Promoted"
    trial.until_calm(trial.version)
    # Whoever deletes all stable pods takes their part of the requests away until there are new ones.
    trial.failed_since(before, allowed=RATE * NEW_PODS)
    books = trial.balance(revision, stable, before, seconds=0)
    tell.append(f"made again, then promoted; {told(trial, before, books)}")
