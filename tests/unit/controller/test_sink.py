"""Sinks: what is posted, what is tried again, what is never called, and that none is waited for."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from modelway.controller import sink as module
from modelway.controller.reachable import is_off_limits
from modelway.controller.sink import MOST, MOST_OF_ONE, Sinks
from modelway.plan.types import Notice
from support.builders import model_deployment
from support.web_server import answering


class Recorder:
    def __init__(self) -> None:
        self.told = []

    async def tell(self, resource, **event):
        self.told.append((resource["metadata"]["name"], event["reason"], event["message"]))


class Stage:
    """A sink that answers as the test says; a status for each request, the last one for all that follow."""

    def __init__(self, *statuses) -> None:
        self.statuses = list(statuses)
        self.got = []
        self.requests = []
        self.open = asyncio.Event()
        self.open.set()
        self.came = asyncio.Event()

    async def handle(self, request):
        self.requests.append(request)
        self.got.append(await request.json())
        self.came.set()
        await self.open.wait()
        status = self.statuses[min(len(self.got), len(self.statuses)) - 1]
        headers = {"Location": str(request.url.with_path("/elsewhere"))} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=headers)

    def notice(self, number=1, *, host="127.0.0.1", path="/in"):
        return Notice(f"http://{host}:{self.port}{path}", {"id": str(number), "subject": "DataDrift"})

    def count(self, result):
        return self.registry.get_sample_value("sink_events_total", {"result": result}) or 0

    async def until(self, holds):
        async with asyncio.timeout(60):
            while not holds():  # noqa: ASYNC110 - what it waits for is told by nobody
                await asyncio.sleep(0.005)


@asynccontextmanager
async def staged(*statuses, hosts=("127.0.0.1", "localhost"), refuses=lambda _: False, within=600):
    stage = Stage(*statuses)
    stage.registry, stage.recorder = CollectorRegistry(), Recorder()
    counter = Counter("sink_events", "Of events.", labelnames=("result",), registry=stage.registry)
    async with answering(stage.handle) as (stage.port, _):
        stage.sinks = Sinks(
            hosts, counter=counter, recorder=stage.recorder, refuses=refuses, within=within, pauses=(0.001, 0.002)
        )
        try:
            yield stage
        finally:
            stage.open.set()
            await stage.sinks.close()


async def test_an_event_is_posted_in_the_form_of_cloud_events():
    async with staged(202) as stage:
        stage.sinks.send(model_deployment(), stage.notice())
        await stage.until(lambda: stage.count("delivered") == 1)
        (request,) = stage.requests
        assert (request.method, request.path) == ("POST", "/in")
        assert request.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
        assert stage.got == [{"id": "1", "subject": "DataDrift"}]


async def test_events_of_one_model_come_in_their_order_though_one_is_tried_again():
    async with staged(503, 429, 200) as stage:
        for number in range(4):
            stage.sinks.send(model_deployment(), stage.notice(number))
        await stage.until(lambda: stage.count("delivered") == 4)
        assert [one["id"] for one in stage.got] == ["0", "0", "0", "1", "2", "3"]
        assert stage.recorder.told == []


async def test_what_is_refused_is_not_tried_again_and_told_once_until_something_gets_through():
    async with staged(404, 404, 200, 410) as stage:
        for number in range(4):
            stage.sinks.send(model_deployment(), stage.notice(number))
        await stage.until(lambda: len(stage.recorder.told) == 2)
        assert len(stage.got) == 4
        first, second = stage.recorder.told
        assert first == (
            "fraud",
            "SinkFailed",
            "DataDrift could not be told to the sink: 127.0.0.1 answers with status 404",
        )
        assert "status 410" in second[2]


async def test_it_is_given_up_after_some_time(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    async with staged(500) as stage:
        stage.sinks.send(model_deployment(), stage.notice())
        await stage.until(lambda: stage.count("failed") == 1)
        await stage.until(lambda: stage.recorder.told)
        assert "status 500" in stage.recorder.told[0][2]


async def test_where_nobody_listens_that_is_told(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    async with staged(200) as stage:
        pass
    stage.sinks = Sinks(("127.0.0.1",), counter=_counter(stage), recorder=stage.recorder, refuses=lambda _: False)
    stage.sinks.send(model_deployment(), stage.notice())
    await stage.until(lambda: stage.recorder.told)
    assert "127.0.0.1 cannot be reached" in stage.recorder.told[0][2]
    await stage.sinks.close()


def _counter(stage):
    stage.registry = CollectorRegistry()
    return Counter("sink_events", "Of events.", labelnames=("result",), registry=stage.registry)


async def test_one_that_does_not_answer_in_time_is_told(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    async with staged(200, within=0.05) as stage:
        stage.open.clear()
        stage.sinks.send(model_deployment(), stage.notice())
        await stage.until(lambda: stage.recorder.told)
        assert "has not answered within 0.05 s" in stage.recorder.told[0][2]


async def test_a_redirect_is_not_followed():
    async with staged(307) as stage:
        stage.sinks.send(model_deployment(), stage.notice())
        await stage.until(lambda: stage.recorder.told)
        assert [request.path for request in stage.requests] == ["/in"]
        assert "status 307" in stage.recorder.told[0][2]


async def test_a_sink_that_hangs_delays_nobody_elses_events_and_keeps_a_bounded_number():
    async with staged(200) as stage:
        stage.open.clear()
        stage.sinks.send(model_deployment(), stage.notice())
        await stage.came.wait()
        for number in range(3 * MOST_OF_ONE):
            stage.sinks.send(model_deployment(), stage.notice(number))
        assert stage.sinks.waiting == MOST_OF_ONE
        assert stage.count("dropped") == 2 * MOST_OF_ONE
        other = model_deployment(name="other")
        stage.sinks.send(other, Notice(stage.notice().url, {"id": "other", "subject": "DataDrift"}))
        await stage.until(lambda: any(one["id"] == "other" for one in stage.got))


async def test_of_what_waits_the_latest_is_kept():
    async with staged(200) as stage:
        stage.open.clear()
        stage.sinks.send(model_deployment(), stage.notice("first"))
        await stage.came.wait()
        for number in range(MOST_OF_ONE + 5):
            stage.sinks.send(model_deployment(), stage.notice(number))
        stage.open.set()
        await stage.until(lambda: stage.count("delivered") == MOST_OF_ONE + 1)
        assert [one["id"] for one in stage.got][-1] == str(MOST_OF_ONE + 4)


async def test_of_all_models_together_a_bounded_number_waits():
    async with staged(200) as stage:
        stage.open.clear()
        for number in range(MOST + 50):
            stage.sinks.send(model_deployment(name=f"model-{number}"), stage.notice())
        assert stage.sinks.waiting == MOST
        assert stage.count("dropped") == 50


@pytest.mark.parametrize(
    ("hosts", "host"),
    [((), "127.0.0.1"), (("events.example.com",), "127.0.0.1"), (("*.example.com",), "localhost")],
    ids=["nobody is named", "somebody else is", "what lies below somebody else is"],
)
async def test_a_host_that_nobody_has_named_is_not_called(hosts, host):
    async with staged(200, hosts=hosts) as stage:
        stage.sinks.send(model_deployment(), stage.notice(host=host))
        await stage.until(lambda: stage.recorder.told)
        assert stage.requests == []
        assert f"the operator may not call {host}" in stage.recorder.told[0][2]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f000001", "[::ffff:127.0.0.1]", "0"])
async def test_the_machine_itself_is_not_called_though_all_hosts_are_named(host):
    async with staged(200, hosts=("*",), refuses=is_off_limits) as stage:
        stage.sinks.send(model_deployment(), stage.notice(host=host))
        await stage.until(lambda: stage.recorder.told)
        assert stage.requests == []
        assert stage.count("failed") == 1
