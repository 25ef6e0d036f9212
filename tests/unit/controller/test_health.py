"""/livez, /readyz and /metrics: what makes Kubernetes restart the operator, and what does not."""

import asyncio
from types import SimpleNamespace

import aiohttp
import pytest

from modelway.api.kinds import DEPLOYMENT, SERVICE
from modelway.controller import health as module
from modelway.controller.health import Health
from modelway.controller.metrics import make_metrics


class Operator:
    """As much of an operator as its health depends on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.working = 0.0
        self.leading = False
        self.metrics = make_metrics()
        self.reflectors = [
            SimpleNamespace(kind=kind, synced=asyncio.Event(), alive_at=self.now) for kind in (DEPLOYMENT, SERVICE)
        ]

    def sync(self):
        for reflector in self.reflectors:
            reflector.synced.set()


@pytest.fixture
def operator(monkeypatch):
    operator = Operator()
    monkeypatch.setattr(module, "monotonic", lambda: operator.now)
    return operator


@pytest.fixture
async def ask(operator):
    health = Health(
        metrics=operator.metrics,
        reflectors=operator.reflectors,
        longest_working=lambda: operator.working,
        resources=lambda: 7,
        is_leading=lambda: operator.leading,
    )
    port = await health.start(0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def get(path):
            async with session.get(path) as answer:
                return answer.status, await answer.text()

        yield get
    await health.stop()


class TestLive:
    async def test_while_everything_stirs(self, operator, ask):
        operator.sync()
        assert await ask("/livez") == (200, "ok\n")

    async def test_not_when_the_task_of_a_watch_hangs(self, operator, ask):
        operator.sync()
        operator.now += 301
        assert await ask("/livez") == (500, "a watch has been silent for 301 s\n")

    async def test_while_the_first_lists_are_not_read(self, operator, ask):
        """The CRD may come later, or the right to list; a restart would not help."""
        operator.now += 3000
        assert (await ask("/livez"))[0] == 200

    async def test_not_when_work_hangs(self, operator, ask):
        operator.sync()
        operator.working = 400
        assert await ask("/livez") == (500, "work has been going on for 400 s\n")


class TestReady:
    async def test_not_before_everything_has_been_listed(self, operator, ask):
        operator.reflectors[0].synced.set()
        assert await ask("/readyz") == (503, "not listed yet: Service\n")

    async def test_a_replica_that_waits_for_the_lease_is_ready(self, operator, ask):
        operator.sync()
        assert await ask("/readyz") == (200, "ok, standing by\n")

    async def test_so_is_the_leader(self, operator, ask):
        operator.sync()
        operator.leading = True
        assert await ask("/readyz") == (200, "ok, leading\n")


class TestMetrics:
    async def test_they_go_by_the_names_that_dashboards_know(self, operator, ask):
        operator.leading, operator.working = True, 3.0
        operator.metrics.count_request("APPLY", 200)
        operator.metrics.count_reconcile("success")
        operator.metrics.count_error("Invalid")
        _, text = await ask("/metrics")
        for line in (
            'rest_client_requests_total{code="200",method="APPLY"} 1.0',
            'controller_runtime_reconcile_total{controller="modeldeployment",result="success"} 1.0',
            'controller_runtime_reconcile_errors_total{controller="modeldeployment",reason="Invalid"} 1.0',
            'workqueue_longest_running_processor_seconds{name="modeldeployment"} 3.0',
            'workqueue_depth{name="modeldeployment"} 0.0',
            "modelway_leading 1.0",
            "modelway_resources 7.0",
        ):
            assert line in text
