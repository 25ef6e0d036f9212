"""The worker: whatever a look ends in, the key is not lost."""

import asyncio
import ssl

import aiohttp
import pytest

from modelway.controller.app import Operator
from modelway.controller.apply import Outdated
from modelway.controller.settings import read_settings
from modelway.kube.connection import Connection, Credentials
from modelway.kube.errors import Conflict, Deposed, Unavailable
from modelway.kube.store import Owner

FRAUD = Owner("ml", "fraud")


class Looks:
    """A reconciler whose looks end as they are told."""

    def __init__(self, outcome) -> None:
        self.outcome = outcome

    async def reconcile(self, _owner):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.fixture
async def operator():
    connection = Connection("http://127.0.0.1:1", ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), Credentials())
    operator = Operator(read_settings({"MODELWAY_SERVER_IMAGE": "server:1"}), connection)
    yield operator
    await operator.close()


async def look(operator, outcome):
    """The seconds after which the key is due again, and the result that is counted."""
    operator._reconciler = Looks(outcome)
    await operator._look(FRAUD)
    entry = operator._queue._waiting.get(FRAUD)
    counted = {
        sample.labels["result"]
        for metric in operator._metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "controller_runtime_reconcile_total" and sample.value
    }
    return entry and entry.due - entry.added, counted


AGAIN = {
    "somebody else has written": (Conflict(409, "Conflict", ""), "requeue_after"),
    "a renewal of the lease is late": (Deposed("late"), "error"),
    "the API server is away": (aiohttp.ServerDisconnectedError(), "error"),
    "the API server is busy": (Unavailable(503, "", ""), "error"),
    "a fault of ours": (KeyError("x"), "error"),
}


@pytest.mark.parametrize(("outcome", "result"), AGAIN.values(), ids=AGAIN)
async def test_it_is_looked_at_again_after(operator, outcome, result):
    after, counted = await look(operator, outcome)
    assert 0 < after <= 0.26
    assert counted == {result}


async def test_a_plan_that_lacked_an_object_is_made_anew_at_once(operator):
    after, counted = await look(operator, Outdated())
    assert after < 0.01
    assert counted == {"requeue_after"}


async def test_the_api_server_says_when(operator):
    after, _ = await look(operator, Unavailable(429, "", "", retry_after=9.0))
    assert after == pytest.approx(9, abs=0.01)


async def test_success_is_not_looked_at_again(operator):
    assert await look(operator, None) == (None, {"success"})


async def test_a_plan_says_when_it_may_differ(operator):
    after, counted = await look(operator, 7.0)
    assert after == pytest.approx(7, abs=0.01)
    assert counted == {"requeue_after"}


async def test_keys_of_the_first_list_let_live_changes_pass(operator):
    operator._changed_resource(Owner("ml", "old"), initial=True)
    operator._changed_resource(FRAUD, initial=False)
    assert await operator._queue.get() == FRAUD


async def test_what_kopf_tells_of_news_that_we_know_is_no_news(operator):
    from modelway.api.kinds import MODEL_DEPLOYMENT
    from support.builders import model_deployment

    operator._store.put(MODEL_DEPLOYMENT, model_deployment())
    operator._told_by_host("ml", "fraud", "1")
    assert len(operator._queue) == 0
    operator._told_by_host("ml", "fraud", "2")
    assert len(operator._queue) == 1


async def test_looks_that_never_wait_leave_lease_and_probes_their_turn(operator):
    operator._reconciler = Looks(None)
    for number in range(100):
        operator._queue.add(Owner("ml", f"model-{number}"))
    working = asyncio.create_task(operator._work())
    turns = 0
    while len(operator._queue):
        await asyncio.sleep(0)
        turns += 1
    working.cancel()
    assert turns >= 100
