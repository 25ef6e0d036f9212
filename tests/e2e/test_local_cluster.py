"""The ground under everything else: nodes, pods, Services, DNS, S3 and metrics of the cluster that `make cluster` boots."""

import ipaddress
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from hack.demo.kubectl import Kubectl, NotInTimeError
from hack.local import cluster as local
from hack.local.addresses import AddressPlan
from hack.local.progress import silent

pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).resolve().parent.parent.parent
SECURITY = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}

# Answers every request with the name of its node.
ECHO = """
import http.server, os
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["NODE"].encode())
http.server.HTTPServer(("", 8080), Echo).serve_forever()
"""

# Looks around from inside a pod and prints what it finds as JSON. Sends nothing that could leave the machine: the foreign
# name is asked of the cluster's own DNS, and the address is one of the Service range.
LOOK = """
import json, os, socket, time, urllib.request
def get(url):
    return urllib.request.urlopen(url, timeout=5).read().decode()
def attempt(call):
    try:
        return str(call())
    except OSError as error:
        return type(error).__name__
nodes, end = set(), time.monotonic() + 30
while len(nodes) < int(os.environ["NODES"]) and time.monotonic() < end:
    nodes.add(get("http://echo"))
print(json.dumps({
    "nodes": sorted(nodes),
    "api": attempt(lambda: socket.create_connection(("kubernetes.default", 443), 5).close()),
    "s3": attempt(lambda: get(os.environ["S3"] + "/healthz")),
    "foreign_name": attempt(lambda: socket.getaddrinfo("www.example.com", 80)),
    "unknown_service": attempt(lambda: socket.create_connection((os.environ["UNKNOWN"], 80), 4)),
}))
"""


@pytest.fixture(scope="module")
def nodes(environment: dict[str, str]) -> list[str]:
    """The real nodes' names."""
    items = json.loads(Kubectl("default").run("get", "nodes", "--output=json"))["items"]
    return sorted(
        item["metadata"]["name"]
        for item in items
        if item["metadata"].get("labels", {}).get("type") != "kwok" and not item["spec"].get("taints")
    )


@pytest.fixture(scope="module")
def plan() -> AddressPlan:
    """The addresses of a cluster without Docker; elsewhere its tests have nothing to look at."""
    found = local.existing(silent)
    if found is None:
        pytest.skip("not a cluster without Docker")
    return found.plan


@pytest.fixture(scope="module")
def echo(kubectl: Kubectl, environment: dict[str, str], nodes: list[str]) -> str:
    """A Service `echo` with one pod on each node; gives its address."""
    for node in nodes:
        kubectl.apply(pod(f"echo-{node}", node, ECHO, environment, labels={"app": "echo"}, ready="/"))
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "echo"},
            "spec": {"selector": {"app": "echo"}, "ports": [{"port": 80, "targetPort": 8080}]},
        }
    )
    for node in nodes:
        wait_for_phase(kubectl, f"echo-{node}", "Running", ready=True)
    address: str = kubectl.get("service", "echo")["spec"]["clusterIP"]
    return address


def pod(
    name: str,
    node: str,
    script: str,
    environment: dict[str, str],
    *,
    labels: dict[str, str] | None = None,
    variables: dict[str, str] | None = None,
    ready: str | None = None,
    host_network: bool = False,
) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "python",
        "image": environment["SERVER_IMAGE"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-u", "-c", script],
        "env": [{"name": key, "value": value} for key, value in {"NODE": node, **(variables or {})}.items()],
        "securityContext": SECURITY,
    }
    if ready:
        container["readinessProbe"] = {"httpGet": {"path": ready, "port": 8080}, "periodSeconds": 1}
    spec = {
        "nodeName": node,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "hostNetwork": host_network,
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}}, "spec": spec}


def wait_for_phase(kubectl: Kubectl, name: str, phase: str, *, ready: bool = False) -> None:
    def reached() -> bool:
        status = kubectl.get("pod", name).get("status", {})
        is_ready = {"type": "Ready", "status": "True"}.items()
        return status.get("phase") == phase and (
            not ready or any(is_ready <= condition.items() for condition in status.get("conditions", []))
        )

    try:
        kubectl.wait(f"pod {name} is {phase}", reached, seconds=60, show=("describe", "pod", name))
    except NotInTimeError as error:
        error.add_note(kubectl.run("logs", name, "--all-containers"))
        raise


def command(*arguments: str) -> None:
    environment = {**os.environ, "CLUSTER": "local"}
    subprocess.run([sys.executable, "-m", "hack.local", *arguments], cwd=ROOT, env=environment, check=True)


def look_around(
    kubectl: Kubectl, name: str, node: str, environment: dict[str, str], **variables: str
) -> dict[str, Any]:
    kubectl.apply(pod(name, node, LOOK, environment, variables=variables))
    wait_for_phase(kubectl, name, "Succeeded")
    found: dict[str, Any] = json.loads(kubectl.run("logs", name).splitlines()[-1])
    return found


def is_ready(node: dict[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"]["conditions"])


def test_all_nodes_are_ready_and_have_their_own_addresses(nodes: list[str], plan: AddressPlan) -> None:
    assert nodes == [f"node-{number}" for number in range(1, len(nodes) + 1)]
    for number, name in enumerate(nodes, start=1):
        node = Kubectl("default").get("node", name)
        assert is_ready(node), node["status"]["conditions"]
        assert {"type": "InternalIP", "address": plan.node(number)} in node["status"]["addresses"]


def test_a_pod_on_each_node_reaches_the_pods_of_all_nodes_dns_s3_and_the_api(
    kubectl: Kubectl, environment: dict[str, str], nodes: list[str], plan: AddressPlan, echo: str
) -> None:
    unknown = str(plan.service_range[-2])
    for node in nodes:
        found = look_around(
            kubectl,
            f"look-{node}",
            node,
            environment,
            NODES=str(len(nodes)),
            S3=environment["S3_ENDPOINT_IN_CLUSTER"],
            UNKNOWN=unknown,
        )
        assert found["nodes"] == nodes
        assert (found["api"], found["s3"]) == ("None", "OK")
        assert found["foreign_name"] == "gaierror"
        assert found["unknown_service"] in {"TimeoutError", "OSError", "ConnectionRefusedError"}


def test_pods_have_addresses_of_their_node(kubectl: Kubectl, nodes: list[str], plan: AddressPlan, echo: str) -> None:
    for number, node in enumerate(nodes, start=1):
        address = kubectl.get("pod", f"echo-{node}")["status"]["podIP"]
        assert ipaddress.ip_address(address) in plan.pods(number)


def test_nothing_leads_out_of_a_node(
    kubectl: Kubectl, environment: dict[str, str], nodes: list[str], plan: AddressPlan
) -> None:
    for node in nodes:
        name = f"routes-{node}"
        kubectl.apply(pod(name, node, "print(open('/proc/net/route').read())", environment, host_network=True))
        wait_for_phase(kubectl, name, "Succeeded")
        routes = [line.split() for line in kubectl.run("logs", name).splitlines()[1:] if line.strip()]
        assert routes
        for route in routes:
            # The kernel prints addresses as little-endian numbers.
            start, mask = (int.from_bytes(bytes.fromhex(route[column]), "little") for column in (1, 7))
            network = ipaddress.IPv4Network((start, mask.bit_count()))
            assert network.subnet_of(plan.network), f"{node} has a route to {network}"


def test_this_machine_reaches_services_without_a_proxy(nodes: list[str], plan: AddressPlan, echo: str) -> None:
    with urllib.request.urlopen(f"http://{echo}", timeout=10) as answer:
        assert answer.read().decode() in nodes


def test_a_command_runs_in_a_pod_of_each_node(kubectl: Kubectl, nodes: list[str], echo: str) -> None:
    for node in nodes:
        command = ("python3", "-c", "import os; print(os.environ['NODE'], os.getuid())")
        assert kubectl.run("exec", f"echo-{node}", "--", *command).split() == [node, "65532"]


def test_the_metrics_api_measures_nodes_and_pods(kubectl: Kubectl, nodes: list[str], echo: str) -> None:
    def measured(path: str) -> set[str]:
        items = json.loads(kubectl.run("get", "--raw", f"/apis/metrics.k8s.io/v1beta1/{path}"))["items"]
        return {item["metadata"]["name"] for item in items}

    assert set(nodes) <= measured("nodes")
    pods = {f"echo-{node}" for node in nodes}
    kubectl.wait(
        "the metrics API measures the pods",
        lambda: pods <= measured(f"namespaces/{kubectl.namespace}/pods"),
        seconds=90,
        show=("get", "pods", "--output=wide"),
    )


def test_starting_a_cluster_that_runs_restarts_nothing(plan: AddressPlan) -> None:
    running = local.existing(silent)
    assert running

    def pids() -> dict[str, int | None]:
        return {name: running.processes.pid(name) for name in running.program_names()}

    before = pids()
    assert None not in before.values()
    configuration = [path for each in running.nodes for path in each.places.config.rglob("*.*")]
    touched = {path: path.stat().st_mtime_ns for path in configuration}
    command("up")
    assert pids() == before
    # kube-proxy would end a little later, when it hears that its file was written.
    assert {path: path.stat().st_mtime_ns for path in configuration} == touched


def test_simulated_nodes_come_and_go_beside_the_real_ones(
    kubectl: Kubectl, environment: dict[str, str], nodes: list[str], plan: AddressPlan
) -> None:
    def simulated() -> list[dict[str, Any]]:
        return kubectl.list("nodes", "type=kwok")

    command("kwok", "up", "--nodes", "2")
    try:
        assert [is_ready(node) for node in simulated()] == [True, True]
        kubectl.apply(pod("simulated", "kwok-0", "", environment))
        wait_for_phase(kubectl, "simulated", "Running", ready=True)
    finally:
        command("kwok", "down")
    assert simulated() == []
    assert all(is_ready(Kubectl("default").get("node", name)) for name in nodes)
