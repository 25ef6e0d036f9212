"""`monitoring.onDegraded` and `monitoring.sink` on a real API server: what is refused, what is made, and what is told."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from modelway.api.kinds import CRON_JOB, EVENT, JOB, MODEL_DEPLOYMENT, POD
from support import retraining
from support.cluster import BY_HAND, RESOURCE_QUOTA, Refused, spec_of
from support.operator import operating

OLD = "2020-01-01T00:00:00Z"

REFUSED = {
    "a condition that asks for nothing": ({"conditions": ["Ready"]}, "conditions[0]", "Unsupported value"),
    "a condition twice": ({"conditions": ["DataDrift", "DataDrift"]}, "conditions[1]", "Duplicate value"),
    "no pause": ({"cooldown": "30s"}, "cooldown", "must be from 1m to 8760h"),
    "no Job": ({"maxJobs": 0}, "maxJobs", "greater than or equal to 1"),
    "no name": ({"jobFrom": "Train_it"}, "jobFrom", "should match"),
    "a condition that nothing is asked for": ({"conditions": ["PerformanceDegraded"]}, "conditions", "without quality"),
    "an unknown field": ({"on": ["DataDrift"]}, "on", "unknown field"),
}


def given(**on_degraded):
    """A model that is too old, and a CronJob to train another."""
    asked = {"jobFrom": retraining.CRON_JOB} | on_degraded
    monitoring = {"maxModelAge": "720h", "onDegraded": asked}
    return spec_of(monitoring=monitoring, model__trainingTime=OLD)


def cron_job(namespace, **changed):
    made = retraining.cron_job(**changed)
    del made["metadata"]["uid"], made["metadata"]["namespace"]
    made["spec"]["schedule"] = "@yearly"
    # Simulated pods end when they are told to; the annotation is that of the tests' kubelet.
    made["spec"]["jobTemplate"]["spec"]["template"]["metadata"] |= BY_HAND
    return namespace.create(made)


def jobs(namespace):
    return namespace.find(JOB, selector="app.kubernetes.io/component=model-retraining")


def reasons(namespace):
    return {one["reason"] for one in namespace.find(EVENT)}


def condition(status):
    return next((one for one in status.get("conditions", ()) if one["type"] == "RetrainingFailed"), {})


@pytest.mark.parametrize(("fields", "field", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_refused_with_its_field(namespace, fields, field, words):
    with pytest.raises(Refused) as refused:
        namespace.deploy(given(**fields))
    assert f"spec.monitoring.onDegraded.{field}" in refused.value.message
    assert words in refused.value.message


def test_an_age_that_nobody_limits_is_refused_as_a_cause(namespace):
    asked = {"jobFrom": retraining.CRON_JOB, "conditions": ["ModelStale"]}
    with pytest.raises(Refused, match=r"onDegraded.conditions: .*without maxModelAge"):
        namespace.deploy(spec_of(monitoring={"onDegraded": asked}))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://events.example.com/", "should match"),
        ("http://", "should match"),
        ("http://me:word@events.example.com/", "must not hold a password"),
        ("http://events.example.com/#here", "should match"),
    ],
)
def test_a_sink_that_is_none_is_refused(namespace, url, words):
    with pytest.raises(Refused) as refused:
        namespace.deploy(spec_of(monitoring={"sink": {"url": url}}))
    assert "spec.monitoring.sink.url" in refused.value.message
    assert words in refused.value.message


def test_a_job_is_made_of_the_cron_job_once_whoever_leads(cluster, namespace, log):
    cron_job(namespace)
    with operating(cluster, log) as operator:
        deployed = namespace.deploy(given())
        deployed.wait_until_served()
        told = deployed.wait(lambda status: status.get("retraining"), what="the Job is told")["retraining"]
        assert (told["condition"], told["result"], told["jobs"]) == ("ModelStale", "Running", 1)
        namespace.wait_for(lambda: "RetrainingStarted" in reasons(namespace), what="an Event tells of it")
        operator.kill()
    (job,) = jobs(namespace)
    assert job["metadata"]["name"] == told["job"]
    assert job["metadata"]["labels"]["team"] == "risk"
    variables = {one["name"]: one.get("value") for one in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert variables["MODELWAY_REASON"] == "ModelStale"
    assert variables["MODELWAY_WINDOW_START"] == OLD
    with operating(cluster, log):
        (pod,) = namespace.wait_for(
            lambda: namespace.find(POD, selector=f"batch.kubernetes.io/job-name={told['job']}"), what="its pod is there"
        )
        namespace.patch(POD, pod["metadata"]["name"], {"status": {"phase": "Succeeded"}}, subresource="status")
        deployed.wait(lambda status: status["retraining"]["result"] == "Succeeded", what="its end is told")
        namespace.wait_for(lambda: "RetrainingEnded" in reasons(namespace), what="an Event tells of it")
        assert len(jobs(namespace)) == 1


def test_a_sink_that_may_not_be_called_is_told_by_an_event(cluster, namespace, log):
    with operating(cluster, log, environment={"MODELWAY_SINK_HOSTS": "127.0.0.1"}):
        for name, host in (("here", "127.0.0.1"), ("there", "events.example.com")):
            namespace.deploy(spec_of(monitoring={"sink": {"url": f"http://{host}:1/"}}), name=name)

        def told():
            return {
                one["regarding"]["name"]: one["note"] for one in namespace.find(EVENT) if one["reason"] == "SinkFailed"
            }

        namespace.wait_for(lambda: len(told()) == 2, what="both are told")
    assert "127.0.0.1 may not be called" in told()["here"]
    assert "the operator may not call events.example.com" in told()["there"]


@pytest.fixture
def receiver():
    """A receiver of CloudEvents: where it listens, and what it was sent."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/events?of=models", got
        server.shutdown()


LOOPBACK_ALLOWED = "import modelway.controller.sink as s; s.Sinks.__init__.__kwdefaults__['refuses'] = lambda _: False"


def test_a_sink_is_told_of_each_transition_as_a_cloud_event(cluster, namespace, log, receiver):
    url, got = receiver
    spec = spec_of(monitoring={"maxModelAge": "720h", "sink": {"url": url}}, model__trainingTime=OLD)
    hosts = {"MODELWAY_SINK_HOSTS": "127.0.0.1"}
    with operating(cluster, log, environment=hosts, prelude=LOOPBACK_ALLOWED):
        deployed = namespace.deploy(spec)

        def told(status):
            data = (event["data"] for _, event in got if event["subject"] == "ModelStale")
            return any(one["status"] == status for one in data)

        namespace.wait_for(lambda: told("True"), what="it is told that the model is old")
        namespace.patch(MODEL_DEPLOYMENT, deployed.name, {"spec": {"monitoring": {"maxModelAge": "876000h"}}})
        namespace.wait_for(lambda: told("False"), what="it is told that it is not")
    assert {content_type for content_type, _ in got} == {"application/cloudevents+json; charset=utf-8"}
    assert {event["source"] for _, event in got} == {
        f"/apis/modelway.dev/v1alpha1/namespaces/{namespace.name}/modeldeployments/fraud"
    }
    different = {json.dumps(event, sort_keys=True) for _, event in got}
    assert len({event["id"] for _, event in got}) == len(different)


# From here on one operator leads, until the end of the module.


def test_what_is_in_the_way_is_told_and_stops_nothing(namespace, operator):
    deployed = namespace.deploy(given())
    deployed.wait_until_served()
    missing = deployed.wait(lambda status: condition(status).get("status") == "True", what="it is told")
    assert condition(missing)["reason"] == "CronJobMissing"
    ready = next(one for one in missing["conditions"] if one["type"] == "Ready")
    assert ready["status"] == "True"
    assert jobs(namespace) == []


def test_a_quota_is_told_in_the_api_servers_words(namespace, operator):
    metadata = {"name": "few", "namespace": namespace.name}
    namespace.create(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"count/jobs.batch": "0"}}}
    )
    namespace.wait_for(
        lambda: (namespace.get(RESOURCE_QUOTA, "few") or {}).get("status", {}).get("hard"), what="the quota is known"
    )
    cron_job(namespace)
    deployed = namespace.deploy(given())
    deployed.wait_until_served()
    refused = deployed.wait(lambda status: condition(status).get("reason") == "QuotaExceeded", what="it is told")
    assert "count/jobs.batch" in condition(refused)["message"]
    assert "failure" not in refused


def test_a_cron_job_that_runs_by_itself_is_not_touched(namespace, operator):
    cron_job(namespace, suspend=False)
    deployed = namespace.deploy(given())
    deployed.wait(lambda status: condition(status).get("reason") == "CronJobUnfit", what="it is told")
    assert jobs(namespace) == []
    assert namespace.get(CRON_JOB, retraining.CRON_JOB)["spec"]["suspend"] is False
