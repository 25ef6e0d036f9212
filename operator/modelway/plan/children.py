"""Builders of the children, one function a kind. Pure; called by `plan.plan`.

A builder names every field that modelway owns and no other: what is left out belongs to the API server's defaults, to
an autoscaler or to the user. Quantities are canonical and empty fields absent, so that a child read back equals the
child that was written.
"""

from typing import Any

from modelway.api.autoscaling import Autoscaling
from modelway.api.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    NETWORK_POLICY,
    SERVICE,
    Kind,
)
from modelway.api.names import (
    ANNOTATION_DIGEST,
    ANNOTATION_TEMPLATE,
    ANNOTATION_VERDICT,
    API_VERSION,
    EVIDENCE_KEY,
    EVIDENCE_SUFFIX,
    KIND,
    MONITORING_KEY,
    MONITORING_SUFFIX,
    PIN_KEY,
    PREVIEW_SUFFIX,
    child_labels,
    child_name,
    pod_selector,
    unready_name,
)
from modelway.api.resource import ModelDeployment
from modelway.plan.canonical import digest_of, without_empty
from modelway.plan.revisions import Revision
from modelway.plan.types import Child, Object

DEFAULT_CPU_UTILIZATION = 80
"""Percent of the requested CPU that an autoscaler without metrics steers to."""


def controller_revision(resource: ModelDeployment, revision: Revision) -> Child:
    """The record of a revision: resolved spec, rendered template, and the digest once it is known."""
    body = owned(
        resource,
        CONTROLLER_REVISION,
        child_name(resource.metadata.name, revision.hash),
        revision=revision.hash,
        annotations=_told_of(revision),
        data={"spec": revision.spec, "template": revision.template},
    )
    return Child(CONTROLLER_REVISION, body | {"revision": revision.number})


def _told_of(revision: Revision) -> dict[str, str]:
    told = {ANNOTATION_DIGEST: revision.pinned} if revision.pinned else {}
    return told | ({ANNOTATION_VERDICT: revision.rejection.text} if revision.rejection else {})


def evidence(resource: ModelDeployment, content: str) -> Child:
    """The ConfigMap that keeps what a rollout has counted, for the time after a restart of the operator."""
    name = child_name(resource.metadata.name, EVIDENCE_SUFFIX)
    return Child(CONFIG_MAP, owned(resource, CONFIG_MAP, name, data={EVIDENCE_KEY: content}))


def monitoring(resource: ModelDeployment, content: str) -> Child:
    """The ConfigMap that keeps what was learnt of inputs and answers, and up to where pods' counters are counted."""
    name = child_name(resource.metadata.name, MONITORING_SUFFIX)
    return Child(CONFIG_MAP, owned(resource, CONFIG_MAP, name, data={MONITORING_KEY: content}))


def pin(resource: ModelDeployment, revision: Revision) -> Child:
    """The ConfigMap that tells the container which fetches the model what digest it must find."""
    body = owned(
        resource,
        CONFIG_MAP,
        child_name(resource.metadata.name, revision.hash),
        revision=revision.hash,
        data={PIN_KEY: revision.digest},
    )
    return Child(CONFIG_MAP, body)


def deployment(resource: ModelDeployment, revision: Revision, *, replicas: int | None) -> Child:
    """The Deployment of a revision. Its template never changes; a change of the spec makes another revision."""
    body = owned(
        resource,
        DEPLOYMENT,
        child_name(resource.metadata.name, revision.hash),
        revision=revision.hash,
        annotations={ANNOTATION_TEMPLATE: digest_of(revision.template)},
        spec={
            "selector": {"matchLabels": pod_selector(resource.metadata.name, revision.hash)},
            "template": revision.template,
            "revisionHistoryLimit": 0,
            "progressDeadlineSeconds": 2147483647,  # modelway tells what is wrong, with the cause
            "paused": False,
            "minReadySeconds": 0,
        },
    )
    return Child(DEPLOYMENT, body, replicas=replicas)


def service(resource: ModelDeployment, selector: dict[str, str], ports: list[Object]) -> Child:
    """The Service that clients use, named after the resource; leads to the pods that `selector` selects."""
    name = resource.metadata.name
    spec = {"type": "ClusterIP", "selector": selector, "ports": ports}
    return Child(SERVICE, owned(resource, SERVICE, name, spec=spec))


def preview_service(resource: ModelDeployment, revision: Revision, ports: list[Object]) -> Child:
    """The Service under which a candidate is reached by whoever asks for it by name, for the time of a preview."""
    name = resource.metadata.name
    spec = {"type": "ClusterIP", "selector": pod_selector(name, revision.hash), "ports": ports}
    return Child(SERVICE, owned(resource, SERVICE, child_name(name, PREVIEW_SUFFIX), spec=spec))


def headless_service(
    resource: ModelDeployment, revision: Revision, ports: list[Object], *, unready: bool = False
) -> Child:
    """The Service that resolves to the pods of one revision that are ready, or to all of them."""
    name = resource.metadata.name
    spec: Object = {
        "type": "ClusterIP",
        "clusterIP": "None",
        "selector": pod_selector(name, revision.hash),
        "ports": ports,
    }
    if unready:
        spec["publishNotReadyAddresses"] = True
    called = unready_name(name, revision.hash) if unready else child_name(name, revision.hash)
    return Child(SERVICE, owned(resource, SERVICE, called, revision=revision.hash, spec=spec))


def disruption_budget(resource: ModelDeployment) -> Child:
    """Node drains take one serving pod at a time; pods that are not ready may always go."""
    name = resource.metadata.name
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": pod_selector(name)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return Child(DISRUPTION_BUDGET, owned(resource, DISRUPTION_BUDGET, name, spec=spec))


def network_policy(resource: ModelDeployment, ports: list[int]) -> Child:
    """Serving pods are reached on their serving ports only."""
    name = resource.metadata.name
    spec = {
        "podSelector": {"matchLabels": pod_selector(name)},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": port, "protocol": "TCP"} for port in ports]}],
    }
    return Child(NETWORK_POLICY, owned(resource, NETWORK_POLICY, name, spec=spec))


def autoscaler(
    resource: ModelDeployment, revision: Revision, autoscaling: Autoscaling, *, floor: int | None = None
) -> Child:
    """The HorizontalPodAutoscaler of a revision that takes traffic; metrics and behavior as they were given.

    Args:
        resource: its owner.
        revision: whose pods it scales.
        autoscaling: what the user asks for.
        floor: least number of pods during a rollout, where it is above the user's and not above the maximum.
    """
    name = child_name(resource.metadata.name, revision.hash)
    given: Object = without_empty(autoscaling.model_dump(mode="json", by_alias=True, exclude_none=True))
    spec: Object = {
        "minReplicas": 1,
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": DEFAULT_CPU_UTILIZATION},
                },
            }
        ],
    }
    if floor is not None:
        least = autoscaling.min_replicas or 1
        given["minReplicas"] = max(least, min(floor, autoscaling.max_replicas))
    spec |= given | {"scaleTargetRef": {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.name, "name": name}}
    return Child(AUTOSCALER, owned(resource, AUTOSCALER, name, revision=revision.hash, spec=spec))


def owned(
    resource: ModelDeployment,
    kind: Kind,
    name: str,
    *,
    revision: str | None = None,
    annotations: dict[str, str] | None = None,
    **content: Any,
) -> Object:
    """An object of `kind` that belongs to `resource`, with what every child carries."""
    metadata: Object = {
        "name": name,
        "namespace": resource.metadata.namespace,
        "labels": child_labels(resource.metadata.name, revision),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": resource.metadata.name,
                "uid": resource.metadata.uid,
                "controller": True,
            }
        ],
    }
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **content}
