"""`spec` of a ModelDeployment: what the user asks for.

Read by `plan`, never written. Defaults that depend on other fields, or that a server-side default would turn into an
endless difference for Argo CD, are given by `plan`, not by the schema, and are named in the field's description.
"""

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints

from modelway.api.autoscaling import Autoscaling
from modelway.api.base import Model, Rule, list_map, rules
from modelway.api.batch import BatchJob
from modelway.api.monitoring import Monitoring
from modelway.api.monitoring_quality import Quality
from modelway.api.pods import ContainerSecurity, ObjectName, ObjectReference, PodTemplate, Resources, ShortText
from modelway.api.rollout import Rollout
from modelway.api.traffic import Traffic
from modelway.api.units import Duration

ModelFormat = Literal["onnx", "sklearn", "skops", "xgboost", "lightgbm", "catboost", "pfa", "nnef"]
FULL_FORMATS: Final = frozenset({"xgboost", "lightgbm", "catboost", "nnef"})
"""Formats whose libraries only the image of the runtime `modelway-full` holds."""
CodePolicy = Literal["Refuse", "AllowList", "Trust"]
Conversion = Literal["ONNX"]


class ModelSource(Model):
    """Where the model comes from and how far it is trusted."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.allowedGlobals) || size(self.allowedGlobals) == 0"
                " || (has(self.code) && self.code == 'AllowList')",
                "only used with code: AllowList",
                field=".allowedGlobals",
            ),
        )
    )

    uri: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2048,
            json_schema_extra=rules(
                Rule(
                    "self.matches('^(s3|https|pvc|file)://')",
                    "unknown scheme: must begin with s3://, https://, pvc:// or file:///",
                ),
                Rule(
                    "!self.startsWith('s3://') || self.matches('^s3://[a-z0-9][a-z0-9.-]{1,62}/.+')",
                    "must name a bucket and a key or prefix: s3://bucket/path/",
                ),
                Rule(
                    "!self.startsWith('pvc://') || self.matches('^pvc://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(/.*)?$')",
                    "must name a PersistentVolumeClaim and may name a path in it: pvc://claim/path",
                ),
                Rule("!self.startsWith('file://') || self.startsWith('file:///')", "must be absolute: file:///path"),
                Rule(
                    "!self.matches('^[a-z0-9]+://[^/]*@')",
                    "must hold no user or password: put them into a Secret named by credentialsSecretRef",
                ),
                Rule("!self.matches('(^|/)[.][.](/|$)')", "must not contain '..'"),
            ),
        ),
    ]
    """Where the model is: `s3://bucket/path/`, `https://host/file`, `pvc://claim/path` (mounted, not copied) or
    `file:///path` (a path inside the server's image). A file, or a folder written with a slash at its end."""

    format: ModelFormat | None = None
    """Format of the model. Left out: taken from `modelway.json` or `MLmodel` beside the model, else from the file's
    suffix and content. `xgboost`, `lightgbm`, `catboost` and `nnef` choose the runtime modelway-full."""

    version: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Version of the model, as free text; shown in status, answers and metrics. A new version is a new revision, so
    raising it deploys changed bytes at an unchanged URI."""

    digest: (
        Annotated[
            str,
            Field(
                max_length=71,
                json_schema_extra=rules(
                    Rule(
                        "self.matches('^sha256:[0-9a-f]{64}$')",
                        "must be sha256: and 64 lower-case hexadecimal digits, as `modelway digest` prints it",
                    )
                ),
            ),
        ]
        | None
    ) = None
    """Digest that the fetched model must have. Left out: the digest that the first pods find becomes the pin of the
    revision, and other bytes are refused from then on."""

    credentials_secret_ref: ObjectReference | None = None
    """Secret whose keys are given as environment variables to the container that fetches the model, and to no other:
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL; HTTPS_TOKEN, or
    HTTPS_USERNAME and HTTPS_PASSWORD; CA_BUNDLE (PEM) for a private certificate authority."""

    code: CodePolicy | None = None
    """What happens to formats that run code when they are loaded (pickle, joblib): `Refuse` (the default);
    `AllowList`, which loads classes of an exact list and refuses all others; or `Trust`, which lets the artefact run
    any code in the pod, a transform in Python among it: for artefacts written only by people who may run code there."""

    convert: Conversion | None = None
    """`ONNX`: the model is converted before it is served, and refused unless the converted model gives the same
    answers: scikit-learn, XGBoost, LightGBM and CatBoost. `digest` stays that of the files at `uri`. Left out: the
    model is served as it is."""

    allowed_globals: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=256, pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")], ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = ()
    """With `code: AllowList`: further `module.name` pairs that a pickle may use. Each is trusted as code."""

    training_time: AwareDatetime | None = None
    """When the model was trained. No part of the revision: changing it restarts nothing."""


class Probe(Model):
    """When a container of a foreign image counts as ready and as alive."""

    path: Annotated[str, Field(max_length=512, pattern="^/")] | None = None
    """HTTP path that answers 2xx or 3xx when the container is ready. Left out: the port accepting connections is
    enough (for `protocol: GRPC`: the standard gRPC health service answers SERVING)."""


class Container(Model):
    """Any image that answers HTTP or gRPC, in place of a named runtime."""

    image: Annotated[str, Field(min_length=1, max_length=512)]
    """Image reference."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled, as in a pod."""

    command: Annotated[tuple[ShortText, ...], Field(max_length=64)] = ()
    """Entry point; the image's own when empty."""

    args: Annotated[tuple[ShortText, ...], Field(max_length=128)] = ()
    """Arguments; the image's own when empty."""

    port: Annotated[int, Field(ge=1, le=65535)]
    """Port that the container listens on. Clients reach it through the Service's port 80 (`protocol: GRPC`: 9000)."""

    protocol: Literal["HTTP", "GRPC"] | None = None
    """What the port speaks. Defaults to HTTP."""

    probe: Probe | None = None
    """When the container counts as ready. Left out: when its port accepts connections."""

    model_path: Annotated[str, Field(max_length=512, pattern="^/.+")] | None = None
    """Folder where the model is mounted, read-only; also told by the environment variable MODELWAY_MODEL_DIR.
    Defaults to /mnt/models. Without `spec.model` nothing is mounted."""

    security_context: ContainerSecurity | None = None
    """Loosens the restricted security context."""


class Serving(Model):
    """Real-time serving: a Deployment that answers requests behind the Service of the resource's name."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!(has(self.replicas) && has(self.autoscaling))",
                "replicas and autoscaling exclude each other: leave replicas out, autoscaling.minReplicas is the floor",
                field=".replicas",
            ),
            Rule(
                "!(has(self.runtime) && has(self.container))",
                "runtime and container exclude each other",
                field=".runtime",
            ),
            Rule(
                "!(has(self.workers) && has(self.container))",
                "only of the built-in server: an image of your own has its own way to say so",
                field=".workers",
            ),
        )
    )

    runtime: Literal["modelway", "modelway-full"] | None = None
    """Named server that runs the model: `modelway`, the built-in model server, or `modelway-full`, the same in a larger
    image with the libraries of all formats. Defaults to modelway, or to modelway-full where the format needs it."""

    container: Container | None = None
    """Any image in place of a named runtime."""

    replicas: Annotated[int, Field(ge=0, le=10000)] | None = None
    """Number of pods. Left out, and without autoscaling: begins with 1 and is then left to whoever scales it."""

    autoscaling: Autoscaling | None = None
    """Scales the pods with load, by a HorizontalPodAutoscaler."""

    resources: Resources | None = None
    """Compute resources of the serving container."""

    service_account_name: ObjectName | None = None
    """ServiceAccount of the pods, for cloud identities that fetch the model. Its token is not mounted."""

    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    """Processes of the built-in server in each pod, each with a copy of the model. Defaults to 1. More of them pay
    where a pod has several CPUs and requests are small; further pods are the other way."""

    timeout: Duration | None = None
    """Longest time that one request may take. Defaults to 5s."""

    startup_timeout: Duration | None = None
    """Longest time from a container's start until it is ready; then it is restarted. Defaults to 10m."""

    pod_template: PodTemplate | None = None
    """What else is said about the pods."""

    revision_history_limit: Annotated[int, Field(ge=0, le=100)] | None = None
    """How many old revisions are kept to return to. Defaults to 10."""


_NOT_GIVEN: Final = Serving()


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
            Rule(
                "has(self.serving) || !has(self.rollout)",
                "a rollout is of serving: leave it out, or say serving: {}",
                field=".rollout",
            ),
            Rule(
                "has(self.serving) || !has(self.traffic)",
                "traffic is of serving: leave it out, or say serving: {}",
                field=".traffic",
            ),
            Rule(
                "has(self.serving) || !has(self.monitoring)",
                "monitoring is of serving: leave it out, or say serving: {}",
                field=".monitoring",
            ),
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
    """What is watched of the model while it answers. Left out: nothing; `monitoring: {}` watches by the defaults."""

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
    def serves(self) -> bool:
        """Whether anything answers requests."""
        return self.serving_given is not None
