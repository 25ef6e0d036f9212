"""The page at `/` in a real browser."""

import json
import shlex
import subprocess

import httpx
import pytest
from onnx import TensorProto, helper
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from support.browser import CONTRAST, chromium
from support.models import iris
from support.server_process import server_process

EVIL = "petal <script>document.title='hacked'</script>\"'&"
NAMES = ["sepal length", "sepal width", "petal length", EVIL]
ROW = [6.7, 3.0, 5.2, 2.3]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("iris")
    (folder / "model.onnx").write_bytes(iris().onnx)
    golden = [{"instances": [ROW], "predictions": [2]}]
    metadata = {"version": "7", "outputs": [{"name": "label"}], "featureNames": NAMES, "golden": golden}
    (folder / "modelway.json").write_text(json.dumps(metadata))
    with server_process(folder, "--name", "iris") as server:
        yield server.wait_until_ready()


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser, server):
    browser.get_log("browser")
    browser.get(server.url)
    return Page(browser)


class Page:
    """What a person does on the page, and sees."""

    def __init__(self, browser) -> None:
        self.browser = browser

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def fields(self):
        return self.all("#row input")

    def write(self, field, text):
        field.clear()
        field.send_keys(text)

    def submit(self, form):
        """Press the form's button; returns what the status says when the answer is there."""
        self.one(f"#{form} button").click()
        wait = WebDriverWait(self.browser, 20, poll_frequency=0.02)
        return wait.until(
            lambda _: (text := self.one("#status").text) not in {"Asking …", "Nothing asked yet."} and text
        )

    def complaints(self):
        """What the browser itself found wrong; that a request was refused is none."""
        return [entry for entry in self.browser.get_log("browser") if "status of 4" not in entry["message"]]


def test_the_model_is_shown_and_its_first_golden_request_filled_in(page):
    assert page.browser.title == "iris · modelway"
    assert page.one("h1").text == "iris"
    labels = [label.text for label in page.all("#row label")]
    assert labels == [f"{name} FP32" for name in NAMES]
    assert [field.get_attribute("value") for field in page.fields()] == ["6.7", "3.0", "5.2", "2.3"]
    facts = page.one("dl").text.splitlines()
    assert facts[facts.index("Version") + 1] == "7"
    assert facts[facts.index("Format") + 1] == "onnx"
    assert [row.text for row in page.all("tbody tr")] == [
        "X FP32 any, 4",
        "label INT64 any",
        "probabilities FP32 any, 3",
    ]
    assert page.complaints() == []


def test_a_row_is_predicted_and_the_command_shown_does_the_same(page):
    assert page.submit("row").startswith("Answered in ")
    assert json.loads(page.one("#answer").text) == {"predictions": [2]}
    command = shlex.split(page.one("#curl").text)
    assert command[0] == "curl"
    done = subprocess.run([*command, "--silent", "--noproxy", "*"], capture_output=True, check=True)
    assert json.loads(done.stdout) == {"predictions": [2]}
    for field, value in zip(page.fields(), (5.1, 3.5, 1.4, 0.2), strict=True):
        page.write(field, str(value))
    page.submit("row")
    assert json.loads(page.one("#answer").text) == {"predictions": [0]}
    assert page.complaints() == []


def test_a_wrong_value_is_told_at_its_field_until_it_is_right(page):
    field = page.fields()[3]
    page.write(field, "x<b>")
    assert page.submit("row").startswith("Refused (400)")
    assert field.get_attribute("aria-invalid") == "true"
    told = [problem.text for problem in page.all(".problem") if problem.is_displayed()]
    assert told == [f'instances[0][3] ({EVIL}): "x<b>" is not a number']
    assert page.browser.switch_to.active_element == field
    page.write(field, "2.3")
    assert page.submit("row").startswith("Answered")
    assert field.get_attribute("aria-invalid") == "false"
    assert not any(problem.is_displayed() for problem in page.all(".problem"))


def test_an_empty_field_is_a_missing_value(page):
    page.write(page.fields()[0], "")
    page.submit("row")
    assert "takes no missing values" in page.one("#field-0-problem").text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("a,b,c,d\n5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3", None),
        ("[[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]", {"predictions": [0, 2]}),
        ('{"inputs": [[5.1, 3.5, 1.4, 0.2]]}', {"outputs": [0]}),
    ],
    ids=["csv with other names", "rows", "a request"],
)
def test_rows_are_pasted(page, text, answer):
    page.one("summary").click()
    page.write(page.one("#rows"), text)
    status = page.submit("paste")
    if answer is None:
        assert status.startswith("Refused (400)")
        assert 'no value for "sepal length"' in page.one("#rows-problem").text
    else:
        assert json.loads(page.one("#answer").text) == answer


def test_a_model_with_several_inputs_is_asked_with_a_value_of_each_kind(browser, tmp_path):
    (tmp_path / "model.onnx").write_bytes(several_inputs())
    with server_process(tmp_path, "--name", "several") as server:
        server.wait_until_ready()
        browser.get(server.url)
        page = Page(browser)
        age, city, owner, pair = page.all("#row [data-place]")
        page.write(age, str(2**62 + 1))
        page.write(city, "\"Vigo\", 'x' <i>")
        Select(owner).select_by_visible_text("true")
        page.write(pair, "[1.5, 2]")
        assert page.submit("row").startswith("Answered")
        (answer,) = json.loads(page.one("#answer").text)["predictions"]
        assert answer == {"age_": [2**62 + 1], "city_": ["\"Vigo\", 'x' <i>"], "owner_": [True], "pair_": [1.5, 2]}
        page.write(pair, "[1.5, 2")
        page.submit("row")
        assert page.one("#field-3-problem").text.startswith("instances[0].pair")


def several_inputs():
    """The identity on four inputs, as converters make them of a table's columns."""
    inputs = {
        "age": (TensorProto.INT64, 1),
        "city": (TensorProto.STRING, 1),
        "owner": (TensorProto.BOOL, 1),
        "pair": (TensorProto.FLOAT, 2),
    }
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_"]) for name in inputs],
        "several",
        [helper.make_tensor_value_info(name, kind, [None, width]) for name, (kind, width) in inputs.items()],
        [helper.make_tensor_value_info(f"{name}_", kind, [None, width]) for name, (kind, width) in inputs.items()],
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


def test_pasted_csv_is_predicted(page):
    quoted = EVIL.replace('"', '""')
    page.one("summary").click()
    page.write(page.one("#rows"), f'sepal length,sepal width,petal length,"{quoted}"\n5.1,3.5,1.4,0.2')
    assert page.submit("paste").startswith("Answered")
    assert json.loads(page.one("#answer").text) == {"predictions": [0]}
    assert json.loads(
        subprocess.check_output([*shlex.split(page.one("#curl").text), "--silent", "--noproxy", "*"])
    ) == {"predictions": [0]}


def test_the_policy_stops_what_is_not_the_pages_own(page):
    page.browser.execute_script(
        "const made = document.createElement('script'); made.textContent = 'document.title = \\'hacked\\'';"
        "document.body.append(made);"
    )
    assert page.browser.title == "iris · modelway"
    assert any("Content Security Policy" in entry["message"] for entry in page.complaints())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(page, scheme):
    page.browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    page.write(page.fields()[0], "x")
    page.submit("row")
    for selector in ("h1", "label", "td", "pre", "button", ".problem", "a"):
        assert page.browser.execute_script(CONTRAST, page.one(selector)) >= 4.5, selector


def test_a_server_that_is_gone_is_told(page):
    page.browser.execute_cdp_cmd("Network.enable", {})
    page.browser.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    try:
        assert page.submit("row").startswith("The server cannot be reached")
    finally:
        page.browser.execute_cdp_cmd("Network.disable", {})


def test_who_is_no_browser_is_answered_as_ever(server):
    assert httpx.get(server.url, trust_env=False).json() == {"error": "there is nothing at /"}
