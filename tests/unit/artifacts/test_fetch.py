import errno
import hashlib
import os
import shutil
from pathlib import PurePosixPath

import pytest
from structlog.testing import capture_logs

from modelway.artifacts import digest
from modelway.artifacts import fetch as fetching
from modelway.artifacts.errors import ArtifactError
from modelway.artifacts.fetch import fetch, read_pin
from modelway.artifacts.reasons import Reason
from modelway.artifacts.source import Entry, Listing, Opened

ABC = "sha256:" + hashlib.sha256(b"abc").hexdigest()


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"abc")
    (folder / "sub" / "modelway.json").write_bytes(b"{}")
    return folder


@pytest.fixture
def to(tmp_path):
    return tmp_path / "to"


def test_a_folder_is_copied_with_its_digest(model, to):
    fetched = fetch(f"file://{model}", to)
    assert fetched.digest == digest.of_path(model).value == digest.of_path(to).value
    assert fetched.size == 5
    assert sorted(path.name for path in to.iterdir()) == ["model.onnx", "sub"]


def test_a_single_file_has_its_own_digest(model, to):
    assert fetch(f"file://{model}/model.onnx", to).digest == ABC
    assert (to / "model.onnx").read_bytes() == b"abc"


def test_size_and_time_are_logged(model, to):
    with capture_logs() as logs:
        fetch(f"file://{model}", to)
    assert [line["event"] for line in logs] == ["fetching", "fetched"]
    assert logs[1]["bytes"] == 5
    assert logs[1]["seconds"] >= 0


def test_a_pin_that_agrees_is_silent(model, to):
    assert fetch(f"file://{model}/model.onnx", to, pin=ABC).digest == ABC


def test_a_pin_that_does_not_agree_names_both_and_leaves_nothing(model, to):
    pin = "sha256:" + "0" * 64
    with pytest.raises(ArtifactError) as caught:
        fetch(f"file://{model}/model.onnx", to, pin=pin)
    assert caught.value.reason is Reason.DIGEST_MISMATCH
    assert ABC in caught.value.message
    assert pin in caught.value.message
    assert list(to.iterdir()) == []


@pytest.mark.parametrize(("content", "pin"), [(None, None), ("", None), (" \n", None), (ABC + "\n", ABC)])
def test_a_pin_file_may_be_missing_or_empty(tmp_path, content, pin):
    path = tmp_path / "digest"
    if content is not None:
        path.write_text(content)
    assert read_pin(path) == pin


@pytest.mark.parametrize("name", ["model.onnx", ""], ids=["file", "folder"])
def test_a_second_run_finds_the_pinned_bytes_and_asks_nobody(model, to, name):
    pin = fetch(f"file://{model}/{name}", to).digest
    shutil.rmtree(model)
    with capture_logs() as logs:
        assert fetch(f"file://{model}/{name}", to, pin=pin).digest == pin
    assert logs[0]["event"] == "already_there"


def test_files_of_somebody_else_are_not_touched(model, to):
    to.mkdir()
    (to / "thesis.tex").write_text("ten years of work")
    with pytest.raises(ArtifactError, match=r"thesis\.tex") as caught:
        fetch(f"file://{model}", to)
    assert caught.value.reason is Reason.TARGET_NOT_EMPTY
    assert (to / "thesis.tex").exists()


def test_a_volume_of_its_own_is_cleared_of_a_former_run(model, to, monkeypatch):
    to.mkdir()
    (to / "old.onnx").write_text("old")
    (to / "folder").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: path == to)
    fetch(f"file://{model}", to)
    assert sorted(path.name for path in to.iterdir()) == ["model.onnx", "sub"]


def test_what_a_killed_run_left_half_done_is_cleared(model, to):
    (to / fetching.STAGING / "sub").mkdir(parents=True)
    (to / fetching.STAGING / "sub" / "half").write_text("x")
    fetch(f"file://{model}", to)
    assert sorted(path.name for path in to.iterdir()) == ["model.onnx", "sub"]


def test_a_mounted_claim_is_hashed_where_it_is(model):
    fetched = fetch("pvc://claim/source", model, mounted=True)
    assert fetched.digest == digest.of_path(model).value


def test_a_mounted_claim_may_be_a_file(model):
    assert fetch("pvc://claim/model.onnx", model / "model.onnx", mounted=True).digest == ABC


def test_a_mounted_claim_is_held_to_its_pin(model):
    with pytest.raises(ArtifactError) as caught:
        fetch("pvc://claim/source", model, mounted=True, pin=ABC)
    assert caught.value.reason is Reason.DIGEST_MISMATCH


@pytest.mark.parametrize(
    ("uri", "there", "mounted", "reason", "said"),
    [
        ("pvc://claim/a", True, False, Reason.NOT_MOUNTED, "the claim claim of pvc://claim/a is not mounted"),
        ("pvc://claim/a", False, True, Reason.NOT_MOUNTED, "is not mounted"),
        ("pvc://claim/a", True, True, Reason.ARTIFACT_NOT_FOUND, "holds no file at a; check the path"),
        ("s3://bucket/a", True, True, Reason.INVALID_URI, "--mounted is for pvc:// only"),
        ("file:///no/such/path", False, False, Reason.ARTIFACT_NOT_FOUND, "check the path"),
        ("gs://bucket/a", False, False, Reason.UNSUPPORTED_SCHEME, "gs"),
    ],
)
def test_what_is_wrong_is_said(to, uri, there, mounted, reason, said):
    if there:
        to.mkdir()
    with pytest.raises(ArtifactError) as caught:
        fetch(uri, to, mounted=mounted)
    assert caught.value.reason is reason
    assert said in caught.value.message


def test_a_slash_at_the_end_asks_for_a_folder(model, to):
    with pytest.raises(ArtifactError, match="there is nothing at"):
        fetch(f"file://{model}/model.onnx/", to)


class Hostile:
    """A store that names files as it likes."""

    def __init__(self, path: str) -> None:
        self.path = path

    def list(self) -> Listing:
        return Listing((Entry(PurePosixPath(self.path), "key", 1),), is_folder=True)

    def open(self, entry: Entry, start: int) -> Opened:
        return Opened(iter([b"x"]), start, 1)


@pytest.mark.parametrize(
    "path", ["../evil", "a/../../evil", "/etc/cron.d/evil", "", ".", "..", "a\nb", f"{fetching.STAGING}/x", "a\0b"]
)
def test_no_key_leads_out_of_the_folder(to, monkeypatch, path):
    monkeypatch.setattr(fetching, "_source", lambda *_: Hostile(path))
    with pytest.raises(ArtifactError) as caught:
        fetch("s3://bucket/a/", to)
    assert caught.value.reason is Reason.UNSAFE_PATH
    assert list(to.iterdir()) == []
    assert not (to.parent / "evil").exists()


def test_a_model_larger_than_the_volume_is_refused_before_it_is_read(model, to, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 6, 4))
    with pytest.raises(ArtifactError, match="GiB free") as caught:
        fetch(f"file://{model}", to)
    assert caught.value.reason is Reason.STORAGE_FULL


def test_a_volume_that_fills_up_on_the_way_is_told_as_such(model, to, monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetching, "copy", full)
    with pytest.raises(ArtifactError, match="is full") as caught:
        fetch(f"file://{model}", to)
    assert caught.value.reason is Reason.STORAGE_FULL


def test_a_folder_that_cannot_be_made_is_told_as_such(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError) as caught:
        fetch(f"file://{model}", tmp_path / "file" / "to")
    assert caught.value.reason is Reason.STORAGE_UNWRITABLE
