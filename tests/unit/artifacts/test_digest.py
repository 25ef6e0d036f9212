import hashlib
import os
import subprocess
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.artifacts import digest
from modelway.artifacts.errors import ArtifactError
from modelway.artifacts.reasons import Reason

names = st.text(alphabet="ab .ü\\*", min_size=1, max_size=4)
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: PurePosixPath(*parts))
hashes = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
listings = st.dictionaries(paths, hashes, min_size=1, max_size=5).map(lambda files: list(files.items()))


@pytest.fixture
def folder(tmp_path):
    model = tmp_path / "model"
    (model / "sub").mkdir(parents=True)
    (model / "model.onnx").write_bytes(b"abc")
    (model / "sub" / "näme with space").write_bytes(b"")
    (model / ".hidden").write_bytes(b"x" * 3_000_000)
    return model


def test_a_file_is_its_sha256(tmp_path):
    (tmp_path / "m").write_bytes(b"abc")
    found = digest.of_path(tmp_path / "m")
    assert str(found) == "sha256:" + hashlib.sha256(b"abc").hexdigest()
    assert found.size == 3


def test_a_folder_is_what_coreutils_say(folder):
    by_hand = subprocess.run(
        ["sh", "-c", r"find . -type f -printf '%P\0' | xargs -0 sha256sum | LC_ALL=C sort | sha256sum"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()[0]
    found = digest.of_path(folder)
    assert found.value == f"sha256:{by_hand}"
    assert found.size == 3_000_003


@given(listings, st.integers(0, 4))
def test_the_order_of_files_does_not_matter(files, turn):
    shuffled = files[turn:][::-1] + files[:turn]
    assert digest.of_listing(files) == digest.of_listing(shuffled)


@given(listings, st.data())
def test_any_change_of_a_byte_a_name_or_a_file_shows(files, data):
    before = digest.of_listing(files)
    victim = data.draw(st.integers(0, len(files) - 1))
    path, sha = files[victim]
    others = files[:victim] + files[victim + 1 :]
    flipped = ("0" if sha[0] != "0" else "1") + sha[1:]
    assert digest.of_listing([*others, (path, flipped)]) != before
    assert digest.of_listing([*others, (path / "x", sha)]) != before
    assert digest.of_listing(others) != before


@given(listings)
def test_a_listing_can_be_read_back(files):
    """Two different folders never share a listing, so never a digest (as far as sha256 goes)."""
    lines = sorted(f"{sha}  {path}\n" for path, sha in files)
    assert len(set(lines)) == len(files)
    assert {PurePosixPath(line[66:-1]): line[:64] for line in lines} == dict(files)


def test_a_link_inside_counts_as_what_it_leads_to(folder):
    (folder / "link").symlink_to("sub/../model.onnx")
    (folder / "linked").symlink_to("sub")
    seen = [str(path) for path, _ in digest.walk(folder)]
    assert "link" in seen
    assert "linked/näme with space" in seen


@pytest.mark.parametrize(
    ("link", "target", "said"),
    [
        ("out", "/etc/passwd", "leads out of the model's folder"),
        ("out", "../beside", "leads out of the model's folder"),
        ("out", "..", "leads out of the model's folder"),
        ("sub/up", "..", "leads to a folder that it is in"),
        ("nowhere", "missing", "is a link to nothing"),
    ],
)
def test_links_that_lead_astray_are_refused(folder, link, target, said):
    (folder.parent / "beside").write_bytes(b"")
    (folder / link).symlink_to(target)
    with pytest.raises(ArtifactError, match=said) as caught:
        digest.of_path(folder)
    assert caught.value.reason is Reason.UNSAFE_PATH


def test_links_in_a_circle_are_refused(folder):
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    (folder / "a" / "to_b").symlink_to("../b")
    (folder / "b" / "to_a").symlink_to("../a")
    with pytest.raises(ArtifactError) as caught:
        digest.of_path(folder)
    assert caught.value.reason is Reason.UNSAFE_PATH


def test_pipes_are_refused(folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(ArtifactError, match="neither a file nor a folder"):
        digest.of_path(folder)


def test_a_line_break_in_a_name_is_refused(folder):
    (folder / "a\nb").write_bytes(b"")
    with pytest.raises(ArtifactError, match="control character"):
        digest.of_path(folder)


def test_a_name_that_is_no_text_still_has_a_digest(folder):
    (folder / os.fsdecode(b"\xff\xfe")).write_bytes(b"")
    assert digest.of_path(folder).value.startswith("sha256:")


def test_nothing_has_no_digest(tmp_path):
    with pytest.raises(ArtifactError, match="holds no file") as caught:
        digest.of_path(tmp_path)
    assert caught.value.reason is Reason.ARTIFACT_NOT_FOUND
    with pytest.raises(ArtifactError, match="there is nothing at"):
        digest.of_path(tmp_path / "missing")
