"""One look: what is written, in which order, and what is not written at all."""

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from modelway.api.kinds import CHILD_KINDS, DEPLOYMENT, JOB, MODEL_DEPLOYMENT, POD
from modelway.controller.measuring import Measurer, UnreachableError
from modelway.controller.monitoring import Collector
from modelway.controller.monitoring_metrics import MonitoringMetrics
from modelway.controller.reconciler import Reconciler
from modelway.controller.rollout_metrics import RolloutMetrics
from modelway.kube.errors import Conflict, Invalid, Unavailable
from modelway.kube.recorder import Recorder
from modelway.kube.store import Owner, Store
from support.batch_jobs import batch_pod, complete, entry, job
from support.builders import NAME, NAMESPACE, NOW, SETTINGS, model_deployment, spec
from support.fake_cluster import FakeCluster
from support.retraining import cron_job

OWNER = Owner(NAMESPACE, NAME)
KINDS = {kind.name: kind for kind in (MODEL_DEPLOYMENT, *CHILD_KINDS, JOB, POD)}


async def nobody_answers(target, *_):
    raise UnreachableError(f"{target.pod.name}: there is no network here")


class Stage:
    """A reconciler on a fake cluster, with clocks that stand still."""

    def __init__(self, given=None) -> None:
        self.cluster = FakeCluster()
        self.cluster.put(model_deployment(given))
        self.seconds = 100.0
        self.notices = []
        self.restart()

    def restart(self):
        self.store = Store()
        self.registry = CollectorRegistry()
        self.reconciler = Reconciler(
            self.cluster,
            self.store,
            Recorder(self.cluster, instance="operator-1"),
            SETTINGS,
            Measurer(nobody_answers, on_news=lambda _: None, ask_metrics=nobody_answers, ask_labels=nobody_answers),
            RolloutMetrics(self.registry),
            Collector(nobody_answers, on_news=lambda _: None, clock=lambda: NOW),
            MonitoringMetrics(self.registry),
            clock=lambda: self.seconds,
            now=lambda: NOW + timedelta(seconds=self.seconds),
            notify=lambda _resource, notice: self.notices.append(notice),
        )
        self.listen()

    def listen(self):
        self.cluster.tell(self.store, KINDS, OWNER)
        if ("ModelDeployment", NAME) not in self.cluster.objects and (known := self.store.resource(OWNER)):
            self.store.discard(MODEL_DEPLOYMENT, known, version="1000000")

    async def look(self):
        """The writes of one look."""
        already = len(self.cluster.writes)
        self.pause = await self.reconciler.reconcile(OWNER)
        return self.cluster.writes[already:]

    async def settle(self):
        await self.look()
        revision = self.status["candidate"]["revision"]
        live = self.cluster.objects["Deployment", f"{NAME}-{revision}"]
        ready = {"observedGeneration": live["metadata"]["generation"], "readyReplicas": live["spec"]["replicas"]}
        self.cluster.edit(DEPLOYMENT, f"{NAME}-{revision}", status=ready)
        for _ in range(4):
            self.listen()
            self.seconds += 20
            await self.look()

    @property
    def status(self):
        return self.cluster.objects["ModelDeployment", NAME].get("status", {})

    def condition(self, kind):
        return next(condition for condition in self.status["conditions"] if condition["type"] == kind)


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
async def settled(stage):
    await stage.settle()
    assert stage.status["stable"]["readyReplicas"] == 2
    return stage


class TestOrder:
    async def test_a_decision_is_written_before_it_is_carried_out(self, stage):
        writes = await stage.look()
        assert writes[0] == f"replace/status ModelDeployment {NAME} by modelway"
        assert writes[1].startswith("create ControllerRevision")

    async def test_where_somebody_else_has_written_nothing_is_touched(self, stage):
        stage.cluster.edit(MODEL_DEPLOYMENT, NAME, spec__paused=False)
        with pytest.raises(Conflict):
            await stage.look()
        assert stage.cluster.writes == [f"replace/status ModelDeployment {NAME} by modelway"]
        assert [*stage.cluster.objects] == [("ModelDeployment", NAME)]

    async def test_events_follow_the_status(self, settled):
        told = [write for write in settled.cluster.writes if write.startswith(("replace/status", "post Event"))]
        assert [write.split()[0] for write in told][:3] == ["replace/status", "replace/status", "post"]


class TestRest:
    async def test_with_nothing_to_do_nothing_is_asked_of_the_api_server(self, settled):
        assert await settled.look() == []
        assert settled.pause is None

    async def test_a_restart_writes_nothing(self, settled):
        settled.restart()
        assert await settled.look() == []

    async def test_creating_one_takes_twelve_writes(self, settled):
        assert len(settled.cluster.writes) <= 12


class TestGone:
    async def test_an_absent_resource_is_forgotten(self, settled):
        del settled.cluster.objects["ModelDeployment", NAME]
        settled.listen()
        assert await settled.look() == []
        assert settled.reconciler._memories == {}

    async def test_one_that_is_being_deleted_is_left_alone(self, settled):
        settled.cluster.edit(MODEL_DEPLOYMENT, NAME, metadata__deletionTimestamp="now")
        del settled.cluster.objects["Service", NAME]
        settled.listen()
        assert await settled.look() == []

    async def test_for_one_that_went_in_the_meantime_nothing_is_made(self, stage):
        del stage.cluster.objects["ModelDeployment", NAME]
        assert await stage.look() == [f"replace/status ModelDeployment {NAME} by modelway"]
        assert stage.cluster.objects == {}

    async def test_of_an_earlier_one_of_its_name_nothing_is_remembered(self, settled):
        del settled.cluster.objects["ModelDeployment", NAME]
        settled.cluster.objects.clear()
        settled.cluster.put(model_deployment(uid="later"))
        settled.listen()
        await settled.look()
        owners = {
            reference["uid"]
            for (kind, _), obj in settled.cluster.objects.items()
            for reference in obj["metadata"].get("ownerReferences", ())
        }
        assert owners == {"later"}


class TestStatus:
    async def test_counts_alone_are_written_every_three_seconds_at_most(self, settled):
        name = f"{NAME}-{settled.status['stable']['revision']}"
        status = settled.cluster.objects["Deployment", name]["status"]
        settled.cluster.edit(DEPLOYMENT, name, status=status | {"readyReplicas": 1})
        settled.listen()
        await settled.look()
        settled.cluster.edit(DEPLOYMENT, name, status=status)
        settled.listen()
        settled.seconds += 0.3
        assert await settled.look() == []
        assert settled.pause == pytest.approx(2.7)
        settled.seconds += 2.7
        assert await settled.look() == [f"replace/status ModelDeployment {NAME} by modelway"]

    async def test_what_is_not_a_count_is_written_at_once(self, settled):
        name = f"{NAME}-{settled.status['stable']['revision']}"
        status = settled.cluster.objects["Deployment", name]["status"]
        for ready in (1, 0):
            settled.cluster.edit(DEPLOYMENT, name, status=status | {"readyReplicas": ready})
            settled.listen()
            await settled.look()
        assert settled.condition("Ready")["reason"] == "NoReadyPods"

    async def test_it_never_writes_into_the_spec(self, settled):
        statuses = [body for body in settled.cluster.bodies if body.get("kind") == "ModelDeployment"]
        assert statuses
        assert all(body["spec"] == spec() for body in statuses)


class TestRefused:
    async def test_it_is_told_and_tried_again_later_and_later(self, stage):
        stage.cluster.refuse["Deployment"] = Invalid(422, "Invalid", "affinity: no")
        await stage.look()
        assert stage.status["failure"]["reason"] == "ChildRefused"
        pauses = [stage.pause]
        for _ in range(12):
            stage.listen()
            await stage.look()
            pauses.append(stage.pause)
        assert pauses[0] <= 5
        assert pauses == sorted(pauses)
        assert pauses[-1] == 300

    async def test_it_is_taken_back_when_it_works(self, stage):
        stage.cluster.refuse["Deployment"] = Invalid(422, "Invalid", "affinity: no")
        await stage.look()
        stage.cluster.refuse.clear()
        stage.listen()
        await stage.look()
        assert "failure" not in stage.status

    async def test_a_restart_writes_nothing_though_it_has_to_find_out_again(self, stage):
        stage.cluster.refuse["create Service"] = Invalid(422, "Invalid", "no")
        await stage.look()
        stage.restart()
        writes = await stage.look()
        assert [write for write in writes if not write.startswith("create Service")] == []

    async def test_what_passes_is_raised(self, stage):
        stage.cluster.refuse["Deployment"] = Unavailable(503, "", "")
        with pytest.raises(Unavailable):
            await stage.look()


class TestUnreadable:
    async def test_a_spec_that_cannot_be_read_is_said_with_its_field(self, settled):
        settled.cluster.edit(MODEL_DEPLOYMENT, NAME, spec__serving__replicas="many")
        settled.listen()
        assert len(await settled.look()) == 1
        stalled = settled.condition("Stalled")
        assert (stalled["status"], stalled["reason"]) == ("True", "InvalidSpec")
        assert stalled["message"].startswith("spec.serving.replicas: ")
        assert settled.status["stable"]["readyReplicas"] == 2, "what serves goes on"

    async def test_it_is_said_once(self, settled):
        settled.cluster.edit(MODEL_DEPLOYMENT, NAME, spec__serving__replicas="many")
        settled.listen()
        await settled.look()
        settled.listen()
        assert await settled.look() == []

    async def test_it_goes_on_when_the_spec_can_be_read_again(self, settled):
        settled.cluster.edit(MODEL_DEPLOYMENT, NAME, spec__serving__replicas="many")
        settled.listen()
        await settled.look()
        settled.cluster.edit(MODEL_DEPLOYMENT, NAME, spec__serving__replicas=2)
        settled.listen()
        await settled.look()
        assert settled.condition("Stalled")["status"] == "False"
        assert "failure" not in settled.status


async def test_objects_of_others_under_our_label_are_no_children(settled):
    """Somebody's Service carries the resource's label; it has another controller, or none."""
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "theirs", "namespace": NAMESPACE, "labels": {"modelway.dev/name": NAME}},
        "spec": {},
    }
    settled.cluster.put(theirs)
    settled.listen()
    assert await settled.look() == []
    assert ("Service", "theirs") in settled.cluster.objects


class TestMetrics:
    async def test_a_promotion_is_counted_once(self):
        stage = Stage()
        await stage.settle()
        assert stage.registry.get_sample_value("modelway_rollout_decisions_total", {"result": "Promoted"}) == 1


async def test_a_model_that_is_monitored_is_told_of_and_costs_nothing_at_rest():
    stage = Stage(spec(monitoring={"slo": {"errorRate": "1%"}}))
    await stage.settle()
    assert stage.condition("DataDrift")["reason"] == "NotYetMeasured"
    assert stage.condition("Degraded")["status"] == "Unknown"
    assert 'modelway_monitoring_condition{condition="DataDrift"' in generate_latest(stage.registry).decode()
    assert await stage.look() == []


async def test_a_drift_of_a_batch_run_is_a_metric_from_the_look_that_finds_it():
    """Nothing else may happen until the next night, and the status that is written brings no other look."""
    stage = Stage(spec(serving=None, batchJobs=[entry()]))
    stage.listen()
    await stage.look()
    worst = {"name": "income", "psi": "0.83", "drifted": True}
    inputs = {"features": 1, "driftedFeatures": 1, "worst": [worst], "issues": []}
    stage.cluster.put({"apiVersion": "batch/v1", "kind": "Job"} | job("run", created=NOW, **complete(NOW)))
    pod = batch_pod("run", 0, 0, run={"rows": 2000, "failedRows": 0, "inputs": inputs})
    stage.cluster.put({"apiVersion": "v1", "kind": "Pod"} | pod)
    stage.listen()
    await stage.look()
    assert stage.condition("BatchInputDrift")["status"] == "True"
    told = generate_latest(stage.registry).decode()
    assert 'modelway_monitoring_condition{condition="BatchInputDrift"' in told
    assert 'modelway_monitoring_batch_drift_psi{batch_job="nightly",feature="income"' in told


class TestRetraining:
    @pytest.fixture
    async def stale(self):
        monitoring = {"maxModelAge": "720h", "onDegraded": {"jobFrom": "train"}, "sink": {"url": "http://events/"}}
        stage = Stage(spec(monitoring=monitoring, model__trainingTime="2020-01-01T00:00:00Z"))
        stage.cluster.put(cron_job())
        post = stage.cluster.post

        async def posted(kind, body):
            await post(kind, body)
            return stage.cluster.put(body) if kind == JOB else body

        stage.cluster.post = posted
        await stage.settle()
        return stage

    async def test_a_job_is_made_once_and_told(self, stale):
        made = [write for write in stale.cluster.writes if write.startswith("post Job")]
        assert made == [f"post Job {stale.status['retraining']['job']}"]
        assert stale.condition("RetrainingFailed")["status"] == "False"

    async def test_at_rest_and_after_a_restart_nothing_is_written(self, stale):
        looks = [await stale.look()]
        stale.restart()
        looks.append(await stale.look())
        written = [write for look in looks for write in look if not write.startswith("create ConfigMap")]
        assert written == [], "but for what monitoring keeps"

    async def test_what_is_refused_is_looked_at_again_after_a_minute(self, stale):
        del stale.cluster.objects["CronJob", "train"]
        stale.restart()
        await stale.look()
        assert stale.condition("RetrainingFailed")["reason"] == "CronJobMissing"
        assert stale.pause == 60

    async def test_a_sink_is_told_of_each_transition_once(self, stale):
        told = [(one.event["subject"], one.event["data"]["status"]) for one in stale.notices]
        assert len(told) == len(set(told))
        assert ("ModelStale", "True") in told
