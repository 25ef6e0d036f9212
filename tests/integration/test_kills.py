"""A few kills in a storm; `make test-faults` has fifty."""

import random

from support.operator import operating
from support.storm import USUAL_LEASE, Storm, difference, state, undisturbed


def test_the_operator_is_killed_four_times_and_nothing_is_lost(cluster, namespace, log):
    storm = Storm(namespace, random.Random(4))
    storm.blow(log, kills=4)
    with operating(cluster, log, environment=USUAL_LEASE):
        storm.wait_until_calm()
        after, calm = state(namespace), undisturbed(cluster, storm.wanted)
    assert after == calm, "\n".join([*storm.done, difference(after, calm)])
