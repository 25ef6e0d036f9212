"""The cluster's network: a bridge on this machine and a network namespace for each node.

Nothing can leave the machine, by construction: a node's namespace has routes to the bridge, to the other nodes' pods
and to the Service range, and no default route; the machine itself forwards nothing for it. An unknown Service address
dies on the bridge. kube-proxy's rules and the pods' links live in the namespaces and end with them.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from .addresses import AddressPlan
from .commands import attempt, run, succeeds
from .errors import LocalClusterError
from .layout import BRIDGE, NodePlaces

_NAMESPACES = Path("/run/netns")


def set_up(plan: AddressPlan, nodes: Sequence[NodePlaces]) -> None:
    """Makes what is missing, so it also mends what a reboot or a killed run left half-made."""
    _check_free(plan)
    _load_modules()
    _make_bridge(plan)
    _allow_through_firewall()
    for number, node in enumerate(nodes, start=1):
        _make_node(plan, number, node)
    for number, node in enumerate(nodes, start=1):
        _make_routes(plan, number, node, count=len(nodes))


def tear_down() -> None:
    """Removes namespaces, links, routes and firewall rules. The nodes' processes have ended before."""
    for namespace in namespaces():
        attempt("ip", "netns", "delete", namespace)
    if _NAMESPACES.is_dir() and not any(_NAMESPACES.iterdir()):
        attempt("umount", _NAMESPACES)  # `ip netns` mounts the folder on itself when it makes the first one
        _NAMESPACES.rmdir()
    # A namespace lives on while anything holds it; the link's end on this side takes the other with it.
    for link in _links():
        attempt("ip", "link", "delete", link)
    _forbid_through_firewall()


def namespaces() -> list[str]:
    """The cluster's network namespaces on this machine."""
    return sorted(path.name for path in _NAMESPACES.glob("modelway-node-*"))


def leftovers() -> list[str]:
    return [*(f"network namespace {name}" for name in namespaces()), *(f"interface {name}" for name in _links())]


def _links() -> list[str]:
    return [link["ifname"] for link in json.loads(run("ip", "-j", "link")) if link["ifname"].startswith("mw-")]


def _check_free(plan: AddressPlan) -> None:
    routes = json.loads(run("ip", "-j", "-4", "route", "show", "table", "all"))
    foreign = [
        route["dst"]
        for route in routes
        if route.get("dev") != BRIDGE and route.get("type", "unicast") == "unicast" and "." in route["dst"]
    ]
    if taken := plan.conflicts(foreign):
        raise LocalClusterError(
            f"This machine already routes {', '.join(taken)}, which the cluster would use: "
            "set MODELWAY_LOCAL_NETWORK to another private /15 and run the command again."
        )


def _load_modules() -> None:
    # Built into some kernels, and then not known to modprobe: what is really missing shows a step later.
    for module in ("overlay", "br_netfilter", "veth", "nf_tables", "nf_conntrack"):
        attempt("modprobe", "--quiet", module)


def _make_bridge(plan: AddressPlan) -> None:
    if BRIDGE not in _links():
        run("ip", "link", "add", BRIDGE, "type", "bridge")
    _write_sysctl(f"net/ipv6/conf/{BRIDGE}/disable_ipv6", "1")
    run("ip", "address", "replace", f"{plan.machine}/{plan.node_range.prefixlen}", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")


def _make_node(plan: AddressPlan, number: int, node: NodePlaces) -> None:
    namespace = node.network_namespace
    if not _is_alive(namespace):
        # After a reboot where /run is on disk the name is there, and no namespace behind it.
        attempt("ip", "netns", "delete", namespace)
        (_NAMESPACES / namespace).unlink(missing_ok=True)
        run("ip", "netns", "add", namespace)
    run("ip", "link", "set", "lo", "up", namespace=namespace)
    outside = f"mw-{node.name}"
    if not succeeds("ip", "link", "show", "eth0", namespace=namespace):
        attempt("ip", "link", "delete", outside)
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", namespace)
    run("ip", "link", "set", outside, "master", BRIDGE, "up")
    for setting, value in (
        ("net/ipv6/conf/all/disable_ipv6", "1"),
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv4/conf/all/send_redirects", "0"),  # it is the way to Services for this machine, and stays it
        ("net/ipv4/conf/eth0/send_redirects", "0"),
        # A pod's answer to a neighbour on the same bridge must pass the rules that translated the Service's address.
        ("net/bridge/bridge-nf-call-iptables", "1"),
    ):
        _write_sysctl(setting, value, namespace=namespace)
    run(
        "ip", "address", "replace", f"{plan.node(number)}/{plan.node_range.prefixlen}", "dev", "eth0",
        namespace=namespace,
    )  # fmt: skip
    run("ip", "link", "set", "eth0", "up", namespace=namespace)


def _make_routes(plan: AddressPlan, number: int, node: NodePlaces, *, count: int) -> None:
    namespace = node.network_namespace
    run("ip", "route", "replace", str(plan.service_range), "dev", "eth0", namespace=namespace)
    for other in range(1, count + 1):
        if other != number:
            run(
                "ip", "route", "replace", str(plan.pods(other)), "via", plan.node(other), namespace=namespace
            )  # fmt: skip
    run("ip", "route", "replace", str(plan.pods(number)), "via", plan.node(number), "dev", BRIDGE)
    if number == 1:  # this machine reaches Services through the first node's kube-proxy
        run("ip", "route", "replace", str(plan.service_range), "via", plan.node(1), "dev", BRIDGE)


def _is_alive(namespace: str) -> bool:
    return (_NAMESPACES / namespace).exists() and succeeds("true", namespace=namespace)


def _write_sysctl(setting: str, value: str, namespace: str | None = None) -> None:
    path = f"/proc/sys/{setting}"
    written = attempt("sh", "-c", f"[ ! -e {path} ] || echo {value} > {path}", namespace=namespace)
    if written.returncode:
        raise LocalClusterError(f"{path} cannot be set to {value}: {written.stderr.strip()}")


_RULES = (
    ("INPUT", "-i", BRIDGE, "-j", "ACCEPT"),
    ("FORWARD", "-i", BRIDGE, "-o", BRIDGE, "-j", "ACCEPT"),  # bridged frames pass here where br_netfilter is on
)


def _allow_through_firewall() -> None:
    """Only where the machine's firewall drops by default, as Docker and ufw set it, the bridge is let through."""
    for chain, *rule in _RULES:
        drops = attempt("iptables", "-S", chain).stdout.startswith(f"-P {chain} DROP")
        if drops and not succeeds("iptables", "-C", chain, *rule):
            run("iptables", "-I", chain, *rule)


def _forbid_through_firewall() -> None:
    for chain, *rule in _RULES:
        while succeeds("iptables", "-D", chain, *rule):
            pass
