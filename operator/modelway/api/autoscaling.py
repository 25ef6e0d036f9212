"""`spec.serving.autoscaling`: the fields of `autoscaling/v2`, passed on as they are.

Field names, enums and limits follow k8s.io/api/autoscaling/v2 of Kubernetes 1.35. modelway adds no semantics; it only
fills in the target. Kept typed, not as free JSON, so that `kubectl apply` refuses a misspelt field.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from modelway.api.base import Model, Rule, rules
from modelway.api.units import Quantity

LabelKey = Annotated[str, StringConstraints(max_length=317)]
LabelValue = Annotated[str, StringConstraints(max_length=63)]
Name = Annotated[str, Field(min_length=1, max_length=253)]


class LabelRequirement(Model):
    """One expression of a label selector."""

    key: LabelKey
    """Label that the requirement is about."""

    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the label relates to the values."""

    values: Annotated[tuple[LabelValue, ...], Field(max_length=32)] = ()
    """Values for In and NotIn."""


class LabelSelector(Model):
    """Selects by labels."""

    match_labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] | None = None
    """Labels that must be equal."""

    match_expressions: Annotated[tuple[LabelRequirement, ...], Field(max_length=32)] = ()
    """Expressions that must hold."""


class MetricIdentifier(Model):
    """Names a metric."""

    name: Name
    """Name of the metric."""

    selector: LabelSelector | None = None
    """Narrows the metric to series with these labels."""


class MetricTarget(Model):
    """The value that the autoscaler steers to."""

    type: Literal["Utilization", "Value", "AverageValue"]
    """Which of the values is meant."""

    average_utilization: Annotated[int, Field(ge=1, le=10000)] | None = None
    """Percent of the requested resource, averaged over the pods."""

    average_value: Quantity | None = None
    """Value averaged over the pods."""

    value: Quantity | None = None
    """Value as a whole."""


class ResourceMetric(Model):
    """CPU or memory of the pods."""

    name: Literal["cpu", "memory"]
    """Resource."""

    target: MetricTarget
    """Value to steer to."""


class ContainerResourceMetric(Model):
    """CPU or memory of one container of the pods."""

    name: Literal["cpu", "memory"]
    """Resource."""

    container: Name
    """Container; the serving one is `model-server`."""

    target: MetricTarget
    """Value to steer to."""


class PodsMetric(Model):
    """A metric that each pod has (custom.metrics.k8s.io)."""

    metric: MetricIdentifier
    """Metric."""

    target: MetricTarget
    """Value to steer to; only AverageValue."""


class DescribedObject(Model):
    """Names an object of any kind in the namespace."""

    api_version: Annotated[str, Field(max_length=253)] | None = None
    """API version of the object."""

    kind: Name
    """Kind of the object."""

    name: Name
    """Name of the object."""


class ObjectMetric(Model):
    """A metric of one object (custom.metrics.k8s.io)."""

    described_object: DescribedObject
    """Object that has the metric."""

    metric: MetricIdentifier
    """Metric."""

    target: MetricTarget
    """Value to steer to."""


class ExternalMetric(Model):
    """A metric from outside the cluster (external.metrics.k8s.io)."""

    metric: MetricIdentifier
    """Metric."""

    target: MetricTarget
    """Value to steer to."""


class Metric(Model):
    """One metric; the autoscaler takes the largest answer of all."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "(self.type == 'Resource') == has(self.resource)"
                " && (self.type == 'ContainerResource') == has(self.containerResource)"
                " && (self.type == 'Pods') == has(self.pods)"
                " && (self.type == 'Object') == has(self.object)"
                " && (self.type == 'External') == has(self.external)",
                "exactly the field that type names must be given (resource, containerResource, pods, object, external)",
            )
        )
    )

    type: Literal["Resource", "ContainerResource", "Pods", "Object", "External"]
    """Kind of metric; the field of that name must be given."""

    resource: ResourceMetric | None = None
    """For type Resource."""

    container_resource: ContainerResourceMetric | None = None
    """For type ContainerResource."""

    pods: PodsMetric | None = None
    """For type Pods."""

    object: ObjectMetric | None = None
    """For type Object."""

    external: ExternalMetric | None = None
    """For type External."""


class ScalingPolicy(Model):
    """How far one step may go."""

    type: Literal["Pods", "Percent"]
    """Unit of value."""

    value: Annotated[int, Field(ge=1, le=100000)]
    """Change allowed in one period, in pods or percent."""

    period_seconds: Annotated[int, Field(ge=1, le=1800)]
    """Length of the period in seconds."""


class ScalingRules(Model):
    """How fast to scale in one direction."""

    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)] | None = None
    """Seconds of past recommendations that are considered, against flapping."""

    select_policy: Literal["Max", "Min", "Disabled"] | None = None
    """Which policy wins."""

    policies: Annotated[tuple[ScalingPolicy, ...], Field(max_length=16)] = ()
    """Steps that are allowed."""

    tolerance: Quantity | None = None
    """Deviation from the target that is ignored, as a proportion such as `50m`."""


class ScalingBehavior(Model):
    """How fast to scale up and down."""

    scale_up: ScalingRules | None = None
    """Scaling up."""

    scale_down: ScalingRules | None = None
    """Scaling down."""


class Autoscaling(Model):
    """A HorizontalPodAutoscaler for the serving pods."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
                "must not be more than maxReplicas",
                field=".minReplicas",
            )
        )
    )

    min_replicas: Annotated[int, Field(ge=1, le=10000)] | None = None
    """Fewest pods. Defaults to 1."""

    max_replicas: Annotated[int, Field(ge=1, le=10000)]
    """Most pods."""

    metrics: Annotated[tuple[Metric, ...], Field(max_length=16)] = ()
    """What to scale on, as in autoscaling/v2. Defaults to 80 % of the requested CPU."""

    behavior: ScalingBehavior | None = None
    """How fast to scale, as in autoscaling/v2; passed on as it is."""
