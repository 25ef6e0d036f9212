"""A file is replaced whole, and left alone when it is right: some programs end when their configuration is touched."""

import json
import stat

import pytest
from hack.local.files import write_json, write_private, write_text


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_that_is_right_is_not_touched(tmp_path):
    path = write_text(tmp_path / "folder" / "config", "text")
    before = path.stat()
    assert write_text(path, "text") == path
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("text", ["other", ""], ids=["other", "emptied"])
def test_a_file_that_is_not_is_replaced_and_leaves_nothing_beside_it(tmp_path, text):
    path = write_text(tmp_path / "config", "text")
    before = path.stat().st_ino
    write_text(path, text)
    assert path.read_text() == text
    assert path.stat().st_ino != before
    assert [each.name for each in tmp_path.iterdir()] == ["config"]


def test_what_a_killed_run_left_is_no_hindrance(tmp_path):
    (tmp_path / ".config.unfinished").write_text("half")
    write_text(tmp_path / "config", "text")
    assert [each.name for each in tmp_path.iterdir()] == ["config"]


def test_a_private_file_is_private_also_when_it_was_not(tmp_path):
    path = write_text(tmp_path / "secret", "text")
    assert mode(path) == 0o644
    write_private(path, "text")
    assert (mode(path), path.read_text()) == (0o600, "text")


def test_json_reads_back(tmp_path):
    content = {"a": [1, {"b": None}]}
    assert json.loads(write_json(tmp_path / "x.json", content).read_text()) == content
