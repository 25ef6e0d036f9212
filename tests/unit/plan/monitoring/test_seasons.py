"""Hours of the week: learnt from two weeks of windows, kept over restarts, in a small ConfigMap."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pytest
from bench.drift_seasons import season
from bench.drift_worlds import shares

from modelway.api.monitoring import Monitoring, Reference
from modelway.api.observations import value_key
from modelway.plan.monitoring.family import MOST_CELLS, Family, Standing
from modelway.plan.monitoring.keeping import content_of, watch_from
from modelway.plan.monitoring.readings import Collected
from modelway.plan.monitoring.rounds import Round, begun, carried
from modelway.plan.monitoring.season_record import content_of as content_of_season
from modelway.plan.monitoring.season_record import season_from
from modelway.plan.monitoring.seasons import hour_of, status_of, words
from modelway.stats.drift import Rule
from modelway.stats.drift_cells import FIGURES, Cells
from modelway.stats.drift_reference import Feature
from modelway.stats.drift_season import HOURS, LEARNT, STEPS, Hour, Season
from modelway.stats.drift_spread import MOST_WINDOWS, Baseline, Excess, Pool
from support.monitored import Server, layout_of_model, pod, usual_rows

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
LAYOUT = layout_of_model()
SEASONAL = Monitoring(window="1h", min_rows=100, reference=Reference(seasonality="HourOfWeek"))
PLAIN = Monitoring(window="1h", min_rows=100)
WAVE = 10 * season(0.8)


class Traffic:
    """One pod whose callers are older at night, and the operator that reads it each hour."""

    def __init__(self, given=SEASONAL, *, restarts=False, usual=None) -> None:
        self.usual = usual
        self.rng, self.now, self.given, self.restarts = np.random.default_rng(1), MONDAY, given, restarts
        self.server = Server(pod("pod-0", "6f1c2a9b", MONDAY), LAYOUT)
        self.watch = begun("model", self.round())

    def round(self):
        collected = Collected(self.now, (self.server.read(self.now, usual=self.usual),), {LAYOUT.id: LAYOUT})
        return Round(collected, self.now, {self.server.pod.pod.uid}, None, self.given)

    def hours(self, count, *, shift=0.0, rows=300, long=1):
        """So many windows, each of so many hours."""
        for _ in range(count):
            columns = usual_rows(self.rng, rows)
            columns["age"] = columns["age"] + WAVE[int((self.now - MONDAY) / HOUR) % HOURS] + shift
            self.server.ask(columns, self.rng.beta(2, 5, rows) if self.usual else ())
            self.now += long * HOUR
            self.watch = carried(self.watch, self.round())
            if self.restarts:
                self.watch = watch_from(content_of(self.watch))

    @property
    def drifted(self):
        return [one.place for one in self.watch.inputs.drifted()]


@pytest.fixture(scope="module")
def learnt():
    """Traffic of two weeks."""
    traffic = Traffic()
    traffic.hours(LEARNT + 1)
    return traffic


def after(learnt, **changes):
    """The same, from where it is."""
    traffic = Traffic(given=changes.pop("given", SEASONAL))
    traffic.now, traffic.watch = learnt.now, learnt.watch
    traffic.server.inputs, traffic.server.rows = learnt.server.inputs, learnt.server.rows
    return traffic


def test_until_two_weeks_are_over_it_is_being_learnt():
    traffic = Traffic()
    traffic.hours(30)
    said = status_of(traffic.watch.inputs)
    assert (said.state, said.until, said.features) == ("Learning", MONDAY + 2 * timedelta(weeks=1), 0)
    assert "being learnt until 2026-11-16 00:00 UTC" in words(traffic.watch.inputs, traffic.given)


def test_then_what_has_a_rhythm_is_compared_by_the_hour(learnt):
    said = status_of(learnt.watch.inputs)
    assert (said.state, said.until, said.features) == ("Learnt", None, 1)
    assert words(learnt.watch.inputs, SEASONAL) == " in this hour of the week"
    assert learnt.watch.inputs.season.seasonal == (0,)


def test_a_rhythm_that_was_an_alarm_is_none_any_more(learnt):
    plain = Traffic(given=PLAIN)
    plain.hours(3)
    assert plain.drifted == [0]
    week = after(learnt)
    for _ in range(7):
        week.hours(24)
        assert week.drifted == []


def test_a_drift_is_told_by_the_third_window_though_the_rhythm_is_larger(learnt):
    traffic = after(learnt)
    traffic.hours(2, shift=10.0)
    assert traffic.drifted == []
    traffic.hours(1, shift=10.0)
    assert traffic.drifted == [0]


def test_answers_have_hours_of_their_own():
    scores = np.random.default_rng(2).beta(2, 5, 2000)
    traffic = Traffic(usual=dict(Counter(value_key(float(score)) for score in scores)), restarts=True)
    traffic.hours(4)  # the first says in which bins they are counted, the last is under way
    assert traffic.watch.answers.season.rows.sum() == 2 * 300
    assert "being learnt until" in words(traffic.watch.answers, SEASONAL)


def test_a_restart_after_each_window_changes_nothing():
    once, often = Traffic(), Traffic(restarts=True)
    once.hours(30)
    often.hours(30)
    assert content_of(often.watch) == content_of(once.watch)
    assert once.watch.inputs.season.rows.sum() == 29 * 300


def test_nor_when_it_is_learnt(learnt):
    once, often = after(learnt), after(learnt)
    often.restarts = True
    once.hours(6, shift=10.0)
    often.hours(6, shift=10.0)
    assert content_of(often.watch) == content_of(once.watch)
    assert often.drifted == once.drifted == [0]


def test_windows_of_many_hours_are_learnt_from_by_no_hour():
    """As after an operator that was away."""
    traffic = Traffic()
    traffic.hours(1)
    traffic.hours(1, long=6, rows=5000)
    traffic.hours(2)
    assert traffic.watch.inputs.season.rows.sum() == 2 * 300  # the last is under way
    assert traffic.watch.inputs.season.open.sum() == 300 * len(LAYOUT.names)


def test_a_rhythm_that_is_no_longer_asked_for_is_forgotten(learnt):
    traffic = after(learnt, given=PLAIN)
    traffic.hours(1)
    assert (traffic.watch.inputs.season, words(traffic.watch.inputs, PLAIN)) == (None, "")
    assert status_of(traffic.watch.inputs) is None


@pytest.mark.parametrize(
    ("minutes", "hour"), [(5, 0), (60, 0), (62, None), (600, None)], ids=["short", "an hour", "longer", "much longer"]
)
def test_a_window_lies_in_the_hour_of_its_middle(minutes, hour):
    found = hour_of(SEASONAL, MONDAY, MONDAY + timedelta(minutes=minutes))
    assert found == (None if hour is None else Hour(int(MONDAY.timestamp()) // 3600))


@pytest.mark.parametrize(
    ("at", "of_week"),
    [
        ("2026-11-02T00:10+00:00", 1),
        ("2026-10-25T00:30+00:00", 6 * 24 + 2),
        ("2026-10-25T01:30+00:00", 6 * 24 + 2),
        ("2026-10-25T02:30+00:00", 6 * 24 + 3),
        ("2026-07-06T07:05+00:00", 9),
    ],
    ids=["winter", "before-the-change", "the-same-hour-again", "after-it", "summer"],
)
def test_hours_are_those_of_the_clocks_on_the_wall(at, of_week):
    given = Monitoring(reference=Reference(seasonality="HourOfWeek", time_zone="Europe/Madrid"))
    begun_at = datetime.fromisoformat(at)
    number, clock = hour_of(given, begun_at, begun_at + timedelta(minutes=5))
    assert ((number + 72) % HOURS, clock) == (of_week, "Europe/Madrid")


def test_until_when_it_is_learnt_is_told_in_utc():
    given = SEASONAL.model_copy(update={"reference": Reference(seasonality="HourOfWeek", time_zone="Asia/Tokyo")})
    traffic = Traffic(given=given)
    traffic.hours(2)
    assert status_of(traffic.watch.inputs).until == MONDAY + timedelta(weeks=2)


def test_other_clocks_begin_anew():
    traffic = Traffic()
    traffic.hours(3)
    moved = Reference(seasonality="HourOfWeek", time_zone="Asia/Tokyo")
    traffic.given = SEASONAL.model_copy(update={"reference": moved})
    traffic.hours(1)
    season = traffic.watch.inputs.season
    assert (season.clock, season.rows.sum(), season.open.sum()) == ("Asia/Tokyo", 0, 300 * len(LAYOUT.names))


def test_by_other_clocks_than_it_was_learnt_by_it_says_of_no_hour_what_is_usual(learnt):
    """As `modelway report` may ask, between a change of the spec and the operator's next round."""
    known, hour = learnt.watch.inputs, hour_of(SEASONAL, MONDAY, MONDAY + HOUR)
    assert known.seasonal(hour).keys() == {0}
    assert known.seasonal(hour._replace(clock="Asia/Tokyo")) == {}
    assert known.seasonal(hour_of(SEASONAL, MONDAY, MONDAY + 2 * HOUR)) == {}


def test_a_time_zone_that_nobody_knows_is_told():
    given = SEASONAL.model_copy(update={"reference": Reference(seasonality="HourOfWeek", time_zone="Mars/Olympus")})
    traffic = Traffic(given=given)
    traffic.hours(2)
    assert traffic.watch.inputs.season is None
    assert 'not told apart: "Mars/Olympus" is no time zone' in words(traffic.watch.inputs, given)


def of_features(count):
    cells = Cells(edges=tuple(map(float, range(19))), lowest=-1.0, highest=20.0)
    usual = tuple(Feature(f"f{place}", cells, (500,) * 20) for place in range(count))
    seen = Baseline(Pool(np.full(20, 9), MOST_WINDOWS), Pool(np.zeros(20, np.int64)), Excess(1, rows=1.0))
    standings = tuple(
        Standing(baseline=replace(seen, excess=replace(seen.excess, excess=float(place)))) for place in range(count)
    )
    return Family(usual, standings)


FIT = MOST_CELLS // 20


def test_of_many_features_those_that_move_most_have_hours_of_their_own():
    known = of_features(100)
    window = [np.concatenate([np.zeros(FIGURES, np.int64), np.full(20, 50)])] * 100
    assert known.after(window, Rule(), Hour(5)).season.places == tuple(range(100 - FIT, 100))
    assert Family.of(known.usual).after(window, Rule(), Hour(5)).season is None
    assert of_features(FIT).after(window[:FIT], Rule(), Hour(5)).season.places == tuple(range(FIT))


@pytest.mark.parametrize(("rows", "most"), [(12_000, 40_000), (100, 80_000)])
def test_a_rhythm_takes_little_room_however_many_features_there_are(rows, most):
    """More where hours have few rows, for chance cannot be compressed."""
    rng, known = np.random.default_rng(1), of_features(FIT)
    means = season(1.0)[:, None] * rng.uniform(0.1, 0.6, FIT)
    counts = rng.multinomial(rows, shares(means, 1.0))
    levels = np.rint(np.sqrt(counts / rows) * STEPS).astype(np.uint8).reshape(HOURS, -1)
    made = Season.begun(dict(enumerate(known.usual)), Hour(96))
    content = orjson.dumps(content_of_season(replace(made, levels=levels, rows=made.rows + rows)))
    assert len(content) < most
    read = season_from(orjson.loads(content))
    assert read.levels.tolist() == levels.tolist()


@pytest.mark.parametrize("field", ["sizes", "levels", "rest", "values", "open"])
def test_a_rhythm_that_does_not_fit_together_is_refused(field):
    made = Season.begun(dict(enumerate(of_features(3).usual)), Hour(96))
    plain = orjson.loads(orjson.dumps(content_of_season(made)))
    plain[field] = plain[field][:-1]
    with pytest.raises((ValueError, TypeError, KeyError)):
        season_from(plain)
