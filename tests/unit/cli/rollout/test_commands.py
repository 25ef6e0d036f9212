"""The commands, with a kubectl that answers from a file and writes down what it was asked."""

import json
import stat
import sys

import pytest
from click.testing import CliRunner

from modelway.cli import main
from modelway.cli.rollout import running
from support.rollouts import CANDIDATE, STABLE, promoted, rejected, resource, under_way

KUBECTL = """#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "asked").open("a") as asked:
    asked.write(json.dumps(sys.argv[1:]) + "\\n")
answers = json.loads((here / "answers").read_text())
answer = answers.get(" ".join(sys.argv[1:3]), "Error from server (NotFound): there is none")
if isinstance(answer, list):
    (here / "answers").write_text(json.dumps(answers | {{" ".join(sys.argv[1:3]): answer[1:]}}))
    answer = answer[0]
if isinstance(answer, str):
    sys.exit(answer)
print(json.dumps(answer))
"""
GET, REVISIONS = "get modeldeployments.modelway.dev", "get controllerrevisions.apps"
LEDGER = "get configmaps"
ANNOTATE, PATCH = "annotate modeldeployments.modelway.dev", "patch modeldeployments.modelway.dev"


class Fake:
    def __init__(self, folder, monkeypatch) -> None:
        self.folder = folder
        script = folder / "kubectl"
        script.write_text(KUBECTL.format(python=sys.executable))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder))

    def answers(self, **answers):
        names = {"get": GET, "revisions": REVISIONS, "annotate": ANNOTATE, "patch": PATCH, "ledger": LEDGER}
        self.folder.joinpath("answers").write_text(json.dumps({names[key]: value for key, value in answers.items()}))

    @property
    def asked(self):
        return [json.loads(line) for line in self.folder.joinpath("asked").read_text().splitlines()]


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    return Fake(tmp_path, monkeypatch)


def run(*arguments):
    return CliRunner().invoke(main, ["rollout", *arguments])


def ledger_of(**rollout):
    """The ConfigMap with what a rollout goes by."""
    return {"data": {"ledger": json.dumps({"stable": STABLE, "candidate": CANDIDATE, "rollout": rollout})}}


def test_the_status_is_printed(kubectl):
    kubectl.answers(get=under_way())
    ended = run("status", "fraud")
    assert ended.exit_code == 0
    assert ended.output.startswith("ml/fraud   Progressing")


def test_the_status_is_json_for_programs(kubectl):
    kubectl.answers(get=rejected())
    assert json.loads(run("status", "fraud", "-o", "json").output)["outcome"] == "Rejected"


def test_options_that_say_where_are_handed_to_kubectl(kubectl):
    kubectl.answers(get=under_way())
    run("status", "fraud", "-n", "ml", "--context", "prod", "--kubeconfig", "/k")
    resource, ledger = kubectl.asked
    assert resource[:4] == ["get", "modeldeployments.modelway.dev", "fraud", "--output=json"]
    assert ledger[:4] == ["get", "configmaps", "fraud-evidence", "--output=json"]
    for asked in (resource, ledger):
        assert asked[4:7] == ["--namespace=ml", "--context=prod", "--kubeconfig=/k"]


OTHER_STEPS = [{"name": "one", "weight": 1}, {"name": "five", "weight": 5}, {"name": "wait", "pause": {}}]


def test_the_steps_are_those_that_the_rollout_began_with_though_the_spec_has_others_by_now(kubectl):
    kubectl.answers(get=under_way(), ledger=ledger_of(steps=OTHER_STEPS), annotate={})
    told = run("status", "fraud").output
    assert "step 2 of 3: five" in told
    assert "done  one   weight 1 %" in told
    assert "spec.rollout has changed since this rollout began: that counts for the next one" in told
    assert run("approve", "fraud", "--step", "wait").exit_code == 0
    assert kubectl.asked[-1][3] == f"modelway.dev/approve={CANDIDATE}/wait"
    refused = run("approve", "fraud", "--step", "sign-off")
    assert (refused.exit_code, "there is no step sign-off; the steps are: one, five, wait" in refused.output) == (
        2,
        True,
    )


def test_nothing_is_said_of_a_change_where_the_spec_is_as_it_was(kubectl):
    kubectl.answers(get=under_way(), ledger=ledger_of(**under_way()["spec"]["rollout"]))
    told = run("status", "fraud").output
    assert "step 2 of 4: five" in told
    assert "has changed" not in told


def test_nothing_is_said_of_a_change_where_the_candidate_has_served_before_and_needs_no_steps(kubectl):
    kubectl.answers(get=under_way(), ledger=ledger_of(steps=[], checks=[], watchAfter="1h"))
    assert "has changed" not in run("status", "fraud").output


@pytest.mark.parametrize(
    "ledger",
    [
        'Error from server (Forbidden): configmaps "fraud-evidence" is forbidden',
        "Error from server (NotFound): there is none",
        {"data": {"ledger": "no JSON"}},
        {"data": {"ledger": "[]"}},
        {"data": None},
        {"data": {"ledger": json.dumps({"stable": STABLE, "candidate": "99999999", "rollout": {"steps": []}})}},
    ],
    ids=["not allowed", "none", "edited", "a list", "empty", "of another rollout"],
)
def test_where_they_cannot_be_read_the_steps_are_those_of_the_spec(kubectl, ledger):
    kubectl.answers(get=under_way(), ledger=ledger)
    told = run("status", "fraud").output
    assert "step 2 of 4: five" in told
    assert "has changed" not in told


@pytest.mark.parametrize(("obj", "code"), [(promoted(), 0), (rejected(), 1)], ids=["promoted", "rejected"])
def test_a_watch_ends_with_how_it_ended(kubectl, obj, code):
    kubectl.answers(get=obj)
    assert run("status", "fraud", "--watch").exit_code == code


def test_a_watch_that_is_interrupted_says_neither(kubectl, monkeypatch):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(running.Watch, "until_ended", interrupted)
    assert run("status", "fraud", "--watch").exit_code == 130


def test_a_decision_is_written_and_told(kubectl):
    kubectl.answers(get=under_way(annotations={"modelway.dev/promote": CANDIDATE}), annotate={})
    ended = run("abort", "fraud", "-n", "ml")
    assert ended.exit_code == 0, ended.output
    assert f"annotated: modelway.dev/abort={CANDIDATE}" in ended.output
    assert kubectl.asked[-1][2:6] == [
        "fraud",
        f"modelway.dev/abort={CANDIDATE}",
        "modelway.dev/promote-",
        "--overwrite",
    ]


def test_a_retry_that_another_write_got_in_the_way_of_is_decided_anew(kubectl):
    conflict = "Error from server (Conflict): the object has been modified"
    second = rejected(annotations={"modelway.dev/retry": f"{CANDIDATE}#1"})
    kubectl.answers(get=[rejected(), second], annotate=[conflict, {}])
    assert run("retry", "fraud").exit_code == 0
    numbers = [asked[3] for asked in kubectl.asked if asked[0] == "annotate"]
    assert numbers == [f"modelway.dev/retry={CANDIDATE}#1", f"modelway.dev/retry={CANDIDATE}#2"]
    assert all("--resource-version=77" in asked for asked in kubectl.asked if asked[0] == "annotate")


def test_an_endless_conflict_is_told(kubectl):
    kubectl.answers(get=rejected(), annotate="Error from server (Conflict): the object has been modified")
    ended = run("retry", "fraud")
    assert (ended.exit_code, "the object has been modified" in ended.output) == (2, True)


def test_promoting_asks_first(kubectl, monkeypatch):
    kubectl.answers(get=under_way(), annotate={})
    ended = run("promote", "fraud")
    assert (ended.exit_code, "nobody is here to be asked; say --yes" in ended.output) == (2, True)
    assert "note: check errors is Continue, not Safe" in ended.output
    monkeypatch.setattr(running.sys, "stdin", type("Terminal", (), {"isatty": lambda _: True})())
    for answer, code in ((False, 2), (True, 0)):
        monkeypatch.setattr(running.click, "confirm", lambda _question, answer=answer: answer)
        with pytest.raises(SystemExit) as raised:
            main(["rollout", "promote", "fraud"])
        assert raised.value.code == code
    assert [asked[0] for asked in kubectl.asked].count("annotate") == 1


def test_promoting_with_consent_given_does_not_ask(kubectl):
    kubectl.answers(get=under_way(), annotate={})
    assert run("promote", "fraud", "--yes").exit_code == 0


RECORDS = {
    "items": [
        {
            "metadata": {"labels": {"modelway.dev/revision": STABLE}},
            "data": {"spec": {"model": {"uri": "s3://models/fraud/16/", "version": "16"}, "serving": {}}},
        }
    ]
}


def test_undo_shows_the_difference_and_changes_the_spec(kubectl):
    kubectl.answers(get=promoted(), revisions=RECORDS, patch={})
    ended = run("undo", "fraud", "--yes")
    assert ended.exit_code == 0, ended.output
    assert '+    "version": "16"' in ended.output
    operations = json.loads(kubectl.asked[2][4].removeprefix("--patch="))
    assert [one["path"] for one in operations] == ["/metadata/resourceVersion", "/spec/model", "/spec/serving"]


def test_undo_tried_dry_changes_nothing(kubectl):
    kubectl.answers(get=promoted(), revisions=RECORDS)
    assert run("undo", "fraud", "--dry-run").exit_code == 0
    assert {asked[0] for asked in kubectl.asked} == {"get"}


def test_undo_of_something_that_changed_meanwhile_is_refused(kubectl):
    kubectl.answers(get=promoted(), revisions=RECORDS, patch="Error from server (Conflict): modified")
    ended = run("undo", "fraud", "--yes")
    assert (ended.exit_code, "has changed since the difference was made" in ended.output) == (2, True)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('Error from server (NotFound): "fraud" not found', "not found"),
        ('error: the server doesn\'t have a resource type "modeldeployments"', "modelway is not installed there"),
        ("Unable to connect to the server: refused", "Unable to connect to the server: refused"),
    ],
)
def test_what_kubectl_says_is_told(kubectl, said, told):
    kubectl.answers(get=said)
    ended = run("status", "fraud")
    assert ended.exit_code == 2
    assert told in ended.output
    assert "Error: error:" not in ended.output


def test_without_kubectl_the_way_to_it_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = run("status", "fraud")
    assert ended.exit_code == 2
    assert "https://kubernetes.io/docs/tasks/tools/" in ended.output


def test_a_timeout_needs_a_watch(kubectl):
    kubectl.answers(get=resource())
    ended = run("status", "fraud", "--timeout", "5m")
    assert (ended.exit_code, "--timeout is of --watch" in ended.output) == (2, True)
