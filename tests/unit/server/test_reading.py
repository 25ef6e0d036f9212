from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.server.errors import RequestError
from modelway.server.exchange import HttpRequest
from modelway.server.reading import Limits, Reader, Room

LIMITS = Limits(head=500, body=10, in_flight=25)
POST = b"POST /v1/models/m:predict?q=1 HTTP/1.1\r\nHost: h\r\nContent-Type: Application/JSON\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.fixture
def room():
    return Room(LIMITS.in_flight)


@pytest.fixture
def reader(room):
    return Reader(LIMITS, room)


def refused(reader, data):
    with pytest.raises(RequestError) as caught:
        reader.feed(data)
    return caught.value


def test_a_request_is_read(reader):
    reader.feed(POST)
    ((request, keeps),) = reader.requests
    assert (request.method, request.path, request.query, request.body) == (
        "POST",
        "/v1/models/m:predict",
        b"q=1",
        b"abc",
    )
    assert request.header(b"content-type") == b"Application/JSON"
    assert request.header(b"nothing") is None
    assert keeps
    assert not reader.is_within


@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 3 * len(POST)), max_size=10))
def test_it_does_not_matter_how_the_bytes_arrive(cuts):
    room = Room(LIMITS.in_flight)
    reader = Reader(LIMITS, room)
    data = POST * 3
    places = sorted({0, *cuts, len(data)})
    for begin, end in pairwise(places):
        reader.feed(data[begin:end])
    assert [(request.path, request.body) for request, _ in reader.requests] == [("/v1/models/m:predict", b"abc")] * 3
    assert room.taken == 9


def test_chunks_become_one_body(reader):
    reader.feed(CHUNKED + chunk(b"a") + chunk(b"bc") + b"0\r\n\r\n")
    assert reader.requests[0][0].body == b"abc"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b"GET /a%20b/c HTTP/1.1", "/a b/c"),
        (b"GET /a%2Fb%C3%A9 HTTP/1.1", "/a/bé"),
        (b"GET http://host:1/v2?x HTTP/1.1", "/v2"),
        (b"OPTIONS * HTTP/1.1", "*"),
    ],
)
def test_paths_are_decoded(reader, line, path):
    reader.feed(line + b"\r\n\r\n")
    assert reader.requests[0][0].path == path


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False),
    ],
)
def test_who_keeps_the_connection(reader, head, keeps):
    reader.feed(head)
    assert reader.requests[0][1] is keeps


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01 this is no http\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        CHUNKED + b"zz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["tls", "header", "length", "two lengths", "length and chunks", "chunk", "http/2"],
)
def test_what_is_no_request_is_refused(reader, data):
    error = refused(reader, data)
    assert error.status == 400
    assert error.headers == {"connection": "close"}


@pytest.mark.parametrize(
    "data",
    [
        [b"GET /" + b"a" * 600 + b" HTTP/1.1\r\n\r\n"],
        [b"GET /", *[b"a" * 100] * 6],
        [b"GET / HTTP/1.1\r\na: " + b"b" * 600 + b"\r\n\r\n"],
        [b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 20 + b"\r\n"],
        [b"GET / HTTP/1.1\r\na: ", *[b"b" * 100] * 6],
    ],
    ids=["path", "a path that never ends", "header", "many headers", "a header that never ends"],
)
def test_a_large_head_is_refused(reader, data):
    def feed():
        for part in data:
            reader.feed(part)

    with pytest.raises(RequestError) as caught:
        feed()
    assert caught.value.status == 431


def test_a_body_a_little_too_large_is_read_and_refused_and_the_connection_kept(reader, room):
    reader.feed(CHUNKED + chunk(b"x" * 6) + chunk(b"x" * 6) + b"0\r\n\r\n" + POST)
    (error, keeps), (request, _) = reader.requests
    assert (error.status, error.headers, keeps) == (413, {}, True)
    assert request.body == b"abc"
    assert room.taken == 3


@pytest.mark.parametrize(
    "data",
    [
        CHUNKED + chunk(b"x" * 9) + chunk(b"x" * 9) + chunk(b"x" * 9),
        b"POST / HTTP/1.1\r\ncontent-length: 1000\r\n\r\n",
    ],
    ids=["chunked", "announced"],
)
def test_a_body_far_too_large_is_refused_before_its_end(reader, data):
    error = refused(reader, data)
    assert (error.status, error.headers) == (413, {"connection": "close"})


def test_the_room_of_all_requests_in_flight_is_limited(room):
    readers = [Reader(LIMITS, room) for _ in range(3)]
    head = b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\n"
    for reader in readers[:2]:
        reader.feed(head + b"x" * 10)
    error = refused(readers[2], head + b"x" * 10)
    assert (error.status, error.headers["retry-after"]) == (503, "1")
    for reader in readers[:2]:
        room.give(len(reader.requests[0][0].body))
    assert room.taken == 0


def test_what_was_read_of_a_request_is_given_back_when_its_client_is_gone(reader, room):
    reader.feed(b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nxxxx")
    assert (room.taken, reader.is_within) == (4, True)
    reader.close()
    assert room.taken == 0


def test_requests_before_a_bad_one_are_kept(reader):
    assert refused(reader, POST + b"nonsense\r\n\r\n").status == 400
    assert [type(request) for request, _ in reader.requests] == [HttpRequest]


def test_an_offer_of_http2_is_answered_in_http1(reader):
    upgrade = (
        b"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    )
    reader.feed(upgrade + POST)
    assert [request.path for request, _ in reader.requests] == ["/", "/v1/models/m:predict"]
    posted = POST.replace(b"Host: h", b"Host: h\r\nConnection: Upgrade\r\nUpgrade: h2c")
    reader.feed(posted + POST)
    assert [request.body for request, _ in reader.requests] == [b"", b"abc", b"abc", b"abc"]
    assert reader.requests[2][0].query == b"q=1"


def test_offers_sent_ahead_in_any_number_are_declined_one_by_one(reader):
    reader.feed(b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n" * 2000)
    assert len(reader.requests) == 2000


@pytest.mark.parametrize("length", [b"", b"content-length: 3\r\n"])
def test_nobody_is_connected_to_elsewhere(reader, length):
    error = refused(reader, b"CONNECT example.com:443 HTTP/1.1\r\n" + length + b"\r\nabc")
    assert (error.status, error.headers["connection"]) == (405, "close")
    assert reader.requests == []


def test_who_waits_for_permission_to_send_is_told_once(reader):
    reader.feed(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\ncontent-length: 3\r\n")
    assert not reader.must_continue()
    reader.feed(b"\r\n")
    assert reader.must_continue()
    assert not reader.must_continue()
    reader.feed(b"abc")
    assert reader.requests[0][0].body == b"abc"


@settings(max_examples=80)
@given(st.lists(st.binary(max_size=60) | st.sampled_from([POST, CHUNKED, b"\r\n", b"GET / HTTP/1.1\r\n"]), max_size=8))
def test_whatever_is_sent_is_read_or_refused(parts):
    room = Room(LIMITS.in_flight)
    reader = Reader(LIMITS, room)
    status = None
    try:
        for part in parts:
            reader.feed(part)
    except RequestError as error:
        status = error.status
    assert status in {None, 400, 405, 413, 431, 503}
    for request, _ in reader.requests:
        if isinstance(request, HttpRequest):
            room.give(len(request.body))
    reader.close()
    assert room.taken == 0
