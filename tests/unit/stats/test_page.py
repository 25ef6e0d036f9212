"""docs/statistics.md: its example runs, and its tables are those of the saved figures."""

import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from bench.rollouts_peers import argo, flagger
from bench.rollouts_plot import plot
from bench.rollouts_report import broken, rendered
from bench.rollouts_world import DAY, looks, proportion

_ROOT = Path(__file__).resolve().parents[3]
_PAGE = _ROOT / "docs" / "statistics.md"
_FIGURES = json.loads((_ROOT / "bench" / "results" / "rollouts.json").read_text())


def test_the_example_runs_and_comes_to_a_verdict():
    (code,) = re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    said = io.StringIO()
    with redirect_stdout(said):
        exec(compile(code, str(_PAGE), "exec"), {})
    assert said.getvalue().startswith("Safe\nForecast(")


def test_the_tables_are_those_of_the_saved_figures():
    assert rendered(_PAGE.read_text(), _FIGURES) == _PAGE.read_text()


def test_the_plot_is_that_of_the_saved_figures():
    assert (_ROOT / "docs" / "statistics-rollouts.svg").read_text() == plot(_FIGURES)


def test_every_claim_of_the_saved_figures_holds():
    assert broken(_FIGURES) == []


class TestBroken:
    @pytest.mark.parametrize(("wrong", "is_broken"), [(20, False), (60, True)], ids=["as claimed", "thrice as often"])
    def test_a_rate_that_is_surely_above_its_claim_is_told(self, wrong, is_broken):
        entry = proportion(np.arange(2000) < wrong, 0.01)
        assert broken({"grid": [{"traffic": 1.0, "modelway": {"rolledBack": entry}}]}) == (
            ["grid: {'traffic': 1.0} modelway rolledBack is 3.00% (at least 1.95%), claimed 1%"] if is_broken else []
        )

    def test_more_than_half_again_the_published_requests_are_told_unless_it_is_two_looks(self):
        row = {
            "base": 0.01,
            "margin": 0.01,
            "weight": 0.05,
            "2": {"ratio": 1.6, "published": [60, 120]},
            "3": {"ratio": 1.4, "published": [500, 900]},
            "5": {"ratio": 1.6, "published": [100, 200]},
        }
        assert broken({"points": [row]}) == [
            "points: 1.0% bad, margin 1.0%, weight 5%, 5 margins worse takes 1.6 times the published"
        ]


def test_looks_are_every_ten_seconds_for_an_hour_and_every_minute_for_a_day():
    ends = [end for end, _, _ in looks()]
    assert len(ends) == 360 + 23 * 60
    assert ends[359:361] == [3600.0, 3660.0]
    assert ends[-1] == DAY


class TestPeers:
    @pytest.mark.parametrize(
        ("rule", "traffic", "bad", "rolled_back"),
        [
            pytest.param(argo, 1000.0, 0.0, False, id="Argo Rollouts promotes a perfect version"),
            pytest.param(argo, 1000.0, 0.1, True, id="Argo Rollouts aborts at a tenth of bad requests"),
            pytest.param(argo, 0.0, 1.0, False, id="Argo Rollouts without traffic has nothing against it"),
            pytest.param(flagger, 1000.0, 0.0, False, id="Flagger promotes a perfect version"),
            pytest.param(flagger, 1000.0, 0.05, True, id="Flagger rolls back at a twentieth"),
            pytest.param(flagger, 0.0, 0.0, True, id="Flagger without traffic rolls back"),
        ],
    )
    def test_the_rules_decide_as_documented_where_there_is_no_doubt(self, rule, traffic, bad, rolled_back):
        assert (rule(np.random.default_rng(1), 50, traffic, bad) == rolled_back).all()
