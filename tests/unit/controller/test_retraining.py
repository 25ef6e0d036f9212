"""Jobs from CronJobs: what is read, what is written, and what is tried again."""

from datetime import timedelta

import pytest

from modelway.api.kinds import CRON_JOB, JOB
from modelway.controller.retraining import LATE, PAUSE, Retrainer
from modelway.kube.errors import Conflict, Forbidden, Invalid, Unavailable
from modelway.kube.store import Owner, Store
from modelway.plan.types import JobOrder
from support import retraining
from support.builders import NAME, NAMESPACE, NOW, UID
from support.fake_cluster import FakeCluster

OWNER = Owner(NAMESPACE, NAME)
LOOK = JobOrder(retraining.CRON_JOB)
MAKE = JobOrder(retraining.CRON_JOB, "fraud-retrain-1", "{}", {"MODELWAY_REASON": "DataDrift"})


class Cluster(FakeCluster):
    """One that remembers what was read, and completes what is posted."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def get(self, kind, namespace, name):
        self.reads += 1
        return await super().get(kind, namespace, name)

    async def post(self, kind, body):
        await super().post(kind, body)
        return self.put(body)


class Stage:
    def __init__(self) -> None:
        self.cluster, self.store, self.now = Cluster(), Store(), NOW
        self.cluster.put(retraining.cron_job())
        self.retrainer = Retrainer(self.cluster, self.store, now=lambda: self.now)

    async def told(self, order):
        refusal = await self.retrainer.carry_out(OWNER, UID, order)
        return refusal.reason if refusal else None


@pytest.fixture
def stage():
    return Stage()


async def test_the_job_is_made_and_known_at_once(stage):
    assert await stage.told(MAKE) is None
    assert stage.cluster.writes == ["post Job fraud-retrain-1"]
    (key,) = stage.store.belongings(OWNER)
    assert (key.kind, key.name) == (JOB, "fraud-retrain-1")


async def test_a_cron_job_is_looked_at_once_an_hour_while_none_is_wanted(stage):
    for _ in range(3):
        assert await stage.told(LOOK) is None
    assert stage.cluster.reads == 1
    stage.now += timedelta(hours=1)
    await stage.told(LOOK)
    assert stage.cluster.reads == 2
    assert stage.cluster.writes == []


async def test_before_a_job_is_made_it_is_looked_at_again(stage):
    await stage.told(LOOK)
    stage.cluster.edit(CRON_JOB, retraining.CRON_JOB, spec__suspend=False)
    assert await stage.told(MAKE) == "CronJobUnfit"
    assert stage.cluster.writes == []


async def test_what_was_refused_is_tried_again_after_a_minute(stage):
    del stage.cluster.objects["CronJob", retraining.CRON_JOB]
    for _ in range(3):
        assert await stage.told(MAKE) == "CronJobMissing"
    assert stage.cluster.reads == 1
    stage.cluster.put(retraining.cron_job())
    stage.now += PAUSE
    assert await stage.told(MAKE) is None
    assert stage.cluster.writes == ["post Job fraud-retrain-1"]


async def test_another_cron_job_is_looked_at_at_once(stage):
    assert await stage.told(JobOrder("other")) == "CronJobMissing"
    assert await stage.told(LOOK) is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Forbidden(403, "Forbidden", 'jobs.batch "a" is forbidden: exceeded quota: few'), "QuotaExceeded"),
        (Forbidden(403, "Forbidden", "admission webhook denied the request"), "ChildRefused"),
        (Invalid(422, "Invalid", "spec.template.spec.restartPolicy: Required value"), "ChildRefused"),
    ],
    ids=["quota", "admission", "invalid"],
)
async def test_what_the_api_server_refuses_is_told(stage, error, reason):
    stage.cluster.refuse["post Job"] = error
    assert await stage.told(MAKE) == reason


async def test_a_job_of_that_name_which_is_not_known_is_told(stage):
    stage.cluster.refuse["post Job"] = Conflict(409, "AlreadyExists", "it exists")
    with pytest.raises(Conflict):
        await stage.told(MAKE)
    stage.now += LATE
    assert await stage.told(MAKE) == "NameConflict"


async def test_one_that_was_made_though_the_answer_was_lost_is_in_nobodys_way(stage):
    stage.cluster.refuse["post Job"] = Conflict(409, "AlreadyExists", "it exists")
    with pytest.raises(Conflict):
        await stage.told(MAKE)
    assert await stage.told(LOOK) is None, "the watch has told of it"


async def test_what_kept_a_job_from_being_made_is_no_matter_when_none_is_wanted_any_more(stage):
    stage.cluster.refuse["post Job"] = Forbidden(403, "Forbidden", "exceeded quota: few")
    assert await stage.told(MAKE) == "QuotaExceeded"
    assert await stage.told(LOOK) is None


async def test_what_passes_is_raised(stage):
    stage.cluster.refuse["post Job"] = Unavailable(503, "", "")
    with pytest.raises(Unavailable):
        await stage.told(MAKE)


async def test_where_nothing_is_asked_for_nothing_is_asked(stage):
    assert await stage.told(None) is None
    assert stage.cluster.reads == 0
