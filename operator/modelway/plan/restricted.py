"""What holds for all pods and containers of ours, unless the resource says otherwise: what they may do, and need. Pure.

No root, no capabilities, a read-only image: the restricted Pod Security Standard.
"""

from typing import Final

from modelway.api.pods import ContainerSecurity, Resources
from modelway.api.units import quantity_value
from modelway.plan.types import Object

_USER: Final = 65532


def default_resources(asked: Resources | None) -> Object:
    """Resources of the container that computes, with the defaults where nothing is said."""
    requests = dict(asked.requests or {}) if asked else {}
    limits = dict(asked.limits or {}) if asked else {}
    for name, value in {"cpu": "500m", "memory": "512Mi"}.items():
        if name not in requests:
            requests[name] = limits.get(name, value)
    limits.setdefault("memory", max(requests["memory"], "1Gi", key=quantity_value))
    return {"requests": requests, "limits": limits}


def pod_security(foreign: ContainerSecurity | None = None) -> Object:
    """The restricted security context of a pod, loosened as it was asked for."""
    user = _USER if foreign is None or foreign.run_as_user is None else foreign.run_as_user
    group = _USER if foreign is None or foreign.run_as_group is None else foreign.run_as_group
    return {
        "runAsNonRoot": foreign.run_as_non_root if foreign and foreign.run_as_non_root is not None else True,
        "runAsUser": user,
        "runAsGroup": group,
        "fsGroup": group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(foreign: ContainerSecurity | None = None) -> Object:
    """The restricted security context of a container, loosened as it was asked for."""
    read_only = foreign.read_only_root_filesystem if foreign else None
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True if read_only is None else read_only,
    }
