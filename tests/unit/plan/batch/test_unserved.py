"""A ModelDeployment without serving: its model scores and answers nobody."""

import pytest

from modelway.api.kinds import CONFIG_MAP, CONTROLLER_REVISION, CRON_JOB, DEPLOYMENT, SERVICE
from modelway.plan import ChildKey
from support.batch_jobs import batch_pod, complete, entry, failed, job
from support.builders import DIGEST, NAME, NOW, OTHER_DIGEST, fetched, spec
from support.simulation import Simulation

ALONE = {"serving": None, "batchJobs": [entry()]}


@pytest.fixture
def world():
    world = Simulation(spec(model__digest=None, **ALONE))
    world.look()
    return world


def ran(world, digest=DIGEST):
    """A first run has fetched the model and scored."""
    name = "fraud-nightly-29738175"
    pod = batch_pod(name, 0, 0, revision=world.stable, rows=1)
    pod["status"]["initContainerStatuses"] = [fetched(digest)]
    world.jobs = [job(name, created=NOW, revision=world.stable, shards=1, **complete(NOW, 1))]
    world.batch_pods = [pod]
    world.look()


def test_there_is_a_cron_job_and_nothing_that_answers(world):
    assert world.names(CRON_JOB) == [f"{NAME}-nightly"]
    assert {key.kind for key in world.children} == {CRON_JOB, CONTROLLER_REVISION}


def test_it_is_ready_and_says_that_nothing_is_served(world):
    assert (world.condition("Ready").status, world.condition("Ready").reason) == ("True", "BatchOnly")
    assert world.condition("Reconciling").status == world.condition("Stalled").status == "False"
    assert world.status.url is None


def test_the_first_run_pins_the_digest_for_all_later_ones(world):
    ran(world)
    assert world.status.stable.digest == DIGEST
    assert world.recorded_digest(world.stable) == DIGEST
    world.look()
    assert world.pin_of(world.stable) == DIGEST
    assert world.status.batch_jobs[0].last_run.digest == DIGEST
    ran(world, OTHER_DIGEST)
    assert world.pin_of(world.stable) == DIGEST


def test_a_new_version_is_taken_by_the_next_run_and_told(world):
    before = world.stable
    world.edit(model__version="2")
    world.look()
    assert world.stable != before
    made = world.children[ChildKey(CRON_JOB, f"{NAME}-nightly")]
    assert made["metadata"]["labels"]["modelway.dev/revision"] == world.stable
    assert [one.reason for one in world.happenings].count("BatchRevision") == 2


def test_while_it_is_paused_a_new_version_is_not_taken(world):
    before = world.stable
    world.edit(paused=True, model__version="2")
    world.look()
    assert world.stable == before


def test_at_rest_nothing_is_written(world):
    ran(world)
    world.look()
    writes = len(world.writes)
    for _ in range(3):
        world.tick(3600)
        world.look()
    assert world.writes[writes:] == []


def test_an_image_that_brings_its_own_model_needs_no_other():
    container = {"image": "registry/scorer:1"}
    world = Simulation({"batchJobs": [entry(container=container)]})
    world.look()
    made = world.children[ChildKey(CRON_JOB, f"{NAME}-nightly")]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert [one["name"] for one in made["initContainers"]] == ["resolve-run"]
    writes = len(world.writes)
    world.look()
    assert world.writes[writes:] == []


def test_a_sink_is_told_of_a_run_that_failed_but_not_in_its_words_and_of_the_one_that_mends_it(world):
    world.edit(monitoring={"sink": {"url": "http://events.example.com/in"}})
    name = "fraud-nightly-29738175"
    said = {"reason": "InputUnreadable", "message": "7.csv: invalid value 'Jo Smith'"}
    world.jobs = [job(name, created=NOW, shards=1, **failed(NOW, failedIndexes="0"))]
    world.batch_pods = [batch_pod(name, 0, 42, **said)]
    world.look()
    world.look()
    ran(world)
    events = [one.event for one in world.notices]
    told = [(one["subject"], one["data"]["status"], one["data"]["reason"]) for one in events]
    assert told == [("BatchFailed", "True", "InputUnreadable"), ("BatchFailed", "False", "AsExpected")]
    assert events[0]["data"]["message"] == "see modelway batch status fraud --namespace ml"
    assert "Jo Smith" not in str(events)


def test_serving_that_is_asked_for_later_begins_as_new(world):
    """What has only scored never had a pod that was ready, nor replicas to keep."""
    ran(world)
    scored = world.stable
    world.edit(serving={"replicas": 2})
    world.look()
    assert world.stable is None
    assert world.candidate == scored
    assert world.names(CRON_JOB) == [f"{NAME}-nightly"]
    for _ in range(10):
        world.run()
        world.tick(1)
    assert world.stable == scored
    assert world.replicas(scored) == 2
    assert world.front == scored


def test_serving_that_is_taken_out_goes_and_scoring_goes_on():
    world = Simulation(spec())
    world.settle()
    served = world.stable
    world.edit(serving=None, batchJobs=[entry()])
    world.look()
    world.look()
    assert world.names(DEPLOYMENT) == world.names(SERVICE) == []
    assert world.names(CRON_JOB) == [f"{NAME}-nightly"]
    assert world.pin_of(world.stable) == DIGEST
    assert world.status.stable.revision != served or world.status.stable.replicas == 0
    assert world.names(CONFIG_MAP)
