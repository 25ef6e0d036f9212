"""The file system as a store, where it is not as usual."""

import errno
import os

import pytest

from modelway.batch.errors import BatchError, ChangedError, Reason
from modelway.batch.folder import FileSystem
from modelway.batch.store import open_place


def test_without_hard_links_the_first_still_wins_and_it_is_known_to_be_no_lock(tmp_path, monkeypatch):
    def link(*_paths):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    store = FileSystem()
    assert store.create(f"{tmp_path}/a/_plan.json", b"1")
    assert not store.create(f"{tmp_path}/a/_plan.json", b"2")
    assert (store.get(f"{tmp_path}/a/_plan.json"), store.exclusive) == (b"1", False)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["_plan.json"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BatchError) as caught:
        FileSystem().put(f"{tmp_path}/file/x", b"1")
    assert caught.value.reason in {Reason.STORE_REFUSED, Reason.STORE_FAILED}
    assert str(tmp_path / "file") in caught.value.message


def test_what_a_killed_process_left_is_in_no_listing(tmp_path):
    store = FileSystem()
    upload = store.upload(f"{tmp_path}/part-1")
    upload.write(b"half")
    assert store.list(f"{tmp_path}/") == []
    assert len(list(tmp_path.iterdir())) == 1
    upload.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_the_planned_one_is_not_opened(tmp_path):
    store = FileSystem()
    store.put(f"{tmp_path}/x", b"1")
    [stored] = store.list(f"{tmp_path}/x")
    assert store.local(stored) == tmp_path / "x"
    store.put(f"{tmp_path}/x", b"22")
    with pytest.raises(ChangedError):
        store.local(stored)


@pytest.mark.parametrize(
    ("uri", "folder", "prefix"),
    [
        ("file:///a/b", True, "/a/b/"),
        ("file:///a/b/", False, "/a/b/"),
        ("/a b%20ü#?/*.csv", False, "/a b%20ü#?/*.csv"),
        ("/a/dt=1/", False, "/a/dt=1/"),
    ],
)
def test_paths_and_uris_are_places(uri, folder, prefix):
    assert open_place(uri, folder=folder).prefix == prefix


@pytest.mark.parametrize("uri", ["https://host/x", "pvc://claim/x", "s3://bucket", "gs://b/x"])
def test_places_that_batch_cannot_use_are_refused(uri):
    with pytest.raises(BatchError) as caught:
        open_place(uri)
    assert caught.value.reason == Reason.SETTINGS_INVALID
