"""Kills in numbers."""

import os
import random

import pytest

from support.operator import operating
from support.storm import USUAL_LEASE, Storm, difference, state, undisturbed

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("MODELWAY_FAULTS_KILLS", "50"))
SEED = int(os.environ.get("MODELWAY_FAULTS_SEED", "2026"))
ROUNDS = 5


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("turn", range(ROUNDS))
def test_killed_at_any_point_the_operator_loses_nothing_and_doubles_nothing(cluster, namespace, log, turn, tell):
    storm = Storm(namespace, random.Random(SEED + turn))
    storm.blow(log, kills=KILLS // ROUNDS)
    with operating(cluster, log, environment=USUAL_LEASE):
        storm.wait_until_calm()
        after, calm = state(namespace), undisturbed(cluster, storm.wanted)
    told = sum("write" in line for line in storm.done if line.startswith("--"))
    tell.append(f"{KILLS // ROUNDS} kills, {told} of them around a write; {len(storm.wanted)} resources in the end")
    assert after == calm, "\n".join([*storm.done, difference(after, calm)])
