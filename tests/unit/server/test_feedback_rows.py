"""Labels as they are sent: every form is read, and what is wrong is told with its place."""

import pytest

from modelway.server.errors import RequestError
from modelway.server.feedback_rows import read

JSON, LINES, CSV = b"application/json", b"application/x-ndjson", b"text/csv; charset=utf-8"


def rows(body, media=JSON, most=100):
    return [(one.id, one.row, one.truths) for one in read(body, media, most=most)]


def label(name):
    return ((name, None),)


def value(number):
    return ((None, number),)


@pytest.mark.parametrize(
    ("media", "body", "expected"),
    [
        (JSON, b'{"id": "a", "label": "fraud"}', [("a", None, label("fraud"))]),
        (b"", b'{"id": "a", "label": true}', [("a", None, label("true"))]),
        (JSON, b'[{"id": "a", "label": 1.0}, {"id": "b", "row": 2, "value": 3}]', [
            ("a", None, label("1")), ("b", 2, value(3.0)),
        ]),
        (JSON, b'{"id": "a", "label": [1, null, "x"]}', [("a", 0, (*label("1"), None, *label("x")))]),
        (LINES, b'{"id": "a", "value": 1.5}\n\n{"id": "b", "value": -2}', [
            ("a", None, value(1.5)), ("b", None, value(-2.0)),
        ]),
        (CSV, b"id,label\na,fraud\n\nb,1.0\n", [("a", None, label("fraud")), ("b", None, label("1"))]),
        (CSV, b'\xef\xbb\xbfrow, value ,id\r\n2, 1.5,a\r\n,1e3,"b"\r\n', [("a", 2, value(1.5)), ("b", None, value(1e3))]),
    ],
    ids=["object", "unsaid-type", "array", "all-rows", "lines", "csv", "csv-of-a-spreadsheet"],
)  # fmt: skip
def test_every_form_is_read(media, body, expected):
    assert rows(body, media) == expected


@pytest.mark.parametrize(
    ("media", "body", "says"),
    [
        (JSON, b"", "the request has no body"),
        (JSON, b"[]", "the body has no label"),
        (JSON, b'"a"', 'the body should be an object with an id, or an array of such, not "a"'),
        (JSON, b"[1]", "[0]: expected an object with an id and a label or a value, found 1"),
        (JSON, b'{"id": "a" "label": 1}', "the body is not JSON: "),
        (JSON, b'[{"id": "a", "label": 1}, {"label": 1}]', "[1].id: expected the id of a prediction, found nothing"),
        (JSON, b'{"id": 7, "label": 1}', "id: expected the id of a prediction, found 7"),
        (JSON, b'{"id": "", "label": 1}', "id: expected the id of a prediction, found"),
        (JSON, b'{"id": "a"}', 'the object: has neither of "label" and "value"'),
        (JSON, b'[{"id": "a", "label": 1, "value": 1}]', '[0]: has both of "label" and "value"'),
        (JSON, b'[{"id": "a", "Label": 1}]', "[0].Label: is not known here; a row has id, row, label, value"),
        (JSON, b'{"id": "a", "label": null}', "label: null; leave out rows whose label is not known yet"),
        (JSON, b'{"id": "a", "label": {"x": 1}}', "is neither a text, a number, true nor false"),
        (JSON, b'{"id": "a", "label": ""}', "label: a text of 0 characters"),
        (JSON, b'{"id": "a", "value": "3"}', 'value: "3" is no number'),
        (JSON, b'{"id": "a", "value": true}', "value: true is no number"),
        (JSON, b'{"id": "a", "value": [1, "x"]}', 'value[1]: "x" is no number'),
        (JSON, b'{"id": "a", "label": []}', "label: an array of 0"),
        (JSON, b'{"id": "a", "row": 1, "label": [1]}', "row: an array is about all rows; leave row out"),
        (JSON, b'{"id": "a", "row": 128, "label": 1}', "row: 128 is no row from 0 to 127"),
        (JSON, b'{"id": "a", "row": true, "label": 1}', "row: true is no row"),
        (LINES, b'{"id": "a", "label": 1}\n{"id": "b"', "line 2 is not JSON: "),
        (LINES, b'{"id": "a", "label": 1}\n\n{"id": "b"}', 'line 3: has neither of "label" and "value"'),
        (CSV, b"", "the body has no label"),
        (CSV, b"id,label\n", "the body has no label"),
        (CSV, b"id,truth\na,1\n", "line 1: column 'truth' is not known here"),
        (CSV, b"id,label,value\na,1,1\n", "line 1: expected the columns id, and label or value"),
        (CSV, b"id,id,label\na,a,1\n", "line 1: expected the columns id, and label or value"),
        (CSV, b"id,label\na\n", "line 2: 1 cells, where the header names 2 columns"),
        (CSV, b"id,label\na,1\n\nb,\n", "line 4, label: empty; leave out rows whose label is not known yet"),
        (CSV, b"id,value\na,1_0\n", 'line 2, value: "1_0" is no number'),
        (CSV, b"id,value\na,nan\n", 'line 2, value: "nan" is no number'),
        (CSV, b"id,row,label\na,-1,1\n", 'line 2, row: "-1" is no row from 0 to 127'),
        (CSV, b'id,label\na,"1\n', "line 2: "),
        (CSV, b"id,label\na,\xff\n", "the body is not UTF-8: byte 11"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(media, body, says):
    with pytest.raises(RequestError) as raised:
        rows(body, media)
    assert raised.value.status == 400
    assert says in raised.value.message


def test_an_unknown_type_is_told():
    with pytest.raises(RequestError, match='"application/xml" is not known here') as raised:
        rows(b"<a/>", b"application/xml")
    assert raised.value.status == 415


def test_there_is_an_end_to_what_one_request_may_bring():
    body = b"id,label\n" + b"a,1\n" * 5
    assert len(rows(body, CSV, most=5)) == 5
    with pytest.raises(RequestError, match="line 6: more than 4 labels in one request") as raised:
        rows(body, CSV, most=4)
    assert raised.value.status == 413


def test_each_label_of_an_array_counts_towards_that_end():
    with pytest.raises(RequestError, match="more than 2 labels"):
        rows(b'{"id": "a", "label": [1, 2, 3]}', most=2)


def slices(body, media=JSON, known=()):
    return [one.slices for one in read(body, media, most=100, slices=known)]


def test_slices_are_texts_whatever_they_were():
    body = b'{"id": "a", "label": 1, "slices": {"country": "DE", "new": true, "age": 40, "shop": null}}'
    assert slices(body) == [{"country": "DE", "new": "true", "age": "40"}]


def test_all_rows_of_a_request_have_the_slices_that_are_sent_with_them():
    assert slices(b'{"id": "a", "label": [1, 0], "slices": {"country": "DE"}}') == [{"country": "DE"}]


def test_columns_that_are_slices_are_read_and_others_are_refused():
    body = b"id,label,country\na,1, DE \nb,1,\n"
    assert slices(body, CSV, {"country": ()}) == [{"country": "DE"}, {}]
    with pytest.raises(RequestError, match="column 'country' is not known here; there are id, label or value, row"):
        slices(body, CSV)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (b'"DE"', 'slices: expected an object of texts by their names, found "DE"'),
        (b'{"country": ["DE"]}', "slices.country: "),
        (b'{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1}', "9 slices, where a row has at most 8"),
    ],
    ids=["no-object", "no-text", "too-many"],
)
def test_what_is_wrong_with_slices_is_told(given, says):
    with pytest.raises(RequestError) as raised:
        slices(b'[{"id": "a", "label": 1, "slices": ' + given + b"}]")
    assert "[0].slices" in str(raised.value)
    assert says in str(raised.value)
