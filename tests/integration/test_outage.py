"""The API server goes away and comes back; so does the CRD."""

import time

import pytest

from modelway.api.kinds import SERVICE
from support.operator import operating

PATIENT_LEASE = {"MODELWAY_LEASE_DURATION": "90", "MODELWAY_LEASE_RENEW_DEADLINE": "60"}
"""Outlives the outage, as the usual one outlives the restart of an API server on a machine that is not busy."""


@pytest.fixture
def api_server(cluster):
    """The API server's process, which runs again in the end."""
    yield cluster.control_plane
    cluster.control_plane.start_apiserver()


def works(namespace):
    """The operator does; the others of the control plane, and the simulated nodes, may need longer to find back."""
    namespace.deploy(name="after")
    namespace.wait_for(lambda: namespace.get(SERVICE, "after"), what="a new resource is worked on")


def test_the_operator_recovers_by_itself(cluster, namespace, api_server, log):
    with operating(cluster, log, environment=PATIENT_LEASE) as operator:
        deployed = namespace.deploy()
        deployed.wait_until_served()
        namespace.rest()
        api_server.stop_apiserver()
        cluster.wait_for(lambda: operator.has_logged("watch_lost"), what="the operator notices")
        away = time.monotonic()
        cluster.wait_for(lambda: time.monotonic() > away + 1, what="a while without an API server")
        api_server.start_apiserver()
        mark = cluster.mark()
        namespace.delete(SERVICE, "fraud")
        namespace.wait_for(lambda: namespace.get(SERVICE, "fraud"), what="the Service is repaired")
        works(namespace)
        about_it = [write for write in namespace.writes(mark) if write.name.startswith("fraud")]
        assert [(write.resource, write.name) for write in about_it] == [("services", "fraud")]
        assert operator.is_running


def test_one_that_was_deposed_by_the_outage_is_started_again_and_goes_on(cluster, namespace, api_server, log):
    """The lease runs out while nobody can renew it: the process ends, as its kubelet expects, and another begins."""
    with operating(cluster, log) as operator:
        deployed = namespace.deploy()
        deployed.wait_until_served()
        namespace.rest()
        api_server.stop_apiserver(kill=True)
        assert operator.wait() == 1
        assert operator.has_logged("deposed")
        operator.start()
        cluster.wait_for(lambda: operator.has_logged("watch_lost"), what="it starts without an API server")
        assert operator.is_running
        api_server.start_apiserver()
        mark = cluster.mark()
        operator.wait_until_leading(cluster)
        works(namespace)
        assert [write for write in namespace.writes(mark) if write.name.startswith("fraud")] == []


def test_an_operator_that_starts_before_the_crd_waits_for_it(cluster, log):
    cluster.remove_crd()
    try:
        with operating(cluster, log, lead=False) as operator:
            cluster.wait_for(lambda: operator.has_logged("watch_lost"), what="it looks for the CRD")
            assert operator.is_running
            cluster.install_crd()
            operator.wait_until_leading(cluster)
            with cluster.namespace() as namespace:
                namespace.deploy().wait_until_served()
    finally:
        cluster.install_crd()
