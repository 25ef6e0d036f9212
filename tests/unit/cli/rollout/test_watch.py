import io
import json
import re
from datetime import UTC, datetime

import click
import pytest

from modelway.cli.errors import CommandError, KubectlError, NotFound
from modelway.cli.rollout import watch as watching
from modelway.cli.rollout.outcome import Outcome, outcome_of
from modelway.cli.rollout.picture import read
from modelway.cli.rollout.watch import PATIENCE, Json, Lines, Terminal, Watch
from support.rollouts import CANDIDATE, NOW, STABLE, STARTS, entry, promoted, rejected, resource, under_way


class Recorder:
    def __init__(self) -> None:
        self.states = []
        self.troubles = []

    def show(self, _obj, picture):
        self.states.append(picture.state)

    def trouble(self, message):
        self.troubles.append(message)


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds):
        self.now += seconds


def watched(*looks, timeout=None, screen=None, picture=read):
    """Watch a series of objects and errors; the last one stays."""
    given, clock = list(looks), Time()

    def look():
        answer = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Watch(look, screen or Recorder(), picture, clock=clock, wait=clock.wait).until_ended(timeout=timeout)


SUPERSEDED = resource(
    candidate=STARTS | {"revision": "99999999"},
    rollout={"state": "Progressing", "revision": "99999999"},
    history=[entry(CANDIDATE, "Superseded", "a newer spec came")],
)

LEAVING = resource(
    candidate=STARTS | {"revision": "99999999"},
    rollout={"state": "RollingBack", "revision": "99999999", "reason": "RollingBack"},
    history=[entry("99999999", "Superseded", "the spec changed to revision 0b77d1ce")],
)
"""The candidate before it makes room for the one that the spec asks for."""
GIVEN_UP = under_way(state="RollingBack", reason="RollingBack")


@pytest.mark.parametrize(
    ("looks", "outcome", "code"),
    [
        pytest.param([under_way(), under_way(state="Promoting"), promoted()], Outcome.PROMOTED, 0, id="promoted"),
        pytest.param([under_way(), under_way(state="RollingBack"), rejected()], Outcome.REJECTED, 1, id="rolled back"),
        pytest.param([under_way(), SUPERSEDED], Outcome.SUPERSEDED, 1, id="superseded"),
        pytest.param([promoted()], Outcome.PROMOTED, 0, id="nothing to do"),
        pytest.param([rejected()], Outcome.REJECTED, 1, id="rejected before"),
        pytest.param([promoted(observedGeneration=1), under_way(), rejected()], Outcome.REJECTED, 1, id="just applied"),
        pytest.param([resource(stable=None, candidate=STARTS), promoted()], Outcome.PROMOTED, 0, id="first"),
        pytest.param([LEAVING, under_way(), promoted()], Outcome.PROMOTED, 0, id="after another one has left"),
        pytest.param([under_way(), GIVEN_UP, SUPERSEDED], Outcome.SUPERSEDED, 1, id="left for a newer one"),
    ],
)
def test_the_exit_code_says_how_it_ended(looks, outcome, code):
    ended = watched(*looks)
    assert (ended, ended.exit_code) == (outcome, code)


def test_a_rejected_candidate_that_still_has_pods_is_rejected():
    assert outcome_of(read(under_way(state="Rejected")), CANDIDATE) is Outcome.REJECTED


def test_a_decision_that_is_being_carried_out_is_no_end():
    assert outcome_of(read(promoted(rollout={"state": "Promoting", "revision": CANDIDATE})), CANDIDATE) is None
    assert outcome_of(read(rejected()), STABLE) is Outcome.PROMOTED


def test_a_revision_that_is_taken_back_after_its_promotion_is_no_end_either():
    back = promoted(rollout={"state": "RollingBack", "revision": CANDIDATE, "reason": "Crashing"})
    assert outcome_of(read(back), CANDIDATE) is None


def test_a_spec_that_is_not_acted_on_has_no_end():
    obj = promoted()
    obj["spec"] = obj["spec"] | {"paused": True}
    with pytest.raises(CommandError, match="not decided"):
        watched(obj, timeout=10)


def test_a_cluster_that_is_away_for_a_while_is_waited_for():
    screen = Recorder()
    away = KubectlError("connection refused")
    assert watched(under_way(), away, away, promoted(), screen=screen) is Outcome.PROMOTED
    assert screen.troubles == ["the cluster does not answer: connection refused"] * 2


def test_a_cluster_that_goes_away_in_the_middle_of_a_look_is_waited_for_too():
    screen, turns = Recorder(), iter([True, False, True, True])

    def picture(obj):
        if not next(turns):
            raise KubectlError("connection refused")
        return read(obj)

    assert watched(under_way(), under_way(), promoted(), screen=screen, picture=picture) is Outcome.PROMOTED
    assert screen.troubles == ["the cluster does not answer: connection refused"]


def test_a_cluster_that_stays_away_ends_the_watch():
    screen = Recorder()
    with pytest.raises(KubectlError):
        watched(under_way(), KubectlError("connection refused"), screen=screen)
    assert len(screen.troubles) == PATIENCE // watching.INTERVAL


@pytest.mark.parametrize("looks", [[KubectlError("no")], [under_way(), NotFound("gone")]], ids=["at first", "deleted"])
def test_what_waiting_does_not_mend_ends_the_watch_at_once(looks):
    screen = Recorder()
    with pytest.raises(KubectlError):
        watched(*looks, screen=screen)
    assert screen.troubles == []


def test_a_timeout_is_an_error_and_names_itself():
    with pytest.raises(CommandError, match="not decided within 30 s") as raised:
        watched(under_way(), timeout=30)
    assert raised.value.exit_code == 2


def show(screen, *objects):
    for obj in objects:
        screen.show(obj, read(obj))


def at_noon():
    return NOW


def test_without_a_terminal_only_changes_are_told(capsys):
    screen = Lines(clock=at_noon)
    show(screen, under_way(), under_way(), promoted())
    screen.trouble("away\nfor now")
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["2026-11-21T12:00:00Z", "Progressing"],
        ["2026-11-21T12:00:00Z", "Stable;"],
        ["2026-11-21T12:00:00Z", "away"],
    ]


def test_json_is_one_object_a_change(capsys):
    screen = Json()
    show(screen, under_way(), under_way(), promoted())
    screen.trouble("away")
    told = capsys.readouterr()
    assert [json.loads(line)["outcome"] for line in told.out.splitlines()] == [None, "Promoted"]
    assert told.err == "away\n"


class Display:
    """As much of a terminal as the watch uses: what stands there after all that was written."""

    def __init__(self, text) -> None:
        self.rows, self.at, column = [""], 0, 0
        marked = re.sub(r"\x1b\[(\d+)F", "\2\\1F", text.replace("\x1b[K", "\0").replace("\x1b[J", "\1"))
        source = io.StringIO(click.unstyle(marked))
        while char := source.read(1):
            if char == "\0":
                self.rows[self.at] = self.rows[self.at][:column]
            elif char == "\1":
                del self.rows[self.at + 1 :]
                self.rows[self.at] = self.rows[self.at][:column]
            elif char == "\2":
                count = ""
                while (digit := source.read(1)).isdigit():
                    count += digit
                assert digit == "F"
                self.at, column = self.at - int(count), 0
            elif char == "\n":
                self.at, column = self.at + 1, 0
                self.rows += [""] * (self.at + 1 - len(self.rows))
            else:
                row = self.rows[self.at]
                self.rows[self.at], column = row[:column] + char + row[column + 1 :], column + 1


def drawn(capsys, monkeypatch, *objects, size=(120, 60)):
    monkeypatch.setattr(watching.shutil, "get_terminal_size", lambda: size)
    screen = Terminal("modelway rollout", clock=lambda: datetime(2026, 11, 21, 12, tzinfo=UTC))
    show(screen, *objects)
    return capsys.readouterr().out


def test_a_terminal_is_redrawn_in_place(capsys, monkeypatch):
    alone = Display(drawn(capsys, monkeypatch, promoted())).rows
    again = drawn(capsys, monkeypatch, under_way(), promoted())
    assert Display(again).rows == alone
    assert "\x1b[2J" not in again  # clearing it all first is what flickers


def test_what_does_not_fit_a_terminal_is_cut(capsys, monkeypatch):
    text = drawn(capsys, monkeypatch, under_way(), under_way(), size=(40, 10))
    rows = Display(text).rows
    assert len(rows) == 10
    assert max(map(len, rows)) < 40


def test_trouble_is_shown_below_the_last_picture(capsys, monkeypatch):
    monkeypatch.setattr(watching.shutil, "get_terminal_size", lambda: (120, 60))
    screen = Terminal("modelway rollout", clock=at_noon)
    show(screen, promoted())
    screen.trouble("away")
    rows = Display(capsys.readouterr().out).rows
    assert rows[0].startswith("ml/fraud")
    assert rows[-2] == "away"
