"""kopf as the host: it finds the credentials, owns the signals, and watches ModelDeployments.

Its watch only puts keys on our queue. Its change handlers, timers, daemons, indexes and peering are not used: they
write bookkeeping into the user's object and lose deletions after a relist (docs/adr/0001-kopf-is-the-host.md).
"""

import asyncio
import dataclasses
import logging
import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import kopf
import structlog

from modelway.api.names import GROUP, PLURAL, VERSION
from modelway.kube.connection import Connection, Credentials

_log = structlog.get_logger(__name__)


_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class NoClusterError(Exception):
    """No API server is known: neither a pod's service account nor a kubeconfig was found."""


def find_connection() -> Connection:
    """The API server of this pod, or of the kubeconfig.

    Raises:
        NoClusterError: neither is there.
    """
    return connection_of(_login())


def connection_of(info: kopf.ConnectionInfo) -> Connection:
    """What kopf has found, in our terms."""
    return Connection(
        server=info.server.rstrip("/"),
        tls=info.as_ssl_context(),
        credentials=Credentials(
            fixed=info.as_http_headers(),
            token_file=_ACCOUNT_TOKEN if info.token and _ACCOUNT_TOKEN.is_file() else None,
        ),
    )


class Host:
    """One embedded kopf operator.

    Args:
        namespaces: to watch; empty for all.
        on_event: told namespace, name and resourceVersion of each ModelDeployment that changed.
    """

    def __init__(self, *, namespaces: Sequence[str], on_event: Callable[[str, str, str], None]) -> None:
        self._namespaces = tuple(namespaces)
        self._registry = kopf.OperatorRegistry()
        kopf.on.login(registry=self._registry, id="login")(_login_handler)

        async def changed(namespace: str | None, name: str | None, meta: Any, **_: Any) -> None:
            if namespace and name:
                on_event(namespace, name, meta.get("resourceVersion", ""))

        kopf.on.event(GROUP, VERSION, PLURAL, registry=self._registry, id="enqueue")(changed)

    async def run(self, stop: asyncio.Event, ready: asyncio.Event) -> None:
        """Run until `stop`, or a signal that comes before `ready` is set."""
        logging.getLogger("kopf").setLevel(logging.WARNING)
        await kopf.operator(
            registry=self._registry,
            settings=self._settings(),
            standalone=True,
            # Else kopf asks the system for the name of the user, which a container may not have.
            identity="modelway",  # type: ignore[arg-type]  # a NewType of str that kopf does not export
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=stop,
            ready_flag=ready,
        )

    def _settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.persistence.diffbase_storage = _NoDifferences()
        settings.scanning.disabled = True  # no right to list CRDs or namespaces is needed
        settings.peering.standalone = True
        settings.networking.error_backoffs = _EndlessBackoffs()
        settings.queueing.idle_timeout = 0.5  # a handler that only enqueues leaves nothing to wait for
        settings.queueing.exit_timeout = 0.1
        settings.process.ultimate_exiting_timeout = None
        return settings


class _NoDifferences(kopf.DiffBaseStorage):
    """Keeps kopf from copying and comparing every object for change handlers, of which there are none."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Nothing: the user's object is not written to."""


class _EndlessBackoffs:
    """Pauses between tries of a request, without end: an API server that is away comes back."""

    def __iter__(self) -> Iterator[float]:
        longest = 0.5
        while True:
            yield random.uniform(longest / 2, longest)  # noqa: S311 - jitter
            longest = min(longest * 2, 15.0)


def _login() -> kopf.ConnectionInfo:
    context: Any = {"logger": logging.getLogger("kopf.login"), "settings": kopf.OperatorSettings()}
    info = kopf.login_with_service_account(**context) or kopf.login_with_kubeconfig(**context)
    if info is None:
        raise NoClusterError("no cluster found: neither a service account (in a pod) nor a kubeconfig; set KUBECONFIG")
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if host and _ACCOUNT_TOKEN.is_file():
        # By address, as Kubernetes' own clients do: the operator must not need the cluster's DNS.
        info = dataclasses.replace(info, server=f"https://{f'[{host}]' if ':' in host else host}:{port}")
    return info


def _login_handler(**_: Any) -> kopf.ConnectionInfo:
    return _login()
