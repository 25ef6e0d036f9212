"""What a report gives away, and what it does: nothing that is hidden or secret, and nothing but being read."""

import base64
import hashlib
import re
from dataclasses import replace

import pytest

from modelway.plan.monitoring.readings import Layout
from modelway.report.distributions import numbers
from modelway.report.facts import Facts
from modelway.stats.drift_cells import Cells
from modelway.stats.drift_reference import Feature
from support.monitored import NAMES
from support.reported import NOW, Model, parsed, shown
from support.rollouts import CANDIDATE, STABLE, condition, entry, resource

EVIL = "<script>document.title='hacked'</script>\"'&"


def test_nothing_is_told_of_hidden_features_but_their_number(drifted):
    drifted.monitoring["features"] = "Hide"
    page = shown(drifted.facts())
    assert {row[0] for row in page.rows["inputs"][1:4]} == {"feature 1", "feature 2", "feature 3"}
    age, _, country = drifted.layout.features
    for word in (*NAMES, *country.cells.categories, *numbers(age.cells.edges), "yes"):
        told = page.sections["inputs"] + page.sections["answers"]
        assert not re.search(rf"(?<![\w.]){re.escape(word)}(?![\w.])", told), word
    assert page.row("inputs", "category 1")[1] != "0.0 %"


def test_names_of_strangers_are_text_and_nothing_else():
    evil = Feature(EVIL, Cells(categories=(EVIL, "b")), (50, 40, 10))
    layout = Layout(EVIL, (EVIL,), (evil,))
    obj = resource(
        spec={"model": {"uri": "s3://m/f/1/", "version": EVIL}, "serving": {}},
        conditions=[condition("DataDrift", "True", EVIL, EVIL)],
        history=[entry(STABLE, "Promoted", EVIL, version=EVIL)],
        stable={"revision": STABLE, "version": EVIL},
    )
    page = shown(Facts(parsed(obj), NOW, "0.1.0", layouts={EVIL: layout}, missing=(EVIL,), watch=watched(EVIL)))
    assert "script" not in {tag for tag, _ in page.elements}
    assert page.text.count(EVIL) >= 7
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def watched(layout):
    model = Model()
    return replace(model.watch, layout=layout)


@pytest.mark.parametrize("secret", ["https://u:p4ss@h/m.onnx", "https://h/m.onnx?X-Amz-Signature=p4ss"])
def test_no_secret_of_a_url_is_told_wherever_it_stands(secret):
    words = f"cannot fetch {secret}, says the store"
    spec = {"model": {"uri": secret, "version": "1"}, "serving": {}}
    obj = resource(
        spec=spec,
        conditions=[condition("Stalled", "True", "FetchFailed", words)],
        failure={"reason": "FetchFailed", "message": f"again: {words}"},
        history=[entry(CANDIDATE, "Rejected", words)],
        rollout={"state": "Rejected", "revision": CANDIDATE, "message": words},
    )
    page = shown(Facts(parsed(obj), NOW, "0.1.0", missing=(words,)))
    assert "p4ss" not in page.html
    assert page.html.count("says the store") == 5


def test_the_page_loads_nothing_runs_nothing_and_allows_no_style_but_its_own(drifted):
    page = shown(drifted.facts())
    links = [value for _, attributes in page.elements for name, value in attributes.items() if name in {"href", "src"}]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert {tag for tag, _ in page.elements} & {"script", "img", "iframe", "object", "form", "base"} == set()
    assert [name for _, attributes in page.elements for name in attributes if name == "style"] == []
    style = re.search("<style>(.*?)</style>", page.html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = (attributes["content"] for _, attributes in page.elements if "http-equiv" in attributes)
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert "@import" not in style
    assert "url(" not in style


def test_every_link_of_the_page_leads_somewhere_and_every_id_is_there_once(drifted):
    page = shown(drifted.facts())
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for tag, a in page.elements if tag == "a"} <= set(ids)
    named = [a["aria-labelledby"].split() for tag, a in page.elements if tag == "svg"]
    assert named
    assert {one for names in named for one in names} <= set(ids)
