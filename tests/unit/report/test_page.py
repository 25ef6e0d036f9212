"""What a report says: the same as the operator has found, told once, whatever could not be read."""

import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from modelway.api.conditions import Condition
from modelway.plan.monitoring.keeping import content_of, watch_from
from modelway.plan.monitoring.readings import Layout
from modelway.report.distributions import numbers
from modelway.report.facts import Facts
from modelway.report.html import render
from modelway.report.page import page_of
from modelway.report.words import Tone
from modelway.stats.drift_cells import Cells
from modelway.stats.drift_reference import Feature
from modelway.stats.drift_season import HOURS, STEPS
from support.batch_jobs import entry
from support.monitored import LEARNING, NAMES, layout_of_model
from support.reported import NOW, USUAL_ANSWERS, Model, parsed, shown
from support.rollouts import CANDIDATE, CHECKED, condition, rejected, resource, under_way

SLO = {"errorRate": "1%", "latency": {"threshold": "250ms", "percent": "99%"}}
QUALITY = {"metric": "accuracy", "min": 0.9, "minLabels": 100}


def older(values):
    return values + 12


def test_the_feature_that_has_drifted_is_first_with_the_psi_that_the_operator_has_told(drifted):
    page = shown(drifted.facts())
    first = page.rows["inputs"][1]
    standing = drifted.watch.inputs.standings[NAMES.index("age")]
    assert first[:2] == ["age", "has drifted"]
    assert first[2].startswith(f"{standing.psi:.2f} [")
    assert {row[1] for row in page.rows["inputs"][2:4]} == {"as usual"}


def test_shares_are_those_of_the_last_window_and_of_the_reference(drifted):
    page = page_of(drifted.facts())
    assert page.rows.startswith("1,000 rows: the last window")
    age = page.inputs.features[0]
    assert sum(cell.now for cell in age.cells) == pytest.approx(1.0)
    usual = np.array(drifted.layout.features[0].counts) / 10_000
    assert [cell.usual for cell in age.cells] == pytest.approx(usual.tolist())
    moved = [cell.now - cell.usual for cell in age.cells]
    assert max(moved[-4:]) > 0.1
    assert min(moved[:12]) < 0


def test_where_hours_of_the_week_are_told_apart_the_last_window_is_shown_beside_its_own():
    model = Model(reference={"seasonality": "HourOfWeek"})
    model.window(times=2)
    season = model.watch.inputs.season
    levels = np.full_like(season.levels, 10)
    at = (season.hour + 72) % HOURS
    levels[at, : season.sizes[0]] = 0
    levels[at, 0] = STEPS  # in that hour all are young
    learnt = replace(
        season,
        levels=levels,
        rows=season.rows + 1000,
        values=season.values + 1000 * HOURS,
        used=(True, False, False),
    )
    model.watch = replace(model.watch, inputs=replace(model.watch.inputs, season=learnt))
    page = page_of(model.facts(watch=watch_from(content_of(model.watch))))
    assert "beside what is usual in that hour of the week" in page.rows
    usual = {one.name: one.cells[0].usual for one in page.inputs.features}
    assert usual["age"] > 0.5
    counts = model.layout.features[1].counts
    assert usual["amount"] == pytest.approx(counts[0] / sum(counts))


def test_the_last_window_is_still_known_after_the_operator_has_started_again(drifted):
    read = watch_from(content_of(drifted.watch))
    assert page_of(drifted.facts(watch=read)).inputs == page_of(drifted.facts()).inputs


def test_where_the_last_window_had_too_few_rows_all_since_the_pods_began_are_shown(drifted):
    drifted.window(rows=40)
    page = shown(drifted.facts())
    assert "5,040 rows: all since the pods began, as 2 of its 2 pods counted them" in page.sections["inputs"]
    assert page.row("inputs", "age")[1] == "has drifted"


def test_a_model_that_nobody_watches_is_compared_with_what_its_maker_told():
    model = Model(usual=USUAL_ANSWERS)
    model.window(times=3, age=older)
    page = shown(model.facts(obj=resource(spec={"model": {"uri": "s3://m/f/1/"}, "serving": {}}), watch=None))
    assert page.row("inputs", "age")[1] == "differs in these rows, which is no drift yet"
    assert "Nothing is watched, as spec.monitoring is not given" in page.sections["now"]
    assert page.row("answers", "yes") == ["yes", "25.0 %", "25.0 %"]


def test_what_is_still_being_learnt_is_shown_without_a_comparison():
    model = Model(LEARNING)
    model.window(times=2)
    page = shown(model.facts())
    assert {row[1] for row in page.rows["inputs"][1:4]} == {"not compared"}
    (amount,) = (one for one in page_of(model.facts()).inputs.features if one.name == "amount")
    assert (amount.plot.usual, len(amount.cells) > 5) == ("", True)
    assert sum(cell.now for cell in amount.cells) == pytest.approx(1.0)
    assert all(cell.usual is None for cell in amount.cells)


def test_what_was_learnt_is_what_is_compared_with():
    model = Model(LEARNING, reference={"learnFor": "1m"})
    model.window(rows=6000, times=3)
    model.window(rows=2000, times=3, age=older)
    page = page_of(model.facts())
    assert (page.inputs.features[0].name, page.inputs.features[0].state) == ("age", "has drifted")
    assert all(cell.usual is not None for cell in page.inputs.features[0].cells)


def test_rows_without_a_value_are_told_beside_those_of_the_reference(drifted):
    def gone(values):
        values[: len(values) // 2] = np.nan
        return values

    drifted.window(amount=gone)
    page = shown(drifted.facts())
    assert page.row("inputs", "amount")[3] == "50.0 %"
    assert "amount: 50.0% of the rows have no value, usually 0.0%" in page.sections["inputs"]
    assert page.row("inputs", "amount")[1] == "as usual; broken"


def test_answers_are_shown_by_class():
    model = Model(usual=USUAL_ANSWERS)
    model.window(times=2)
    model.window(answers={"class:no": 100, "class:yes": 400}, times=3)
    page = shown(model.facts())
    assert page.row("answers", "yes") == ["yes", "25.0 %", "80.0 %"]
    assert "has drifted" in page.sections["answers"]


def test_scores_are_shown_between_their_borders():
    model = Model(usual={f"value:{bucket}": 100 for bucket in range(1000, 1020)})
    model.window(answers={f"value:{bucket}": 50 for bucket in range(1000, 1020)})
    (score,) = page_of(model.facts()).answers
    assert score.name == "score"
    assert score.cells[0].label.startswith("below 0.")
    assert sum(cell.now for cell in score.cells) == pytest.approx(1.0)


def test_quality_is_told_group_by_group_against_its_limit():
    model = Model(quality=QUALITY)
    for hour, right in enumerate((95, 96, 60)):
        model.label(hour, right=right, wrong=100 - right)
    model.look(after=timedelta(hours=4))
    page = shown(model.facts())
    rows = page.rows["quality"][1:4]
    assert [(row[0], row[2], row[4], row[5]) for row in rows] == [
        ("2026-11-22 12:00 UTC", "0.95", "100", "not sure"),
        ("2026-11-22 13:00 UTC", "0.96", "100", "within it"),
        ("2026-11-22 14:00 UTC", "0.6", "100", "beyond it"),
    ]
    assert "accuracy of labelled predictions, which is to be at least 0.9" in page.sections["quality"]
    assert [tag for tag, _ in page.elements].count("circle") == 3


def test_slices_are_told_with_their_limits():
    country = {"name": "country", "values": ["DE", "FR"], "min": 0.7}
    model = Model(quality=QUALITY | {"slices": [country]})
    for hour in range(2):
        model.label(hour, right=900, wrong=100)
        model.label(hour, right=100, wrong=100, country="DE")
        model.label(hour, right=195, wrong=5, country="IT")
    model.look(after=timedelta(hours=3))
    page = shown(model.facts())
    assert "Parts of the predictions" in page.sections["quality"]
    told = {tuple(row[:3]): row[-3:] for row in page.rows["quality"] if row[:1] == ["country"]}
    assert told == {
        ("country", "DE", "0.5"): ["0.7", "400", "beyond it"],
        ("country", "FR", ""): ["0.7", "", "too few labels, or not sure"],
        ("country", "OTHER", "0.975"): ["0.7", "400", "within it"],
    }


def test_hidden_slices_are_hidden_on_the_page():
    model = Model(quality=QUALITY | {"slices": [{"name": "country", "values": ["DE"]}]}, features="Hide")
    model.label(0, right=300, wrong=0, country="DE")
    model.look(after=timedelta(hours=3))
    told = shown(model.facts()).sections["quality"]
    assert "slice 1" in told
    assert "country" not in told


def test_without_labels_the_estimate_is_told_as_one():
    model = Model(quality=QUALITY)
    obj = model.object(monitoring={"quality": {"metric": "accuracy", "estimatedAccuracy": "0.91"}})
    told = shown(model.facts(obj=obj)).sections["quality"]
    assert "labels of too few predictions came so far" in told
    assert "the accuracy should be 0.91: an estimate" in told


def test_the_service_level_is_told_by_objective():
    model = Model(slo=SLO)
    for one in model.servers:
        one.failed, one.slow = 100, 1
    model.window()
    page = shown(model.facts())
    assert page.row("level", "requests that fail")[1:] == ["1.0 %", "20.0 %", "20.0 %", "missed"]
    assert page.row("level", "requests slower than 250ms")[4] == "kept"


def test_the_history_is_told_with_its_reasons_and_what_goes_on_with_its_numbers():
    page = shown(Facts(parsed(under_way()), NOW, "0.1.0"))
    assert "Progressing (Baking), revision 0b77d1ce (version 17), step five, weight 5 %" in page.sections["rollouts"]
    assert page.row("rollouts", "errors")[1:3] == ["Continue", "21 of 1,912 (1.1 %)"]
    assert len(CHECKED) == 2
    gone = shown(Facts(parsed(rejected()), NOW, "0.1.0"))
    assert ["Rejected", "17", CANDIDATE] in [row[1:4] for row in gone.rows["rollouts"]]
    assert "41 of 800 candidate requests failed" in gone.sections["rollouts"]


@pytest.mark.parametrize(
    ("watched", "told"),
    [
        (lambda watch: replace(watch, trained_at=NOW - timedelta(days=2)), "2026-11-20 12:00 UTC, 2 days ago"),
        (lambda watch: replace(watch, trained_at=None), None),
        (lambda _: None, "2026-11-01 00:00 UTC, 22 days ago"),
    ],
    ids=["the operator knows it", "nobody knows it", "the spec alone tells it"],
)
def test_the_age_is_that_of_the_model_that_serves(watched, told):
    model = Model()
    assert dict(page_of(model.facts(watch=watched(model.watch))).facts).get("Trained") == told


def test_a_model_that_only_scores_is_not_said_to_lack_what_is_of_requests():
    given = {"model": {"uri": "s3://m/f/1/"}, "batchJobs": [entry()], "monitoring": {"features": "Hide"}}
    assert page_of(Facts(parsed(resource(spec=given)), NOW, "0.1.0")).missing == ()


def test_what_was_done_to_get_a_better_model_is_told():
    job = {
        "job": "retrain-1",
        "condition": "DataDrift",
        "startedAt": "2026-11-22T11:00:00Z",
        "result": "Failed",
        "model": "sha256:1",
        "jobs": 1,
    }
    page = shown(Facts(parsed(resource(retraining=job)), NOW, "0.1.0"))
    assert "retrain-1: Failed, asked for by DataDrift at 2026-11-22 11:00 UTC" in page.sections["model"]


def test_conditions_are_told_worst_first():
    conditions = [
        condition("Ready", "True", "Serving"),
        condition("DataDrift", "Unknown", "Learning"),
        condition("ModelStale", "True", "TooOld", "trained at 2026-10-01"),
        condition("Degraded", "True", "ObjectiveMissed"),
        condition("FromTheFuture", "True"),
    ]
    page = page_of(Facts(parsed(resource(conditions=conditions)), NOW, "0.1.0"))
    assert [one.name.split(":")[0] for one in page.open] == ["Degraded", "ModelStale", "DataDrift", "FromTheFuture"]
    assert [one.tone for one in page.open] == [Tone.BAD, Tone.BAD, Tone.UNSURE, Tone.UNSURE]
    assert [one.words for one in page.well] == ["Requests are answered"]
    assert page.headline == "The service level is missed, and 1 more"


@pytest.mark.parametrize("kind", Condition)
@pytest.mark.parametrize("status", ["True", "False"])
def test_every_condition_has_words_of_its_own(kind, status):
    obj = resource(conditions=[condition(kind, status)])
    page = page_of(Facts(parsed(obj), NOW, "0.1.0"))
    (told,) = (*page.open, *page.well)
    assert f"{kind} is" not in told.words


def test_a_model_of_which_nothing_is_known_has_a_page_that_says_so():
    obj = resource(stable=None, spec={"model": {"uri": "s3://m/f/1/"}, "serving": {}})
    page = shown(Facts(parsed(obj), NOW, "0.1.0", missing=("No revision serves.",)))
    for section, words in (
        ("now", "No revision serves."),
        ("inputs", "No pod has told"),
        ("answers", "No answer has been counted"),
        ("quality", "Not watched"),
        ("level", "No requests have been counted"),
        ("rollouts", "No revision has been promoted or rejected yet"),
    ):
        assert words in page.sections[section]
    assert "The operator has not said anything of it yet" in page.sections[""]


def test_before_the_first_row_what_is_usual_is_shown_alone():
    page = page_of(Model().facts(watch=None))
    assert page.inputs is not None
    assert all(one.plot.now == "" and one.plot.usual for one in page.inputs.features)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((9466.4, 17_180.2, 1_234_567.0), ("9,466", "17,180", "1,235,000")),
        ((2019.5, 2020.5, 2021.5), ("2,019.5", "2,020.5", "2,021.5")),
        ((-0.5, 0.0, 0.012343), ("-0.5", "0", "0.01234")),
        ((1e-9, 1.5e20), ("1e-09", "1.5e+20")),
        ((1.0, 1.0000000000000002), ("1.0", "1.0000000000000002")),
    ],
    ids=["large", "years", "small", "very small and very large", "hardly apart"],
)
def test_borders_are_rounded_as_far_as_they_can_be_told_apart(values, texts):
    assert numbers(values) == texts


def test_of_a_long_category_the_beginning_is_shown():
    long = Feature("story", Cells(categories=("once " * 100, "b")), (50, 40, 10))
    model = Model()
    (reading, *_) = model.readings()
    reading = replace(reading, layout="long", inputs=type(reading.inputs).of(np.zeros(11, np.int64)))
    page = page_of(model.facts(watch=None, layouts={"long": Layout("long", ("story",), (long,))}, readings=(reading,)))
    (story,) = page.inputs.features
    label = story.cells[0].label
    assert (len(label), label[:10], label[-6:]) == (80, "once once ", " once…")


def test_of_many_features_only_the_worst_are_unfolded_and_the_page_stays_small():
    base = layout_of_model().features[0]
    features = tuple(replace(base, name=f"feature number {n:03}") for n in range(500))
    layout = Layout("large", tuple(one.name for one in features), features)
    counts = np.concatenate([np.r_[np.zeros(8, np.int64), np.array(base.counts) // 10] for _ in features])
    model = Model()
    (reading, *_) = model.readings()
    reading = replace(reading, layout="large", inputs=type(reading.inputs).of(counts), rows=1000)
    html = render(page_of(model.facts(watch=None, layouts={"large": layout}, readings=(reading,), pods=1)))
    details = re.findall(r'<details id="f\d+"( open)?>', html)
    assert (len(details), details.count(" open")) == (500, 3)
    assert len(html) < 2_500_000
