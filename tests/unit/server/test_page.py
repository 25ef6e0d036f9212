"""The page without a browser: what is on it, and that nothing of a model's maker is HTML. `tests/integration` opens it."""

import base64
import hashlib
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import orjson
import pytest

from modelway.server import v1
from modelway.server.app import App
from modelway.server.exchange import HttpRequest
from modelway.server.options import ServerOptions
from modelway.server.page import MOST_FIELDS, render
from modelway.server.tensors import Batch, TensorSpec
from support.fake_model import FakeModel, loaded

EVIL = "</title></script><script>alert(1)</script><img src=x onerror='alert(1)'>\"&"
COLUMNS = FakeModel(
    inputs=(
        TensorSpec("age", "INT64", (-1, 1)),
        TensorSpec("city", "BYTES", (-1,)),
        TensorSpec("weight", "FP32", (-1,), nullable=True),
        TensorSpec("owner", "BOOL", (-1,)),
        TensorSpec("pair", "BYTES", (-1, 2)),
    )
)
SAMPLE = {
    "age": np.array([[2**62 + 1], [1]]),
    "city": np.array(['"Vigo" & <Lugo>', ""], dtype=object),
    "weight": np.array([5.1, np.nan], dtype=np.float32),
    "owner": np.array([True, False]),
    "pair": np.array([["a", "b"], ["c", "d"]], dtype=object),
}


class Elements(HTMLParser):
    """All elements of a page with their attributes and, of those that hold text alone, the text."""

    def __init__(self, page) -> None:
        super().__init__()
        self.found = []
        self.is_within = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs), []))
        self.is_within = True

    def handle_endtag(self, tag):
        self.is_within = False

    def handle_data(self, data):
        if self.is_within:
            self.found[-1][2].append(data)

    def of(self, *tags):
        return [(attributes, "".join(text)) for tag, attributes, text in self.found if tag in tags]

    def fields(self):
        return [
            (attributes, text)
            for attributes, text in self.of("input", "textarea", "select")
            if "data-place" in attributes
        ]


def page(model, name="iris", sample=None, **changes):
    batch = Batch(sample, rows=2, wanted=()) if sample else None
    return render(replace(loaded(model), sample=batch, **changes), name)


def elements(model, *arguments, **options):
    return Elements(page(model, *arguments, **options).body.decode())


def test_names_from_strangers_are_text():
    model = FakeModel(
        inputs=(TensorSpec(EVIL, "FP32", (-1, 2)),),
        outputs=(TensorSpec(EVIL, "FP32", (-1,)),),
        features=(EVIL, "b"),
        notes={EVIL: EVIL},
        platform=EVIL,
    )
    found = elements(model, EVIL, version=EVIL, format=EVIL)
    plain = elements(FakeModel(inputs=(TensorSpec("x", "FP32", (-1, 2)),), features=("a", "b"), notes={"a": "b"}))
    assert [tag for tag, _, _ in found.found] == [tag for tag, _, _ in plain.found]
    assert EVIL in {text for _, text in found.of("h1")}
    assert found.fields()[0][0]["name"] == EVIL
    assert len(found.of("script")) == 1


def test_samples_from_strangers_are_text():
    model = FakeModel(inputs=(TensorSpec("a", "BYTES", (-1,)), TensorSpec("b", "BYTES", (-1, 1, 1))))
    sample = {"a": np.array([EVIL], dtype=object), "b": np.array([[[EVIL]]], dtype=object)}
    (one, _), (_, text) = elements(model, sample=sample).fields()
    assert (one["value"], orjson.loads(text)) == (EVIL, [[EVIL]])


def test_the_policy_allows_the_pages_own_script_and_style_alone():
    answer = page(FakeModel())
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    found = Elements(answer.body.decode())
    for kind in ("script", "style"):
        ((_, text),) = found.of(kind)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[f"{kind}-src"] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", answer.body.decode())


def test_the_style_and_script_need_no_escape():
    for name in ("page.css", "page.js"):
        assert "</" not in resources.files("modelway.server").joinpath("static", name).read_text()


def test_each_input_has_a_field_of_its_kind_with_the_first_golden_requests_value():
    fields = [
        (own["data-kind"], own["data-place"], own.get("value", text))
        for own, text in elements(COLUMNS, sample=SAMPLE).fields()
    ]
    assert fields == [
        ("number", "instances[0].age", str(2**62 + 1)),
        ("text", "instances[0].city", '"Vigo" & <Lugo>'),
        ("number", "instances[0].weight", "5.1"),
        ("boolean", "instances[0].owner", ""),
        ("json", "instances[0].pair", '["a","b"]'),
    ]
    assert [text for _, text in elements(COLUMNS, sample=SAMPLE).of("option")] == ["true", "false"]


def test_a_missing_value_is_an_empty_field():
    sample = SAMPLE | {"weight": np.array([np.nan, 1], dtype=np.float32)}
    assert elements(COLUMNS, sample=sample).fields()[2][0]["value"] == ""


@pytest.mark.parametrize(
    ("model", "kind", "places", "names"),
    [
        (FakeModel(features=("a", "b", "c")), "list", ["instances[0][0]", "instances[0][1]", "instances[0][2]"], "abc"),
        (FakeModel(), "list", ["instances[0][0]", "instances[0][1]", "instances[0][2]"], ["x[0]", "x[1]", "x[2]"]),
        (FakeModel(inputs=(TensorSpec("t", "FP32", (-1,)),)), "value", ["instances[0]"], "t"),
        (FakeModel(inputs=(TensorSpec("t", "UINT8", (-1, 2, 2)),)), "value", ["instances[0]"], "t"),
    ],
)
def test_a_row_is_made_as_the_model_takes_it(model, kind, places, names):
    found = elements(model)
    ((form, _),) = [form for form in found.of("form") if form[0]["id"] == "row"]
    assert form["data-row"] == kind
    assert [own["data-place"] for own, _ in found.fields()] == places
    assert [own["name"] for own, _ in found.fields()] == list(names)


def test_every_field_has_a_label_and_a_place_for_what_is_wrong():
    found = elements(COLUMNS)
    ids = [attributes["id"] for _, attributes, _ in found.found if "id" in attributes]
    assert len(set(ids)) == len(ids)
    labelled = {own["for"] for own, _ in found.of("label")}
    for own, _ in found.fields():
        assert own["id"] in labelled
        assert own["aria-describedby"] in ids


def test_zeros_are_a_row_that_the_server_takes():
    """What the script makes of untouched fields, written here once more."""
    values = [
        text or own.get("value")
        for own, text in elements(FakeModel(inputs=(TensorSpec("t", "FP16", (-1, 4)),))).fields()
    ]
    body = f'{{"instances": [[{", ".join(values)}]]}}'.encode()
    assert v1.parse(body, loaded(FakeModel(inputs=(TensorSpec("t", "FP16", (-1, 4)),))).signature).batch.rows == 1


def test_a_wide_model_has_rows_pasted():
    model = FakeModel(inputs=(TensorSpec("x", "FP32", (-1, 100_000)),), features=tuple(map(str, range(100_000))))
    found = elements(model)
    assert found.fields() == []
    assert len(found.of("li")) == MOST_FIELDS
    assert b"and 99800 more" in page(model).body


def test_a_large_value_is_not_written_out():
    model = FakeModel(inputs=(TensorSpec("image", "FP32", (-1, 3, 224, 224)),))
    assert len(page(model).body) < 20_000


def get(app, accept):
    headers = [(b"accept", accept)] if accept else []
    return app.respond(HttpRequest("GET", "/", b"", headers, b"", time.perf_counter()))


async def test_browsers_alone_are_shown_the_page(tmp_path):
    app = App(ServerOptions(tmp_path, "iris"))
    assert get(app, b"text/html").status == 503
    app.serve(loaded(FakeModel()))
    assert get(app, b"text/html,application/xhtml+xml,*/*;q=0.8").content_type == b"text/html; charset=utf-8"
    for accept in (b"", b"*/*", b"application/json"):
        assert (get(app, accept).status, get(app, accept).body) == (404, b'{"error":"there is nothing at /"}')


async def test_the_openapi_document_is_there_when_the_model_is(tmp_path):
    app = App(ServerOptions(tmp_path, "iris"))

    def ask():
        return app.respond(HttpRequest("GET", "/openapi.json", b"", [], b"", time.perf_counter()))

    assert ask().status == 503
    app.serve(loaded(FakeModel()))
    assert "/v1/models/iris:predict" in orjson.loads(ask().body)["paths"]
