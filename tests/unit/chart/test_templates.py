"""What the chart makes of its values."""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hack import install

from modelway import __version__
from modelway.api import crd
from modelway.controller.settings import OperatorSettings, read_settings

DIGEST = f"sha256:{'a' * 64}"


def container_of(deployment: Any) -> Any:
    return deployment["spec"]["template"]["spec"]["containers"][0]


def environment_of(deployment: Any) -> dict[str, str]:
    """The container's environment, with what the kubelet fills in."""
    by_field = {"metadata.namespace": "modelway-system", "metadata.name": "modelway-0", "spec.nodeName": "node"}
    return {
        entry["name"]: entry["value"] if "value" in entry else by_field[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        for entry in container_of(deployment)["env"]
    }


def test_the_chart_passes_helms_own_lint(helm):
    assert "0 chart(s) failed" in helm.lint()


def test_the_charts_version_is_the_operators():
    chart = yaml.safe_load((install.CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_two_renders_are_equal_so_that_git_tools_see_no_difference(helm):
    again = replace(helm, program=helm.program.replace("/", "//", 1))  # another program to the cache, the same to us
    assert again.objects() == helm.objects()


def test_nothing_depends_on_hooks_or_on_what_the_cluster_holds():
    templates = "".join(path.read_text() for path in (install.CHART / "templates").iterdir())
    assert "helm.sh/hook" not in templates
    assert "lookup" not in templates
    assert ".Capabilities" not in templates


def test_by_default_all_that_is_needed_is_made_and_nothing_optional(helm):
    assert helm.kinds() == {
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "Deployment",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }


def test_every_object_but_those_of_the_cluster_is_in_the_releases_namespace(helm):
    of_the_cluster = {
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
    for obj in helm.objects("elsewhere"):
        assert obj["metadata"].get("namespace") == (None if obj["kind"] in of_the_cluster else "elsewhere"), obj


def test_every_object_has_helms_labels_and_the_users(helm):
    mine = {"team": "platform", "app.kubernetes.io/instance": "cannot be changed"}
    for obj in helm.objects(commonLabels=mine):
        labels = obj["metadata"]["labels"]
        assert labels["team"] == "platform", obj["kind"]
        assert labels["app.kubernetes.io/instance"] == "modelway", obj["kind"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm", "the operator's own label would make it a child"


# The Deployment


def test_the_operator_runs_restricted(helm):
    pod = helm.one("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["containers"][0]["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert [volume.keys() for volume in pod["volumes"]] == [{"name", "emptyDir"}]


def test_a_user_id_can_be_left_to_the_platform(helm):
    pod = helm.one("Deployment", podSecurityContext={"runAsUser": None, "runAsGroup": None})["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_the_api_token_reaches_the_operators_pods_only(helm):
    assert helm.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert helm.one("Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is True


def test_an_upgrade_takes_no_pod_away_before_another_is_ready(helm):
    spec = helm.one("Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 30


def test_probes_metrics_and_the_setting_name_one_port(helm):
    deployment = helm.one("Deployment")
    container = container_of(deployment)
    (port,) = container["ports"]
    assert environment_of(deployment)["MODELWAY_HEALTH_PORT"] == str(port["containerPort"]) == "8081"
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    assert helm.one("Service")["spec"]["ports"][0]["targetPort"] == port["name"]


def test_the_pods_can_run_with_the_defaults(helm):
    container = container_of(helm.one("Deployment"))
    assert container["args"] == ["operator"]
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert container["resources"]["limits"].keys() == {"memory"}, "a CPU limit only makes it slow"


def test_every_setting_of_the_operator_is_set_and_understood(helm):
    prometheus = {"url": "http://prometheus:9090", "tokenSecret": {"name": "token"}}
    given = {"watchNamespaces": ["a", "b"], "sinkHosts": ["*"], "prometheus": prometheus}
    environment = environment_of(helm.one("Deployment", **given))
    assert environment.keys() == {f"MODELWAY_{name.upper()}" for name in OperatorSettings.model_fields}
    settings = read_settings(environment)
    assert settings == OperatorSettings(
        server_image=f"modelway/server:{__version__}",
        server_full_image=f"modelway/server-full:{__version__}",
        router_image=f"modelway/router:{__version__}",
        watch_namespaces=("a", "b"),
        sink_hosts=("*",),
        prometheus_url="http://prometheus:9090",
        prometheus_token_file="/var/run/secrets/modelway.dev/prometheus/token",
        namespace="modelway-system",
        lease_name="modelway",
        identity="modelway-0",
    )


def test_values_reach_the_settings(helm, everything):
    settings = read_settings(environment_of(helm.one("Deployment", **everything)))
    assert settings == OperatorSettings(
        server_image=f"registry.example:5000/path/m/server@{everything['serverImage']['digest']}",
        server_image_pull_policy="Never",
        server_full_image="registry.example:5000/m/server-full:v9",
        router_image="registry.example:5000/m/router:v9",
        cluster_domain="k8s.example",
        prometheus_url="https://prometheus.example:9090/path",
        prometheus_namespace_label="kubernetes_namespace",
        prometheus_token_file="/var/run/secrets/modelway.dev/prometheus/token",
        sink_hosts=("events.example", "*.events.example"),
        workers=4,
        namespace="modelway-system",
        lease_name="ways-of-models",
        lease_duration=5,
        lease_renew_deadline=3.5,
        lease_retry_period=1,
        identity="modelway-0",
        log_level="debug",
        log_format="console",
    )


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        pytest.param({}, f"modelway/operator:{__version__}", id="defaults"),
        pytest.param({"tag": "v2"}, "modelway/operator:v2", id="tag"),
        pytest.param({"tag": "v2", "digest": DIGEST}, f"modelway/operator@{DIGEST}", id="a digest wins over a tag"),
        pytest.param(
            {"registry": "r.example:5000", "repository": "m/o", "tag": "v2"}, "r.example:5000/m/o:v2", id="registry"
        ),
        pytest.param({"registry": "r.example/path/"}, f"r.example/path/modelway/operator:{__version__}", id="path"),
    ],
)
def test_image_references(helm, image, reference):
    deployment = helm.one(
        "Deployment", image=image, serverImage=image | {"repository": image.get("repository", "modelway/operator")}
    )
    assert container_of(deployment)["image"] == reference
    assert environment_of(deployment)["MODELWAY_SERVER_IMAGE"] == reference


def test_where_the_pods_run_is_up_to_the_user(helm, everything):
    pod = helm.one("Deployment", **everything)["spec"]["template"]
    for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "imagePullSecrets"):
        assert pod["spec"][key] == everything[key]
    assert pod["metadata"]["annotations"]["example.com/note"] == "hello"
    assert pod["metadata"]["labels"]["extra"] == "label"
    assert container_of({"spec": {"template": pod}})["env"][-2:] == everything["extraEnv"]


def test_pods_are_spread_over_nodes_and_a_selector_is_filled_in_only_where_none_is(helm, everything):
    mine = {"matchLabels": helm.one("Deployment")["spec"]["selector"]["matchLabels"]}
    (spread,) = helm.one("Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["labelSelector"]) == ("kubernetes.io/hostname", mine)
    given = helm.one("Deployment", **everything)["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert given[1] == everything["topologySpreadConstraints"][1]


def test_a_pods_labels_do_not_change_with_the_charts_version(helm):
    labels = helm.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert not any(__version__ in value for value in labels.values())


def test_all_that_selects_the_pods_does(helm, everything):
    everything_on = [obj for obj in helm.objects(**everything) if obj["kind"] != "CustomResourceDefinition"]
    by_kind = {obj["kind"]: obj["spec"] for obj in everything_on if "spec" in obj}
    labels = by_kind["Deployment"]["template"]["metadata"]["labels"].items()
    for selector in (
        by_kind["Deployment"]["selector"]["matchLabels"],
        by_kind["PodDisruptionBudget"]["selector"]["matchLabels"],
        by_kind["NetworkPolicy"]["podSelector"]["matchLabels"],
        by_kind["Service"]["selector"],
    ):
        assert selector.items() <= labels
    service = helm.one("Service", **everything)["metadata"]["labels"]
    assert by_kind["ServiceMonitor"]["selector"]["matchLabels"].items() <= service.items()


# The rest


@pytest.mark.parametrize(
    ("values", "budget"),
    [
        pytest.param({}, {"maxUnavailable": 1}, id="default"),
        pytest.param({"maxUnavailable": 0}, {"maxUnavailable": 0}, id="nought is a value"),
        pytest.param({"minAvailable": 0}, {"minAvailable": 0}, id="nought is a value here too"),
        pytest.param({"minAvailable": "50%"}, {"minAvailable": "50%"}, id="minAvailable takes its place"),
    ],
)
def test_the_disruption_budget_has_one_of_two_bounds(helm, values, budget):
    spec = helm.one("PodDisruptionBudget", podDisruptionBudget=values)["spec"]
    assert {key: spec[key] for key in ("maxUnavailable", "minAvailable") if key in spec} == budget


def test_the_network_policy_lets_in_metrics_and_out_the_api_server_dns_and_the_models(helm, everything):
    policy = helm.one("NetworkPolicy", networkPolicy={"enabled": True})["spec"]
    assert policy["ingress"] == [{"ports": [{"port": "metrics", "protocol": "TCP"}]}]
    assert [[port["port"] for port in rule["ports"]] for rule in policy["egress"]] == [
        [443, 6443],
        [53, 53],
        [9902, 8080],
    ]
    narrow = helm.one("NetworkPolicy", **everything)["spec"]
    assert narrow["ingress"][0]["from"] == everything["networkPolicy"]["metricsFrom"]
    assert narrow["egress"][0]["to"] == [{"ipBlock": {"cidr": "10.0.0.1/32"}}]
    assert narrow["egress"][3:] == everything["networkPolicy"]["extraEgress"]


def test_the_service_monitor_scrapes_the_service(helm, everything):
    monitor = helm.one("ServiceMonitor", **everything)
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] == helm.one("Service", **everything)["spec"]["ports"][0]["name"]
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == ("30s", "10s")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_the_crd_is_the_models_and_stays_when_the_release_goes(helm):
    definition = helm.one("CustomResourceDefinition")
    assert definition["spec"] == crd.render()["spec"]
    assert definition["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_the_crd_can_be_let_go_or_left_out(helm, everything):
    assert "annotations" not in helm.one("CustomResourceDefinition", **everything)["metadata"]
    assert "CustomResourceDefinition" not in helm.kinds(crds={"enabled": False})


def test_a_service_account_of_the_users_own_gets_the_rights(helm):
    objects = helm.objects(serviceAccount={"create": False, "name": "theirs"})
    assert "ServiceAccount" not in {obj["kind"] for obj in objects}
    subjects = [subject for obj in objects for subject in obj.get("subjects", ())]
    assert {subject["name"] for subject in subjects} == {"theirs"}


def test_alerts_and_the_dashboard_are_there_when_they_are_asked_for(helm, everything):
    assert "PrometheusRule" not in helm.kinds()
    rule = helm.one("PrometheusRule", **everything)
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    (group,) = rule["spec"]["groups"]
    assert {"ModelDataDrift", "ModelBatchFailed", "ModelBatchInputDrift", "ModelStale", "ModelNotMonitored"} <= {
        one["alert"] for one in group["rules"]
    }
    board = helm.one("ConfigMap", **everything)
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["modelway-models.json"])["title"] == "modelway: health of models"
