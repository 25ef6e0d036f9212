"""The API server is away for a minute."""

import time

import pytest

from modelway.api.kinds import SERVICE
from support.cluster import content
from support.operator import operating
from support.storm import USUAL_LEASE

pytestmark = pytest.mark.faults


@pytest.mark.timeout(900)
def test_a_minute_without_the_api_server(cluster, namespace, log, tell):
    """The operator gives up its lease, ends, is started again as Kubernetes would, and waits; pods serve on."""
    with operating(cluster, log, environment=USUAL_LEASE) as operator:
        deployed = namespace.deploy()
        deployed.wait_until_served()
        namespace.rest()
        before = {key: content(obj) for key, obj in namespace.children().items()}
        pods = {pod["metadata"]["uid"] for pod in deployed.pods()}
        cluster.control_plane.stop_apiserver(kill=True)
        try:
            back = time.monotonic() + 60
            assert operator.wait(seconds=30) == 1
            operator.start()
            cluster.wait_for(lambda: time.monotonic() > back, what="the minute is over", seconds=120)
            assert operator.is_running, "it waits"
        finally:
            cluster.control_plane.start_apiserver()
        mark = cluster.mark()
        began = time.monotonic()
        operator.wait_until_leading(cluster, seconds=120)
        tell.append(f"leads {time.monotonic() - began:.0f} s after the API server is back; no pod was touched")
        namespace.delete(SERVICE, "fraud")
        namespace.wait_for(lambda: namespace.get(SERVICE, "fraud"), what="the Service is repaired")
        deployed.edit(serving__replicas=3)
        namespace.wait_for(lambda: deployed.deployment()["spec"]["replicas"] == 3, what="a change is carried out")
        assert {key: content(obj) for key, obj in namespace.children().items() if key[0] != "Deployment"} == {
            key: obj for key, obj in before.items() if key[0] != "Deployment"
        }
        assert pods <= {pod["metadata"]["uid"] for pod in deployed.pods()}
        repairs = [write for write in namespace.writes(mark) if write.resource not in {"modeldeployments", "events"}]
        assert {(write.resource, write.name) for write in repairs} == {
            ("services", "fraud"),
            ("deployments", deployed.deployment()["metadata"]["name"]),
        }
