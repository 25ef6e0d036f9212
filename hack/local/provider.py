"""Which cluster the commands work on: one without Docker, one in Docker, or the user's own."""

from collections.abc import Mapping
from typing import Literal, get_args

from .commands import succeeds
from .errors import LocalClusterError

Provider = Literal["local", "kind", "existing"]
_ALL: tuple[Provider, ...] = get_args(Provider)


def choose(environment: Mapping[str, str]) -> Provider:
    """What CLUSTER says; without it kind where Docker answers, else local."""
    wanted = environment.get("CLUSTER", "")
    if not wanted:
        return "kind" if succeeds("docker", "info") else "local"
    for known in _ALL:
        if wanted == known:
            return known
    raise LocalClusterError(f"CLUSTER is one of {', '.join(_ALL)}, not {wanted!r}.")


def check_existing(environment: Mapping[str, str]) -> None:
    """Says what is missing when the user's own cluster does not answer."""
    if not environment.get("KUBECONFIG"):
        raise LocalClusterError("CLUSTER=existing needs KUBECONFIG to name the kubeconfig of your cluster.")
    if not succeeds("kubectl", "version", "--request-timeout=10s"):
        raise LocalClusterError(f"The cluster of KUBECONFIG={environment['KUBECONFIG']} does not answer to kubectl.")
