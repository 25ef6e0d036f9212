"""`spec.serving`: the pods that answer requests."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from modelway.api.autoscaling import Autoscaling
from modelway.api.base import Model, Rule, rules
from modelway.api.pods import ContainerSecurity, ObjectName, PodTemplate, Resources, ShortText
from modelway.api.units import Duration


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
