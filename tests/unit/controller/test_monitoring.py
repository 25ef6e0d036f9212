"""Reading the pods of models that are monitored: whom, how often, and what is kept. In virtual time."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from modelway.controller.measuring import UnreachableError
from modelway.controller.monitoring import Collector
from modelway.kube.store import Owner
from modelway.plan.monitoring.readings import Collected, Watching
from support import virtual_time
from support.monitored import Server, layout_of_model, pod

OWNER = Owner("ml", "fraud")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LAYOUT = layout_of_model(rows=1000)
FIRST, SECOND = (pod(f"server-{n}", "6f1c2a9b", BEGAN) for n in (1, 2))
WATCHING = Watching(frozenset({FIRST, SECOND}), every=300.0)


def at(seconds):
    return BEGAN + timedelta(seconds=seconds)


class Pods:
    """Pods that answer, are away, or hang; knows who was read when, and who had to tell its layout."""

    def __init__(self) -> None:
        self.read_at = []
        self.told = []
        self.away, self.hang = set(), set()
        self.news = []
        self.collector = Collector(
            self.read, on_news=lambda owner: self.news.append(virtual_time.now()), clock=lambda: at(virtual_time.now())
        )

    async def read(self, which, wanted, layouts):
        self.read_at.append((virtual_time.now(), which.pod.name))
        if which.pod.name in self.hang:
            await asyncio.Event().wait()
        if which.pod.name in self.away:
            raise UnreachableError(f"pod {which.pod.name}: connection refused")
        reading = Server(which, LAYOUT).read(at(virtual_time.now()))
        if LAYOUT.id in layouts:
            return reading, None
        self.told.append(which.pod.name)
        return reading, LAYOUT

    def names(self):
        return sorted(one.of.pod.name for one in self.collector.collected(OWNER).readings)


def story(test):
    """Runs `test` with pods and a collector that follows nobody yet."""

    def run():
        async def told():
            pods = Pods()
            try:
                await test(pods)
            finally:
                await pods.collector.close()

        virtual_time.run(told())

    return run


@story
async def test_everybody_is_read_at_once_and_then_once_a_window(pods):
    pods.collector.follow(OWNER, WATCHING)
    await asyncio.sleep(700)
    assert [when for when, name in pods.read_at if name == "server-1"] == [0, 300, 600]
    assert pods.news == [0, 300, 600]
    assert pods.names() == ["server-1", "server-2"]


@story
async def test_the_layout_is_asked_for_until_it_is_known(pods):
    pods.collector.follow(OWNER, WATCHING)
    await asyncio.sleep(700)
    assert pods.told == ["server-1", "server-2"]
    assert pods.collector.collected(OWNER).layouts == {LAYOUT.id: LAYOUT}


@story
async def test_after_a_restart_the_window_that_was_begun_is_kept(pods):
    pods.collector.follow(OWNER, replace(WATCHING, counted=at(-100)))
    await asyncio.sleep(501)
    assert pods.news == [200, 500]


@story
async def test_a_clock_that_was_ahead_delays_nothing_for_longer_than_a_window(pods):
    pods.collector.follow(OWNER, replace(WATCHING, counted=at(86_400)))
    await asyncio.sleep(301)
    assert pods.news == [300]


@story
async def test_who_cannot_be_read_is_said(pods):
    pods.away.add("server-2")
    pods.collector.follow(OWNER, WATCHING)
    await asyncio.sleep(1)
    assert pods.collector.collected(OWNER).unreachable == ("pod server-2: connection refused",)
    assert pods.names() == ["server-1"]


@story
async def test_a_pod_that_is_ending_is_read_until_it_is_gone_and_its_last_counts_are_kept(pods):
    pods.collector.follow(OWNER, WATCHING)
    await asyncio.sleep(10)
    ending = SECOND._replace(is_ending=True)
    pods.collector.follow(OWNER, replace(WATCHING, targets=frozenset({FIRST, ending}), counted=at(0)))
    await asyncio.sleep(5)
    assert [when for when, name in pods.read_at if name == "server-2"] == [0, 10, 12, 14]
    pods.collector.follow(OWNER, replace(WATCHING, targets=frozenset({FIRST}), counted=at(0)))
    await asyncio.sleep(300)
    (last,) = (one for one in pods.collector.collected(OWNER).readings if one.of.pod.name == "server-2")
    assert last.taken_at == at(14)
    assert last.of.is_ending


@story
async def test_a_reading_of_a_pod_that_is_gone_is_let_go_of_once_it_is_counted(pods):
    ending = SECOND._replace(is_ending=True)
    pods.collector.follow(OWNER, replace(WATCHING, targets=frozenset({FIRST, ending})))
    await asyncio.sleep(1)
    pods.collector.follow(OWNER, replace(WATCHING, targets=frozenset({FIRST}), counted=at(1)))
    await asyncio.sleep(300)
    assert pods.names() == ["server-1"]


@story
async def test_a_round_that_nobody_has_counted_loses_no_reading_of_a_pod_that_is_gone(pods):
    ending = SECOND._replace(is_ending=True)
    pods.collector.follow(OWNER, replace(WATCHING, targets=frozenset({FIRST, ending})))
    await asyncio.sleep(1)
    pods.collector.follow(OWNER, replace(WATCHING, targets=frozenset({FIRST})))
    await asyncio.sleep(700)
    assert pods.names() == ["server-1", "server-2"]


@story
async def test_a_pod_that_hangs_holds_up_its_own_model_alone(pods):
    other = Owner("ml", "churn")
    pods.hang.add("server-2")
    pods.collector.follow(OWNER, WATCHING)
    pods.collector.follow(other, replace(WATCHING, targets=frozenset({FIRST})))
    await asyncio.sleep(1)
    assert pods.news == [0]
    assert pods.collector.collected(other).at == at(0)
    assert pods.collector.collected(OWNER) == Collected()


@story
async def test_another_window_counts_from_now_on(pods):
    pods.collector.follow(OWNER, WATCHING)
    await asyncio.sleep(70)
    pods.collector.follow(OWNER, replace(WATCHING, every=60.0))
    await asyncio.sleep(100)
    assert pods.news == [0, 70, 130]


@story
async def test_who_is_no_longer_monitored_is_not_read(pods):
    pods.collector.follow(OWNER, WATCHING)
    await asyncio.sleep(1)
    pods.collector.follow(OWNER, None)
    await asyncio.sleep(1000)
    assert pods.news == [0]
    assert pods.collector.collected(OWNER) == Collected()


@story
async def test_a_layout_of_another_revision_is_asked_for_again_though_it_is_called_the_same(pods):
    pods.collector.follow(OWNER, WATCHING)
    await asyncio.sleep(1)
    later = pod("server-3", "0b77d1ce", BEGAN)
    pods.collector.follow(OWNER, replace(WATCHING, targets=frozenset({later})))
    await asyncio.sleep(600)
    assert pods.told == ["server-1", "server-2", "server-3"]
