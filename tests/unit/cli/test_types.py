import click
import pytest

from modelway.cli.types import Size, Slices, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5s", 5),
        ("300ms", 0.3),
        ("1m30s", 90),
        ("1h", 3600),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("0", 0),
        ("0s", 0),
        ("10us", 1e-5),
    ],
)
def test_durations_are_gos(text, expected):
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "-5s", "5d", "five", "1s2", "5s "])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="is not a duration such as 300ms, 5s or 1m30s"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("16Mi", 16 * 2**20), ("512Ki", 2**19), ("1000", 1000), ("1k", 1000), ("2G", 2 * 10**9), ("1GiB", 2**30)],
)
def test_sizes_are_kubernetes(text, expected):
    assert Size().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "Mi", "-1", "1.5Mi", "1 Mi", "1Ti"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(click.BadParameter, match="is not a size such as 512Ki or 16Mi"):
        Size().convert(text, None, None)


def test_slices_are_lists_of_texts_by_name():
    assert Slices().convert('{"country": ["DE", "a,b"]}', None, None) == {"country": ("DE", "a,b")}
    assert Slices().convert("{}", None, None) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("country=DE", "is not JSON: Expecting value, column 1"),
        ('["DE"]', "expected an object of lists"),
        ('{"country": "DE"}', "country: expected a list of texts"),
        ('{"country": [1]}', "country: expected a list of texts"),
        ('{"label": ["DE"]}', "label: labels have a column of that name already"),
    ],
    ids=["no-json", "no-object", "no-list", "no-text", "taken"],
)
def test_what_are_no_slices_is_refused(text, says):
    with pytest.raises(click.BadParameter) as raised:
        Slices().convert(text, None, None)
    assert says in str(raised.value)
