"""Pictures: bars stand for their shares, and no label lies on another, whatever it says."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.report.plots import HEIGHT, WIDTH, Point, bars, line, width_of

BAR = re.compile(r"M([\d.]+),([\d.]+)v-([\d.]+)h([\d.]+)v([\d.]+)z")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def drawn(path):
    """Left and right ends, and heights, of all bars."""
    return [(float(x), float(x) + float(wide), float(tall)) for x, _, tall, wide, _ in BAR.findall(path)]


def test_bars_are_as_tall_as_their_shares_and_side_by_side():
    plot = bars((0.25, 0.75), (0.5, 0.5), borders=("1.5",))
    (a, b), (c, d) = drawn(plot.usual), drawn(plot.now)
    assert b[2] == pytest.approx(3 * a[2], rel=0.01)
    assert c[2] == pytest.approx(2 * a[2], rel=0.01)
    assert a[0] < a[1] <= c[0] < c[1] < b[0] < b[1] <= d[0] < d[1] < WIDTH
    (border,) = plot.cells
    assert (border.text, c[1] < border.at < b[0]) == ("1.5", True)


def test_what_is_not_known_has_no_bars_and_what_is_0_neither():
    plot = bars((), (0.0, 1.0))
    assert (plot.usual, len(drawn(plot.now))) == ("", 1)
    assert [tick.text for tick in plot.shares] == ["0 %", "50 %", "100 %"]


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=80),
    st.lists(st.text(max_size=30), max_size=80),
    st.booleans(),
)
def test_no_label_lies_on_another_or_out_of_the_picture(shares, texts, are_borders):
    labels = {"borders": texts[: len(shares) - 1]} if are_borders else {"names": texts[: len(shares)]}
    plot = bars(shares, shares, **labels)
    ends = [(tick.at - width_of(tick.text) / 2, tick.at + width_of(tick.text) / 2) for tick in plot.cells]
    assert all(low > -0.1 and high < WIDTH + 0.1 for low, high in ends)
    assert all(before[1] < after[0] for before, after in pairwise(ends))
    assert all(0 < tall < HEIGHT for *_, tall in drawn(plot.usual))


_SIZES = st.integers(0, 10**9).map(lambda number: number / 1000)


@given(
    st.lists(st.tuples(_SIZES, _SIZES, _SIZES, st.integers(0, 10**6)), min_size=1, max_size=64),
    st.none() | _SIZES,
)
def test_a_line_and_its_limit_lie_in_the_picture_and_higher_is_more(found, limit):
    found.sort(key=lambda one: one[3])
    points = [
        Point(NOON + timedelta(seconds=at), value, max(value - below, 0.0), value + above)
        for value, below, above, at in found
    ]
    plot = line(points, limit)
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in plot.points)
    assert (plot.limit is None) is (limit is None)
    for (_, y), point in zip(plot.points, points, strict=True):
        if limit is not None and abs(point.value - limit) > 1e-9:
            assert y <= plot.limit if point.value > limit else y >= plot.limit
    heights = sorted(tick.at for tick in plot.values)
    assert all(after - before >= 10 for before, after in pairwise(heights))
    assert all(len(tick.text) <= 7 for tick in plot.values)


@pytest.mark.parametrize(
    ("apart", "text"),
    [(timedelta(minutes=1), "12:00:00"), (timedelta(hours=2), "12:00"), (timedelta(days=2), "22 Nov 12:00")],
    ids=["within an hour", "within a day", "over days"],
)
def test_moments_are_told_as_exactly_as_tells_them_apart(apart, text):
    plot = line([Point(NOON, 1.0, 0.9, 1.1), Point(NOON + apart, 1.0, 0.9, 1.1)], None)
    assert plot.times[0].text == text
