"""Asking Prometheus: what is believed, and how the rest is said. `tests/integration/test_prometheus.py` asks a real one."""

import asyncio
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web

from modelway.controller import prometheus
from modelway.controller.prometheus import Prometheus
from modelway.plan.measured import MetricsTarget, Question
from support.web_server import answering

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALL = 'answers_total{namespace="ml"}'
GOOD = 'answers_total{code="200",namespace="ml"}'
QUESTION = Question("own", "6f1c2a9b", GOOD, ALL)


def series(*values, instance="10.0.0.1:80", **labels):
    """One series: (seconds, value) of each scrape."""
    metric = {"__name__": "answers_total", "job": "pods", "instance": instance, **labels}
    return {"metric": metric, "values": [[at, value] for at, value in values]}


def matrix(*found):
    return {"status": "success", "data": {"resultType": "matrix", "result": list(found)}}


def totals(reading):
    """Of each process: what is good and all."""
    return [(sum(target.good.values()), sum(target.total.values())) for target in reading.targets]


@pytest.fixture
def asked():
    """Ask a Prometheus that answers so to each query; gives the reading, and what was asked."""

    async def ask(answers, *, token_file=None, path=""):
        seen = []

        async def handle(request):
            form = await request.post()
            seen.append((request.method, request.path, dict(form), request.headers.get("Authorization")))
            answer = (
                answers[form["query"].removesuffix("[5m]")] if isinstance(answers, dict) and ALL in answers else answers
            )
            if callable(answer):
                return await answer()
            return answer if isinstance(answer, web.Response) else web.json_response(answer)

        async with answering(handle) as (port, session):
            url = f"http://127.0.0.1:{port}{path}"
            reader = Prometheus(session, url=url, token_file=token_file, clock=lambda: NOW)
            return await reader.ask(QUESTION), seen

    return ask


async def test_the_counters_of_a_process_are_those_of_its_last_scrape(asked):
    reading, seen = await asked(
        {
            ALL: matrix(series((10, "5"), (25, "9"), code="200"), series((25, "1"), code="500")),
            GOOD: matrix(series((10, "5"), (25, "9"), (40, "12"), code="200")),
        }
    )
    (target,) = reading.targets
    assert isinstance(target, MetricsTarget)
    assert (target.name, target.taken_at) == ("pods/10.0.0.1:80", datetime.fromtimestamp(25, UTC))
    assert totals(reading) == [(9, 10)], "a scrape that came between the two queries is left for the next time"
    assert (reading.failure, reading.taken_at) == ("", NOW)
    assert [(one[0], one[1], one[2]["query"]) for one in seen] == [
        ("POST", "/api/v1/query", f"{ALL}[5m]"),
        ("POST", "/api/v1/query", f"{GOOD}[5m]"),
    ]


async def test_processes_stand_apart(asked):
    both = matrix(series((10, "5")), series((12, "7"), instance="10.0.0.2:80"))
    reading, _ = await asked(both)
    assert totals(reading) == [(5, 5), (7, 7)]
    assert len({target.name for target in reading.targets}) == 2


async def test_a_series_is_known_again_by_its_labels(asked):
    one, _ = await asked(matrix(series((10, "5"), code="200"), series((10, "1"), code="500")))
    other, _ = await asked(matrix(series((20, "2"), code="500"), series((20, "6"), code="200")))
    assert one.targets[0].total.keys() == other.targets[0].total.keys()


async def test_nothing_found_is_no_failure(asked):
    reading, _ = await asked(matrix())
    assert (reading.targets, reading.failure) == ((), "")


async def test_a_path_of_its_own_and_a_token_are_used(asked, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    _, seen = await asked(matrix(), token_file=token, path="/prometheus/")
    assert {(one[1], one[3]) for one in seen} == {("/prometheus/api/v1/query", "Bearer secret")}


async def _redirected():
    raise web.HTTPFound("http://127.0.0.1:9/elsewhere")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (web.json_response({"status": "error", "error": "bad_data: no"}, status=400), f"Prometheus refuses {ALL}: bad"),
        (web.Response(text="<html>", status=502), "(status 502) is not its API"),
        (_redirected, "(status 302) is not its API"),
        (matrix() | {"warnings": ["a store is away"]}, "does not vouch for its answer: a store is away"),
        (matrix(series((10, "0.25"))), "answers_total is 0.25: it counts nothing whole"),
        (matrix(series((10, "NaN"))), "answers_total is NaN"),
        (matrix(series((10, "-3"))), "answers_total is -3"),
        (matrix(series((10, "+Inf"))), "answers_total is +Inf"),
        (matrix({"metric": {}, "histograms": [[10, {}]]}), "has native histograms: take counters"),
        (matrix(*[series((10, "1"), n=str(n)) for n in range(1001)]), "has 1001 series, more than 1000: narrow it"),
    ],
    ids=["refused", "no API", "redirect", "partial", "fraction", "NaN", "negative", "infinite", "native", "many"],
)
async def test_what_is_doubtful_is_a_failure_and_no_count(asked, answer, told):
    reading, _ = await asked(answer)
    assert reading.targets == ()
    assert reading.failure.startswith("check own: ")
    assert told in reading.failure


async def test_more_good_ones_than_all_are_a_failure(asked):
    reading, _ = await asked({ALL: matrix(series((10, "50"))), GOOD: matrix(series((10, "900")))})
    assert "good counts 900, total 50: more is good than there is" in reading.failure


async def test_a_few_in_flight_are_none(asked):
    reading, _ = await asked({ALL: matrix(series((10, "50"))), GOOD: matrix(series((10, "52")))})
    assert reading.failure == ""


async def test_an_answer_that_does_not_end_is_given_up(asked, monkeypatch):
    monkeypatch.setattr(prometheus, "_SECONDS", 0.05)

    async def hang():
        await asyncio.sleep(5)

    reading, _ = await asked(hang)
    assert "Prometheus has not answered within 0.05 s" in reading.failure


async def test_a_token_that_is_away_is_told_without_one(asked, tmp_path):
    reading, seen = await asked(matrix(), token_file=tmp_path / "token")
    assert "Prometheus cannot be asked: [Errno 2]" in reading.failure
    assert seen == []


async def test_without_a_url_it_says_what_to_set():
    async with aiohttp.ClientSession() as session:
        reading = await Prometheus(session, url="").ask(QUESTION)
    assert "set `prometheus.url` in the chart's values" in reading.failure
