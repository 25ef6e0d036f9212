"""What the operator may call: by name, and by the address that a name leads to."""

from ipaddress import ip_address

import pytest

from modelway.controller.reachable import NotAllowedError, Resolver, check_literal, is_named, is_off_limits


@pytest.mark.parametrize(
    ("host", "patterns", "named"),
    [
        ("events.example.com", ["events.example.com"], True),
        ("Events.Example.com.", ["events.example.com"], True),
        ("events.example.com", ["*.example.com"], True),
        ("a.b.example.com", ["*.example.com"], True),
        ("example.com", ["*.example.com"], False),
        ("evilexample.com", ["*.example.com"], False),
        ("events.example.com.evil.org", ["events.example.com", "*.example.com"], False),
        ("broker.knative.svc", ["*"], True),
        ("10.0.0.1", ["10.0.0.1"], True),
        ("anything", [], False),
        ("", ["*.example.com"], False),
    ],
)
def test_hosts_are_those_that_were_named(host, patterns, named):
    assert is_named(host, patterns) is named


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "169.254.169.254",
        "169.254.170.2",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "fd00:ec2::254",
    ],
)
def test_the_machine_its_neighbours_and_the_clouds_metadata_are_off_limits(address):
    assert is_off_limits(ip_address(address))
    with pytest.raises(NotAllowedError):
        check_literal(address, is_off_limits)


@pytest.mark.parametrize("address", ["10.96.0.10", "192.168.1.7", "172.16.0.1", "93.184.216.34", "fd12::1", "2a00::1"])
def test_services_and_the_world_are_not(address):
    assert not is_off_limits(ip_address(address))
    check_literal(address, is_off_limits)


async def test_a_name_that_leads_only_to_what_is_off_limits_is_refused():
    with pytest.raises(NotAllowedError, match="localhost may not be called: it leads to"):
        await Resolver(is_off_limits).resolve("localhost", 80)


async def test_a_name_that_leads_elsewhere_is_resolved():
    found = await Resolver(lambda _: False).resolve("localhost", 80)
    assert {one["hostname"] for one in found} == {"localhost"}
