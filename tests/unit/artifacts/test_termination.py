import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.artifacts import termination
from modelway.artifacts.errors import ArtifactError
from modelway.artifacts.reasons import Reason


def test_a_failure_is_its_reason_and_message(tmp_path):
    path = tmp_path / "log"
    error = ArtifactError(Reason.BUCKET_NOT_FOUND, "there is no bucket")
    termination.say_failure(error, environ={"MODELWAY_TERMINATION_LOG": str(path)})
    assert json.loads(path.read_text()) == {"reason": "BucketNotFound", "message": "there is no bucket"}


@given(st.builds(lambda text, times: text * times, st.text(max_size=8), st.integers(0, 3000)))
def test_whatever_is_said_fits_what_the_kubelet_keeps(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fits"
    termination.say({"reason": "R", "message": text}, environ={"MODELWAY_TERMINATION_LOG": str(path)})
    assert path.stat().st_size <= termination.MAX_BYTES
    said = json.loads(path.read_text())["message"]
    assert said == text or (said.endswith("…") and text.startswith(said[:-1]))


def test_texts_within_what_is_said_are_shortened_too_the_longest_first(tmp_path):
    path = tmp_path / "log"
    words = {
        "complete": True,
        "run": {"rows": 7, "output": "s3://lake/", "worst": [{"name": "é" * 3000}, {"name": "b"}]},
    }
    termination.say(words, environ={"MODELWAY_TERMINATION_LOG": str(path)})
    assert path.stat().st_size <= termination.MAX_BYTES
    run = json.loads(path.read_text())["run"]
    assert (run["rows"], run["output"], run["worst"][1]["name"]) == (7, "s3://lake/", "b")
    assert run["worst"][0]["name"].endswith("é…")


def test_a_file_that_cannot_be_written_is_none(tmp_path):
    termination.say({"a": 1}, environ={"MODELWAY_TERMINATION_LOG": str(tmp_path / "no" / "folder")})


def test_the_default_file_is_not_made_outside_kubernetes(tmp_path, monkeypatch):
    monkeypatch.setattr(termination, "DEFAULT_PATH", tmp_path / "termination-log")
    termination.say({"a": 1}, environ={})
    assert not (tmp_path / "termination-log").exists()


def test_the_default_file_is_written_where_the_kubelet_made_it(tmp_path, monkeypatch):
    path = tmp_path / "termination-log"
    path.touch()
    monkeypatch.setattr(termination, "DEFAULT_PATH", path)
    termination.say({"a": 1}, environ={})
    assert json.loads(path.read_text()) == {"a": 1}


@pytest.mark.parametrize("reason", list(Reason))
def test_reasons_may_stand_in_a_condition(reason):
    assert reason.value.isalpha()
    assert reason.value[0].isupper()
