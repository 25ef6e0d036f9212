"""The API server of the whole local cluster is away for a minute, in the middle of a rollout. Everybody notices: last."""

import time

import pytest
from hack.local.cluster import existing

from support.trial import RATE, Trial

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

OUTAGE = 60.0


def test_a_minute_without_the_api_server_in_a_rollout(trial: Trial, tell: list[str]) -> None:
    plane = existing(print)
    assert plane is not None, "this is not the local cluster"
    before, stable = trial.load.now(), trial.version_at_rest
    revision = trial.begin(min_duration="60s")
    trial.until_live(revision, counted=100)
    plane.control_plane.stop_apiserver(kill=True)
    try:
        back = time.monotonic() + OUTAGE
        while time.monotonic() < back:  # the load's words come by the API server, too
            time.sleep(1)
    finally:
        plane.control_plane.start_apiserver()
    assert trial.until_ended(revision)["result"] == "Promoted"
    trial.until_calm(trial.version)
    trial.failed_since(before)
    after = trial.load.now()
    assert after.requests - before.requests >= RATE * OUTAGE
    books = trial.balance(revision, stable, before, seconds=0)
    tell.append(f"promoted; {after.requests - before.requests:,} requests, none failed; {books}")
