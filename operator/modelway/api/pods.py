"""What is said of pods, the same wherever the resource speaks of some: serving pods and those of batch runs.

The fields are those of Kubernetes, as far as a user of modelway may set them.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from modelway.api.base import Model, Rule, list_map, rules
from modelway.api.units import ResourceQuantity

LabelKey = Annotated[str, StringConstraints(max_length=317)]
LabelValue = Annotated[str, StringConstraints(max_length=63)]
ShortText = Annotated[str, StringConstraints(max_length=1024)]
ObjectName = Annotated[str, StringConstraints(min_length=1, max_length=253)]


class ObjectReference(Model):
    """Names an object in the ModelDeployment's namespace."""

    name: ObjectName
    """Name of the object, in the same namespace."""


class Resources(Model):
    """Compute resources of the container that computes, as in a pod."""

    requests: Annotated[dict[LabelKey, ResourceQuantity], Field(max_length=16)] | None = None
    """What is reserved, by resource name: `{cpu: 500m, memory: 512Mi}`. Defaults to 500m and 512Mi."""

    limits: Annotated[dict[LabelKey, ResourceQuantity], Field(max_length=16)] | None = None
    """What may be used at most, by resource name. Defaults to `{memory: 1Gi}`. The container uses as many
    threads as the CPU limit allows."""


class ContainerSecurity(Model):
    """Loosens the restricted security context for images that need it. Privileges cannot be asked for."""

    run_as_user: Annotated[int, Field(ge=0, le=2147483647)] | None = None
    """User id that the container runs as. Defaults to 65532."""

    run_as_group: Annotated[int, Field(ge=0, le=2147483647)] | None = None
    """Group id that the container runs as. Defaults to 65532."""

    run_as_non_root: bool | None = None
    """Refuse to run as root. Defaults to true; `false` is needed for images that only run as user 0."""

    read_only_root_filesystem: bool | None = None
    """Mount the image read-only; `/tmp` is always writable. Defaults to true."""


class SecretKey(Model):
    """A key of a Secret or ConfigMap."""

    name: ObjectName
    """Name of the object, in the same namespace."""

    key: Annotated[str, Field(min_length=1, max_length=253)]
    """Key in the object."""

    optional: bool | None = None
    """Start the container even when the object or the key is missing."""


class FieldKey(Model):
    """A field of the pod."""

    field_path: Annotated[str, Field(min_length=1, max_length=253)]
    """Path of the field, such as `metadata.name`."""


class EnvironmentSource(Model):
    """Where the value of an environment variable comes from: exactly one of these."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].exists_one(given, given)",
                "exactly one of secretKeyRef, configMapKeyRef and fieldRef must be given",
            )
        )
    )

    secret_key_ref: SecretKey | None = None
    """A key of a Secret."""

    config_map_key_ref: SecretKey | None = None
    """A key of a ConfigMap."""

    field_ref: FieldKey | None = None
    """A field of the pod."""


class EnvironmentVariable(Model):
    """An environment variable of the serving container."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule("!(has(self.value) && has(self.valueFrom))", "only one of value and valueFrom may be given")
        )
    )

    name: Annotated[str, Field(max_length=253, pattern="^[A-Za-z_][A-Za-z0-9_.-]*$")]
    """Name of the variable."""

    value: Annotated[str, Field(max_length=8192)] | None = None
    """Value, as text."""

    value_from: EnvironmentSource | None = None
    """Source of the value."""


class Toleration(Model):
    """A taint that the pods tolerate, as in a pod."""

    key: LabelKey | None = None
    """Key of the taint; empty with `operator: Exists` tolerates all."""

    operator: Literal["Exists", "Equal"] | None = None
    """How the key relates to the value. Kubernetes takes Equal when it is left out."""

    value: LabelValue | None = None
    """Value of the taint."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; all when left out."""

    toleration_seconds: Annotated[int, Field(ge=0, le=31536000)] | None = None
    """Seconds that a NoExecute taint is tolerated; for ever when left out."""


class PodTemplate(Model):
    """What may be said about the serving pods. Volumes, host access and privileges are left out on purpose."""

    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] | None = None
    """Further labels of the pods. Those of modelway.dev cannot be changed."""

    annotations: Annotated[dict[LabelKey, Annotated[str, Field(max_length=8192)]], Field(max_length=32)] | None = None
    """Further annotations of the pods."""

    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] | None = None
    """Labels that a node must have."""

    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = ()
    """Taints that the pods tolerate."""

    affinity: (
        Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})] | None
    ) = None
    """Affinity, as in a pod; checked by Kubernetes when the Deployment is written."""

    env: Annotated[tuple[EnvironmentVariable, ...], Field(max_length=64, json_schema_extra=list_map("name"))] = ()
    """Environment variables of the serving container."""

    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods."""

    image_pull_secrets: Annotated[
        tuple[ObjectReference, ...], Field(max_length=8, json_schema_extra=list_map("name"))
    ] = ()
    """Secrets with which the images are pulled."""
