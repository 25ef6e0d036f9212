"""What is read out of a router's statistics.

`router_stats.json` is what Envoy 1.40 answered after 41 requests by HTTP and 11 by gRPC to revision aaaaaaaa: 33 good
ones of which 3 took 120 ms, 500, 503, 400, 404, 404, a timeout, two clients that gave up; three good calls, INTERNAL,
UNAVAILABLE, UNKNOWN, INVALID_ARGUMENT, NOT_FOUND, a timeout, a client that gave up, and one that found no server in
four tries. Nine of the requests were copied to bbbbbbbb.
"""

import copy
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from modelway.controller.measuring import UnreachableError
from modelway.controller.routers import Routers
from modelway.plan.measured import PodKey, Target
from modelway.plan.routing.envoy import COUNTERS_PATH, EPOCH_HEADER, POD_HEADER, THRESHOLDS
from support.web_server import answering

RECORDED = json.loads((Path(__file__).parent / "router_stats.json").read_text())
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TARGET = Target(PodKey("router-1", "uid-1"), "127.0.0.1", "", NOW)


def stats(*, merged=1, without=(), **values):
    """The recorded statistics, `merged` times over, with other values."""
    told = copy.deepcopy(RECORDED)
    for entry in told["stats"]:
        entry["value"] = values.get(entry.get("name", "").rsplit(".", 1)[-1], entry.get("value"))
        for histogram in entry.get("histograms", ()):
            if histogram["name"].startswith("cluster.admin."):
                for bucket in histogram["buckets"]:
                    bucket["cumulative"] = merged
    told["stats"] = [entry for entry in told["stats"] if entry.get("name") not in without]
    return told


@asynccontextmanager
async def router(*answers, pod="uid-1", epochs=("e1",), status=200):
    """A router that gives `answers` one after the other, the last one for ever; and what it was asked."""
    asked = []

    async def counters(request):
        assert (request.method, request.path) == ("GET", COUNTERS_PATH)
        asked.append(request.path)
        turn = len(asked) - 1
        answer = answers[min(turn, len(answers) - 1)]
        text = answer if isinstance(answer, str) else json.dumps(answer)
        headers = {EPOCH_HEADER: epochs[min(turn, len(epochs) - 1)], POD_HEADER: pod}
        return web.Response(status=status, text=text, headers=headers)

    async with answering(counters) as (port, session):
        yield Routers(session, clock=lambda: NOW, port=port), asked


def merging():
    """As many answers as are needed, each with newer histograms."""
    return [stats(merged=turn) for turn in range(1, 10)]


async def test_every_request_is_counted_by_what_came_of_it():
    async with router(*merging()) as (routers, _):
        reading = await routers.ask(TARGET)
    arm = reading.arms["aaaaaaaa"]
    assert (arm.requests, arm.server_errors, arm.client_errors) == (52, 8, 5)
    within = dict(arm.at_most)
    assert tuple(within) == THRESHOLDS
    assert within[150] - within[100] == 3
    assert arm.requests - within[60_000] == 1 + 2 + 3, "who was not answered: by HTTP 3, by gRPC 3"


async def test_copies_are_an_arm_of_their_own():
    async with router(*merging()) as (routers, _):
        arms = (await routers.ask(TARGET)).arms
    assert arms.keys() == {"aaaaaaaa", "bbbbbbbb", "bbbbbbbb-shadow"}
    assert (arms["bbbbbbbb-shadow"].requests, arms["bbbbbbbb"].requests) == (9, 0)


async def test_an_arm_has_the_pods_that_were_found_for_all_of_its_protocols():
    told = stats()
    for cluster, pods in (("aaaaaaaa", 6), ("aaaaaaaa-grpc", 4), ("bbbbbbbb", 3), ("bbbbbbbb-shadow", 0)):
        told["stats"].append({"name": f"cluster.{cluster}.membership_healthy", "value": pods})
    async with router(told, *merging()) as (routers, _):
        reading = await routers.ask(TARGET)
    assert reading.healthy == {"aaaaaaaa": 2, "bbbbbbbb": 1, "bbbbbbbb-shadow": 0}


async def test_it_tells_who_it_is_and_what_it_has():
    async with router(*merging()) as (routers, _):
        reading = await routers.ask(TARGET)
    assert (reading.pod, reading.taken_at, reading.epoch) == (TARGET.pod, NOW, "e1")
    values = {entry["name"]: entry["value"] for entry in RECORDED["stats"] if "name" in entry}
    assert reading.clusters_version == values["cluster_manager.cds.version_text"]
    assert reading.routes_version == values["http.public.rds.predictions.version_text"]


async def test_counters_are_of_the_first_answer_and_histograms_were_merged_twice_since():
    """The first merging may have begun before the counters were read."""
    answers = [stats(merged=5), stats(merged=5), stats(merged=6), stats(merged=6), stats(merged=7), stats(merged=8)]
    for answer in answers[1:]:
        answer["stats"][2]["value"] = 10**6
    async with router(*answers) as (routers, asked):
        await routers.ask(TARGET)
    assert len(asked) == 5


async def test_a_client_that_gives_up_is_a_request_and_a_timeout_is_one_not_two():
    for given_up, timeouts, requests in ((0, 0, 10), (3, 0, 13), (3, 3, 10), (0, 3, 10)):
        told = stats(upstream_rq_completed=10, upstream_rq_timeout=timeouts, upstream_rq_tx_reset=given_up)
        for entry in told["stats"]:
            if entry.get("name", "").endswith(("_with_active_rq", "_cancelled")) or "aaaaaaaa-grpc" in entry.get(
                "name", ""
            ):
                entry["value"] = 0
        answers = [told | {"stats": [*told["stats"][:-1], stats(merged=turn)["stats"][-1]]} for turn in range(1, 9)]
        async with router(*answers) as (routers, _):
            assert (await routers.ask(TARGET)).arms["aaaaaaaa"].requests == requests


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pod": "uid-of-another"}, "another pod has its address"),
        ({"epochs": ("e1", "e2")}, "started again while it was asked"),
        ({"status": 503}, "answers 503"),
    ],
    ids=["another pod", "restart", "not ready"],
)
async def test_who_is_not_the_router_that_was_asked_is_not_believed(given, words):
    async with router(*merging(), **given) as (routers, _):
        with pytest.raises(UnreachableError, match=f"router router-1: {words}"):
            await routers.ask(TARGET)


@pytest.mark.parametrize(
    "content",
    ["", "<html>", "[]", "{}", '{"stats": [1]}', json.dumps(stats(without={"cluster_manager.cds.version_text"}))],
    ids=["empty", "html", "list", "object", "numbers", "no version"],
)
async def test_what_is_no_statistics_is_said(content):
    async with router(content) as (routers, _):
        with pytest.raises(UnreachableError, match="answers no statistics of Envoy"):
            await routers.ask(TARGET)


async def test_an_answer_without_end_is_not_read_to_its_end():
    async with router("[" * (4 * 2**20 + 1)) as (routers, _):
        with pytest.raises(UnreachableError, match="router router-1: answers more than 4194304 bytes"):
            await routers.ask(TARGET)


async def test_a_router_that_does_not_answer_is_said():
    async with aiohttp.ClientSession() as session:
        with pytest.raises(UnreachableError, match=r"router router-1: .*connect"):
            await Routers(session, port=1).ask(TARGET)
