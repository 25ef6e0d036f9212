"""Keys for prediction ids: read from files, rotated, and never shown."""

import os
from base64 import b64encode, urlsafe_b64encode

import pytest

from modelway.artifacts.errors import ModelError
from modelway.server.receipt_keys import Key, KeyRing, Keys, read

ONE, TWO, THREE = (bytes([number]) * 32 for number in (250, 251, 252))


def line(secret, since=""):
    return f"{b64encode(secret).decode()} {since}\n"


def test_the_first_key_of_a_file_signs_and_all_verify(tmp_path):
    (tmp_path / "keys").write_text(line(ONE) + "\n" + line(TWO))
    keys = read(tmp_path / "keys")
    assert keys.signing(0.0).secret == ONE
    assert {key.secret for key in keys.by_mark.values()} == {ONE, TWO}


def test_a_key_signs_from_its_moment_on_and_the_youngest_of_several_does(tmp_path):
    (tmp_path / "keys").write_text(line(ONE) + line(TWO, "2026-11-22T05:00:00Z") + line(THREE, "2026-11-22T06:00:00Z"))
    keys = read(tmp_path / "keys")
    five = 1795323600.0
    assert [keys.signing(five + hours * 3600 - 1).secret for hours in (0, 1, 2)] == [ONE, TWO, THREE]


def test_no_key_signs_before_the_first_moment(tmp_path):
    (tmp_path / "keys").write_text(line(ONE, "2026-11-22T05:00:00Z"))
    assert read(tmp_path / "keys").signing(0.0) is None


def test_both_alphabets_of_base64_are_read(tmp_path):
    secret = bytes([255]) * 16
    (tmp_path / "keys").write_bytes(urlsafe_b64encode(secret))
    assert read(tmp_path / "keys").signing(0.0).secret == secret


def test_a_folder_may_be_empty_and_its_hidden_files_are_not_read(tmp_path):
    assert len(read(tmp_path)) == 0
    (tmp_path / "..data").write_text("what a mounted Secret has")
    (tmp_path / "b").write_text(line(ONE))
    (tmp_path / "a").write_text(line(TWO))
    assert read(tmp_path).signing(0.0).secret == TWO


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no key; `openssl rand -base64 32` prints one"),
        ("not base64!\n", "line 1: is no Base64"),
        (line(ONE) + line(b"short"), "line 2: a key of 5 bytes; at least 16 are needed"),
        (line(ONE, "tomorrow"), "line 1: from when the key signs should be a time such as 2026-11-22T05:00:00Z"),
        (line(ONE, "2026-11-22T05:00:00"), "line 1: from when the key signs should be a time"),
        (line(ONE, "2026-11-22T05:00:00Z again"), "line 1: a key and one moment are expected, found 3 words"),
        (line(ONE) + line(ONE), "two keys have the same mark, or one stands there twice"),
        ("a" * 70_000, "is larger than 65536 bytes"),
    ],
    ids=["none", "no-base64", "short", "no-moment", "no-zone", "too-much", "twice", "large"],
)
def test_what_is_wrong_is_told_with_its_line_and_never_the_key(tmp_path, content, says):
    (tmp_path / "keys").write_text(content)
    with pytest.raises(ModelError) as raised:
        read(tmp_path / "keys")
    assert says in raised.value.message
    assert b64encode(ONE).decode() not in raised.value.message
    assert raised.value.reason == "FeedbackKeysInvalid"


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        read(tmp_path / "keys")


def test_changed_files_are_read_again(tmp_path):
    (tmp_path / "a").write_text(line(ONE))
    ring = KeyRing(tmp_path, pytest.fail)
    assert not ring.refresh()
    (tmp_path / "b").write_text(line(TWO))
    assert ring.refresh()
    assert len(ring.keys) == 2
    (tmp_path / "a").unlink()
    assert ring.refresh()
    assert [key.secret for key in ring.keys.by_mark.values()] == [TWO]


def test_files_that_cannot_be_read_any_more_leave_the_keys_as_they_were(tmp_path):
    file = tmp_path / "keys"
    file.write_text(line(ONE))
    told = []
    ring = KeyRing(file, told.append)
    file.write_text("nonsense!\n")
    os.utime(file, ns=(1, 1))
    assert not ring.refresh()
    assert not ring.refresh()  # told once, not every second
    assert "line 1: is no Base64" in told[0]
    assert len(told) == 1
    assert ring.keys.signing(0.0).secret == ONE


def test_a_key_does_not_show_itself():
    assert repr(Key(ONE)) == f"Key({Key(ONE).mark.hex()})"
    assert "250" not in repr(Keys((Key(ONE),)).by_mark)
