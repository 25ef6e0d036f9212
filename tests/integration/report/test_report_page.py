"""The page of `modelway report` in a real browser, and made of what a real model server tells."""

import time
from datetime import UTC, datetime, timedelta
from itertools import combinations

import numpy as np
import orjson
import pytest
from selenium.webdriver.common.by import By

from modelway.cli.report_gather import gather
from modelway.profiling.profiles import profile
from modelway.report.html import render
from modelway.report.page import page_of
from support.browser import CONTRAST, chromium
from support.models import iris
from support.reported import USUAL_ANSWERS, Model, Seen, live
from support.rollouts import CANDIDATE, STABLE, at_step, condition, entry, resource
from support.server_process import server_process

SLO = {"errorRate": "1%", "latency": {"threshold": "250ms", "percent": "99%"}}
CONDITIONS = [
    condition("Ready", "True", "Serving"),
    condition("DataDrift", "True", "InputsDrifted", "1 of 3 features have drifted: age (PSI 2.10)"),
    condition("PredictionDrift", "Unknown", "TooFewRows", "the last windows had fewer than 500 rows with values"),
]


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


def model():
    """One with all there is to be told."""
    model = Model(usual=USUAL_ANSWERS, slo=SLO, quality={"metric": "accuracy", "min": 0.9, "minLabels": 50})
    model.window(times=2)
    model.window(times=3, age=lambda ages: ages + 12)
    for hour, right in enumerate((48, 47, 49, 40, 30)):
        model.label(hour, right=right, wrong=50 - right)
    model.look(after=timedelta(hours=6))
    return model


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    told = model()
    obj = told.object(
        conditions=CONDITIONS,
        rollout=at_step(),
        history=[
            entry(STABLE, "Promoted", version="16"),
            entry(CANDIDATE, "Rejected", "errors: 41 of 800", version="17"),
        ],
    )
    path = tmp_path_factory.mktemp("report") / "fraud-report.html"
    path.write_text(render(page_of(told.facts(obj=obj))), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser, page):
    browser.get_log("browser")
    browser.set_window_size(1200, 1000)
    emulated(browser)
    browser.get(page.as_uri())
    return browser


def emulated(browser, *, media="", scheme="light"):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )


def every(browser, selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


def boxes(browser, selector):
    """Left, top, right and bottom of each."""
    script = (
        "return [...document.querySelectorAll(arguments[0])].map((one) => {const box = one.getBoundingClientRect();"
        "return [box.left, box.top, box.right, box.bottom];});"
    )
    return browser.execute_script(script, selector)


def test_every_plot_is_seen_and_the_browser_has_nothing_to_complain_of(opened):
    plots = every(opened, "svg")
    assert [plot.find_element(By.TAG_NAME, "title").get_attribute("textContent") for plot in plots] == [
        "Distribution of age",
        "Distribution of country",
        "Distribution of amount",
        "Distribution of class",
        "accuracy over time",
    ]
    for plot in plots:
        assert plot.is_displayed()
        for path in plot.find_elements(By.CSS_SELECTOR, "path.usual, path.now, path.line"):
            left, top, right, bottom = opened.execute_script(
                "const box = arguments[0].getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom];",
                path,
            )
            assert right - left > 100
            assert bottom - top > 5
    assert opened.get_log("browser") == []


def test_nothing_is_loaded(opened):
    assert opened.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)") == []


@pytest.mark.parametrize("width", [1200, 500], ids=["a screen", "a phone"])
def test_no_label_of_a_plot_lies_on_another(opened, width):
    opened.set_window_size(width, 1000)
    for number, _ in enumerate(every(opened, "svg")):
        opened.execute_script("document.querySelectorAll('svg')[arguments[0]].id = 'looked-at'", number)
        texts = boxes(opened, "#looked-at text")
        assert len(texts) >= 4
        for one, other in combinations(texts, 2):
            is_apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert is_apart, (number, one, other)
        opened.execute_script("document.getElementById('looked-at').removeAttribute('id')")


def test_a_phone_needs_no_scrolling_to_the_side(opened):
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        assert opened.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(opened, scheme):
    emulated(opened, scheme=scheme)
    for selector in ("h1", "td", ".bad", ".unsure", ".good", "small", "a", "figcaption", "summary", "ul.told span"):
        for element in every(opened, selector)[:3]:
            assert opened.execute_script(CONTRAST, element) >= 4.5, selector


def test_on_paper_everything_is_unfolded(opened):
    # Selenium takes what is in a folded element for hidden, whatever the style says.
    is_seen = "return document.querySelector('#quality ~ details table').checkVisibility()"
    assert opened.execute_script(is_seen) is False
    emulated(opened, media="print")
    assert opened.execute_script(is_seen) is True
    (_, top, _, bottom), (_, end, _, _) = *boxes(opened, "#quality ~ details table"), *boxes(opened, "#level")
    assert 100 < bottom - top < end - top
    assert not every(opened, "nav")[0].is_displayed()


class Real:
    """A cluster whose only pod is a model server on this machine."""

    def __init__(self, server) -> None:
        self.server = server

    def get(self, _name):
        obj = resource(spec={"model": {"uri": "s3://models/iris/1/"}, "serving": {}})
        return obj | {"metadata": obj["metadata"] | {"uid": "uid-of-iris"}}

    def revisions(self, _name):
        return []

    def pods(self, _selector):
        told = model()
        return [live(told.servers[0])]

    def asked(self, _pod, path):
        with self.server.client() as client:
            return client.get(path).raise_for_status().content


def test_what_a_real_server_counts_is_what_is_shown(browser, tmp_path):
    names = ("sepal length", "sepal width", "petal length", "<b>petal width")
    rows = iris().rows[np.random.default_rng(1).integers(0, 150, 3000)].astype(np.float32)
    told = {"featureNames": list(names), "reference": profile(dict(zip(names, rows.T, strict=True))).record()}
    (tmp_path / "model.onnx").write_bytes(iris().onnx)
    (tmp_path / "modelway.json").write_bytes(orjson.dumps(told))
    with server_process(tmp_path, "--name", "iris", "--revision", STABLE, "--drain", "0") as server:
        server.wait_until_ready()
        with server.client() as client:
            client.post(
                "/v1/models/iris:predict", json={"instances": (rows[:1000] + np.float32([0, 0, 2, 0])).tolist()}
            ).raise_for_status()
        real = Real(server)
        deadline = datetime.now(UTC) + timedelta(seconds=30)
        while True:
            facts = gather(real, "iris", at=datetime.now(UTC), made_by="0.1.0")
            if facts.readings and facts.readings[0].rows == 1000:  # they are counted behind the answer
                break
            assert datetime.now(UTC) < deadline, facts.missing
            time.sleep(0.05)
    html = render(page_of(facts))
    page = Seen(html)
    assert page.rows["inputs"][1][:2] == ["petal length", "differs in these rows, which is no drift yet"]
    assert {row[1] for row in page.rows["inputs"][2:5]} == {"as usual"}
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    browser.get((tmp_path / "page.html").as_uri())
    assert every(browser, "#f1 h3")[0].text == "petal length"
    assert any("<b>petal width" in one.text for one in every(browser, "summary h3"))
    assert all(plot.is_displayed() for plot in every(browser, "svg"))
