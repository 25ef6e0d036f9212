import copy

import pytest

from modelway.cli.errors import Refused
from modelway.cli.rollout.picture import read
from modelway.cli.rollout.undo import OF_THE_MODEL_ALONE, STAYS, undo
from modelway.plan import revisions
from support.rollouts import CANDIDATE, OLDER, SPEC, STABLE, promoted, rejected, resource, under_way


def record(revision, version, **serving):
    spec = {"model": {"uri": f"s3://models/fraud/{version}/", "version": version}, "serving": serving}
    return {"metadata": {"labels": {"modelway.dev/revision": revision}}, "data": {"spec": spec, "template": {}}}


RECORDS = [record(CANDIDATE, "17"), record(STABLE, "16", timeout="5s"), record(OLDER, "15")]


def patched(obj, planned):
    """The spec after the patch."""
    spec = copy.deepcopy(obj["spec"])
    for operation in planned.operations[1:]:
        part = operation["path"].removeprefix("/spec/")
        if operation["op"] == "remove":
            del spec[part]
        else:
            spec[part] = operation["value"]
    return spec


@pytest.mark.parametrize(
    ("obj", "back_to"),
    [
        pytest.param(promoted(), STABLE, id="promoted"),
        pytest.param(under_way(), STABLE, id="under way"),
        pytest.param(rejected(), STABLE, id="rejected"),
    ],
)
def test_it_goes_back_to_what_was_promoted_before_what_the_spec_asks_for(obj, back_to):
    planned = undo(read(obj), RECORDS, None)
    assert planned.title == f"revision {back_to} (version 16)"
    assert patched(obj, planned)["model"] == {"uri": "s3://models/fraud/16/", "version": "16"}


def test_replicas_and_everything_outside_of_the_revision_stay():
    obj = promoted()
    obj["spec"] = SPEC | {"serving": {"replicas": 7, "revisionHistoryLimit": 3, "timeout": "9s", "resources": {}}}
    spec = patched(obj, undo(read(obj), RECORDS, None))
    assert spec["serving"] == {"replicas": 7, "revisionHistoryLimit": 3, "timeout": "5s"}
    assert spec["rollout"] == SPEC["rollout"]


def test_the_difference_is_shown():
    planned = undo(read(promoted()), RECORDS, None)
    lines = planned.difference.splitlines()
    assert '-    "uri": "s3://models/fraud/17/",' in lines
    assert '+    "uri": "s3://models/fraud/16/",' in lines
    assert [line for line in lines if line.startswith("spec.")] == ["spec.model", "spec.serving"]


def test_the_time_of_training_is_of_the_model_that_goes():
    planned = undo(read(promoted()), RECORDS, None)
    assert planned.warnings[0] == "spec.model.trainingTime is left out: it is that of the present model"
    same = [record(CANDIDATE, "17"), record(STABLE, "17", timeout="5s")]
    kept = undo(read(promoted()), same, None)
    assert "spec.model" not in kept.difference
    assert "trainingTime" not in "".join(kept.warnings)


def test_a_change_in_between_refuses_the_patch():
    first = undo(read(promoted()), RECORDS, None).operations[0]
    assert first == {"op": "replace", "path": "/metadata/resourceVersion", "value": "77"}


def test_any_revision_that_is_kept_can_be_named():
    assert undo(read(promoted()), RECORDS, OLDER).title == f"revision {OLDER} (version 15)"


def test_a_model_that_came_in_the_image_needs_none():
    bare = record(OLDER, "15")
    del bare["data"]["spec"]["model"]
    obj = promoted()
    planned = undo(read(obj), [*RECORDS[:2], bare], OLDER)
    assert "model" not in patched(obj, planned)


@pytest.mark.parametrize(
    ("obj", "records", "to", "said"),
    [
        pytest.param(
            promoted(), RECORDS, "ffffffff", "there is no record of a revision ffffffff; revisions", id="unknown"
        ),
        pytest.param(
            promoted(), RECORDS, CANDIDATE, "the spec asks for revision 0b77d1ce (version 17) already", id="same"
        ),
        pytest.param(resource(), RECORDS, None, "no other revision has served before", id="first"),
        pytest.param(promoted(), RECORDS[:1], None, "its record is gone; say --to", id="gone"),
        pytest.param(promoted(observedGeneration=1), RECORDS, None, "has not seen the last change", id="not seen"),
    ],
)
def test_what_cannot_be_put_back_is_refused(obj, records, to, said):
    with pytest.raises(Refused) as raised:
        undo(read(obj), records, to)
    assert said in raised.value.message


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({"argocd.argoproj.io/tracking-id": "a"}, "Argo CD manages this ModelDeployment"),
        ({"meta.helm.sh/release-name": "a"}, "Helm manages this ModelDeployment"),
        ({}, "if this ModelDeployment comes from Git, change it there too"),
    ],
)
def test_whoever_manages_the_spec_is_named(annotations, said):
    obj = promoted()
    obj["metadata"]["annotations"] = annotations
    assert undo(read(obj), RECORDS, None).warnings[-1].startswith(said)


def test_what_stays_is_what_the_operator_leaves_out_of_a_revision():
    assert {revisions_name.replace("_", "") for revisions_name in revisions._OUTSIDE_SERVING} == {
        name.lower() for name in STAYS
    }
    assert {name.replace("_", "") for name in revisions._OUTSIDE_MODEL} == {OF_THE_MODEL_ALONE.lower()}
