"""The pods of a revision: locked down by default, and loosened only by what the resource says."""

from dataclasses import replace
from typing import get_args

import pytest

from modelway.api.model_source import FULL_FORMATS, ModelFormat
from modelway.plan.pods import pod_template, service_ports
from modelway.plan.revisions import resolved_spec, revision_hash
from modelway.server.formats import REGISTRY
from support.builders import NAME, SETTINGS, parsed, spec

FOREIGN = {"image": "registry/app:1", "port": 5000}


FULL = replace(SETTINGS, server_full_image="modelway.dev/server-full:1")


def template(settings=SETTINGS, **fields):
    return pod_template(NAME, "0b77d1ce", parsed(spec(**fields)).spec, settings)


def server(**fields):
    return template(**fields)["spec"]["containers"][0]


def fetcher(**fields):
    return template(**fields)["spec"]["initContainers"][0]


class TestLockedDown:
    def test_the_pod(self):
        pod = template()["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        }

    def test_every_container(self):
        pod = template()["spec"]
        for container in (*pod["initContainers"], *pod["containers"]):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]

    def test_the_server_only_reads_the_model(self):
        mounts = {mount["name"]: mount for mount in server()["volumeMounts"]}
        assert mounts["model"] == {"name": "model", "mountPath": "/mnt/models", "readOnly": True}

    def test_an_image_that_needs_root_says_so(self):
        loosened = {"runAsNonRoot": False, "runAsUser": 0, "runAsGroup": 0, "readOnlyRootFilesystem": False}
        pod = template(serving__container=FOREIGN | {"securityContext": loosened})["spec"]
        assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (False, 0)
        assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is False
        assert pod["initContainers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


class TestCredentials:
    def test_they_reach_the_container_that_fetches_and_no_other(self):
        pod = template(model__credentialsSecretRef={"name": "s3"})["spec"]
        assert pod["initContainers"][0]["envFrom"] == [{"secretRef": {"name": "s3"}}]
        assert "s3" not in str(pod["containers"])


class TestModel:
    def test_it_is_copied_into_the_pod(self):
        volumes = {volume["name"]: volume for volume in template()["spec"]["volumes"]}
        assert volumes["model"] == {"name": "model", "emptyDir": {}}

    def test_a_claim_is_mounted_and_not_copied(self):
        pod = template(model__uri="pvc://models/fraud/1")["spec"]
        volume = next(volume for volume in pod["volumes"] if volume["name"] == "model")
        assert volume["persistentVolumeClaim"] == {"claimName": "models", "readOnly": True}
        assert "--mounted" in pod["initContainers"][0]["args"]
        mount = next(mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "model")
        assert (mount["subPath"], mount["readOnly"]) == ("fraud/1", True)

    def test_the_fetch_is_told_where_from_and_where_the_pin_is(self):
        assert fetcher()["args"] == [
            "fetch",
            "--uri=s3://models/fraud/1/",
            "--to=/mnt/models",
            "--pin-file=/etc/modelway/pin/digest",
        ]

    def test_the_fetch_asks_for_no_more_than_the_server(self):
        assert fetcher()["resources"] == server()["resources"]

    def test_an_image_that_brings_its_own_gets_none(self):
        pod = pod_template(NAME, "0b77d1ce", parsed({"serving": {"container": FOREIGN}}).spec, SETTINGS)["spec"]
        assert "initContainers" not in pod
        assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]

    def test_another_image_finds_it_where_it_wants_it(self):
        container = server(serving__container=FOREIGN | {"modelPath": "/models/fraud"})
        assert {"name": "MODELWAY_MODEL_DIR", "value": "/models/fraud"} in container["env"]
        assert container["volumeMounts"][0]["mountPath"] == "/models/fraud"


class TestConversion:
    def pod(self, **model):
        fields = {f"model__{name}": value for name, value in model.items()}
        resource = parsed(spec(model__convert="ONNX", **fields))
        return pod_template(NAME, "0b77d1ce", resource.spec, FULL)["spec"]

    def test_it_is_done_by_the_image_with_all_libraries_and_served_by_the_small_one(self):
        pod = self.pod()
        assert pod["initContainers"][0]["image"] == "modelway.dev/server-full:1"
        assert pod["containers"][0]["image"] == "modelway.dev/server:1"
        assert fetcher()["image"] == "modelway.dev/server:1", "nothing to convert"

    def test_without_such_an_image_the_servers_own_is_asked_and_says_what_it_lacks(self):
        pod = pod_template(NAME, "0b77d1ce", parsed(spec(model__convert="ONNX")).spec, SETTINGS)["spec"]
        assert pod["initContainers"][0]["image"] == "modelway.dev/server:1"

    def test_the_source_is_brought_to_one_folder_and_what_it_becomes_to_another(self):
        pod = self.pod(format="sklearn", code="AllowList", allowedGlobals=["a.b"])
        assert pod["initContainers"][0]["args"] == [
            "fetch",
            "--uri=s3://models/fraud/1/",
            "--to=/mnt/source",
            "--pin-file=/etc/modelway/pin/digest",
            "--convert=ONNX",
            "--convert-to=/mnt/models",
            "--format=sklearn",
            "--code=AllowList",
            "--allow-global=a.b",
        ]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert (volumes["source"]["emptyDir"], volumes["model"]["emptyDir"]) == ({}, {})
        mounts = {mount["name"]: mount["mountPath"] for mount in pod["initContainers"][0]["volumeMounts"]}
        assert (mounts["source"], mounts["model"]) == ("/mnt/source", "/mnt/models")

    def test_the_server_is_not_told_the_format_of_the_source_and_never_sees_it(self):
        container = self.pod(format="sklearn", code="AllowList")["containers"][0]
        assert not [argument for argument in container["args"] if argument.startswith("--format")]
        assert "--code=AllowList" in container["args"], "a transform beside the model may need it"
        assert "source" not in {mount["name"] for mount in container["volumeMounts"]}

    def test_a_claim_is_read_where_it_is_mounted(self):
        pod = self.pod(uri="pvc://models/fraud/1")
        mounts = {mount["name"]: mount for mount in pod["initContainers"][0]["volumeMounts"]}
        assert mounts["source"] == {
            "name": "source", "mountPath": "/mnt/source", "readOnly": True, "subPath": "fraud/1",
        }  # fmt: skip
        assert mounts["model"] == {"name": "model", "mountPath": "/mnt/models"}
        served = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
        assert served["model"] == {"name": "model", "mountPath": "/mnt/models", "readOnly": True}

    def test_it_makes_another_revision(self):
        plain, converted = (resolved_spec(parsed(spec(**given)).spec) for given in ({}, {"model__convert": "ONNX"}))
        assert revision_hash(plain) != revision_hash(converted)


class TestServer:
    def test_the_built_in_one_is_told_everything_by_arguments(self):
        given = {"model__version": "17", "model__code": "AllowList", "model__allowedGlobals": ["a.b", "c.d"]}
        assert server(**given)["args"] == [
            "serve",
            "--name=fraud",
            "--model-dir=/mnt/models",
            "--port=8080",
            "--grpc-port=9000",
            "--timeout=5s",
            "--drain=10s",
            "--version=17",
            "--format=onnx",
            "--code=AllowList",
            "--allow-global=a.b",
            "--allow-global=c.d",
        ]

    def test_code_is_refused_unless_said_otherwise(self):
        assert "--code=Refuse" in server()["args"]

    def test_it_is_told_the_number_of_processes_when_one_is_given(self):
        assert "--workers=3" in server(serving__workers=3)["args"]

    def test_another_image_keeps_its_own_arguments(self):
        container = server(serving__container=FOREIGN)
        assert not {"command", "args"} & container.keys()
        assert container["image"] == "registry/app:1"

    def test_another_image_is_told_to_end_late_enough(self):
        assert server(serving__container=FOREIGN)["lifecycle"] == {"preStop": {"sleep": {"seconds": 10}}}
        assert "lifecycle" not in server()

    def test_the_users_environment_wins(self):
        env = server(serving__podTemplate={"env": [{"name": "OMP_NUM_THREADS", "value": "7"}]})["env"]
        assert [variable["value"] for variable in env if variable["name"] == "OMP_NUM_THREADS"] == ["7"]

    def test_modelways_labels_cannot_be_taken(self):
        metadata = template(serving__podTemplate={"labels": {"modelway.dev/name": "other", "team": "risk"}})["metadata"]
        assert (metadata["labels"]["modelway.dev/name"], metadata["labels"]["team"]) == (NAME, "risk")

    def test_the_pod_lives_long_enough_to_drain(self):
        assert template(serving__timeout="30s")["spec"]["terminationGracePeriodSeconds"] == 50


class TestResources:
    @pytest.mark.parametrize(
        ("given", "requests", "limits"),
        [
            (None, {"cpu": "500m", "memory": "512Mi"}, {"memory": "1Gi"}),
            ({"limits": {"memory": "256Mi"}}, {"cpu": "500m", "memory": "256Mi"}, {"memory": "256Mi"}),
            ({"requests": {"memory": "4Gi"}}, {"cpu": "500m", "memory": "4Gi"}, {"memory": "4Gi"}),
            ({"limits": {"cpu": "250m"}}, {"cpu": "250m", "memory": "512Mi"}, {"cpu": "250m", "memory": "1Gi"}),
            (
                {"limits": {"nvidia.com/gpu": 1}},
                {"cpu": "500m", "memory": "512Mi"},
                {"nvidia.com/gpu": "1", "memory": "1Gi"},
            ),
        ],
        ids=["nothing", "a small limit", "a large request", "a small CPU limit", "a GPU"],
    )
    def test_defaults_never_contradict_what_is_said(self, given, requests, limits):
        assert server(serving__resources=given)["resources"] == {"requests": requests, "limits": limits}

    @pytest.mark.parametrize(
        ("limits", "threads"), [({"cpu": "250m"}, "1"), ({"cpu": "2500m"}, "3"), ({"cpu": 4}, "4"), ({}, "1")]
    )
    def test_as_many_threads_as_the_cpu_limit_allows(self, limits, threads):
        env = {variable["name"]: variable["value"] for variable in server(serving__resources={"limits": limits})["env"]}
        assert env["OMP_NUM_THREADS"] == env["MODELWAY_THREADS"] == threads


PROBES = {
    "the built-in server": (None, {"httpGet": {"path": "/v2/health/ready", "port": "http"}}),
    "a port": (FOREIGN, {"tcpSocket": {"port": "http"}}),
    "a path": (FOREIGN | {"probe": {"path": "/healthz"}}, {"httpGet": {"path": "/healthz", "port": "http"}}),
    "gRPC": (FOREIGN | {"protocol": "GRPC"}, {"grpc": {"port": 5000}}),
}


class TestProbes:
    @pytest.mark.parametrize(("container", "probe"), PROBES.values(), ids=PROBES)
    def test_when_it_counts_as_ready(self, container, probe):
        given = server(serving__container=container)
        assert given["readinessProbe"] | probe == given["readinessProbe"]
        assert given["startupProbe"] | probe == given["startupProbe"]

    def test_the_time_to_start_is_the_one_that_is_given(self):
        probe = server(serving__startupTimeout="90s")["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] == 90


class TestImage:
    def image(self, settings=FULL, **given):
        return template(settings=settings, **given)["spec"]["containers"][0]["image"]

    def test_the_formats_that_need_the_full_image_are_those_that_the_server_says(self):
        assert {name for name, entry in REGISTRY.items() if not entry.in_base_image} == FULL_FORMATS
        assert set(REGISTRY) == set(get_args(ModelFormat))

    @pytest.mark.parametrize("name", sorted(FULL_FORMATS))
    def test_a_format_that_needs_it_is_served_by_the_full_image(self, name):
        assert self.image(model__format=name) == "modelway.dev/server-full:1"

    def test_what_is_converted_is_served_by_the_small_one(self):
        assert self.image(model__format="xgboost", model__convert="ONNX") == SETTINGS.server_image

    @pytest.mark.parametrize(
        ("runtime", "name", "image"),
        [
            ("modelway-full", "sklearn", "modelway.dev/server-full:1"),
            ("modelway-full", None, "modelway.dev/server-full:1"),
            ("modelway", "xgboost", SETTINGS.server_image),
        ],
    )
    def test_a_runtime_that_is_named_decides(self, runtime, name, image):
        assert self.image(serving__runtime=runtime, model__format=name) == image

    def test_without_a_full_image_the_small_one_says_what_is_missing(self):
        assert self.image(settings=SETTINGS, model__format="xgboost") == SETTINGS.server_image


class TestPorts:
    def test_the_built_in_server_speaks_http_and_grpc(self):
        assert service_ports(template()) == [
            {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"},
            {
                "name": "grpc",
                "port": 9000,
                "protocol": "TCP",
                "targetPort": "grpc",
                "appProtocol": "kubernetes.io/h2c",
            },
        ]

    def test_http(self):
        assert service_ports(template(serving__container=FOREIGN)) == [
            {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}
        ]

    def test_grpc_is_told_to_proxies(self):
        (port,) = service_ports(template(serving__container=FOREIGN | {"protocol": "GRPC"}))
        assert (port["name"], port["port"], port["appProtocol"]) == ("grpc", 9000, "kubernetes.io/h2c")
