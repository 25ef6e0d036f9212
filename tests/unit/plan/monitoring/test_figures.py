"""What is told of those that have drifted, and that it stays as it is until it says something else."""

import numpy as np
import orjson
import pytest

from modelway.api.monitoring import Monitoring
from modelway.api.monitoring_status import MOST_TOLD, DriftedStatus
from modelway.api.status import Status
from modelway.plan.monitoring.family import Drifted, Family, Standing
from modelway.plan.monitoring.figures import listed, told_figures
from modelway.plan.monitoring.issues import Issue
from modelway.plan.monitoring.readings import Layout
from modelway.plan.monitoring.telling import Sight, status_of, verdicts
from modelway.plan.monitoring.watch import Watch
from modelway.stats.drift import Streak
from modelway.stats.drift_cells import Cells
from modelway.stats.drift_findings import Kind
from modelway.stats.drift_reference import LONGEST_NAME, Feature
from support.builders import NOW


def name(place):
    return f"feature {place}"


def told(*pairs):
    return tuple(DriftedStatus(name=name(place), psi=psi) for place, psi in pairs)


def test_the_largest_are_told_first_and_no_more_than_a_few():
    found = told_figures([Drifted(place, place / 10) for place in range(1, 9)], name, ())
    assert found == told((8, "0.80"), (7, "0.70"), (6, "0.60"), (5, "0.50"), (4, "0.40"))
    assert listed(found, 8).endswith("feature 4 (PSI 0.40) and 3 more")
    assert listed(found[:1], 1) == "feature 8 (PSI 0.80)"


@pytest.mark.parametrize(
    ("before", "psi", "now"),
    [
        ("0.40", 0.44, "0.40"),
        ("0.40", 0.3, "0.40"),
        ("0.40", 0.7, "0.70"),
        ("0.40", 0.15, "0.15"),
        ("0.11", 0.16, "0.11"),
    ],
)
def test_a_figure_is_told_anew_when_it_says_something_else(before, psi, now):
    assert told_figures([Drifted(1, psi)], name, told((1, before))) == told((1, now))


def test_of_many_that_are_alike_the_same_ones_are_told_window_after_window():
    rng = np.random.default_rng(1)
    first = now = told_figures([Drifted(place, 0.5) for place in range(100)], name, ())
    assert len(first) == MOST_TOLD
    for _ in range(50):
        psis = 0.5 * np.exp(rng.normal(0, 0.08, 100))
        now = told_figures([Drifted(place, psi) for place, psi in enumerate(psis.tolist())], name, now)
        assert now == first


def test_one_that_drifts_far_more_takes_a_place():
    first = told_figures([Drifted(place, 0.3) for place in range(5)], name, ())
    now = told_figures([*(Drifted(place, 0.3) for place in range(5)), Drifted(5, 0.9)], name, first)
    assert now[0] == DriftedStatus(name="feature 5", psi="0.90")


def test_a_hundred_features_with_long_names_and_all_the_trouble_there_is_stay_small():
    names = tuple(f"{place:03}".ljust(LONGEST_NAME, "x") for place in range(100))
    features = tuple(Feature(one, Cells(edges=(1.0,), lowest=0, highest=2), (5, 5)) for one in names)
    watch = Watch(
        of="model",
        began_at=NOW,
        closed_at=NOW,
        windows=9,
        rows=9000,
        layout="l1",
        inputs=Family(features, tuple(Standing(Streak(alarm=True), 0, 0.5) for _ in features)),
        issues={(place, kind): Issue(0.5) for place in range(100) for kind in Kind},
    )
    sight = Sight(
        given=Monitoring(),
        watch=watch,
        layout=Layout("l1", names, features),
        before=Status(),
        now=NOW,
        trained_at=None,
        observed=True,
        measured=True,
    )
    status = status_of(sight)
    told = verdicts(sight, status)
    words = "".join(message for _, _, message in told.values())
    assert "100 of 100 features have drifted" in words
    assert "and 495 more" in words
    assert len(orjson.dumps(status.model_dump(mode="json", exclude_none=True))) + len(words) < 8000
