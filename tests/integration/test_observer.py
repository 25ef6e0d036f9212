"""An image of the user's own behind a real Envoy, observed by a real `modelway observe`: what is counted, and that
nobody who asks is any the wiser, whatever becomes of the observer.
"""

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
from aiohttp import web

from modelway.api.observations import value_key
from modelway.controller.observed import Observed
from modelway.plan.measured import PodKey, Target
from modelway.plan.monitoring.readings import Watching
from modelway.plan.routing import Split
from modelway.plan.routing.observing import MOST_BYTES
from modelway.profiling.profiles import profile
from modelway.stats.drift_cells import counted
from support.builders import NOW
from support.envoy import Envoy, backend, upstream
from support.ports import free_ports
from support.server_process import ENVIRON, server_process

pytestmark = pytest.mark.timeout(180)

A, B = "aaaaaaaa", "bbbbbbbb"
NAMES = ("age", "income", "city")


def rows_of(count, *, seed=1, income=40_000.0):
    rng = np.random.default_rng(seed)
    ages, incomes = rng.normal(40, 10, count).round(1), rng.normal(income, 5_000, count).round(0)
    cities = rng.choice(["Bergen", "Oslo"], count)
    return [[age, pay, str(city)] for age, pay, city in zip(ages.tolist(), incomes.tolist(), cities, strict=True)]


async def scored(request):
    """As a model would: a score for each row, and 422 for what has no rows."""
    if request.method == "GET":
        return web.json_response({"status": "ok"})
    rows = (await request.json()).get("instances")
    if rows is None:
        return web.json_response({"detail": "instances are missing"}, status=422)
    return web.json_response({"predictions": [row[0] / 100 for row in rows]})


@pytest.fixture
def usual():
    columns = list(zip(*rows_of(5000, seed=0), strict=True))
    return profile(dict(zip(NAMES, columns, strict=True)))


@pytest.fixture
def described(tmp_path, usual):
    folder = tmp_path / "model"
    folder.mkdir()
    told = {"featureNames": NAMES, "reference": usual.record(), "answers": {"value:0": 1}}
    (folder / "modelway.json").write_text(json.dumps(told))
    return folder


@pytest.fixture
def envoy(tmp_path):
    return Envoy(tmp_path / "config")


@asynccontextmanager
async def observed(envoy, server, *arguments, revision=A, split=None):
    """An Envoy before `server`, and an observer of what it answers."""
    given = ("--name=fraud", f"--revision={revision}", "--grpc-port=0", *arguments)
    with server_process(*given, command="observe") as observer:
        envoy.observer = (observer.wait_for_event("observing")["grpc_port"], observer.port)
        envoy.give(split or Split(seen(server, revision)))
        async with envoy:
            yield observer


def seen(server, revision=A):
    return replace(backend(revision, server.port, timeout=60.0), observer=f"fraud-observer-{revision}")


async def told(envoy, observer, of="inputs"):
    async with envoy.session.get(f"{observer.url}/v1/observations?of={of}") as answer:
        assert answer.status == 200
        return json.loads(await answer.read())


async def until_told(envoy, observer, **wanted):
    """The inputs once they say what is wanted."""

    async def holds():
        found = await told(envoy, observer)
        return found if all(found[name] == value for name, value in wanted.items()) else None

    return await envoy.until(holds, f"the observer tells {wanted}")


async def ask_all(envoy, bodies):
    """Statuses of the answers, asked from eight connections."""
    waiting = iter(bodies)

    async def client():
        return [(await envoy.ask("/v1/models/fraud:predict", json=body))[0] for body in waiting]

    return [status for part in await asyncio.gather(*(client() for _ in range(8))) for status in part]


async def test_what_is_asked_and_answered_is_counted_to_the_last_row(envoy, described, usual):
    rows, all_of_them = rows_of(900), (f"--model-dir={described}", "--rate=10000")
    async with upstream("a", scored) as server, observed(envoy, server, *all_of_them) as observer:
        for begin in range(0, 900, 90):  # no more at once than a slow machine's observer can read in time
            bodies = [{"instances": rows[at : at + 3]} for at in range(begin, begin + 90, 3)]
            assert await ask_all(envoy, bodies) == [200] * 30
            inputs = await until_told(envoy, observer, rows=begin + 90)
        answers = await told(envoy, observer, "answers")
        pod = Target(PodKey("observer", "uid"), "127.0.0.1", A, NOW)
        operator = Observed(envoy.session, clock=lambda: NOW, port=observer.port)
        reading, layout = await operator.read(pod, Watching(frozenset({pod}), 60.0), {})
    assert (inputs["skipped"], inputs["refused"], inputs["unread"], inputs["trouble"]) == (0, 0, {}, {})
    assert inputs["revision"] == answers["revision"] == A
    assert (reading.rows, reading.trouble) == (900, ("", ""))
    columns = dict(zip(NAMES, zip(*rows, strict=True), strict=True))
    for name, feature, counts in zip(layout.names, layout.features, inputs["features"], strict=True):
        assert counts == counted(list(columns[name]), feature.cells).tolist(), name
    assert sum(answers["answers"].values()) == 300
    assert all(key.startswith("value:") for key in answers["answers"])


async def test_only_the_revision_that_is_observed_is_shown(envoy, described):
    async with upstream("a", scored) as a, upstream("b", scored) as b:
        split = Split(seen(a), backend(B, b.port), 50)
        async with observed(envoy, a, f"--model-dir={described}", split=split) as observer:
            for seed in range(5):
                assert await ask_all(envoy, [{"instances": [row]} for row in rows_of(30, seed=seed)]) == [200] * 30
                await until_told(envoy, observer, rows=len(a.asked), skipped=0)
            assert 0 < len(a.asked) < 150


@pytest.mark.parametrize(
    ("request_", "told_as"),
    [
        pytest.param({"json": {"rows": [[1, 2, "Oslo"]]}}, {"refused": 1}, id="refused by the image"),
        pytest.param({"json": {"instances": []}}, {"unread": {"NoRows": 1}, "skipped": 1}, id="no rows"),
        pytest.param(
            {"json": {"instances": [[1, 2, "x" * MOST_BYTES]]}}, {"unread": {"TooLarge": 1}, "skipped": 1}, id="large"
        ),
        pytest.param(
            {"data": b"x", "headers": {"content-encoding": "gzip"}},
            {"unread": {"Encoded": 1}, "skipped": 1},
            id="compressed",
        ),
        pytest.param(
            {"json": {"instances": [[1, 2, "Oslo"]]}, "answer": b"ok"},
            {"unread": {"NoJSON": 1}, "skipped": 1},
            id="no JSON",
        ),
    ],
)
async def test_what_is_not_counted_is_told(envoy, described, request_, told_as):
    given = dict(request_)
    answer = given.pop("answer", None)

    async def answered(request):
        return web.Response(body=answer) if answer is not None else await scored(request)

    async with upstream("a", answered) as server, observed(envoy, server, f"--model-dir={described}") as observer:
        await envoy.ask(**given)
        found = await until_told(envoy, observer, **told_as)
    assert found["rows"] == 0


async def test_a_get_and_a_path_of_the_observer_are_not_shown(envoy, described):
    async with upstream("a", scored) as server, observed(envoy, server, f"--model-dir={described}") as observer:
        async with envoy.session.get(f"{envoy.url}/healthz") as answer:
            assert answer.status == 200
        assert (await envoy.ask("/v1/observations?of=inputs"))[0] == 404
        assert await ask_all(envoy, [{"instances": [[1, 2, "Oslo"]]}]) == [200]
        await until_told(envoy, observer, rows=1, skipped=0)


# Each body is large enough that what nobody takes off fills the buffers of the connection to the observer.
LARGE = [{"instances": [[1.0, 2.0, "x" * 200_000]]}] * 400


async def harmed(envoy, server, observer, harm):
    """Ask while the observer is harmed, and after it."""

    async def is_under_way():
        return len(server.asked) >= 150 and (await told(envoy, observer))["rows"]

    going = asyncio.create_task(ask_all(envoy, LARGE))
    await envoy.until(is_under_way, "some of them are answered, and the observer has counted some")
    observer.process.send_signal(harm)
    assert await going == [200] * len(LARGE)
    assert await ask_all(envoy, LARGE) == [200] * len(LARGE)


async def test_no_request_fails_when_the_observer_is_killed(envoy, described):
    async with upstream("a", scored) as server, observed(envoy, server, f"--model-dir={described}") as observer:
        await harmed(envoy, server, observer, signal.SIGKILL)


async def test_no_request_fails_when_the_observer_is_stuck_and_it_goes_on_where_it_was(envoy, described):
    async with upstream("a", scored) as server, observed(envoy, server, f"--model-dir={described}") as observer:
        await harmed(envoy, server, observer, signal.SIGSTOP)
        observer.process.send_signal(signal.SIGCONT)
        before = (await told(envoy, observer))["rows"]

        async def goes_on():  # which what was still on its way to it cannot say: that has another score
            await ask_all(envoy, [{"instances": [[50.0, 2.0, "Oslo"]]}])
            return value_key(0.5) in (await told(envoy, observer, "answers"))["answers"]

        await envoy.until(goes_on, "the observer counts again")
        assert (await told(envoy, observer))["rows"] > before


async def test_no_request_fails_where_there_is_no_observer(envoy):
    async with upstream("a", scored) as server:
        envoy.observer = tuple(free_ports(2))
        envoy.give(Split(seen(server)))
        async with envoy:
            assert await ask_all(envoy, LARGE[:20]) == [200] * 20


def test_an_observer_that_is_told_to_end_goes_on_for_the_drain_time_and_ends_in_order():
    with server_process("--name=fraud", "--grpc-port=0", "--drain=100ms", command="observe") as observer:
        observer.process.send_signal(signal.SIGTERM)
        assert observer.wait() == 0
        assert observer.events("draining")
        assert observer.events("stopped")


def test_a_description_that_is_wrong_is_told_in_the_words_of_the_file(tmp_path):
    (tmp_path / "modelway.json").write_text('{"featureNmaes": []}')
    command = [sys.executable, "-m", "modelway.cli", "observe", "--name=fraud", f"--model-dir={tmp_path}", "--port=0"]
    said = tmp_path / "termination"
    ended = subprocess.run(command, env=ENVIRON | {"MODELWAY_TERMINATION_LOG": str(said)}, check=False)
    assert ended.returncode == 1
    assert json.loads(said.read_text())["reason"] == "MetadataInvalid"
