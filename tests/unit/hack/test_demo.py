"""What the demo of rollouts lets pass, and what ends it."""

import pytest
from hack.demo.kubectl import NotInTimeError
from hack.demo.rollout import VERSIONS, Rollouts

from support.rollouts import CANDIDATE, SERVES, STABLE, STARTS, entry, resource

GOOD, FAILING, SLOW, NONSENSE, SAME = VERSIONS
ROWS = [[1.0, 2.0, float(country)] for country in range(20)]
"""One of twenty fails version 3."""


def stood(version, verdict="Continue", *, check="errors", state="Progressing", reason="Baking", weight=20):
    """The resource while a version is rolled out."""
    checks = [{"name": check, "verdict": verdict}]
    told = {
        "state": state,
        "reason": reason,
        "revision": CANDIDATE,
        "step": "fifth",
        "weight": weight,
        "checks": checks,
    }
    return resource(candidate=STARTS | {"version": version}, rollout=told)


def ended(version, result):
    history = [entry(CANDIDATE, result, version=version), entry(STABLE, "Promoted", version="1")]
    if result == "Promoted":
        return resource(stable=SERVES | {"version": version}, rollout={"state": "Stable"}, history=history)
    return resource(rollout={"state": "Rejected", "revision": CANDIDATE}, history=history)


SECONDS = 10.0
"""From one look to the next."""


class Kubectl:
    """Gives one picture after the other; the last one stays. Only looks take time."""

    def __init__(self, *pictures) -> None:
        self._pictures = list(pictures)
        self.now = 0.0

    def get(self, _kind, _name):
        self.now += SECONDS
        return self._pictures.pop(0) if len(self._pictures) > 1 else self._pictures[0]

    def wait(self, what, holds, *, seconds, show):
        for _ in range(20):
            if result := holds():
                return result
        raise NotInTimeError(what)


class Stage:
    def __init__(self, kubectl) -> None:
        self.kubectl = kubectl
        self.said = []

    def set_version(self, name, version):
        self.said.append(f"set {name} {version}")

    def modelway(self, *arguments):
        self.said.append(" ".join(arguments))
        return ""


class Load:
    """What the load has counted before and after, at a hundred requests a second."""

    def __init__(self, clock, version, answered, codes) -> None:
        self._clock, self._version, self._answered, self._codes = clock, version, answered, codes

    def started(self):
        at = int(self._clock())
        requests, answers, codes = 100 + 100 * at, {"1": 100}, {}
        if at:
            answers, codes = answers | {self._version.number: self._answered}, self._codes
        good = requests - sum(codes.values())
        return {"requests": requests, "codes": {"200": good, **codes}, "answers": answers, "done": False}


def roll_out(version, *pictures, answered=100, **codes):
    kubectl = Kubectl(*pictures)
    stage = Stage(kubectl)
    rollouts = Rollouts(stage, [version], clock=lambda: kubectl.now)
    codes = {code.removeprefix("code_"): count for code, count in codes.items()}
    rollouts._rows, rollouts._load = ROWS, Load(lambda: kubectl.now, version, answered, codes)
    return rollouts._roll_out(version), stage.said


def test_a_good_version_is_promoted_without_a_failed_request():
    told, said = roll_out(GOOD, stood("2"), stood("2", weight=50), ended("2", "Promoted"))
    assert told.startswith("promoted after")
    assert " requests, 0 failed" in told
    assert said == ["set fraud 2", "rollout status fraud"]


HARMFUL = stood("3", "Harmful", state="RollingBack", reason="CheckFailed", weight=0)
FOUND_OUT = stood("3", weight=0), stood("3", weight=0), stood("3"), stood("3"), HARMFUL, ended("3", "Rejected")
"""Two looks at 20 %, and up to ten seconds before and after: 30 s, in which a hundred requests a second are 600."""


def test_a_bad_version_may_have_as_many_requests_as_its_weights_allow():
    told, _ = roll_out(FAILING, *FOUND_OUT, answered=660, code_500=30)
    assert told.startswith("rolled back (errors at weight 20 %)")
    with pytest.raises(NotInTimeError, match="it had 700 requests, more than 698 that its weights allowed"):
        roll_out(FAILING, *FOUND_OUT, answered=670, code_500=30)


def test_what_it_had_at_weight_zero_is_none_that_its_weights_allow():
    nothing = stood("3", weight=0), stood("3", weight=0), HARMFUL, ended("3", "Rejected")
    assert roll_out(FAILING, *nothing, answered=0)[0].startswith("rolled back")
    with pytest.raises(NotInTimeError, match="it had 1 requests, more than 0 that its weights allowed"):
        roll_out(FAILING, *nothing, answered=1)


def test_a_bad_version_may_fail_no_more_of_its_requests_than_it_is_known_to():
    assert roll_out(FAILING, *FOUND_OUT, answered=353, code_500=37)
    with pytest.raises(NotInTimeError, match="40 of its 390 requests failed, more than 37: 5% are known to"):
        roll_out(FAILING, *FOUND_OUT, answered=350, code_500=40)


def test_a_version_that_is_held_is_aborted_by_the_human():
    held = stood("5", "Harmful", check="answers", state="Holding", reason="CheckFailed", weight=0)
    told, said = roll_out(NONSENSE, stood("5"), stood("5"), held, held, ended("5", "Rejected"))
    assert told.startswith("held, then aborted (answers at weight 20 %)")
    assert said == ["set fraud 5", "rollout abort fraud", "rollout status fraud"]


@pytest.mark.parametrize(
    ("version", "pictures", "codes", "why"),
    [
        pytest.param(GOOD, [stood("2"), ended("2", "Rejected")], {}, "version 2: Rejected", id="good but rejected"),
        pytest.param(FAILING, [stood("3"), ended("3", "Promoted")], {}, "version 3: Promoted", id="bad but promoted"),
        pytest.param(
            SLOW,
            [stood("4"), stood("4", "Harmful", check="answers"), ended("4", "Rejected")],
            {},
            "Harmful: {'answers'}",
            id="caught by another check",
        ),
        pytest.param(
            SAME, [stood("6"), ended("6", "Promoted")], {"code_500": 1}, "does not explain", id="good and fails"
        ),
        pytest.param(
            FAILING,
            [stood("3"), stood("3", "Harmful"), ended("3", "Rejected")],
            {"code_ConnectionResetError": 1},
            "does not explain: {'ConnectionResetError': 1}",
            id="fails otherwise",
        ),
        pytest.param(GOOD, [stood("2")], {}, "the rollout of version 2 ends", id="never ends"),
    ],
)
def test_what_should_not_happen_ends_the_demo(version, pictures, codes, why):
    with pytest.raises(NotInTimeError) as raised:
        roll_out(version, *pictures, **codes)
    assert why in str(raised.value)
