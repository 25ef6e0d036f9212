"""An operator looks after the namespaces that it is told to, and no others."""

from contextlib import ExitStack

import pytest

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


def test_a_dozen_namespaces_are_not_too_many(cluster, log):
    """Each kind in each of them is a watch that holds a connection."""
    with ExitStack() as stack:
        dozen = [stack.enter_context(cluster.namespace()) for _ in range(12)]
        with operating(cluster, log, namespaces=[namespace.name for namespace in dozen]):
            dozen[-1].deploy().wait_until_served()
            dozen[0].deploy().wait_until_served()
