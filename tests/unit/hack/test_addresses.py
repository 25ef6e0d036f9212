"""Nobody's address is anybody else's."""

import ipaddress
import itertools

import pytest
from hack.local.addresses import DEFAULT_RANGE, MAXIMUM_NODES, AddressPlan
from hack.local.errors import LocalClusterError
from hypothesis import given, settings
from hypothesis import strategies as st

PRIVATE_RANGES = st.integers(0, 127).map(lambda number: f"10.{number * 2}.0.0/15")


def test_the_default_plan_reads_as_documented():
    plan = AddressPlan.of()
    assert (plan.machine, plan.node(1), plan.node(2)) == ("10.212.0.1", "10.212.0.11", "10.212.0.12")
    assert (str(plan.pods(1)), str(plan.pods(2))) == ("10.212.1.0/24", "10.212.2.0/24")
    assert (str(plan.service_range), plan.dns) == ("10.213.0.0/16", "10.213.0.10")


@settings(deadline=None)
@given(PRIVATE_RANGES)
def test_ranges_do_not_overlap_and_lie_in_the_network(text):
    plan = AddressPlan.of(text)
    ranges = [plan.node_range, plan.service_range, *(plan.pods(number) for number in range(1, MAXIMUM_NODES + 1))]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(ranges, 2))
    assert all(each.subnet_of(plan.network) for each in ranges)


@settings(deadline=None)
@given(PRIVATE_RANGES)
def test_no_node_has_a_pods_address(text):
    plan = AddressPlan.of(text)
    hosts = [plan.machine, *(plan.node(number) for number in range(1, MAXIMUM_NODES + 1))]
    assert len(set(hosts)) == len(hosts)
    assert all(ipaddress.ip_address(host) in plan.node_range for host in hosts)


@pytest.mark.parametrize(
    "text", ["10.0.0.0/16", "10.1.0.0/15", "8.8.0.0/15", "fd00::/15", "nonsense", ""], ids=lambda text: text or "empty"
)
def test_a_range_that_cannot_be_used_is_refused_by_name(text):
    with pytest.raises(LocalClusterError, match="MODELWAY_LOCAL_NETWORK"):
        AddressPlan.of(text)


@pytest.mark.parametrize("number", [0, -1, MAXIMUM_NODES + 1])
def test_a_number_of_nodes_that_cannot_be_is_refused(number):
    with pytest.raises(LocalClusterError, match="1 to 9 nodes"):
        AddressPlan.of().pods(number)


@pytest.mark.parametrize(
    ("routes", "conflicts"),
    [
        pytest.param(["default", "192.0.2.0/24"], [], id="none"),
        pytest.param(["10.0.0.0/8"], ["10.0.0.0/8"], id="a-vpn-takes-all-of-ten"),
        pytest.param(["10.213.4.7"], ["10.213.4.7"], id="one-host-among-the-services"),
        pytest.param(["10.211.0.0/16", "10.214.0.0/16"], [], id="neighbours"),
    ],
)
def test_conflicts_are_the_routes_into_the_range(routes, conflicts):
    assert AddressPlan.of(DEFAULT_RANGE).conflicts(routes) == conflicts
