import pytest

from modelway.cli.errors import Refused
from modelway.cli.rollout import actions
from modelway.cli.rollout.picture import read
from modelway.plan.rollout.commands import Commands
from support.rollouts import CANDIDATE, STABLE, STARTS, promoted, rejected, resource, under_way

DECISIONS = {
    "approve": lambda picture: actions.approve(picture, None),
    "promote": actions.promote,
    "abort": actions.abort,
    "retry": actions.retry,
}


def refused(decide, obj):
    with pytest.raises(Refused) as raised:
        decide(read(obj))
    return raised.value.message


def test_a_pause_is_approved_by_revision_and_step():
    action = actions.approve(read(under_way("sign-off", state="Paused")), None)
    assert (action.annotation, action.value) == ("modelway.dev/approve", f"{CANDIDATE}/sign-off")
    assert action.says == "revision 0b77d1ce (version 17) goes on from step sign-off to half (weight 50 %)"


def test_a_pause_that_is_still_to_come_is_approved_beforehand_when_it_is_named():
    picture = read(under_way("five"))
    assert actions.approve(picture, "sign-off").value == f"{CANDIDATE}/sign-off"
    with pytest.raises(Refused, match="--step sign-off"):
        actions.approve(picture, None)


@pytest.mark.parametrize(
    ("at", "step", "said"),
    [
        ("half", "sign-off", "step sign-off is over: the rollout is at step half"),
        ("five", "half", "nothing to approve: step half (weight 50 %) ends by itself"),
        ("five", "monday", "there is no step monday; the steps are: shadow, five, sign-off, half"),
        ("half", None, "nothing to approve: step half (weight 50 %) ends by itself"),
    ],
)
def test_a_step_that_waits_for_nobody_is_not_approved(at, step, said):
    assert refused(lambda picture: actions.approve(picture, step), under_way(at)) == said


def test_promoting_names_the_checks_and_steps_that_are_left_out():
    action = actions.promote(read(under_way("five")))
    assert (action.annotation, action.value) == ("modelway.dev/promote", CANDIDATE)
    assert action.needs_consent
    assert action.warnings == ("check errors is Continue, not Safe", "steps are left out: sign-off, half")
    assert action.says == (
        "revision 0b77d1ce (version 17) takes all traffic from revision 6f1c2a9b (version 16) "
        "as soon as all its pods are ready"
    )


def test_promoting_what_nothing_is_known_of_is_told():
    (warning,) = actions.promote(read(under_way(step=None, checks=[]))).warnings
    assert warning == "nothing has been compared yet: revision 0b77d1ce (version 17) has had no step with checks"


def test_a_rejected_revision_can_be_promoted_all_the_same():
    action = actions.promote(read(rejected(annotations={"modelway.dev/abort": CANDIDATE})))
    assert (action.annotation, action.value) == ("modelway.dev/promote", CANDIDATE)
    assert action.warnings[0].startswith("it was rejected: errors: 41 of 800")
    assert action.removes == ("modelway.dev/abort",)


def test_while_the_spec_is_paused_nothing_happens_and_that_is_told():
    obj = under_way("sign-off")
    obj["spec"] = obj["spec"] | {"paused": True}
    for action in (actions.promote(read(obj)), actions.approve(read(obj), None)):
        assert action.warnings[-1] == "spec.paused is true: nothing happens until it is not"


def test_after_the_last_step_the_checks_decide():
    obj = under_way("sign-off")
    obj["spec"] = {"rollout": {"steps": obj["spec"]["rollout"]["steps"][:3]}}
    assert (
        actions.approve(read(obj), None).says == "revision 0b77d1ce (version 17) is promoted once all checks are Safe"
    )


def test_a_pause_that_ends_by_itself_is_not_approved():
    obj = under_way("wait", state="Paused", reason="AwaitingTime")
    obj["spec"] = {"rollout": {"steps": [{"name": "wait", "pause": {"duration": "1h"}}]}}
    assert "step wait (waits 1h) ends by itself" in refused(DECISIONS["approve"], obj)


def test_an_abort_says_who_gets_the_traffic():
    action = actions.abort(read(under_way()))
    assert (action.annotation, action.value) == ("modelway.dev/abort", CANDIDATE)
    assert action.says.startswith("revision 6f1c2a9b (version 16) gets all traffic again")
    assert not action.needs_consent


@pytest.mark.parametrize(
    ("attempt", "annotation", "number"),
    [
        (0, None, 1),
        (1, f"{CANDIDATE}#1", 2),
        (0, f"{CANDIDATE}#4", 5),
        (3, f"{STABLE}#9", 4),
        (0, "nonsense", 1),
    ],
)
def test_a_retry_has_a_number_higher_than_all_before(attempt, annotation, number):
    annotations = {"modelway.dev/retry": annotation} if annotation else {}
    action = actions.retry(read(rejected(attempt=attempt, annotations=annotations)))
    assert (action.annotation, action.value) == ("modelway.dev/retry", f"{CANDIDATE}#{number}")
    assert action.resource_version == "77"


def test_what_was_said_before_and_would_still_hold_is_taken_away():
    standing = {"modelway.dev/abort": CANDIDATE, "modelway.dev/promote": STABLE}
    assert actions.retry(read(rejected(annotations=standing))).removes == ("modelway.dev/abort",)
    assert actions.promote(read(under_way(annotations=standing))).removes == ("modelway.dev/abort",)
    assert actions.abort(read(under_way(annotations={"modelway.dev/promote": CANDIDATE}))).removes == (
        "modelway.dev/promote",
    )


def test_a_rejected_revision_is_neither_approved_nor_aborted():
    for name in ("approve", "abort"):
        assert "try it again with: rollout retry fraud" in refused(DECISIONS[name], rejected())


@pytest.mark.parametrize("name", ["approve", "promote", "abort"])
@pytest.mark.parametrize(
    ("obj", "said"),
    [
        pytest.param(resource(), "no rollout is under way: revision 6f1c2a9b (version 16) serves", id="none"),
        pytest.param(promoted(), "no rollout is under way: revision 0b77d1ce (version 17) serves", id="promoted"),
        pytest.param(under_way(state="Promoting"), "is being promoted", id="promoting"),
        pytest.param(under_way(state="RollingBack"), "is being rolled back", id="rolling back"),
        pytest.param(resource(generation=3), "has not seen the last change of the spec", id="not seen"),
        pytest.param(resource(stable=None, candidate=STARTS), "is the first one", id="first"),
        pytest.param(resource(stable=None), "no revision has served yet", id="nothing"),
    ],
)
def test_without_a_rollout_there_is_nothing_to_decide(name, obj, said):
    assert said in refused(DECISIONS[name], obj)


@pytest.mark.parametrize(
    ("obj", "said"),
    [
        pytest.param(under_way(), "is being tried already", id="under way"),
        pytest.param(promoted(), "nothing is rejected: revision 0b77d1ce (version 17) serves", id="promoted"),
        pytest.param(resource(generation=3), "has not seen the last change of the spec", id="not seen"),
    ],
)
def test_only_what_was_rejected_is_tried_again(obj, said):
    assert said in refused(actions.retry, obj)


def test_the_operator_reads_every_annotation_that_is_written():
    written = [
        actions.approve(read(under_way("sign-off")), None),
        actions.promote(read(under_way())),
        actions.abort(read(under_way())),
        actions.retry(read(rejected())),
    ]
    told = Commands.of({action.annotation: action.value for action in written})
    assert told.unread == ()
    assert told.approves(CANDIDATE, "sign-off")
    assert (told.promote, told.abort, told.attempt(CANDIDATE)) == (CANDIDATE, CANDIDATE, 1)
