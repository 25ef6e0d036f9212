"""What is wrong is refused by `kubectl apply`, and the error names the field."""

import pytest

from modelway.api.kinds import MODEL_DEPLOYMENT
from support.cluster import Refused, spec_of

CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
IMAGE = {"image": "registry/app:1", "port": 8080}
GATEWAY = {"name": "public"}
BATCH = {"name": "nightly", "input": {"uri": "s3://lake/in/"}, "output": {"uri": "s3://lake/out/"}}


def wrong(**fields):
    """The usual spec with `fields` changed, and no name of its own."""
    return spec_of(**fields), "fraud"


FIVE, HALF, ALL = ({"name": f"at-{weight}", "weight": weight} for weight in (5, 50, 100))
ERRORS = {"name": "errors", "errorRate": {"maxIncrease": "1%"}}


def rollout(*steps, checks=(ERRORS,), **more):
    """The usual spec with a rollout of these steps."""
    return wrong(rollout={"steps": list(steps), "checks": list(checks), **more})


def own(**more):
    """A check of the model's own counters."""
    total = 'answers_total{pod=~"$name-$revision-.*"}'
    good = 'answers_total{pod=~"$name-$revision-.*", code!~"5\\\\d\\\\d",}'
    return {"name": "own", "prometheus": {"good": good, "total": total, "maxIncrease": "1%"} | more}


def observed(**changes):
    """A spec with an image of the user's own that is observed, changed."""
    given = {"serving": {"container": IMAGE}, "traffic": {"router": "Envoy"}, "monitoring": {"observe": {}}}
    return wrong(**given | changes)


QUALITY = {"quality": {"metric": "accuracy", "min": 0.5}}


OF_SERVING = {
    "window": {"window": "1m"},
    "reference": {"reference": {}},
    "drift.windows": {"drift": {"windows": 2}},
    "slo": {"slo": {"errorRate": "1%"}},
    "quality": QUALITY,
    "maxModelAge": {"maxModelAge": "720h"},
    "onDegraded": {"onDegraded": {"jobFrom": "train"}},
}


def sliced(*slices, metric="accuracy"):
    """The usual spec with labels that are judged by slice."""
    return wrong(monitoring={"quality": {"metric": metric, "min": 0.5, "slices": list(slices)}})


def labelled(**more):
    """A check of what labels say."""
    return {"name": "right", "feedback": {"metric": "accuracy", "maxDecrease": "1%"} | more}


def judged(check, *steps):
    """The usual spec with labels, and a rollout with this check."""
    return wrong(rollout={"steps": list(steps or [FIVE]), "checks": [check]}, monitoring=QUALITY)


TABLE = {
    # What is wrong: (spec, name), the field in the error, words of the error
    "missing uri": (wrong(model__uri=None), "spec.model.uri", "Required value"),
    "empty uri": (wrong(model__uri=""), "spec.model.uri", "at least 1"),
    "unknown scheme": (wrong(model__uri="ftp://host/model"), "spec.model.uri", "unknown scheme"),
    "a bucket without a key": (wrong(model__uri="s3://models"), "spec.model.uri", "must name a bucket and a key"),
    "a claim that is no name": (wrong(model__uri="pvc://Models/a"), "spec.model.uri", "PersistentVolumeClaim"),
    "a file that is relative": (wrong(model__uri="file://models"), "spec.model.uri", "must be absolute"),
    "uri with a password": (wrong(model__uri="https://me:secret@host/m.onnx"), "spec.model.uri", "no user or password"),
    "uri with ..": (wrong(model__uri="s3://models/fraud/../other/"), "spec.model.uri", "'..'"),
    "bad digest": (wrong(model__digest="sha256:zz"), "spec.model.digest", "64 lower-case hexadecimal"),
    "unknown format": (wrong(model__format="h5"), "spec.model.format", "Unsupported value"),
    "a window that is too short": (wrong(monitoring={"window": "5s"}), "spec.monitoring.window", "from 10s to 24h"),
    "a window that is too long": (wrong(monitoring={"window": "25h"}), "spec.monitoring.window", "from 10s to 24h"),
    "few rows": (wrong(monitoring={"minRows": 10}), "spec.monitoring.minRows", "greater than or equal to 100"),
    "a PSI of nothing": (wrong(monitoring={"drift": {"maxPSI": 0}}), "spec.monitoring.drift.maxPSI", "0.01"),
    "an slo of nothing": (wrong(monitoring={"slo": {}}), "spec.monitoring.slo", "give errorRate, latency or both"),
    "a latency between two buckets": (
        wrong(monitoring={"slo": {"latency": {"threshold": "240ms", "percent": "99%"}}}),
        "spec.monitoring.slo.latency.threshold",
        "Unsupported value",
    ),
    "learning for a moment": (
        wrong(monitoring={"reference": {"learnFor": "5s"}}),
        "spec.monitoring.reference.learnFor",
        "from 1m to 2160h",
    ),
    "hours of the week in long windows": (
        wrong(monitoring={"window": "2h", "reference": {"seasonality": "HourOfWeek"}}),
        "spec.monitoring.window",
        "at most 1h, or no reference.seasonality",
    ),
    "another rhythm": (
        wrong(monitoring={"reference": {"seasonality": "Monthly"}}),
        "spec.monitoring.reference.seasonality",
        "Unsupported value",
    ),
    "a slice that is called as a column": (
        sliced({"name": "label", "values": ["a"]}),
        "spec.monitoring.quality.slices[0].name",
        "call it otherwise",
    ),
    "a slice without values": (
        sliced({"name": "country", "values": []}),
        "spec.monitoring.quality.slices[0].values",
        "at least 1 items",
    ),
    "a slice that is all others": (
        sliced({"name": "country", "values": ["OTHER"]}),
        "spec.monitoring.quality.slices[0].values",
        "OTHER stands for all that are not named",
    ),
    "a slice with a value twice": (
        sliced({"name": "country", "values": ["DE", "DE"]}),
        "spec.monitoring.quality.slices[0].values[1]",
        "Duplicate value",
    ),
    "a slice that is there twice": (
        sliced({"name": "country", "values": ["DE"]}, {"name": "country", "values": ["FR"]}),
        "spec.monitoring.quality.slices[1]",
        "Duplicate value",
    ),
    "a slice with the other limit": (
        sliced({"name": "country", "values": ["DE"], "max": 0.5}),
        "spec.monitoring.quality.slices",
        "give min for a metric that should be high",
    ),
    "slices of AUC": (
        sliced({"name": "country", "values": ["DE"]}, metric="auc"),
        "spec.monitoring.quality.slices",
        "give another metric, or no slices",
    ),
    "labels that come when their predictions are forgotten": (
        wrong(monitoring={"quality": {"metric": "accuracy", "min": 0.5, "labelDelay": "41h"}}),
        "spec.monitoring.quality.labelDelay",
        "take a longer window",
    ),
    "observing the built-in server": (
        observed(serving={}),
        "spec.monitoring.observe",
        "the built-in server counts by itself",
    ),
    "observing without routers": (observed(traffic=None), "spec.monitoring.observe", "set traffic.router: Envoy"),
    "observing past routers": (
        observed(traffic={"router": "Service"}),
        "spec.monitoring.observe",
        "set traffic.router: Envoy",
    ),
    "observing gRPC": (
        observed(serving={"container": {**IMAGE, "protocol": "GRPC"}}),
        "spec.monitoring.observe",
        "leave it out with protocol: GRPC",
    ),
    "a path that is no JSON Pointer": (
        observed(monitoring={"observe": {"requestPath": "instances"}}),
        "spec.monitoring.observe.requestPath",
        "should match",
    ),
    **{
        f"{field} of nothing": (
            wrong(serving=None, batchJobs=[BATCH], monitoring=given),
            f"spec.monitoring.{field}",
            "only of serving",
        )
        for field, given in OF_SERVING.items()
    },
    "replicas and autoscaling": (
        wrong(serving__autoscaling={"maxReplicas": 3}),
        "spec.serving.replicas",
        "exclude each other",
    ),
    "min over max": (
        wrong(serving__replicas=None, serving__autoscaling={"minReplicas": 5, "maxReplicas": 3}),
        "spec.serving.autoscaling.minReplicas",
        "must not be more than maxReplicas",
    ),
    "no maximum": (
        wrong(serving__replicas=None, serving__autoscaling={"minReplicas": 5}),
        "spec.serving.autoscaling.maxReplicas",
        "Required value",
    ),
    "negative replicas": (wrong(serving__replicas=-1), "spec.serving.replicas", "greater than or equal to 0"),
    "replicas that are no number": (wrong(serving__replicas="two"), "spec.serving.replicas", "must be of type integer"),
    "nothing to do": (({"model": spec_of()["model"]}, "fraud"), "spec.serving", "unless there are batchJobs"),
    "neither model nor container": (wrong(model=None), "spec.model", "required, unless serving.container"),
    "runtime and container": (
        wrong(serving__runtime="modelway", serving__container=IMAGE),
        "spec.serving.runtime",
        "exclude each other",
    ),
    "workers of another image": (
        wrong(serving__workers=2, serving__container=IMAGE),
        "spec.serving.workers",
        "only of the built-in server",
    ),
    "hosts without a Gateway": (
        wrong(traffic={"hostnames": ["fraud.example.com"]}),
        "spec.traffic.hostnames",
        "give parentRefs as well",
    ),
    "a host that is none": (
        wrong(traffic={"parentRefs": [GATEWAY], "hostnames": ["Fraud.example.com"]}),
        "spec.traffic.hostnames[0]",
        "should match",
    ),
    "a host with a port": (
        wrong(traffic={"parentRefs": [GATEWAY], "hostnames": ["fraud.example.com:443"]}),
        "spec.traffic.hostnames[0]",
        "should match",
    ),
    "a host twice": (
        wrong(traffic={"parentRefs": [GATEWAY], "hostnames": ["a.example.com", "a.example.com"]}),
        "spec.traffic.hostnames[1]",
        "Duplicate value",
    ),
    "a Gateway twice": (
        wrong(traffic={"parentRefs": [GATEWAY, GATEWAY]}),
        "spec.traffic.parentRefs",
        "need a sectionName each",
    ),
    "a Gateway and its listener": (
        wrong(traffic={"parentRefs": [GATEWAY, GATEWAY | {"sectionName": "https"}]}),
        "spec.traffic.parentRefs",
        "need a sectionName each",
    ),
    "a listener twice": (
        wrong(traffic={"parentRefs": [GATEWAY | {"sectionName": "https"}] * 2}),
        "spec.traffic.parentRefs",
        "different ones",
    ),
    "a Gateway without a name": (
        wrong(traffic={"parentRefs": [{"namespace": "infra"}]}),
        "spec.traffic.parentRefs[0].name",
        "Required value",
    ),
    "a Gateway's port that is none": (
        wrong(traffic={"parentRefs": [GATEWAY | {"port": 0}]}),
        "spec.traffic.parentRefs[0].port",
        "greater than or equal to 1",
    ),
    "a Gateway for gRPC": (
        wrong(serving__container=IMAGE | {"protocol": "GRPC"}, traffic={"parentRefs": [GATEWAY]}),
        "spec.traffic.parentRefs",
        "write a GRPCRoute",
    ),
    "a name that is no DNS label": ((spec_of(), "1st-model"), "metadata.name", "should match"),
    "a name with a dot": ((spec_of(), "fraud.v1"), "metadata.name", "should match"),
    "a name too long": ((spec_of(), "m" * 64), "metadata.name", "63"),
    "weights that do not rise": (rollout(HALF, FIVE), "spec.rollout.steps", "weights must rise"),
    "a weight twice": (rollout(FIVE, {"name": "again", "weight": 5}), "spec.rollout.steps", "the same weight"),
    "a weight over 100": (
        rollout(FIVE, {"name": "most", "weight": 101}),
        "spec.rollout.steps[1].weight",
        "less than or equal to 100",
    ),
    "a weight of nothing": (
        rollout({"name": "none", "weight": 0}, FIVE),
        "spec.rollout.steps[0].weight",
        "greater than or equal to 1",
    ),
    "a step that is two": (
        rollout(FIVE | {"pause": {}}),
        "spec.rollout.steps[0]",
        "exactly one of weight, shadow, preview and pause",
    ),
    "a step that is nothing": (rollout(FIVE, {"name": "empty"}), "spec.rollout.steps[1]", "exactly one of weight"),
    "requests of a pause": (
        rollout(FIVE, {"name": "rest", "pause": {}, "minRequests": 5}),
        "spec.rollout.steps[1]",
        "minDuration and minRequests are of steps with weight or shadow",
    ),
    "two steps of one name": (rollout(FIVE, HALF | {"name": "at-5"}), "spec.rollout.steps[1]", "Duplicate value"),
    "two checks of one name": (rollout(FIVE, checks=(ERRORS, ERRORS)), "spec.rollout.checks[1]", "Duplicate value"),
    "checks with nothing to compare": (rollout(ALL), "spec.rollout.steps", "they need a step with shadow or a weight"),
    "checks without steps": (wrong(rollout={"checks": [ERRORS]}), "spec.rollout.steps", "they need a step"),
    "steps without routers": (
        wrong(rollout={"steps": [FIVE]}, traffic={"router": "Service"}),
        "spec.traffic.router",
        "steps need routers",
    ),
    "a check of nothing": (
        rollout(FIVE, checks=({"name": "empty"},)),
        "spec.rollout.checks[0]",
        "exactly one of errorRate, latency, predictions, prometheus and feedback",
    ),
    "a threshold off the list": (
        rollout(FIVE, checks=({"name": "slow", "latency": {"threshold": "260ms", "maxIncrease": "1%"}},)),
        "spec.rollout.checks[0].latency.threshold",
        "Unsupported value",
    ),
    "a margin of nothing": (
        rollout(FIVE, checks=({"name": "errors", "errorRate": {"maxIncrease": "0%"}},)),
        "spec.rollout.checks[0].errorRate.maxIncrease",
        "more than 0%",
    ),
    "a margin below nothing": (
        rollout(FIVE, checks=({"name": "answers", "predictions": {"maxShift": "-1%"}},)),
        "spec.rollout.checks[0].predictions.maxShift",
        "more than 0%",
    ),
    "a query that is no selector": (
        rollout(FIVE, checks=(own(good='sum(answers_total{pod=~"$revision-.*"})'),)),
        "spec.rollout.checks[0].prometheus.good",
        "must be one selector of counters",
    ),
    "two selectors": (
        rollout(FIVE, checks=(own(total='a{pod=~"$revision-.*"} or b{c="d"}'),)),
        "spec.rollout.checks[0].prometheus.total",
        "must be one selector of counters",
    ),
    "a selector of both revisions": (
        rollout(FIVE, checks=(own(total='answers_total{pod=~"fraud-.*"}'),)),
        "spec.rollout.checks[0].prometheus.total",
        "must have $revision in a matcher",
    ),
    "a share of the metrics that is none": (
        rollout(FIVE, checks=(own(maxIncrease="0%"),)),
        "spec.rollout.checks[0].prometheus.maxIncrease",
        "more than 0%",
    ),
    "a margin without its unit": (
        rollout(FIVE, checks=({"name": "errors", "errorRate": {"maxIncrease": "0.01"}},)),
        "spec.rollout.checks[0].errorRate.maxIncrease",
        "must be a percentage",
    ),
    "an error rate of all": (
        rollout(FIVE, falseRollbackRate="100%"),
        "spec.rollout.falseRollbackRate",
        "less than 100%",
    ),
    "predictions of another image": (
        wrong(
            serving__container=IMAGE,
            rollout={"steps": [FIVE], "checks": [{"name": "answers", "predictions": {"maxShift": "9%"}}]},
        ),
        "spec.rollout.checks",
        "needs the built-in server",
    ),
    "labels without ids": (
        rollout(FIVE, checks=(labelled(),)),
        "spec.rollout.checks",
        "a check of feedback needs monitoring.quality",
    ),
    "labels of another image": (
        wrong(
            serving__container=IMAGE,
            rollout={"steps": [FIVE], "checks": [labelled()]},
            monitoring=QUALITY,
        ),
        "spec.rollout.checks",
        "needs the built-in server",
    ),
    "labels of copies": (
        judged(labelled(), {"name": "copies", "shadow": {"percent": "5%"}}),
        "spec.rollout.steps",
        "needs a step with a weight below 100",
    ),
    "a metric that is no share": (
        judged(labelled(metric="f1")),
        "spec.rollout.checks[0].feedback.metric",
        'supported values: "accuracy", "precision", "recall"',
    ),
    "a recall of no class": (
        judged(labelled(metric="recall")),
        "spec.rollout.checks[0].feedback.label",
        "name it by label",
    ),
    "an accuracy of a class": (
        judged(labelled(label="1")),
        "spec.rollout.checks[0].feedback.label",
        "accuracy has no label",
    ),
    "labels that come too late to count": (
        judged(labelled(labelDelay="300h")),
        "spec.rollout.checks",
        "256 windows",
    ),
    "a pause in days": (
        rollout(FIVE, {"name": "rest", "pause": {"duration": "1d"}}),
        "spec.rollout.steps[1].pause.duration",
        "must be a duration",
    ),
    "unknown runtime": (wrong(serving__runtime="triton"), "spec.serving.runtime", "Unsupported value"),
    "bad duration": (wrong(serving__timeout="30d"), "spec.serving.timeout", "must be a duration"),
    "a duration of nothing": (wrong(serving__startupTimeout="0s"), "spec.serving.startupTimeout", "more than nothing"),
    "bad quantity": (
        wrong(serving__resources={"limits": {"memory": "1XB"}}),
        "spec.serving.resources.limits.memory",
        "should match",
    ),
    "negative quantity": (
        wrong(serving__resources={"limits": {"cpu": -1}}),
        "spec.serving.resources.limits.cpu",
        "greater than or equal to 0",
    ),
    "unknown field": (wrong(serving__replicaCount=2), "spec.serving.replicaCount", "unknown field"),
    "pickle by format": (wrong(model__format="sklearn"), "spec.model.code", "runs code when it is loaded"),
    "pickle by suffix": (
        wrong(model__format=None, model__uri="s3://models/fraud.pkl"),
        "spec.model.code",
        "runs code when it is loaded",
    ),
    "pickle with code refused": (
        wrong(model__format="sklearn", model__code="Refuse"),
        "spec.model.code",
        "runs code when it is loaded",
    ),
    "allowedGlobals without AllowList": (
        wrong(model__allowedGlobals=["numpy.dot"]),
        "spec.model.allowedGlobals",
        "only used with code: AllowList",
    ),
    "a global that is no name": (
        wrong(model__code="AllowList", model__allowedGlobals=["os.system;"]),
        "spec.model.allowedGlobals[0]",
        "should match",
    ),
    "container without port": (
        wrong(serving__container={"image": "registry/app:1"}),
        "spec.serving.container.port",
        "Required value",
    ),
    "container without image": (
        wrong(serving__container={"port": 8080}),
        "spec.serving.container.image",
        "Required value",
    ),
    "a port that is none": (
        wrong(serving__container=IMAGE | {"port": 70000}),
        "spec.serving.container.port",
        "less than or equal to 65535",
    ),
    "privileged": (
        wrong(serving__container=IMAGE | {"securityContext": {"privileged": True}}),
        "spec.serving.container.securityContext.privileged",
        "unknown field",
    ),
    "capabilities": (
        wrong(serving__container=IMAGE | {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}),
        "spec.serving.container.securityContext.capabilities",
        "unknown field",
    ),
    "hostPath": (
        wrong(serving__podTemplate={"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}),
        "spec.serving.podTemplate.volumes",
        "unknown field",
    ),
    "hostPath in a container": (
        wrong(serving__container=IMAGE | {"volumeMounts": [{"name": "root", "mountPath": "/host"}]}),
        "spec.serving.container.volumeMounts",
        "unknown field",
    ),
    "hostNetwork": (
        wrong(serving__podTemplate={"hostNetwork": True}),
        "spec.serving.podTemplate.hostNetwork",
        "unknown field",
    ),
    "hostPID": (wrong(serving__podTemplate={"hostPID": True}), "spec.serving.podTemplate.hostPID", "unknown field"),
    "two values of one variable": (
        wrong(
            serving__podTemplate={"env": [{"name": "A", "value": "b", "valueFrom": {"fieldRef": {"fieldPath": "c"}}}]}
        ),
        "spec.serving.podTemplate.env[0]",
        "only one of value and valueFrom",
    ),
    "one variable twice": (
        wrong(serving__podTemplate={"env": [{"name": "A", "value": "b"}, {"name": "A", "value": "c"}]}),
        "spec.serving.podTemplate.env[1]",
        "Duplicate value",
    ),
    "a metric whose field is not its type": (
        wrong(serving__replicas=None, serving__autoscaling={"maxReplicas": 3, "metrics": [CPU | {"type": "Pods"}]}),
        "spec.serving.autoscaling.metrics[0]",
        "exactly the field that type names",
    ),
    "too many metrics": (
        wrong(serving__replicas=None, serving__autoscaling={"maxReplicas": 3, "metrics": [CPU] * 17}),
        "spec.serving.autoscaling.metrics",
        "at most 16",
    ),
}


@pytest.mark.parametrize(("given", "field", "words"), TABLE.values(), ids=TABLE)
def test_it_is_refused_with_its_field(cluster, given, field, words):
    spec, name = given
    with pytest.raises(Refused) as refused:
        try_to_create(cluster, spec, name)
    assert refused.value.code in {400, 422}
    assert field in refused.value.message
    assert words in refused.value.message


def test_kubectl_says_the_same(cluster):
    applied = cluster.kubectl("apply", "--filename=-", given=resource(*wrong(serving__timeout="30d")))
    assert applied.returncode == 1
    assert "spec.serving.timeout: Invalid value" in applied.stderr


def resource(spec, name):
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "modelway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": metadata, "spec": spec}


def try_to_create(cluster, spec, name):
    """As `kubectl apply --dry-run=server` does: unknown fields are errors."""
    path = f"{MODEL_DEPLOYMENT.path('default')}?dryRun=All&fieldValidation=Strict"
    return cluster.request("POST", path, resource(spec, name))


GOOD = {
    "the usual": {},
    "scikit-learn through an allow-list": {"model__format": "sklearn", "model__code": "AllowList"},
    "further globals": {"model__code": "AllowList", "model__allowedGlobals": ["numpy.dot"]},
    "a pickle that another image loads": {
        "model__uri": "s3://models/m.pkl",
        "model__format": None,
        "serving__container": IMAGE,
    },
    "an image with its own model": {"model": None, "serving__container": IMAGE},
    "autoscaling": {"serving__replicas": None, "serving__autoscaling": {"maxReplicas": 3, "metrics": [CPU]}},
    "a quantity that is a number": {"serving__resources": {"limits": {"cpu": 2}}},
    "what is said of batch runs, and to whom": {
        "serving": None,
        "batchJobs": [BATCH],
        "monitoring": {
            "drift": {"maxPSI": 0.2},
            "minRows": 1000,
            "features": "Hide",
            "sink": {"url": "http://events.example.com/in"},
        },
    },
    "monitoring of batch runs by the defaults": {"serving": None, "batchJobs": [BATCH], "monitoring": {}},
    "a check of its own counters": {"rollout": {"steps": [FIVE], "checks": [own()]}},
    "a check of labels": {
        "rollout": {"steps": [FIVE], "checks": [labelled(metric="recall", label="1", labelDelay="24h")]},
        "monitoring": QUALITY,
    },
    "two listeners of a Gateway, and one of another namespace": {
        "traffic": {
            "parentRefs": [
                *(GATEWAY | {"sectionName": name} for name in ("http", "https")),
                GATEWAY | {"namespace": "infra", "port": 443},
            ],
            "hostnames": ["fraud.example.com", "*.models.example.com"],
        }
    },
    "an image that is observed by the routers of a rollout": {
        "serving__container": IMAGE,
        "rollout": {"steps": [FIVE], "checks": [ERRORS]},
        "monitoring": {"observe": {"requestPath": "", "responsePath": "/0/score", "share": "12.5%"}},
    },
    "https with a query": {"model__uri": "https://host/m.onnx?token=a@b"},
}


@pytest.mark.parametrize("fields", GOOD.values(), ids=GOOD)
def test_what_is_right_is_accepted(cluster, fields):
    assert try_to_create(cluster, spec_of(**fields), "fraud")["spec"]
