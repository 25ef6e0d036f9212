"""Asking the pods of a rollout: whom, how often, and what is told. In virtual time."""

import asyncio
from datetime import UTC, datetime

from modelway.controller.measuring import Measurer, UnreachableError
from modelway.kube.store import Owner
from modelway.plan.measured import (
    Labelling,
    LabelReading,
    Measured,
    Measuring,
    MetricsReading,
    PodKey,
    Question,
    RouterReading,
    ServerReading,
    Target,
)
from support import virtual_time

OWNER = Owner("ml", "fraud")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROUTER = Target(PodKey("router-1", "u1"), "10.0.0.1", "", NOW)
QUESTION = Question("own", "0b77d1ce", "good{}", "all{}")
SERVER = Target(PodKey("server-1", "u2"), "10.0.0.2", "0b77d1ce", NOW)


class Pods:
    """Pods that answer, are away, or hang; knows who was asked when."""

    def __init__(self) -> None:
        self.asked = []
        self.away = set()
        self.hang = set()
        self.questioned = []
        self.labelled = []

    async def ask(self, target):
        self.asked.append((virtual_time.now(), target.pod.name))
        if target in self.hang:
            await asyncio.Event().wait()
        if target in self.away:
            raise UnreachableError(f"pod {target.pod.name}: connection refused")
        if target.is_router:
            return RouterReading(target.pod, NOW, "e1", "c1", "r1", {})
        return ServerReading(target.pod, NOW, "e1", target.revision, {}, ())

    async def ask_metrics(self, question):
        self.questioned.append((virtual_time.now(), question.check))
        if question in self.hang:
            await asyncio.Event().wait()
        return MetricsReading(question, NOW)

    async def ask_labels(self, target, since):
        self.labelled.append((virtual_time.now(), target.pod.name, since))
        if target in self.hang:
            await asyncio.Event().wait()
        return LabelReading(target.pod, NOW)


def story(test):
    """Runs `test` with pods, a measurer and the news that it told."""

    def run(*args):
        async def told():
            pods, news = Pods(), []
            measurer = Measurer(
                pods.ask,
                on_news=lambda owner: news.append((virtual_time.now(), owner)),
                ask_metrics=pods.ask_metrics,
                ask_labels=pods.ask_labels,
            )
            await test(*args, pods, measurer, news)
            await measurer.close()

        virtual_time.run(told())

    return run


def every(seconds, *targets):
    return Measuring(frozenset(targets), seconds)


@story
async def test_all_pods_are_asked_at_once_and_then_at_every_interval(pods, measurer, news):
    measurer.follow(OWNER, every(10, ROUTER, SERVER))
    await asyncio.sleep(25)
    assert sorted(pods.asked) == [(at, name) for at in (0, 10, 20) for name in ("router-1", "server-1")]
    assert news == [(0, OWNER), (10, OWNER), (20, OWNER)]
    measured = measurer.measured(OWNER)
    assert [reading.pod.name for reading in measured.routers] == ["router-1"]
    assert [reading.revision for reading in measured.servers] == ["0b77d1ce"]


@story
async def test_a_pod_that_cannot_be_asked_is_told_of_and_the_others_count(pods, measurer, news):
    pods.away.add(SERVER)
    measurer.follow(OWNER, every(10, ROUTER, SERVER))
    await asyncio.sleep(1)
    measured = measurer.measured(OWNER)
    assert len(measured.routers) == 1
    assert measured.unreachable == ("pod server-1: connection refused",)


@story
async def test_a_pod_that_is_not_ready_counts_when_it_answers_and_is_no_trouble_when_not(pods, measurer, news):
    unready = ROUTER._replace(is_ready=False)
    measurer.follow(OWNER, every(10, unready))
    await asyncio.sleep(1)
    assert len(measurer.measured(OWNER).routers) == 1
    pods.away.add(unready)
    await asyncio.sleep(10)
    assert measurer.measured(OWNER) == Measured()


@story
async def test_a_shorter_pause_counts_at_once(pods, measurer, news):
    measurer.follow(OWNER, every(10, ROUTER))
    await asyncio.sleep(1)
    measurer.follow(OWNER, every(0.5, ROUTER))
    await asyncio.sleep(1.2)
    assert [at for at, _ in pods.asked] == [0, 1, 1.5, 2]


@story
async def test_a_longer_pause_counts_after_the_next_round(pods, measurer, news):
    measurer.follow(OWNER, every(0.5, ROUTER))
    await asyncio.sleep(0.2)
    measurer.follow(OWNER, every(10, ROUTER))
    await asyncio.sleep(15)
    assert [at for at, _ in pods.asked] == [0, 0.5, 10.5]


@story
async def test_a_new_pod_is_asked_at_once_and_one_that_is_gone_never_again(pods, measurer, news):
    measurer.follow(OWNER, every(10, ROUTER))
    await asyncio.sleep(1)
    measurer.follow(OWNER, every(10, SERVER))
    await asyncio.sleep(5)
    assert pods.asked == [(0, "router-1"), (1, "server-1")]
    assert measurer.measured(OWNER).routers == ()


@story
async def test_a_pod_that_begins_to_end_is_asked_at_once(pods, measurer, news):
    measurer.follow(OWNER, every(10, SERVER))
    await asyncio.sleep(1)
    measurer.follow(OWNER, every(10, SERVER._replace(is_ending=True)))
    await asyncio.sleep(5)
    assert pods.asked == [(0, "server-1"), (1, "server-1")]


@story
async def test_saying_the_same_again_asks_nobody(pods, measurer, news):
    for _ in range(5):
        measurer.follow(OWNER, every(10, ROUTER))
        await asyncio.sleep(1)
    assert len(pods.asked) == 1


@story
async def test_nobody_is_asked_and_nothing_known_after_the_end_of_a_rollout(pods, measurer, news):
    measurer.follow(OWNER, every(10, ROUTER))
    await asyncio.sleep(1)
    measurer.follow(OWNER, None)
    await asyncio.sleep(100)
    assert len(pods.asked) == 1
    assert measurer.measured(OWNER) == Measured()


@story
async def test_a_pod_that_hangs_delays_nobody_else(pods, measurer, news):
    other = Owner("ml", "churn")
    pods.hang.add(SERVER)
    measurer.follow(OWNER, every(10, SERVER))
    measurer.follow(other, every(10, ROUTER))
    await asyncio.sleep(25)
    assert news == [(0, other), (10, other), (20, other)]


@story
async def test_prometheus_is_asked_every_ten_seconds_however_often_the_pods_are(pods, measurer, news):
    measurer.follow(OWNER, Measuring(frozenset({ROUTER}), 0.5, frozenset({QUESTION})))
    await asyncio.sleep(25)
    assert pods.questioned == [(0, "own"), (10, "own"), (20, "own")]
    assert len(pods.asked) > 40
    assert [reading.question for reading in measurer.measured(OWNER).metrics] == [QUESTION]


@story
async def test_a_prometheus_that_hangs_keeps_nobody_waiting_for_the_pods(pods, measurer, news):
    pods.hang.add(QUESTION)
    measurer.follow(OWNER, Measuring(frozenset({ROUTER}), 10, frozenset({QUESTION})))
    await asyncio.sleep(25)
    assert len(pods.asked) == 3
    measured = measurer.measured(OWNER)
    assert (len(measured.routers), measured.metrics) == (1, ())


@story
async def test_without_a_question_prometheus_is_left_alone_and_what_it_said_is_forgotten(pods, measurer, news):
    measurer.follow(OWNER, Measuring(frozenset({ROUTER}), 10, frozenset({QUESTION})))
    await asyncio.sleep(1)
    measurer.follow(OWNER, every(10, ROUTER))
    await asyncio.sleep(30)
    assert pods.questioned == [(0, "own")]
    assert measurer.measured(OWNER).metrics == ()


@story
async def test_nobody_is_questioned_for_what_is_forgotten(pods, measurer, news):
    measurer.follow(OWNER, Measuring(frozenset({ROUTER}), 10, frozenset({QUESTION})))
    await asyncio.sleep(1)
    measurer.forget(OWNER)
    await asyncio.sleep(30)
    assert pods.questioned == [(0, "own")]


def labelling(*targets, since=0.0, every=10):
    return Measuring(frozenset({ROUTER}), every, labelling=Labelling(frozenset(targets), since))


@story
async def test_labels_are_asked_for_every_ten_seconds_however_often_the_pods_are(pods, measurer, news):
    measurer.follow(OWNER, labelling(SERVER, since=60.0, every=0.5))
    await asyncio.sleep(25)
    assert pods.labelled == [(at, "server-1", 60.0) for at in (0, 10, 20)]
    assert [reading.pod for reading in measurer.measured(OWNER).labels] == [SERVER.pod]


@story
async def test_what_is_wanted_of_labels_counts_from_the_next_time_on(pods, measurer, news):
    measurer.follow(OWNER, labelling(SERVER, since=60.0))
    await asyncio.sleep(1)
    measurer.follow(OWNER, labelling(SERVER, since=120.0))
    await asyncio.sleep(12)
    assert [since for _, _, since in pods.labelled] == [60.0, 120.0]


@story
async def test_a_pod_that_hangs_over_its_labels_keeps_nobody_waiting(pods, measurer, news):
    pods.hang.add(SERVER)
    measurer.follow(OWNER, labelling(SERVER))
    await asyncio.sleep(25)
    assert len(pods.asked) == 3
    assert (len(measurer.measured(OWNER).routers), measurer.measured(OWNER).labels) == (1, ())


@story
async def test_labels_nobody_wants_any_more_are_forgotten(pods, measurer, news):
    measurer.follow(OWNER, labelling(SERVER))
    await asyncio.sleep(1)
    measurer.follow(OWNER, every(10, ROUTER))
    await asyncio.sleep(30)
    assert len(pods.labelled) == 1
    assert measurer.measured(OWNER).labels == ()
    measurer.follow(OWNER, labelling(SERVER))
    await asyncio.sleep(1)
    measurer.forget(OWNER)
    await asyncio.sleep(30)
    assert len(pods.labelled) == 2
