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


class Kubectl:
    """Gives one picture after the other; the last one stays."""

    def __init__(self, *pictures) -> None:
        self._pictures = list(pictures)

    def get(self, _kind, _name):
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
    """What the load has counted before and after."""

    def __init__(self, codes) -> None:
        self._counts = [
            {"requests": 100, "codes": {"200": 100}, "done": False},
            {"requests": 1100, "codes": {"200": 1100 - sum(codes.values()), **codes}, "done": False},
        ]

    def started(self):
        return self._counts.pop(0)


def roll_out(version, *pictures, **codes):
    stage = Stage(Kubectl(*pictures))
    rollouts = Rollouts(stage, [version])
    rollouts._rows, rollouts._load = ROWS, Load({code.removeprefix("code_"): count for code, count in codes.items()})
    return rollouts._roll_out(version), stage.said


def test_a_good_version_is_promoted_without_a_failed_request():
    told, said = roll_out(GOOD, stood("2"), stood("2", weight=50), ended("2", "Promoted"))
    assert told.startswith("promoted after")
    assert "1,000 requests, 0 failed" in told
    assert said == ["set fraud 2", "rollout status fraud"]


def test_a_bad_version_may_fail_as_many_requests_as_its_weight_allows():
    harmful = stood("3", "Harmful", state="RollingBack", reason="CheckFailed", weight=0)
    pictures = stood("3"), stood("3"), harmful, ended("3", "Rejected")
    told, _ = roll_out(FAILING, *pictures, code_500=10)
    assert told.startswith("rolled back (errors at weight 20 %)")
    with pytest.raises(NotInTimeError, match="more than 23 that weight 20 of 1000 requests allows"):
        roll_out(FAILING, *pictures, code_500=24)


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
