"""An operator looks after the namespaces that it is told to, and no others."""

from contextlib import ExitStack
from functools import partial

import pytest

from modelway.api.kinds import HTTP_ROUTE
from support.cluster import spec_of
from support.operator import operating


@pytest.fixture
def three(cluster):
    with ExitStack() as stack:
        yield [stack.enter_context(cluster.namespace()) for _ in range(3)]


@pytest.mark.parametrize("watched", [1, 2], ids=["one", "several"])
def test_it_works_in_its_namespaces_only(cluster, three, log, watched):
    mine, others = three[:watched], three[watched:]
    with operating(cluster, log, namespaces=[namespace.name for namespace in mine]):
        mark = cluster.mark()
        for namespace in others:
            namespace.deploy()
        for namespace in mine:
            namespace.deploy().wait_until_served()
        mine[0].rest()
        assert {write.namespace for write in cluster.writes(mark)} == {namespace.name for namespace in mine}
    assert all("status" not in namespace.deploy(name="other").live for namespace in others)


def test_optional_kinds_are_found_in_each_of_them(cluster, three, log):
    mine, others = three[:2], three[2:]
    spec = spec_of(traffic={"parentRefs": [{"name": "public"}]})
    soon = "import modelway.kube.reflector as reflector; reflector._UNSERVED_PAUSE = 2"
    names = [namespace.name for namespace in mine]
    with ExitStack() as afterwards, operating(cluster, log, namespaces=names, prelude=soon):
        deployed = [namespace.deploy(spec) for namespace in (*mine, *others)]
        for one in deployed[:2]:
            one.wait_until_served()
            assert one.condition("RouteAccepted") == ("False", "GatewayAPIMissing")
        cluster.install_gateway_api()
        afterwards.callback(cluster.remove_gateway_api)  # with no operator that makes routes again meanwhile
        for one in mine:
            one.wait_for(partial(one.get, HTTP_ROUTE, "fraud"), what="the route is made")
        assert others[0].get(HTTP_ROUTE, "fraud") is None


def test_a_dozen_namespaces_are_not_too_many(cluster, log):
    """Each kind in each of them is a watch that holds a connection."""
    with ExitStack() as stack:
        dozen = [stack.enter_context(cluster.namespace()) for _ in range(12)]
        with operating(cluster, log, namespaces=[namespace.name for namespace in dozen]):
            dozen[-1].deploy().wait_until_served()
            dozen[0].deploy().wait_until_served()
