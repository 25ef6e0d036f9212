"""A request and its answer, piece by piece, within their bounds."""

import pytest

from modelway.observer import ext_proc_pb2 as pb
from modelway.observer.exchange import Exchange, Room, Unread

MOST = 100


def headers(which, *, ends=False, **told):
    names = {name: ":status" if name == "status" else name.replace("_", "-") for name in told}
    pairs = [pb.HeaderValue(key=names[name], raw_value=value.encode()) for name, value in told.items()]
    found = pb.HttpHeaders(headers=pb.HeaderMap(headers=pairs), end_of_stream=ends)
    return pb.ProcessingRequest(**{f"{which}_headers": found})


def body(which, content, *, ends=False):
    return pb.ProcessingRequest(**{f"{which}_body": pb.HttpBody(body=content, end_of_stream=ends)})


def taken(*messages, room=None):
    exchange = Exchange(MOST, room or Room(10_000))
    for message in messages:
        assert not exchange.is_over, "what is over is not read on"
        exchange.take(message)
    return exchange


ASKED = headers("request", content_length="4")


def test_pieces_are_put_together_until_the_answer_ends():
    found = taken(
        ASKED,
        body("request", b"[1"),
        body("request", b",2]", ends=True),
        headers("response", status="200", content_length="3"),
        body("response", b"[3"),
        body("response", b"]", ends=True),
    )
    assert (found.request, found.answer, found.status, found.is_answered) == (b"[1,2]", b"[3]", 200, True)


def test_an_answer_may_come_before_the_request_has_ended():
    found = taken(
        ASKED, headers("response", status="200"), body("request", b"[1]"), body("response", b"[2]", ends=True)
    )
    assert (found.request, found.answer, found.is_answered) == (b"[1]", b"[2]", True)


def test_an_answer_whose_length_is_told_is_over_with_its_last_byte():
    found = taken(
        ASKED, body("request", b"[1]"), headers("response", status="200", content_length="3"), body("response", b"[2]")
    )
    assert found.is_answered


def test_what_ends_before_the_answer_does_is_said_to_be_cut():
    found = taken(ASKED, body("request", b"[1]"), headers("response", status="200"), body("response", b"["))
    found.close()
    assert found.unread is Unread.CUT
    assert not found.is_answered


def test_nothing_is_over_before_the_answer_is():
    found = taken(ASKED, body("request", b"[1]", ends=True), headers("response", status="200"), body("response", b"["))
    assert not any((found.is_over, found.is_answered, found.is_refused))


@pytest.mark.parametrize(
    ("messages", "unread"),
    [
        ([headers("request", content_length="101")], Unread.TOO_LARGE),
        ([headers("request", transfer_encoding="chunked")], Unread.TOO_LARGE),
        ([headers("request", content_length="4", content_encoding="gzip")], Unread.ENCODED),
        ([ASKED, body("request", b"x" * 101)], Unread.TOO_LARGE),
        ([ASKED, body("request", b"x" * 60), body("request", b"x" * 60)], Unread.TOO_LARGE),
        ([ASKED, headers("response", status="200", content_length="101")], Unread.TOO_LARGE),
        ([ASKED, headers("response", status="200", content_encoding="br")], Unread.ENCODED),
        ([ASKED, headers("response", status="200"), body("response", b"x" * 101)], Unread.TOO_LARGE),
    ],
)
def test_what_is_not_read_is_over_and_says_why(messages, unread):
    found = taken(*messages)
    assert found.unread is unread
    assert found.is_over
    assert not found.is_answered


@pytest.mark.parametrize(
    ("status", "answered", "refused"),
    [("200", False, False), ("400", False, True), ("422", False, True), ("404", False, False), ("503", False, False)],
)
def test_what_is_not_answered_is_over_with_its_status(status, answered, refused):
    found = taken(ASKED, headers("response", status=status))
    assert (found.is_answered, found.is_refused) == (answered, refused)
    assert found.is_over == (status != "200")


def test_an_answer_without_a_body_is_over_with_its_head():
    assert taken(ASKED, headers("response", status="204", ends=True)).is_answered


def test_a_request_without_a_body_asks_nothing():
    found = taken(headers("request", ends=True))
    assert found.is_over
    assert found.unread is None
    assert not found.is_answered


def test_all_bodies_together_have_a_bound_and_give_back_what_they_took():
    room = Room(150)
    first = taken(ASKED, body("request", b"x" * 100), room=room)
    second = taken(ASKED, body("request", b"x" * 60), room=room)
    assert second.unread is Unread.BUSY
    assert room.taken == 100
    first.close()
    second.close()
    first.close()
    assert room.taken == 0
    assert taken(ASKED, body("request", b"x" * 100), room=room).unread is None
