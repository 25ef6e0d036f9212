"""What the programs are told, where a wrong word would show only after minutes or on another machine."""

import tomllib
from pathlib import Path

import pytest
import yaml
from hack.local import addons, components, kind, kwok, nodeconfig, s3
from hack.local.addresses import AddressPlan
from hack.local.certificates import Authority
from hack.local.components import Endpoints
from hack.local.layout import NodePlaces

PLAN = AddressPlan.of()
PLACES = NodePlaces("node-2")
CREDENTIALS = s3.Credentials(access_key="key", secret_key="secret")


def endpoints(address):
    return Endpoints(address=address, apiserver=6443, etcd=2379, etcd_peer=2380)


@pytest.fixture
def pki(tmp_path):
    return Authority(tmp_path / "pki")


def apiserver(pki, address, **arguments):
    given = {"audit": [], "extra": [], **arguments}
    return components.apiserver(
        endpoints=endpoints(address), pki=pki, tokens=Path("tokens.csv"), service_range="10.96.0.0/16", **given
    )


@pytest.mark.parametrize(("address", "none"), [("127.0.0.1", True), ("10.212.0.1", False)])
def test_a_loopback_address_is_never_advertised_to_pods(pki, address, none):
    assert ("--endpoint-reconciler-type=none" in apiserver(pki, address)) is none


def test_the_requestheader_names_are_set_or_metrics_server_would_not_start(pki):
    assert "--requestheader-allowed-names=front-proxy" in apiserver(pki, "127.0.0.1")


def test_own_flags_come_last_and_win(pki):
    assert apiserver(pki, "127.0.0.1", extra=["--profiling=true"])[-1] == "--profiling=true"


def test_etcd_listens_on_loopback_and_lets_in_only_our_certificates(pki):
    flags = components.etcd(endpoints=endpoints("10.212.0.1"), pki=pki, data=Path("data"), durable=True)
    assert "--listen-client-urls=https://127.0.0.1:2379" in flags
    assert {"--client-cert-auth=true", "--peer-client-cert-auth=true"} <= set(flags)
    assert "--unsafe-no-fsync" not in flags


def test_etcd_of_a_test_does_not_wait_for_the_disk(pki):
    flags = components.etcd(endpoints=endpoints("127.0.0.1"), pki=pki, data=Path("data"), durable=False)
    assert "--unsafe-no-fsync" in flags


def test_the_audit_policy_logs_everyone_by_default_and_only_the_named_when_named():
    assert components.audit_policy(())["rules"] == [{"level": "Metadata", "omitStages": ["RequestReceived"]}]
    first, rest = components.audit_policy(["operator"])["rules"]
    assert (first["users"], first["level"], rest) == (["operator"], "Metadata", {"level": "None"})


def test_both_clients_get_the_raised_limit(pki):
    manager = components.controller_manager(kubeconfig=Path("k"), pki=pki, client_qps=300, extra=[])
    assert {"--kube-api-qps=300", "--kube-api-burst=600"} <= set(manager)
    scheduler = components.scheduler_config(kubeconfig=Path("k"), client_qps=300)
    assert scheduler["clientConnection"] == {"kubeconfig": "k", "qps": 300, "burst": 600}


def test_containerd_keeps_everything_below_the_clusters_folders():
    config = tomllib.loads(nodeconfig.containerd(PLACES, sandbox_image="pause:1"))
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert config["root"] == "/var/lib/modelway-local/node-2/containerd"
    assert config["state"] == "/run/modelway-local/node-2/containerd"
    assert config["grpc"]["address"] == "/run/modelway-local/node-2/containerd.sock"
    runc = cri["containerd"]["runtimes"]["runc"]
    assert runc["options"]["Root"] == "/run/modelway-local/node-2/runc"
    assert (cri["sandbox_image"], cri["restrict_oom_score_adj"], cri["netns_mounts_under_state_dir"]) == (
        "pause:1",
        True,
        True,
    )


def test_pods_get_addresses_of_their_nodes_own_range():
    bridge, portmap = nodeconfig.cni(PLACES, PLAN, 2)["plugins"]
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.212.2.0/24"}]]
    assert (bridge["hairpinMode"], bridge["ipMasq"], portmap["type"]) == (True, False, "portmap")


def test_the_kubelet_works_where_the_reference_machine_is_old():
    kubelet = nodeconfig.kubelet(PLACES, PLAN, 2, authority=Path("ca.crt"))
    assert (kubelet["failCgroupV1"], kubelet["cgroupDriver"], kubelet["failSwapOn"]) == (False, "cgroupfs", False)
    assert kubelet["cgroupRoot"] == "/modelway-local/node-2"
    assert kubelet["imageGCHighThresholdPercent"] == 100  # an image loaded by hand cannot be pulled again
    assert kubelet["authentication"]["anonymous"] == {"enabled": False}


def test_kube_proxy_leaves_the_machines_connection_tracking_alone():
    proxy = nodeconfig.kube_proxy(kubeconfig=Path("k"), plan=PLAN, number=1, name="node-1")
    assert (proxy["mode"], proxy["conntrack"]["maxPerCore"], proxy["conntrack"]["min"]) == ("nftables", 0, 0)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(addons.manifests(plan=PLAN, nodes=2, credentials=CREDENTIALS), id="without-docker"),
        pytest.param(addons.manifests_for_kind(CREDENTIALS), id="kind"),
    ],
)
def test_manifests_are_whole_objects_with_nothing_left_to_fill_in(text):
    assert "$" not in text
    objects = list(yaml.safe_load_all(text))
    assert all({"apiVersion", "kind", "metadata"} <= set(item) for item in objects)
    names = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in objects]
    assert len(set(names)) == len(names)
    services = {(item["metadata"]["name"]) for item in objects if item["kind"] == "Service"}
    assert {"s3", "metrics-server"} <= services


def test_a_manifest_with_a_variable_that_nobody_gives_is_an_error():
    with pytest.raises(KeyError):
        addons.render("coredns", image="x")


def test_s3_is_reached_by_the_name_that_pods_are_told():
    text = addons.manifests(plan=PLAN, nodes=2, credentials=CREDENTIALS)
    found = {(item["kind"], item["metadata"]["name"]): item for item in yaml.safe_load_all(text)}
    namespace = found["Service", "s3"]["metadata"]["namespace"]
    port = found["Service", "s3"]["spec"]["ports"][0]["port"]
    assert found["Secret", "s3"]["stringData"]["AWS_ENDPOINT_URL"] == f"http://s3.{namespace}.svc:{port}"
    assert found["EndpointSlice", "s3"]["endpoints"][0]["addresses"] == [PLAN.machine]


def test_s3_environment_is_a_shells_and_private(tmp_path):
    CREDENTIALS.write_environment(tmp_path / "s3.env", endpoint="http://10.212.0.1:7070")
    lines = (tmp_path / "s3.env").read_text().splitlines()
    assert "AWS_ENDPOINT_URL=http://10.212.0.1:7070" in lines
    assert "S3_ENDPOINT_IN_CLUSTER=http://s3.modelway-local.svc:7070" in lines
    assert all(line.count("=") == 1 for line in lines)


def test_kinds_port_mapping_is_the_s3_servers_node_port():
    config = yaml.safe_load(kind._CONFIG.read_text())
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
    (mapping,) = config["nodes"][0]["extraPortMappings"]
    objects = yaml.safe_load_all(addons.manifests_for_kind(CREDENTIALS))
    service = next(item for item in objects if (item["kind"], item["metadata"]["name"]) == ("Service", "s3"))
    assert mapping["containerPort"] == service["spec"]["ports"][0]["nodePort"]
    assert (mapping["hostPort"], mapping["listenAddress"]) == (s3.PORT, "127.0.0.1")


def test_simulated_nodes_are_marked_for_kwok_and_only_they():
    node = kwok.node("kwok-0", taints=[kwok.TAINT])
    command = kwok.command(Path("kwok"), kubeconfig=Path("k"))
    assert node["metadata"]["annotations"]["kwok.x-k8s.io/node"] == "fake"
    assert "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake" in command
    assert node["spec"]["taints"] == [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]


def test_the_stages_of_simulated_pods_are_yaml_and_leave_pods_alone_that_a_test_drives():
    stages = {stage["metadata"]["name"]: stage["spec"] for stage in yaml.safe_load_all(kwok.STAGES.read_text())}
    assert set(stages) == {"node-is-ready", "pod-is-ready", "job-pod-succeeds", "deleted-pod-is-gone"}
    by_hand = {
        "key": '.metadata.annotations["test.modelway.dev/status"]',
        "operator": "DoesNotExist",
    }
    for name in ("pod-is-ready", "job-pod-succeeds"):
        assert by_hand in stages[name]["selector"]["matchExpressions"]


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        pytest.param([], False, id="none"),
        pytest.param([{"type": "Ready", "status": "Unknown"}], False, id="unknown"),
        pytest.param([{"type": "DiskPressure", "status": "True"}], False, id="another-condition"),
        pytest.param([{"type": "Ready", "status": "True"}], True, id="ready"),
    ],
)
def test_a_node_is_ready_by_its_condition(conditions, ready):
    assert kwok.is_ready({"status": {"conditions": conditions}}) is ready
