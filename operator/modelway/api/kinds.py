"""The kinds of objects that modelway makes or watches, as the API server knows them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelway.api.names import GROUP, KIND, PLURAL, VERSION


@dataclass(frozen=True, slots=True)
class Kind:
    """A namespaced kind: what an object says of itself, and where its collection is."""

    api_version: str
    name: str
    plural: str

    @property
    def group(self) -> str:
        """API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """URL path of the collection, or of one object; without a namespace, of the collection in all of them."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


MODEL_DEPLOYMENT: Final = Kind(f"{GROUP}/{VERSION}", KIND, PLURAL)
CONTROLLER_REVISION: Final = Kind("apps/v1", "ControllerRevision", "controllerrevisions")
DEPLOYMENT: Final = Kind("apps/v1", "Deployment", "deployments")
CONFIG_MAP: Final = Kind("v1", "ConfigMap", "configmaps")
SERVICE: Final = Kind("v1", "Service", "services")
POD: Final = Kind("v1", "Pod", "pods")
DISRUPTION_BUDGET: Final = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICY: Final = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
AUTOSCALER: Final = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
CRON_JOB: Final = Kind("batch/v1", "CronJob", "cronjobs")
JOB: Final = Kind("batch/v1", "Job", "jobs")
HTTP_ROUTE: Final = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
LEASE: Final = Kind("coordination.k8s.io/v1", "Lease", "leases")
EVENT: Final = Kind("events.k8s.io/v1", "Event", "events")

SECRET: Final = Kind("v1", "Secret", "secrets")
"""Made and never read, so it is none of the kinds below."""

CHILD_KINDS: Final = (
    CONTROLLER_REVISION,
    CONFIG_MAP,
    DEPLOYMENT,
    SERVICE,
    DISRUPTION_BUDGET,
    NETWORK_POLICY,
    AUTOSCALER,
    CRON_JOB,
)
"""Kinds that modelway writes and repairs."""

WATCHED_KINDS: Final = (JOB, POD)
"""Kinds that modelway reads: the Jobs of its CronJobs, and the pods of its Deployments and Jobs."""

OPTIONAL_KINDS: Final = (HTTP_ROUTE,)
"""Kinds that modelway writes and repairs where the cluster has them; they may come and go."""


class Unserved(StrEnum):
    """Why a kind cannot be used at present."""

    NOT_INSTALLED = "NotInstalled"
    """The API server does not know it: its CRD is not there, or not in this version."""
    FORBIDDEN = "Forbidden"
    """The operator's account may not list it."""
