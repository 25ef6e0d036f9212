"""docs/monitoring.md: its examples run and print what they say, and its figures are those that were saved."""

import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from bench.drift import broken
from bench.drift_report import rendered
from click.testing import CliRunner

from modelway.cli import main
from modelway.stats.drift import STANDARD
from modelway.stats.drift_findings import STANDARD as PUT_UP_WITH
from modelway.stats.drift_findings import Kind

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
FIGURES = json.loads((ROOT / "bench" / "results" / "drift.json").read_text())


@pytest.fixture
def said(tmp_path, monkeypatch):
    """What each example in Python prints, run one after the other in an empty folder."""
    monkeypatch.chdir(tmp_path)
    printed, names = [], {}
    for place, code in enumerate(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)):
        told = io.StringIO()
        with redirect_stdout(told):
            exec(compile(code, f"example {place} of monitoring.md", "exec"), names)
        printed.append(told.getvalue())
    return printed


def test_the_examples_print_what_the_page_is_about(said):
    _, notebook, drift, broken = said
    assert notebook == "[('mean radius', 569, 0), ('mean texture', 569, 0)]\n"
    assert [line.rsplit(maxsplit=1)[1] for line in drift.splitlines()] == ["False", "False", "False", "True"]
    assert broken.splitlines() == [
        "age: 100.0% of the rows lie outside the range of the reference, usually 0.0%",
        "age: numbers are about 1,000 times as large as usual; has the unit changed?",
    ]


@pytest.mark.usefixtures("said")
def test_the_command_prints_what_the_page_says():
    shown = re.search(r"\$ modelway (profile .*?)\n(.*?)```", PAGE, re.DOTALL)
    ended = CliRunner().invoke(main, shown[1].split())
    assert ended.output == shown[2]


def test_the_tables_are_those_of_the_saved_figures():
    assert rendered(PAGE, FIGURES) == PAGE


def test_every_claim_of_the_saved_figures_holds():
    assert FIGURES["effort"] == 1.0
    assert broken(FIGURES) == []


def test_a_claim_that_does_not_hold_is_told():
    row = {"name": "200 rows", "windows": 20_000, "alarms": 2}
    assert broken({"independent": [row]}) == ["independent, 200 rows: 2 alarms in 20000 windows, claimed 1 in 20,000"]


def test_every_kind_of_finding_is_explained():
    for kind in Kind:
        assert f"| `{kind}` |" in PAGE


def test_the_defaults_are_those_of_the_code():
    assert f"windows in a row ({STANDARD.windows})" in PAGE
    assert f"above `max_psi` ({STANDARD.max_psi})" in PAGE
    assert f"`min_rows` rows ({STANDARD.min_rows})" in PAGE
    assert f"below {STANDARD.level}: it is no chance" in PAGE
    assert f"more than {PUT_UP_WITH.margin * 100:.0f} percentage points" in PAGE
    assert f"at an error of {PUT_UP_WITH.error}" in PAGE
