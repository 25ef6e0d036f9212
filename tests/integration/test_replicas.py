"""Several operators at once: one writes, another takes over, and one that was deposed writes nothing more."""

import pytest

from modelway.api.kinds import LEASE, SERVICE
from support.operator import QUICK_LEASE, operating

TAKEOVER = float(QUICK_LEASE["MODELWAY_LEASE_DURATION"]) + 2 * float(QUICK_LEASE["MODELWAY_LEASE_RETRY_PERIOD"])


@pytest.fixture
def leader(cluster, tmp_path):
    with operating(cluster, tmp_path / "a.log", user="replica-a") as operator:
        yield operator


@pytest.fixture
def standby(cluster, leader, tmp_path):
    with operating(cluster, tmp_path / "b.log", user="replica-b", lead=False) as operator:
        operator.wait_until_standing_by(cluster)
        yield operator


def holder(cluster):
    lease = cluster.get(LEASE, "default", "modelway-operator")
    return lease["spec"].get("holderIdentity", "").split("_")[0]


def authors(namespace, mark):
    return {write.user for write in namespace.writes(mark)}


def test_exactly_one_writes(cluster, namespace, leader, standby):
    mark = cluster.mark()
    for name in ("one", "two", "three"):
        namespace.deploy(name=name)
    for name in ("one", "two", "three"):
        namespace.wait_for(lambda name=name: namespace.get(SERVICE, name), what=f"Service {name}")
    namespace.rest()
    assert authors(namespace, mark) == {"replica-a"}
    assert standby.ready() == "ok, standing by\n"


def test_after_a_kill_another_takes_over_and_finishes(cluster, namespace, leader, standby):
    namespace.deploy(name="before").wait_until_served()
    namespace.rest()
    leader.kill()
    mark = cluster.mark()
    after = namespace.deploy(name="after")
    standby.wait_until_leading(cluster, seconds=TAKEOVER + 20)
    after.wait_until_served()
    assert authors(namespace, mark) == {"replica-b"}
    assert not [write for write in namespace.writes(mark) if write.name.startswith("before")], "what was done is done"


def test_an_orderly_end_hands_over_at_once(cluster, namespace, leader, standby):
    assert leader.stop() == 0
    assert leader.has_logged("lease_released")
    cluster.wait_for(lambda: holder(cluster) == "replica-b", what="the other leads", seconds=TAKEOVER)
    namespace.deploy().wait_until_served()


def test_a_deposed_leader_writes_nothing_more(cluster, namespace, leader, standby):
    """It was frozen, as on an overloaded node, and wakes up when another has taken over."""
    deployed = namespace.deploy()
    deployed.wait_until_served()
    namespace.rest()  # a request that is half sent would be sent to its end
    leader.pause()
    standby.wait_until_leading(cluster, seconds=TAKEOVER + 20)
    mark = cluster.mark()
    deployed.edit(model__version="2")
    namespace.delete(SERVICE, "fraud")
    leader.go_on()
    assert leader.wait() == 1, "Kubernetes starts it again, as a standby"
    deployed.wait_until_served()
    assert authors(namespace, mark) == {"replica-b"}
    assert cluster.writes(mark, users=["replica-a"]) == []
    assert leader.has_logged("deposed")


def test_one_that_cannot_renew_stops_before_another_begins(cluster, namespace, leader, standby):
    """Somebody writes another holder into the Lease."""
    stolen = {"spec": {"holderIdentity": "thief"}}
    cluster.patch(LEASE, "default", "modelway-operator", stolen)
    assert leader.wait() == 1
    mark = cluster.mark()
    deployed = namespace.deploy()
    standby.wait_until_leading(cluster, seconds=TAKEOVER + 20)
    deployed.wait_until_served()
    assert authors(namespace, mark) == {"replica-b"}
