"""`spec` of a ModelDeployment: what the user asks for.

Read by `plan`, never written. Defaults that depend on other fields, or that a server-side default would turn into an
endless difference for Argo CD, are given by `plan`, not by the schema, and are named in the field's description.
"""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from modelway.api.base import Model, Rule, list_map, rules
from modelway.api.batch import BatchJob
from modelway.api.model_source import ModelSource
from modelway.api.monitoring import Monitoring
from modelway.api.monitoring_quality import Quality
from modelway.api.observing import Observe
from modelway.api.rollout import Rollout
from modelway.api.serving import Serving
from modelway.api.traffic import Traffic

_NOT_GIVEN: Final = Serving()
_OBSERVES: Final = "(has(self.monitoring) && has(self.monitoring.observe))"


def _of_serving(*path: str) -> Rule:
    """A field that is of requests: without serving there are none."""
    given = " && ".join(f"has(self.{'.'.join(path[:end])})" for end in range(1, len(path) + 1))
    told = "only of serving: leave it out, or say serving: {}"
    return Rule(f"has(self.serving) || !({given})", told, field=f".{'.'.join(path)}")


class Spec(Model):
    """What the user asks for."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.serving) || (has(self.batchJobs) && size(self.batchJobs) > 0)",
                "required, unless there are batchJobs: something must be done with the model",
                field=".serving",
            ),
            Rule(
                "has(self.model) || (has(self.serving) ? has(self.serving.container)"
                " : !has(self.batchJobs) || self.batchJobs.all(job, has(job.container)))",
                "required, unless serving.container brings its own model",
                field=".model",
            ),
            Rule(
                "has(self.model) || !has(self.batchJobs) || self.batchJobs.all(job, has(job.container))",
                "required, unless the container of each of batchJobs brings its own model",
                field=".model",
            ),
            _of_serving("rollout"),
            _of_serving("traffic"),
            _of_serving("monitoring", "window"),
            _of_serving("monitoring", "reference"),
            _of_serving("monitoring", "drift", "windows"),
            _of_serving("monitoring", "slo"),
            _of_serving("monitoring", "quality"),
            _of_serving("monitoring", "maxModelAge"),
            _of_serving("monitoring", "onDegraded"),
            Rule(
                "!has(self.model) || (has(self.serving) && has(self.serving.container)"
                " && (!has(self.batchJobs) || self.batchJobs.all(job, has(job.container))))"
                " || !((has(self.model.format) && self.model.format == 'sklearn')"
                " || self.model.uri.matches('[.](pkl|pickle|joblib)$'))"
                " || (has(self.model.code) && self.model.code != 'Refuse')",
                "a pickle or joblib file runs code when it is loaded, which code: Refuse (the default) forbids: "
                "set code: AllowList to load it through an allow-list of classes, or convert the model to ONNX",
                field=".model.code",
            ),
            Rule(
                "!(has(self.rollout) && has(self.rollout.steps) && size(self.rollout.steps) > 0 && has(self.traffic)"
                " && has(self.traffic.router) && self.traffic.router == 'Service')",
                "steps need routers: leave traffic.router out, or set it to Envoy",
                field=".traffic.router",
            ),
            Rule(
                "!(has(self.serving) && has(self.serving.container) && has(self.rollout) && has(self.rollout.checks)"
                " && self.rollout.checks.exists(check, has(check.predictions) || has(check.feedback)))",
                "a check of predictions or feedback needs the built-in server, which counts answers and labels: leave"
                " it out with container",
                field=".rollout.checks",
            ),
            Rule(
                "!(has(self.rollout) && has(self.rollout.checks)"
                " && self.rollout.checks.exists(check, has(check.feedback)))"
                " || (has(self.monitoring) && has(self.monitoring.quality))",
                "a check of feedback needs monitoring.quality: without it answers have no ids that labels could name",
                field=".rollout.checks",
            ),
            Rule(
                "!(has(self.rollout) && has(self.rollout.checks) && has(self.monitoring)"
                " && has(self.monitoring.quality)) || self.rollout.checks.all(check, !has(check.feedback)"
                " || !has(check.feedback.labelDelay) || duration(check.feedback.labelDelay).getSeconds()"
                " < 256 * duration(has(self.monitoring.quality.window) ? self.monitoring.quality.window"
                " : '1h').getSeconds())",
                "feedback.labelDelay must be less than 256 windows of monitoring.quality.window (1h where it is left"
                " out): later labels do not count",
                field=".rollout.checks",
            ),
            Rule(
                f"!{_OBSERVES} || (has(self.serving) && has(self.serving.container))",
                "only with serving.container: the built-in server counts by itself what it is asked and answers",
                field=".monitoring.observe",
            ),
            Rule(
                f"!{_OBSERVES} || !has(self.serving) || !has(self.serving.container)"
                " || !has(self.serving.container.protocol) || self.serving.container.protocol != 'GRPC'",
                "only JSON over HTTP can be read: leave it out with protocol: GRPC",
                field=".monitoring.observe",
            ),
            Rule(
                f"!{_OBSERVES} || (has(self.traffic) && has(self.traffic.router) ? self.traffic.router == 'Envoy'"
                " : has(self.rollout) && has(self.rollout.steps) && size(self.rollout.steps) > 0)",
                "routers show what is asked and answered: set traffic.router: Envoy",
                field=".monitoring.observe",
            ),
            Rule(
                "!(has(self.serving) && has(self.serving.container) && has(self.serving.container.protocol)"
                " && self.serving.container.protocol == 'GRPC' && has(self.traffic) && has(self.traffic.parentRefs)"
                " && size(self.traffic.parentRefs) > 0)",
                "an HTTPRoute carries HTTP: leave parentRefs out with protocol: GRPC, and write a GRPCRoute that leads"
                " to port 9000 of the Service",
                field=".traffic.parentRefs",
            ),
        )
    )

    model: ModelSource | None = None
    """The model. May be left out when every `container` of `serving` and `batchJobs` brings its own."""

    serving_given: Annotated[Serving | None, Field(alias="serving")] = None
    """Real-time serving. May be left out where there are `batchJobs`: then nothing answers requests."""

    rollout: Rollout | None = None
    """How a new revision takes over. Left out: it replaces the old one when it is ready."""

    traffic: Traffic | None = None
    """How requests find the pods. Left out: through the Service, and through Envoy where the rollout has steps."""

    batch_jobs: Annotated[tuple[BatchJob, ...], Field(max_length=16, json_schema_extra=list_map("name"))] = ()
    """Batch prediction: data sets that the model scores, at times or when asked."""

    monitoring: Monitoring | None = None
    """What is watched of the model while it answers. Left out: nothing; `monitoring: {}` watches by the defaults.
    Without `serving`, what is said of batch runs, and to whom: `drift.maxPSI`, `minRows`, `features` and `sink`."""

    paused: bool | None = None
    """While true a changed model or serving is not acted on. Children are still repaired and status is still written.
    Batch jobs have `suspend` instead."""

    @property
    def serving(self) -> Serving:
        """Real-time serving, as it would be where it is left out."""
        return _NOT_GIVEN if self.serving_given is None else self.serving_given

    @property
    def quality(self) -> Quality | None:
        """What labels must say, where the built-in server takes them."""
        if self.monitoring is None or self.serving_given is None or self.serving.container is not None:
            return None
        return self.monitoring.quality

    @property
    def observe(self) -> Observe | None:
        """Where rows and predictions are in what an image of the user's own is asked and answers."""
        return self.monitoring.observe if self.monitoring is not None else None

    @property
    def serves(self) -> bool:
        """Whether anything answers requests."""
        return self.serving_given is not None
