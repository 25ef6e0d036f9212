"""The commands, on a cluster in memory."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from modelway.api.kinds import CRON_JOB
from modelway.cli import main
from modelway.cli.batch import running
from modelway.cli.errors import NotFound
from modelway.plan import ChildKey
from support.batch_jobs import batch_pod, complete, entry, failed, scoring
from support.builders import NAME, stamp

BEGAN = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Cluster:
    """Jobs make progress by one shard at each look, until they end."""

    def __init__(self) -> None:
        world = scoring(entry(shards=2))
        self.obj = world.resource
        self.made = world.children[ChildKey(CRON_JOB, f"{NAME}-nightly")]
        self.there = {}
        self.created, self.deleted = [], []
        self.fails = set()
        self.most_at_once = 0
        self.frozen = False
        self.under_way = []

    def get(self, name):
        if name != NAME:
            raise NotFound(f"modeldeployments {name} not found")
        return self.obj

    def cron_job(self, _name):
        return self.made

    def jobs(self, _name, _entry):
        return list(self.there.values())

    def pods(self, job):
        done = self.there[job]["status"].get("succeeded", 0)
        return [batch_pod(job, shard, 0, rows=500) for shard in range(done)]

    def metrics(self, _pods):
        return list(self.under_way)

    def job(self, name):
        """A look at it: what goes on goes on."""
        if not self.frozen:
            self._advance(self.there[name])
        return self.there[name]

    def create(self, manifest):
        name = manifest["metadata"]["name"]
        assert name not in self.there
        metadata = manifest["metadata"] | {"creationTimestamp": stamp(BEGAN)}
        self.there[name] = manifest | {"metadata": metadata, "status": {"active": 2, "ready": 2}}
        self.created.append(name)
        active = [job for job in self.there.values() if "conditions" not in job["status"]]
        self.most_at_once = max(self.most_at_once, len(active))

    def delete_job(self, name):
        self.deleted.append(name)

    def show_logs(self, arguments):
        self.shown = arguments
        return 0

    def _advance(self, job):
        status = job["status"]
        if "conditions" in status:
            return
        done = status.get("succeeded", 0) + 1
        at = BEGAN + timedelta(minutes=done)
        if any(word in job["metadata"]["name"] for word in self.fails):
            job["status"] = failed(at, message="index 0 failed", failedIndexes="0", succeeded=1)
        else:
            job["status"] = complete(at, 2) if done == 2 else {"succeeded": done, "ready": 1}


@pytest.fixture
def cluster(monkeypatch):
    cluster = Cluster()
    monkeypatch.setattr(running, "_cluster", lambda _where: cluster)
    monkeypatch.setattr(running, "INTERVAL", 0.0)
    return cluster


def call(*arguments):
    return CliRunner().invoke(main, ["batch", *arguments])


def test_a_run_is_begun_and_told(cluster):
    result = call("run", NAME, "--date=2026-11-20")
    assert result.exit_code == 0
    assert cluster.created == ["fraud-nightly-d20261120"]
    assert "it writes to s3://scores/dt=2026-11-20/" in result.output


def test_a_run_is_waited_for_and_shown(cluster):
    result = call("run", NAME, "--date=2026-11-20", "--wait")
    assert result.exit_code == 0
    assert "[############------------]  50 %, 1/2 shards, 1 at work, 500 rows" in result.output
    assert "Succeeded  [########################] 100 %, 2/2 shards, 1,000 rows" in result.output


def test_the_bar_counts_what_pods_at_work_have_done_of_their_shards(cluster):
    cluster.under_way = ["modelway_batch_shard_done_ratio 0.5\nmodelway_batch_rows_total 250.0\n", ""]
    call("run", NAME, "--date=2026-11-20")
    result = call("status", NAME)
    assert "[######------------------]  25 %, 0/2 shards, 2 at work, 250 rows" in result.output


def test_metrics_that_cannot_be_read_count_for_nothing(cluster):
    cluster.under_way = ["modelway_batch_shard_done_ratio what\n", "<html>"]
    call("run", NAME, "--date=2026-11-20")
    assert "  0 %, 0/2 shards, 2 at work" in call("status", NAME).output


def test_a_run_that_fails_ends_with_one(cluster):
    cluster.fails.add("d20261120")
    result = call("run", NAME, "--date=2026-11-20", "--wait")
    assert result.exit_code == 1
    assert "index 0 failed" in result.output


def test_a_run_of_a_day_that_goes_on_is_not_doubled(cluster):
    call("run", NAME, "--date=2026-11-20")
    result = call("run", NAME, "--date=2026-11-20")
    assert result.exit_code == 2
    assert "does that already" in result.output
    assert len(cluster.created) == 1


def test_a_day_that_has_ended_can_be_run_again(cluster):
    call("run", NAME, "--date=2026-11-20", "--wait")
    call("run", NAME, "--date=2026-11-20", "--wait")
    assert cluster.created == ["fraud-nightly-d20261120", "fraud-nightly-d20261120-2"]


def test_a_month_is_backfilled_so_many_days_at_once(cluster):
    result = call("backfill", NAME, "--from=2026-11-01", "--to=2026-11-30", "--at-once=3")
    assert result.exit_code == 0
    assert len(cluster.created) == 30
    assert cluster.most_at_once == 3
    assert result.output.endswith("30 runs succeeded, 0 failed, 0 had been done before\n")


def test_a_backfill_that_is_called_again_does_what_is_missing(cluster):
    cluster.fails.add("d20261102")
    first = call("backfill", NAME, "--from=2026-11-01", "--to=2026-11-03")
    assert first.exit_code == 1
    assert "2 runs succeeded, 1 failed" in first.output
    cluster.fails.clear()
    again = call("backfill", NAME, "--from=2026-11-01", "--to=2026-11-03")
    assert again.exit_code == 0
    assert cluster.created[3:] == ["fraud-nightly-d20261102-2"]
    assert "1 runs succeeded, 0 failed, 2 had been done before" in again.output


def test_a_backfill_joins_a_day_that_goes_on(cluster):
    call("run", NAME, "--date=2026-11-02")
    result = call("backfill", NAME, "--from=2026-11-01", "--to=2026-11-03", "--at-once=3")
    assert result.exit_code == 0
    assert sorted(cluster.created) == [f"fraud-nightly-d2026110{day}" for day in (1, 2, 3)]


def test_days_are_all_run_again_when_that_is_asked_for(cluster):
    for _ in range(2):
        call("backfill", NAME, "--from=2026-11-01", "--to=2026-11-02", "--again")
    assert len(cluster.created) == 4


def test_the_status_shows_runs_that_go_on_and_how_the_last_one_ended(cluster):
    call("run", NAME, "--date=2026-11-20")
    last = {"job": "fraud-nightly-1", "result": "Succeeded", "rows": 2000, "output": "s3://x/", "shards": 2}
    cluster.obj["status"]["batchJobs"][0]["lastRun"] = last
    result = call("status", NAME)
    assert result.exit_code == 0
    assert re.search(r"nightly: next run \d{4}-\d\d-\d\d 02:15 UTC", result.output)
    assert "fraud-nightly-d20261120  Running" in result.output
    assert "last: fraud-nightly-1 succeeded: 2,000 rows, s3://x/" in result.output


def test_the_status_names_the_inputs_that_are_not_as_usual(cluster):
    inputs = {
        "features": 6,
        "driftedFeatures": 1,
        "worst": [{"name": "income", "psi": "0.83", "drifted": True}, {"name": "age", "psi": "0.02", "drifted": False}],
        "issues": [{"name": "debt", "kind": "Missing"}],
    }
    last = {"job": "fraud-nightly-1", "result": "Succeeded", "shards": 2, "inputs": inputs}
    cluster.obj["status"]["batchJobs"][0]["lastRun"] = last
    lines = call("status", NAME).output.splitlines()
    assert "    inputs: 1 of 6 features have drifted: income (PSI 0.83)" in lines
    assert "    inputs: debt (Missing)" in lines


def test_the_status_tells_why_a_run_waits(cluster):
    call("run", NAME, "--date=2026-11-20")
    why = {"job": "fraud-nightly-d20261120", "reason": "ImagePullBackOff", "message": "batch: Back-off pulling image"}
    cluster.obj["status"]["batchJobs"][0]["activeRun"] = why
    assert "    ImagePullBackOff: batch: Back-off pulling image" in call("status", NAME).output


def test_the_status_is_json_for_programs(cluster):
    assert '"cronJob": "fraud-nightly"' in call("status", NAME, "-o", "json").output


def test_logs_are_those_of_the_latest_run_and_of_one_shard(cluster):
    call("run", NAME, "--date=2026-11-20")
    assert call("logs", NAME, "--shard=1", "-f").exit_code == 0
    selector = "batch.kubernetes.io/job-name=fraud-nightly-d20261120,batch.kubernetes.io/job-completion-index=1"
    assert f"--selector={selector}" in cluster.shown
    assert "--follow" in cluster.shown


def test_the_run_that_goes_on_is_cancelled(cluster):
    call("run", NAME, "--date=2026-11-20")
    assert call("cancel", NAME, "--yes").exit_code == 0
    assert cluster.deleted == ["fraud-nightly-d20261120"]


def test_nothing_is_cancelled_without_consent(cluster):
    call("run", NAME, "--date=2026-11-20")
    result = call("cancel", NAME)
    assert (result.exit_code, cluster.deleted) == (2, [])
    assert "say --yes" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cancel", NAME, "--yes"), "no run of nightly goes on"),
        (("run", "other"), "not found"),
        (("run", NAME), "say --date"),
        (("logs", NAME), "no Job of nightly is there any more"),
    ],
)
def test_what_cannot_be_done_says_why(cluster, arguments, said):
    result = call(*arguments)
    assert result.exit_code == 2
    assert said in result.output
