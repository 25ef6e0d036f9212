"""What a run is made of: the CronJob, its Job and its pods."""

import pytest

from modelway.api.kinds import CRON_JOB, DEPLOYMENT
from modelway.api.names import MAX_CRON_JOB, cron_job_name
from modelway.plan import ChildKey, Settings
from support.batch_jobs import entry, scoring
from support.builders import DIGEST, NAME, spec
from support.simulation import Simulation

SETTINGS = Settings(server_image="modelway.dev/server:1", server_full_image="modelway.dev/server-full:1")
CONTAINER = {"image": "registry/scorer:1", "args": ["--fast"]}


def made_of(**fields):
    """The CronJob of an entry, of a model that serves."""
    world = scoring(entry(**fields), settings=SETTINGS)
    return world.children[ChildKey(CRON_JOB, cron_job_name(NAME, "nightly"))]


def job_of(cron_job):
    return cron_job["spec"]["jobTemplate"]["spec"]


def pod_of(cron_job):
    return job_of(cron_job)["template"]["spec"]


def arguments(cron_job):
    return pod_of(cron_job)["containers"][0]["args"]


def test_none_is_made_before_a_revision_serves():
    world = Simulation(spec(batchJobs=[entry()]), settings=SETTINGS)
    world.look()
    assert world.names(CRON_JOB) == []


def test_the_cron_job_is_what_was_asked_for():
    made = made_of(timeZone="Europe/Madrid", suspend=True, concurrencyPolicy="Replace", startingDeadlineSeconds=600)
    assert {key: made["spec"][key] for key in made["spec"] if key != "jobTemplate"} == {
        "schedule": "15 2 * * *",
        "timeZone": "Europe/Madrid",
        "suspend": True,
        "concurrencyPolicy": "Replace",
        "startingDeadlineSeconds": 600,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 3,
    }


def test_without_a_time_zone_it_is_utc_and_not_the_controllers():
    assert made_of()["spec"]["timeZone"] == "Etc/UTC"


def test_without_a_schedule_it_waits_to_be_asked():
    made = made_of(schedule=None)
    assert (made["spec"]["suspend"], made["spec"]["schedule"]) == (True, "@yearly")


@pytest.mark.parametrize(
    "wrong", [{"timeZone": "Europe/Atlantis"}, {"schedule": "0 0 30 2 *"}, {"schedule": "9-1 * * * *"}]
)
def test_one_that_can_never_fire_is_suspended_and_its_runs_are_left_alone(wrong):
    made = made_of(**wrong)
    assert made["spec"]["suspend"] is True
    assert made["spec"]["timeZone"] == "Etc/UTC"


def test_a_pod_for_each_shard_so_many_at_once():
    made = job_of(made_of(shards=16, parallelism=4, maxFailedIndexes=2, activeDeadlineSeconds=3600))
    assert (made["completionMode"], made["completions"], made["parallelism"]) == ("Indexed", 16, 4)
    assert (made["maxFailedIndexes"], made["activeDeadlineSeconds"]) == (2, 3600)


@pytest.mark.parametrize(("shards", "pods"), [(1, 1), (4, 4), (1000, 10)])
def test_when_nothing_is_said_at_most_ten_run_at_once(shards, pods):
    assert job_of(made_of(shards=shards))["parallelism"] == pods


def test_disruptions_never_count_and_exit_codes_say_what_is_given_up():
    rules = job_of(made_of())["podFailurePolicy"]["rules"]
    assert rules[0] == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    exits = {rule["action"]: rule["onExitCodes"] for rule in rules[1:]}
    assert exits["FailJob"] == {"containerName": "batch", "operator": "In", "values": [2, 43]}
    assert exits["FailIndex"] == {"containerName": "batch", "operator": "In", "values": [42]}


def test_the_model_comes_as_to_serving_pods_by_the_same_pin():
    world = scoring(entry(), settings=SETTINGS)
    serving = world.children[ChildKey(DEPLOYMENT, f"{NAME}-{world.stable}")]["spec"]["template"]["spec"]
    made = pod_of(world.children[ChildKey(CRON_JOB, f"{NAME}-nightly")])
    fetch = made["initContainers"][0]
    assert fetch["args"] == serving["initContainers"][0]["args"]
    assert made["volumes"] == serving["volumes"]
    assert {"name": "model", "mountPath": "/mnt/models", "readOnly": True} in made["containers"][0]["volumeMounts"]


def test_it_has_the_revision_that_serves_and_not_the_one_that_is_on_its_way():
    world = scoring(entry(), settings=SETTINGS)
    before = world.stable
    world.edit(model__version="2", model__digest=DIGEST)
    world.look()
    labels = world.children[ChildKey(CRON_JOB, f"{NAME}-nightly")]["metadata"]["labels"]
    assert labels["modelway.dev/revision"] == before
    while world.stable == before:
        world.run()
        world.tick(1)
    world.look()
    made = world.children[ChildKey(CRON_JOB, f"{NAME}-nightly")]
    assert made["metadata"]["labels"]["modelway.dev/revision"] == world.stable
    assert "--version=2" in arguments(made)


def test_the_runner_is_told_what_to_do():
    given = arguments(
        made_of(
            input={"uri": "s3://lake/dt={date}/", "format": "csv", "splitLines": True},
            output={"uri": "s3://scores/dt={date}/", "format": "jsonl", "columns": ["id", "day"]},
            columnMap={"AGE": "age", "x": "y"},
            dateOffset="-24h",
            timeZone="Europe/Madrid",
            rowsPerBatch=100,
            maxFailedRowsPerMillion=5,
        )
    )
    assert given[:3] == ["batch", "score", "--model=/mnt/models"]
    assert set(given) >= {
        "--input=s3://lake/dt={date}/",
        "--output=s3://scores/dt={date}/",
        "--input-format=csv",
        "--output-format=jsonl",
        "--split-lines",
        "--columns=id,day",
        "--map=AGE=age",
        "--map=x=y",
        "--time-zone=Europe/Madrid",
        "--date-offset=-86400",
        "--rows-per-batch=100",
        "--max-failed-rows-per-million=5",
        "--shards=4",
        "--format=onnx",
        "--code=Refuse",
    }


@pytest.mark.parametrize(
    ("monitoring", "told"),
    [
        (None, []),
        ({}, []),
        ({"drift": {"windows": 2}}, []),
        ({"drift": {"maxPSI": 0.25}, "minRows": 1000}, ["--drift-max-psi=0.25", "--drift-min-rows=1000"]),
        ({"features": "Hide"}, ["--hide-features"]),
        ({"features": "Show"}, []),
    ],
)
def test_inputs_are_compared_by_the_rule_of_monitoring(monitoring, told):
    world = scoring(entry())
    world.edit(monitoring=monitoring)
    world.look()
    given = arguments(world.children[ChildKey(CRON_JOB, f"{NAME}-nightly")])
    assert [one for one in given if one.startswith(("--drift", "--hide"))] == told


def test_pods_know_the_job_that_they_are_of():
    environment = {one["name"]: one for one in pod_of(made_of())["containers"][0]["env"]}
    assert environment["MODELWAY_CRON_JOB"]["value"] == f"{NAME}-nightly"
    path = environment["MODELWAY_JOB"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert path == "metadata.labels['batch.kubernetes.io/job-name']"


def test_credentials_reach_the_container_that_scores_and_no_other():
    made = pod_of(made_of(credentialsSecretRef={"name": "lake"}))
    assert made["containers"][0]["envFrom"] == [{"secretRef": {"name": "lake"}}]
    assert "envFrom" not in made["initContainers"][0]
    assert made["automountServiceAccountToken"] is False


def test_pods_are_locked_down():
    made = pod_of(made_of())
    assert made["securityContext"]["runAsNonRoot"] is True
    for container in (*made["initContainers"], *made["containers"]):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_resources_are_its_own_and_fetching_takes_no_more():
    asked = {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
    made = pod_of(made_of(resources=asked))
    assert [one["resources"] for one in (*made["initContainers"], *made["containers"])] == [asked, asked]


def test_claims_are_mounted_the_input_to_read_only():
    made = pod_of(made_of(input={"uri": "pvc://lake/tx/{date}/"}, output={"uri": "pvc://scores/fraud/{date}/"}))
    claims = {one["name"]: one["persistentVolumeClaim"] for one in made["volumes"] if "persistentVolumeClaim" in one}
    assert claims == {"input": {"claimName": "lake", "readOnly": True}, "output": {"claimName": "scores"}}
    mounts = {one["name"]: one for one in made["containers"][0]["volumeMounts"]}
    assert mounts["input"]["readOnly"] is True
    assert "--input=/mnt/input/tx/{date}/" in made["containers"][0]["args"]
    assert "--output=/mnt/output/fraud/{date}/" in made["containers"][0]["args"]


@pytest.mark.parametrize("spot", [None, "Preferred", "Required", "Never"])
def test_spot_nodes_are_preferred_required_or_kept_away_from(spot):
    made = pod_of(made_of(**({"spot": spot} if spot else {})))
    affinity = made["affinity"]["nodeAffinity"]
    if spot in {None, "Preferred"}:
        assert len(affinity["preferredDuringSchedulingIgnoredDuringExecution"]) == 4
    else:
        (terms,) = [value["nodeSelectorTerms"] for value in affinity.values()]
        # Any of the marks will do; and none of them must be there.
        assert [len(terms), len(terms[0]["matchExpressions"])] == ([4, 1] if spot == "Required" else [1, 4])
    assert bool(made.get("tolerations")) == (spot != "Never")


def test_the_queue_is_named_on_the_job_and_not_on_the_cron_job():
    made = made_of(queueName="team-a")
    assert made["spec"]["jobTemplate"]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert "kueue.x-k8s.io/queue-name" not in made["metadata"]["labels"]


class TestAnImageOfOnesOwn:
    def test_it_finds_the_run_in_a_file_and_the_model_in_a_folder(self):
        made = pod_of(made_of(container=CONTAINER | {"modelPath": "/models"}))
        scores = made["containers"][0]
        values = {one["name"]: one.get("value") for one in scores["env"]}
        assert (scores["image"], scores["args"]) == ("registry/scorer:1", ["--fast"])
        assert values["MODELWAY_RUN_FILE"] == "/etc/modelway/run/run.json"
        assert values["MODELWAY_MODEL_DIR"] == "/models"
        assert {"name": "run", "mountPath": "/etc/modelway/run", "readOnly": True} in scores["volumeMounts"]

    def test_the_file_is_written_before_it_starts(self):
        fetch, resolve = pod_of(made_of(container=CONTAINER))["initContainers"]
        assert (fetch["name"], resolve["name"]) == ("fetch-model", "resolve-run")
        assert resolve["args"][:2] == ["batch", "resolve"]
        assert f"--digest={DIGEST}" in resolve["args"]

    def test_a_run_whose_day_is_not_known_is_given_up_before_it_starts(self):
        rules = job_of(made_of(container=CONTAINER))["podFailurePolicy"]["rules"]
        assert {"containerName": "resolve-run", "operator": "In", "values": [2, 43]} in [
            rule.get("onExitCodes") for rule in rules
        ]


class TestNames:
    def test_short_names_are_kept(self):
        assert cron_job_name("fraud", "nightly") == "fraud-nightly"

    @pytest.mark.parametrize(("name", "entry"), [("f" * 63, "n" * 63), ("fraud", "a-b"), ("a" * 30, "b" * 30)])
    def test_long_ones_leave_room_for_jobs_and_pods(self, name, entry):
        made = cron_job_name(name, entry)
        assert len(made) <= MAX_CRON_JOB
        assert len(f"{made}-d202611201430-99-9999") <= 63

    def test_the_same_dashes_in_other_places_are_other_names(self):
        assert len({cron_job_name("a-b", "c"), cron_job_name("a", "b-c"), cron_job_name("a-b-c", "c")}) == 3
