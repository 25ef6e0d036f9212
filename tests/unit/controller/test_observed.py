"""Reading a pod of our model server for monitoring: what is believed, and how the rest is said."""

import asyncio
from datetime import UTC, datetime
from functools import partial

import pytest
from aiohttp import web

from modelway.controller import observed
from modelway.controller.measuring import UnreachableError
from modelway.controller.observed import Observed
from modelway.plan.measured import PodKey, Target
from modelway.plan.monitoring.readings import Layout, Served, Watching
from modelway.stats.drift_reference import from_record
from support.web_server import answering

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
POD = Target(PodKey("fraud-6f1c2a9b-x7", "uid-1"), "127.0.0.1", "6f1c2a9b", NOW)
FEATURE = {"name": "age", "edges": [1.0], "lowest": 0.0, "highest": 2.0, "counts": [5, 5]}
SHORT = [0, 0, 0, 0, 0, 0, 0, 0, 3, 4]
SAID = {
    "answers": {"format": 1, "epoch": "e1", "revision": "6f1c2a9b", "answers": {"class:no": 7}, "reference": {}},
    "inputs": {
        "format": 1,
        "epoch": "e1",
        "revision": "6f1c2a9b",
        "layout": "l1",
        "rows": 7,
        "skipped": 1,
        "refused": 2,
        "features": [SHORT],
    },
    "reference": {"format": 1, "layout": "l1", "learning": False, "features": [FEATURE], "uncounted": {}},
}
METRICS = """\
# HELP modelway_server_requests_total Requests answered, by protocol and HTTP status code.
modelway_server_requests_total{model="m",protocol="v1",code="200"} 90.0
modelway_server_requests_total{model="m",protocol="v2",code="503"} 4.0
modelway_server_requests_total{model="m",protocol="other",code="500"} 6.0
modelway_server_request_duration_seconds_bucket{model="m",protocol="v1",le="0.25"} 80.0
modelway_server_request_duration_seconds_bucket{model="m",protocol="v1",le="+Inf"} 90.0
modelway_server_request_duration_seconds_bucket{model="m",protocol="v2",le="0.25"} 1.0
modelway_server_request_duration_seconds_bucket{model="m",protocol="v2",le="+Inf"} 4.0
"""


def served(said):
    """Answers requests as a model server that says so."""

    async def handle(request):
        if request.path == "/metrics":
            return web.Response(text=METRICS)
        assert request.path == "/v1/observations"
        return web.json_response(said[request.query.get("of", "answers")])

    return handle


async def read(handle, *, layouts=None, slo=False):
    async with answering(handle) as (port, session):
        one = Observed(session, clock=lambda: NOW, port=port)
        return await one.read(POD, Watching(frozenset({POD}), every=300.0, served=slo), layouts or {})


def saying(part, **fields):
    return SAID | {part: SAID[part] | fields}


async def test_what_the_server_said_is_the_reading():
    reading, layout = await read(served(SAID))
    assert (reading.rows, reading.skipped, reading.refused) == (7, 1, 2)
    assert (reading.epoch, reading.layout, reading.inputs.all().tolist()) == ("e1", "l1", SHORT)
    assert reading.answers == {"class:no": 7}
    assert layout == Layout("l1", ("age",), from_record(SAID["reference"]))


async def test_a_layout_that_is_known_is_not_asked_for_again():
    _, layout = await read(served(SAID))
    known = {key: value for key, value in SAID.items() if key != "reference"}
    _, again = await read(served(known), layouts={"l1": layout})
    assert again is None


async def test_without_a_reference_features_are_told_by_their_kind():
    features = [{"name": "age", "kind": "numbers"}, {"name": "city", "kind": "texts"}]
    _, layout = await read(
        served(
            saying("reference", learning=True, features=features)
            | {
                "inputs": SAID["inputs"]
                | {"features": [[0] * size for size in Layout("l1", ("age", "city"), None, frozenset({1})).sizes()]}
            }
        )
    )
    assert (layout.names, layout.features, layout.texts) == (("age", "city"), None, frozenset({1}))


async def test_how_predictions_were_answered_is_read_where_it_is_asked_for():
    reading, _ = await read(served(SAID), slo=True)
    assert reading.served == Served(94, 4, ((250, 81),))
    assert (await read(served(SAID)))[0].served is None


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(saying("answers", format=2), "counts in format 2, the operator in 1", id="format"),
        pytest.param(
            saying("answers", revision="0b77d1ce"), "revision 0b77d1ce answered at its address", id="revision"
        ),
        pytest.param(saying("inputs", epoch="e2"), "began anew while it was read", id="epoch"),
        pytest.param(saying("reference", layout="l2"), "began anew while it was read", id="layout"),
        pytest.param(saying("inputs", rows=-1), "-1 is no count", id="rows"),
        pytest.param(saying("inputs", rows=None), "None is no count", id="no rows"),
        pytest.param(saying("inputs", features=[SHORT[:-1]]), "not as many numbers as its layout", id="cells"),
        pytest.param(saying("inputs", features=[SHORT, SHORT]), "not as many numbers as its layout", id="features"),
        pytest.param(saying("inputs", features=[["x"] * 10]), "features:", id="texts"),
        pytest.param(saying("inputs", features=[[SHORT[:5], SHORT[5:]]]), "not as many numbers", id="nested"),
        pytest.param(saying("inputs", features=7), "features:", id="no list"),
        pytest.param(saying("answers", answers=[1]), "whole numbers by their bin", id="answers"),
        pytest.param(saying("answers", answers={"class:no": -1}), "whole numbers by their bin", id="negative"),
        pytest.param(saying("reference", features=[{"name": "age"}]), "cannot be read", id="reference"),
        pytest.param(SAID | {"answers": [1]}, "counts in format None", id="a list"),
        pytest.param(SAID | {"inputs": {"format": 1, "revision": "6f1c2a9b"}}, "epoch is missing", id="missing"),
    ],
)
async def test_what_cannot_be_is_not_believed(said, told):
    with pytest.raises(UnreachableError, match=r"^pod fraud-6f1c2a9b-x7: ") as caught:
        await read(served(said))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(partial(web.Response, status=503), "answered with status 503", id="503"),
        pytest.param(partial(web.Response, text="hello"), "unexpected character", id="no JSON"),
        pytest.param(partial(web.Response, body=b"0" * (4 * 2**20 + 1)), "larger than", id="huge"),
    ],
)
async def test_other_answers_are_said(answer, told):
    async def handle(_request):
        return answer()

    with pytest.raises(UnreachableError) as caught:
        await read(handle)
    assert told in str(caught.value)


async def test_a_pod_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(observed, "_SECONDS", 0.05)
    gone = asyncio.Event()

    async def handle(_request):
        await gone.wait()
        return web.Response()

    with pytest.raises(UnreachableError, match="no answer within"):
        await read(handle)
    gone.set()
