"""The check `prometheus` against a real Prometheus that scrapes real processes."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime

import aiohttp
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modelway.api.resource import Metadata
from modelway.api.rollout import SELECTOR, Rollout
from modelway.controller.prometheus import Prometheus
from modelway.plan.measured import Measured, Question
from modelway.plan.rollout.ledger import Ledger
from modelway.plan.rollout.metered import with_metrics
from modelway.plan.rollout.questions import questions_of, selector
from support.prometheus import prometheus, scraped_process

STABLE, CANDIDATE = "6f1c2a9b", "0b77d1ce"
METADATA = Metadata(name="fraud", namespace="ml", uid="u")
ALL = 'answers_total{pod=~"$name-$revision-.*"}'
GOOD = 'answers_total{pod=~"$name-$revision-.*",code!~"5.."}'
CHECK = {"name": "own", "prometheus": {"good": GOOD, "total": ALL, "maxIncrease": "1%"}}


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """A Prometheus over a pod of each revision, and one of a tenant next door with the same names."""
    with contextlib.ExitStack() as stack:
        pods = {
            name: stack.enter_context(scraped_process(namespace=namespace, pod=pod))
            for name, namespace, pod in (
                ("stable", "ml", f"fraud-{STABLE}-a"),
                ("candidate", "ml", f"fraud-{CANDIDATE}-b"),
                ("neighbour", "secret", f"fraud-{STABLE}-c"),
            )
        }
        for pod in pods.values():
            pod.count("answers_total", 100, code="200")
        running = stack.enter_context(prometheus(tmp_path_factory.mktemp("prometheus"), *pods.values()))
        for pod in pods.values():
            running.wait_for(f'answers_total{{pod="{pod.labels["pod"]}"}}')
        yield running, pods


def ask(url, *questions):
    """What our reader makes of it."""

    async def asked():
        async with aiohttp.ClientSession() as session:
            reader = Prometheus(session, url=url)
            return tuple([await reader.ask(question) for question in questions])

    return asyncio.run(asked())


def fresh_ledger():
    rollout = Rollout.model_validate({"steps": [{"name": "half", "weight": 50}], "checks": [CHECK]})
    now = datetime.now(UTC)
    return Ledger(
        stable=STABLE,
        candidate=CANDIDATE,
        rollout=rollout,
        floor=2,
        seen_at=now,
        live_at=now,
        certain_at=now,
        era=3,
    )


def looked(ledger, url):
    """The ledger after one more look."""
    readings = ask(url, *questions_of(ledger, METADATA, label="namespace"))
    assert [reading.failure for reading in readings if reading.failure] == []
    return with_metrics(ledger, Measured(metrics=readings), now=datetime.now(UTC))


def looked_until(ledger, url, is_enough, *, seconds=20):
    deadline = time.monotonic() + seconds
    while not is_enough(ledger):
        assert time.monotonic() < deadline, f"{ledger.pending} after {seconds} s"
        ledger = looked(ledger, url)
    return ledger


def counted(ledger, arm):
    pending = ledger.pending.get("own")
    return getattr(pending, arm) if pending is not None else (0, 0)


def has_marks(ledger):
    return len(ledger.metrics) == 2


def test_every_count_is_found_once_through_scrapes_new_series_and_restarts(scraped):
    running, pods = scraped
    ledger = looked_until(fresh_ledger(), running.url, has_marks)
    for _ in range(5):
        pods["stable"].count("answers_total", 40, code="200")
        pods["candidate"].count("answers_total", 7, code="200")
        ledger = looked(ledger, running.url)
    pods["candidate"].count("answers_total", 3, code="503")  # a series that was not there before
    ledger = looked_until(ledger, running.url, lambda one: counted(one, "candidate") == (38, 3))
    ledger = looked_until(ledger, running.url, lambda one: counted(one, "stable") == (200, 0))
    pods["candidate"].start_again()
    pods["candidate"].count("answers_total", 5, code="200")
    pods["candidate"].count("answers_total", 2, code="503")
    ledger = looked_until(ledger, running.url, lambda one: counted(one, "candidate") == (45, 5))
    for _ in range(5):
        ledger = looked(ledger, running.url)
    assert (counted(ledger, "candidate"), counted(ledger, "stable")) == ((45, 5), (200, 0))


def test_what_was_counted_before_the_weight_was_live_is_no_evidence(scraped):
    running, pods = scraped
    pods["stable"].count("answers_total", 1000, code="200")
    ledger = looked_until(fresh_ledger(), running.url, has_marks)
    for _ in range(5):
        ledger = looked(ledger, running.url)
    assert counted(ledger, "stable") == (0, 0)


def test_good_and_all_are_of_one_scrape_while_everything_counts(scraped):
    """Nothing ever fails here, so nothing may ever look bad, however the two queries fall between scrapes."""
    running, pods = scraped
    ledger = looked_until(fresh_ledger(), running.url, has_marks)
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        pods["stable"].count("answers_total", 13, code="200")
        ledger = looked(ledger, running.url)
    total, bad = counted(ledger, "stable")
    assert total > 100
    assert bad == 0


def series_of(url, text):
    (reading,) = ask(url, Question("own", STABLE, text, text))
    return reading


def test_a_tenant_sees_nothing_of_the_namespace_next_door(scraped):
    running, _ = scraped
    everything = selector('answers_total{pod=~".*$revision.*"}', METADATA, STABLE, label="namespace")
    assert len(series_of(running.url, everything).targets) == 1
    for attempt in ('namespace="secret"', 'namespace=~".*",pod!="$revision"', 'namespace!="ml",'):
        text = selector("answers_total{" + attempt + "}", METADATA, STABLE, label="namespace")
        reading = series_of(running.url, text)
        names = {target.name for target in reading.targets}
        neighbour = f"pods/127.0.0.1:{scraped[1]['neighbour'].port}"
        assert neighbour not in names, text


@example('answers_total{pod="\\\\",x=~"$revision|.*"}')
@example('answers_total{pod=~"\\"} or answers_total{x=\\""}')
@example('up{job=~".+",}')
@given(st.from_regex(SELECTOR, fullmatch=True))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_selector_that_is_accepted_leads_out_of_its_namespace(scraped, given_selector):
    """Prometheus itself is asked whether what is sent is one selector with our matcher among its own."""
    running, _ = scraped
    text = selector(given_selector, METADATA, STABLE, label="namespace")
    assert text.endswith(',namespace="ml"}')
    # Refused are regular expressions that are none, and a name that is given twice.
    assert all(one["metric"]["namespace"] == "ml" for one in running.ask(text, refusals=(400, 422)))


def test_what_prometheus_says_of_a_wrong_selector_is_told(scraped):
    running, _ = scraped
    reading = series_of(running.url, 'answers_total{pod=~"(",namespace="ml"}')
    assert reading.targets == ()
    assert 'check own: Prometheus refuses answers_total{pod=~"(",namespace="ml"}' in reading.failure
    assert "missing closing )" in reading.failure


def test_without_prometheus_there_is_a_failure_and_no_reading():
    reading = series_of("http://127.0.0.1:9", 'answers_total{namespace="ml"}')
    assert reading.targets == ()
    assert "Prometheus cannot be asked: " in reading.failure
