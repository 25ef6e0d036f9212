"""Prediction ids: what is put into one comes out again, and nobody else can make one."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.server.receipt import (
    BINARY,
    CLASS,
    KINDS,
    LONGEST,
    MOST_ROWS,
    VALUE,
    ForgedIdError,
    Prediction,
    Receipt,
    UnknownIdError,
    class_mark,
    class_name,
    revision_mark,
    sign,
    verified,
)
from modelway.server.receipt_keys import Key, Keys

KEY, OTHER = Key(b"a" * 32), Key(b"b" * 32)
KEYS = Keys((KEY,))
RECEIPT = Receipt("6f1c2a9b", 1795323600, Prediction(BINARY, (class_mark("fraud"),), (0.75,), class_mark("fraud")))


def signed(receipt=RECEIPT, key=KEY, model="m"):
    return sign(receipt, key, model=model, chance=b"chance")


@st.composite
def receipts(draw):
    rows = draw(st.sampled_from([1, 2, 5, MOST_ROWS]))
    kind = draw(st.sampled_from(KINDS))
    marks = st.integers(0, 2**32 - 1)
    classes = tuple(draw(st.lists(marks, min_size=rows, max_size=rows))) if kind != VALUE else ()
    width = 64 if kind == VALUE else 32
    floats = st.floats(allow_nan=False, width=width)
    numbers = () if kind == CLASS else tuple(draw(st.lists(floats, min_size=rows, max_size=rows)))
    second = draw(marks) if kind == BINARY else 0
    prediction = Prediction(kind, classes, numbers, second)
    return Receipt(draw(st.binary(min_size=4, max_size=4)).hex(), draw(st.integers(0, 2**32 - 1)), prediction)


@settings(max_examples=40)
@given(receipts())
def test_an_id_says_what_was_signed(receipt):
    text = signed(receipt)
    assert len(text) <= LONGEST
    found = verified(text, KEYS, model="m")
    assert found._replace(mark=0) == receipt
    assert found.prediction.rows == receipt.prediction.rows


def test_an_id_of_one_row_is_short():
    assert len(signed()) == 66


@settings(max_examples=100)
@given(st.data())
def test_a_changed_id_is_not_taken(data):
    raw = bytearray(urlsafe_b64decode(signed() + "=="))
    place = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[place // 8] ^= 1 << place % 8
    with pytest.raises((ForgedIdError, UnknownIdError)):
        verified(urlsafe_b64encode(raw).rstrip(b"=").decode(), KEYS, model="m")


def test_an_id_has_one_form_alone():
    """So a label cannot be sent again under another spelling of the same id."""
    text = signed()
    for other in (text + "=", text[:5] + "\n" + text[5:], text[:5] + "!" + text[5:], text + "A", " " + text):
        with pytest.raises((ForgedIdError, UnknownIdError)):
            verified(other, KEYS, model="m")
    last = text[-1]
    twins = [one for one in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" if one != last]
    for one in twins:
        with pytest.raises((ForgedIdError, UnknownIdError)):
            verified(text[:-1] + one, KEYS, model="m")


@given(st.text(max_size=100) | st.binary(max_size=60).map(lambda raw: raw.hex()))
def test_any_other_text_is_no_id(text):
    with pytest.raises(UnknownIdError):
        verified(text, KEYS, model="m")


def test_an_id_of_another_key_is_unknown_and_one_that_pretends_to_have_the_key_is_forged():
    with pytest.raises(UnknownIdError, match="its key is not known here"):
        verified(signed(key=OTHER), KEYS, model="m")
    raw = bytearray(urlsafe_b64decode(signed(key=OTHER) + "=="))
    raw[2:6] = KEY.mark
    with pytest.raises(ForgedIdError):
        verified(urlsafe_b64encode(raw).rstrip(b"=").decode(), KEYS, model="m")


def test_an_id_of_another_model_with_the_same_key_is_forged():
    with pytest.raises(ForgedIdError):
        verified(signed(model="other"), KEYS, model="m")


def test_ids_are_verified_by_old_keys():
    assert verified(signed(key=OTHER), Keys((KEY, OTHER)), model="m").revision == "6f1c2a9b"


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ([True, "true", "True", "TRUE"], "true"),
        ([1, 1.0, "1", "1.0", "1e0"], "1"),
        ([-2, -2.0, "-2.0"], "-2"),
        ([0.5, "0.5", ".5"], "0.5"),
        (["fraud", b"fraud"], "fraud"),
        (["1_0"], "1_0"),
        (["007"], "007"),
        (["nan"], "nan"),
        (["1e999"], "1e999"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_class_has_one_name_in_whatever_form_it_comes(labels, name):
    assert [class_name(label) for label in labels] == [name] * len(labels)


def test_the_mark_of_an_operators_revision_is_its_name():
    assert revision_mark("6f1c2a9b") == "6f1c2a9b"
    assert len(revision_mark("")) == len(revision_mark("zzzzzzzz")) == 8
