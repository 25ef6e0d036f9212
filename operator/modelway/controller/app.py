"""The operator process: what is started, in which order, and how it ends.

Order: settings, connection, reflectors, kopf; then the lease, and only its holder works. A standby keeps its caches
warm, so a takeover costs nothing but the lease. At SIGTERM nothing new is begun, work in progress ends, the lease is
given back, and the process leaves with 0; a process that lost its lease leaves with 1 at once, and Kubernetes starts
it again as a standby.
"""

import asyncio
import contextlib
import random
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final

import aiohttp
import structlog
import uvloop

from modelway.api.kinds import CHILD_KINDS, MODEL_DEPLOYMENT, OPTIONAL_KINDS, WATCHED_KINDS, Kind
from modelway.api.names import MANAGED_SELECTOR
from modelway.controller.apply import Outdated
from modelway.controller.health import Health
from modelway.controller.host import Host, NoClusterError, find_connection
from modelway.controller.labels import Labels
from modelway.controller.measuring import Measurer, Reading
from modelway.controller.metrics import Metrics, make_metrics
from modelway.controller.monitoring import Collector
from modelway.controller.observed import KEEPALIVE_SECONDS, Observed
from modelway.controller.prometheus import Prometheus
from modelway.controller.queue import Queue
from modelway.controller.reconciler import Reconciler
from modelway.controller.routers import Routers
from modelway.controller.servers import Servers
from modelway.controller.settings import OperatorSettings, SettingsError, read_settings
from modelway.controller.sink import Sinks
from modelway.controller.tasks import end
from modelway.kube.client import Client
from modelway.kube.connection import Connection
from modelway.kube.errors import ApiError, Conflict, Deposed
from modelway.kube.lease import Lease, LeaseTiming
from modelway.kube.recorder import Recorder
from modelway.kube.reflector import Reflector
from modelway.kube.store import Owner, Store
from modelway.plan.measured import Target

_log = structlog.get_logger(__name__)

_INITIAL_PRIORITY: Final = -100
"""Keys of the first list let live changes pass."""
_DEBOUNCE_SECONDS: Final = 0.05
"""Changes of children come in bursts; one look answers them all."""
_GRACE_SECONDS: Final = 20.0
"""Longest time that work in progress may take to end; less than the pod's own grace."""


def main() -> int:
    """Run the operator with the settings of the environment until a signal; gives the process' exit code."""
    try:
        settings, connection = read_settings(), find_connection()
    except (SettingsError, NoClusterError) as error:
        print(f"modelway operator: {error}", file=sys.stderr)  # noqa: T201 - nobody reads logs of what did not start
        return 2
    return uvloop.run(run(settings, connection))


async def run(settings: OperatorSettings, connection: Connection) -> int:
    """Run the operator against `connection` until a signal or until the lease is lost."""
    operator = Operator(settings, connection)
    try:
        return await operator.run()
    finally:
        await operator.close()


class Operator:
    """All parts of one operator process, wired."""

    def __init__(self, settings: OperatorSettings, connection: Connection) -> None:
        seed = random.Random()  # noqa: S311 - jitter
        self._settings = settings
        self._metrics: Metrics = make_metrics()
        self._lease_client = Client(connection, on_request=self._metrics.count_request)
        self._lease = Lease(
            self._lease_client,
            namespace=settings.namespace,
            name=settings.lease_name,
            identity=f"{settings.identity}_{seed.getrandbits(32):08x}",
            timing=LeaseTiming(settings.lease_duration, settings.lease_renew_deadline, settings.lease_retry_period),
            seed=seed,
        )
        self._client = Client(connection, fence=self._lease.fence, on_request=self._metrics.count_request)
        self._store = Store()
        self._queue: Queue[Owner] = Queue(metrics=self._metrics.queue, seed=seed)
        self._pods = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        self._routers, self._servers = Routers(self._pods, clock=_now), Servers(self._pods, clock=_now)
        prometheus = Prometheus(
            self._pods,
            url=settings.prometheus_url,
            token_file=Path(settings.prometheus_token_file) if settings.prometheus_token_file else None,
            clock=_now,
        )
        labels = Labels(self._pods, clock=_now)
        self._measurer = Measurer(self._ask, on_news=self._queue.add, ask_metrics=prometheus.ask, ask_labels=labels.ask)
        # A model is read once in minutes: its connections are worth keeping for the two or three requests of a reading.
        self._watched = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=KEEPALIVE_SECONDS), cookie_jar=aiohttp.DummyCookieJar()
        )
        self._collector = Collector(Observed(self._watched, clock=_now).read, on_news=self._queue.add, clock=_now)
        recorder = Recorder(self._client, instance=self._lease.identity)
        self._sinks = Sinks(settings.sink_hosts, counter=self._metrics.sink_events, recorder=recorder)
        self._reconciler = Reconciler(
            self._client,
            self._store,
            recorder,
            settings.of_plans(),
            self._measurer,
            self._metrics.rollouts,
            self._collector,
            self._metrics.monitoring,
            clock=monotonic,
            notify=self._sinks.send,
        )
        self._reflectors = [
            self._reflector(kind, namespace, seed)
            for kind in (MODEL_DEPLOYMENT, *CHILD_KINDS, *OPTIONAL_KINDS, *WATCHED_KINDS)
            for namespace in (settings.watch_namespaces or (None,))
        ]
        self._host = Host(namespaces=settings.watch_namespaces, on_event=self._told_by_host)
        self._health = Health(
            metrics=self._metrics,
            reflectors=self._reflectors,
            longest_working=self._queue.longest_working,
            resources=lambda: len(self._store),
            is_leading=self._lease.holds,
        )
        self._stop = asyncio.Event()

    def _reflector(self, kind: Kind, namespace: str | None, seed: random.Random) -> Reflector:
        is_resource = kind == MODEL_DEPLOYMENT
        return Reflector(
            self._client,
            self._store,
            kind,
            namespace=namespace,
            selector="" if is_resource else MANAGED_SELECTOR,
            on_change=self._changed_resource if is_resource else self._changed_child,
            seed=seed,
            optional=kind in OPTIONAL_KINDS,
        )

    async def run(self) -> int:
        """Run until told to stop; gives the exit code."""
        self._own_signals()
        port = await self._health.start(self._settings.health_port)
        _log.info(
            "started", identity=self._lease.identity, health_port=port, namespaces=self._settings.watch_namespaces
        )
        watching = [asyncio.create_task(reflector.run()) for reflector in self._reflectors]
        leading = asyncio.create_task(self._lead())
        hosting = asyncio.create_task(self._hosted())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait({leading, hosting, stopping, *watching}, return_when=asyncio.FIRST_COMPLETED)
            errors = [error for task in done if (error := task.exception()) is not None]
            for error in errors:
                _log.error("ended", error=str(error), exc_info=error)
            code = 0 if not errors and done <= {hosting, stopping} else 1
            await self._end(code)
            if code == 0:  # nobody waits for us any more: kopf may close what it has open
                await asyncio.wait({hosting}, timeout=_GRACE_SECONDS)
            return code
        finally:
            self.stop()
            await end([leading, hosting, stopping, *watching])

    def stop(self) -> None:
        """End in order, as at SIGTERM; `run` returns when all is done."""
        self._stop.set()

    async def close(self) -> None:
        """Close what is open."""
        await self._health.stop()
        await self._measurer.close()
        await self._collector.close()
        await self._sinks.close()
        await self._pods.close()
        await self._watched.close()
        await self._client.close()
        await self._lease_client.close()

    async def _end(self, code: int) -> None:
        """Begin nothing new; when the end is orderly, let work end and give the lease back."""
        self._queue.close()
        if code != 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                await self._queue.idle()
        await self._lease.release()
        _log.info("stopped", identity=self._lease.identity)

    async def _hosted(self) -> None:
        """kopf, once the CRD is there: without it kopf ends, where we wait."""
        crd = [reflector.synced.wait() for reflector in self._reflectors if reflector.kind == MODEL_DEPLOYMENT]
        await asyncio.gather(*crd)
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._host.run(self._stop, ready))
            await ready.wait()
            self._own_signals()  # kopf has taken them, and would end before work in progress does

    def _own_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def _lead(self) -> None:
        """Work while holding the lease; returns when it is lost."""
        await asyncio.gather(*(reflector.synced.wait() for reflector in self._reflectors))
        await self._lease.acquire()
        workers = [asyncio.create_task(self._work()) for _ in range(self._settings.workers)]
        try:
            await self._lease.keep()
        finally:
            await end(workers)

    async def _work(self) -> None:
        while True:
            owner = await self._queue.get()
            try:
                await self._look(owner)
            finally:
                self._queue.done(owner)
            await asyncio.sleep(0)  # a look that writes nothing never waits: lease, watches and probes have their turn

    async def _look(self, owner: Owner) -> None:
        """One look, counted and timed. The only place where any exception is caught: it is logged and tried again."""
        started = monotonic()
        try:
            pause = await self._reconciler.reconcile(owner)
        except Deposed:
            self._queue.retry(owner)  # a renewal may only have been late
            self._metrics.count_reconcile("error")
        except Outdated:
            self._queue.add(owner)
            self._metrics.count_reconcile("requeue_after")
        except Conflict as error:
            delay = self._queue.retry(owner)
            self._metrics.count_reconcile("requeue_after")
            _log.debug("conflict", namespace=owner.namespace, name=owner.name, error=str(error), retry_in=delay)
        except Exception as error:  # noqa: BLE001 - the one place
            reason = error.reason if isinstance(error, ApiError) else type(error).__name__
            self._metrics.count_reconcile("error")
            self._metrics.count_error(reason)
            at_least = error.retry_after if isinstance(error, ApiError) else None
            delay = self._queue.retry(owner, at_least=at_least or 0.0)
            expected = isinstance(error, (ApiError, aiohttp.ClientError, TimeoutError, OSError))
            _log.warning(
                "reconcile_failed",
                namespace=owner.namespace,
                name=owner.name,
                reason=reason,
                error=str(error),
                retry_in=round(delay, 2),
                exc_info=not expected,
            )
        else:
            self._queue.forget(owner)
            self._metrics.count_reconcile("success" if pause is None else "requeue_after")
            if pause is not None:
                self._queue.add(owner, after=pause)
        finally:
            self._metrics.reconcile_seconds.observe(monotonic() - started)

    async def _ask(self, target: Target) -> Reading:
        return await (self._routers.ask(target) if target.is_router else self._servers.ask(target))

    def _changed_resource(self, owner: Owner, initial: bool) -> None:
        self._queue.add(owner, priority=_INITIAL_PRIORITY if initial else 0)

    def _changed_child(self, owner: Owner, initial: bool) -> None:
        self._queue.add(owner, after=_DEBOUNCE_SECONDS, priority=_INITIAL_PRIORITY if initial else 0)

    def _told_by_host(self, namespace: str, name: str, version: str) -> None:
        owner = Owner(namespace, name)
        if str(self._store.version(owner)) != version:
            self._queue.add(owner, after=_DEBOUNCE_SECONDS)


def _now() -> datetime:
    return datetime.now(UTC)
