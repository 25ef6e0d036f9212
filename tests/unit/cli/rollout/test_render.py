from datetime import timedelta

import pytest

from modelway.cli.rollout.picture import read
from modelway.cli.rollout.render import as_json, line, render
from support.rollouts import (
    NOW,
    OLDER,
    SERVES,
    STARTS,
    STEPS,
    at_step,
    condition,
    promoted,
    rejected,
    resource,
    under_way,
)


def shown(obj, **options):
    return render(read(obj), NOW, **options)


def test_one_screen_tells_how_far_the_rollout_is():
    assert (
        shown(under_way())
        == """\
ml/fraud   Progressing (Baking)   step 2 of 4: five for 3 min

           REVISION  VERSION  PODS       TRAFFIC
stable     6f1c2a9b  16       4/4 ready  95 %
candidate  0b77d1ce  17       2/2 ready  5 %, live

errors: 1,912 of about 2,600 candidate requests; about 4 min left

CHECK   VERDICT   CANDIDATE             STABLE                MAY DIFFER BY
errors  Continue  21 of 1,912 (1.10 %)  60 of 5,801 (1.03 %)  +1%
slow    Safe      0 of 1,912 (0.00 %)   1 of 5,801 (0.02 %)   +2% over 250ms

      STEP
done  shadow    20% of the requests copied, at least 500 requests
now   five      weight 5 %, at least 2m
      sign-off  waits for approval
      half      weight 50 %

HISTORY
2 h ago  Promoted  revision 6f1c2a9b (version 16)  all checks are Safe
2 h ago  Promoted  revision 11223344 (version 15)  all checks are Safe"""
    )


def test_without_a_rollout_it_tells_who_serves_and_leaves_the_rest_out():
    assert (
        shown(resource())
        == """\
ml/fraud   Stable

        REVISION  VERSION  PODS       TRAFFIC
stable  6f1c2a9b  16       4/4 ready  100 %"""
    )


def test_the_first_revision_has_no_traffic_before_it_is_ready():
    rows = shown(resource(stable=None, candidate=STARTS | {"readyReplicas": 0})).splitlines()
    row = next(row for row in rows if row.startswith("candidate"))
    assert row == "candidate  0b77d1ce  17       0/2 ready  none until it is ready"


@pytest.mark.parametrize(
    ("live", "told"),
    [
        ({"min": 5, "max": 5}, "5 %, live"),
        ({"min": 0, "max": 5}, "5 % asked, 0 to 5 % live"),
        ({"min": 0, "max": 0}, "5 % asked, 0 % live"),
        (None, "5 %"),
    ],
)
def test_the_weight_that_is_live_stands_beside_the_one_that_was_asked_for(live, told):
    row = next(row for row in shown(under_way(liveWeight=live)).splitlines() if row.startswith("candidate"))
    assert row.endswith(f"ready  {told}")


def test_a_check_that_has_seen_nothing_says_so_and_its_message_is_told():
    check = {"name": "answers", "verdict": "NoData", "message": "class 1 is answered more often"}
    row = next(row for row in shown(under_way(checks=[check])).splitlines() if row.startswith("answers"))
    assert row == "answers  NoData   no requests  no requests  ±10% a bin     class 1 is answered more often"


def test_pairs_of_answers_are_told_beside_what_has_shifted():
    pairs = {"pairs": 1500, "differing": 30, "scoreShift": "0.4%"}
    check = {"name": "answers", "verdict": "Continue", "pairs": pairs, "message": "answers with 1"}
    row = next(row for row in shown(under_way(checks=[check])).splitlines() if row.startswith("answers"))
    assert row.endswith("±10% a bin     1,500 pairs, 30 differ, scores 0.4% apart; answers with 1")


@pytest.mark.parametrize(
    ("feedback", "told"),
    [
        ({"metric": "accuracy", "maxDecrease": "5%"}, "-5% accuracy"),
        ({"metric": "recall", "label": "fraud", "maxDecrease": "2%"}, '-2% recall of "fraud"'),
    ],
)
def test_what_labels_may_show_is_told(feedback, told):
    asked = {"steps": STEPS, "checks": [{"name": "right", "feedback": feedback}]}
    rollout = at_step(checks=[{"name": "right", "verdict": "NoData"}])
    obj = resource(spec={"rollout": asked}, candidate=STARTS, rollout=rollout)
    row = next(row for row in shown(obj).splitlines() if row.startswith("right"))
    assert row == f"right  NoData   no requests  no requests  {told}"


@pytest.mark.parametrize(
    ("obj", "commands"),
    [
        pytest.param(
            under_way("sign-off", state="Paused", reason="AwaitingApproval"), ["approve", "abort"], id="pause"
        ),
        pytest.param(under_way(state="Holding", reason="CheckFailed"), ["promote", "abort"], id="held by a check"),
        pytest.param(under_way(state="Holding", reason="NoData"), [], id="held for want of requests"),
        pytest.param(rejected(), ["retry", "undo"], id="rejected"),
        pytest.param(under_way(), [], id="on its way"),
    ],
)
def test_what_a_human_may_do_now_is_told_as_commands_to_copy(obj, commands):
    text = shown(obj, command="kubectl modelway rollout")
    told = [row.split() for row in text.splitlines() if row.startswith("  kubectl")]
    assert [words[:7] for words in told] == [
        ["kubectl", "modelway", "rollout", command, "fraud", "-n", "ml"] for command in commands
    ]


def test_conditions_are_shown_when_they_are_news():
    conditions = [
        condition("Ready", "True"),
        condition("Reconciling", "True"),
        condition("Stalled", "True", "CheckFailed", "errors is Harmful"),
        condition("NameConflict", "False"),
        condition("InvalidAnnotation", "True", "UnknownRevision", "there is no revision ffffffff"),
    ]
    text = shown(rejected(conditions=conditions))
    assert text.partition("CONDITION\n")[2] == (
        "Stalled            True  CheckFailed      errors is Harmful\n"
        "InvalidAnnotation  True  UnknownRevision  there is no revision ffffffff"
    )
    assert "Ready" in shown(resource(conditions=[condition("Ready", "False", "NoReadyPods")]))


def test_a_spec_that_the_operator_has_not_seen_is_told_before_anything_else():
    assert "has not seen the last change" in shown(resource(generation=3)).splitlines()[1]
    paused = {"paused": True, "serving": {}}
    assert "spec.paused is true" in shown(resource(spec=paused)).splitlines()[1]


def test_a_step_that_the_spec_no_longer_has_is_named_without_a_number():
    assert shown(under_way("removed")).splitlines()[0] == "ml/fraud   Progressing (Baking)   step: removed for 3 min"


@pytest.mark.parametrize(
    ("passed", "told"),
    [
        (timedelta(seconds=-3), "0 s"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=30), "30 days"),
    ],
)
def test_times_are_told_in_a_unit_that_fits(passed, told):
    text = render(read(under_way(since=(NOW - passed).isoformat())), NOW)
    assert text.splitlines()[0].endswith(f"five for {told}")


def test_a_line_says_what_the_screen_says():
    assert line(read(under_way())) == (
        "Progressing (Baking); revision 0b77d1ce (version 17); step 2 of 4: five; weight 5 %, live; "
        "errors: 1,912 of about 2,600 candidate requests; about 4 min left; errors Continue; slow Safe"
    )
    assert line(read(resource())) == "Stable; revision 6f1c2a9b (version 16) serves"


@pytest.mark.parametrize(
    ("obj", "outcome"),
    [(under_way(), None), (promoted(), "Promoted"), (rejected(), "Rejected"), (resource(generation=3), None)],
    ids=["open", "promoted", "rejected", "not seen"],
)
def test_json_is_the_status_with_the_outcome(obj, outcome):
    given = as_json(obj, read(obj))
    assert (given["name"], given["namespace"], given["outcome"]) == ("fraud", "ml", outcome)
    assert given["stable"] == obj["status"]["stable"]
    assert given.get("rollout") == obj["status"].get("rollout")


def test_a_status_that_is_still_empty_can_be_shown():
    obj = resource()
    obj["status"] = {}
    assert shown(obj).splitlines()[0] == "ml/fraud   Stable"
    assert as_json(obj, read(obj))["revision"] is None


def test_a_long_history_ends_after_its_latest_entries():
    history = [
        {"revision": OLDER, "version": str(n), "result": "Promoted", "time": "2026-11-21T10:00:00Z", "reason": "ready"}
        for n in range(10, 0, -1)
    ]
    text = shown(resource(stable=SERVES, history=history))
    assert [version in text for version in ("version 10", "version 6", "version 5")] == [True, True, False]
