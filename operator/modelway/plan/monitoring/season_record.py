"""A rhythm as it is kept with the watch, without the names of its features. Pure. Used by `keeping`."""

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

import numpy as np

from modelway.plan.monitoring.packing import packed, spread_out, squeezed, unpacked
from modelway.stats.drift_season import HOURS, Season
from modelway.stats.drift_spread import Excess


def content_of(season: Season | None) -> dict[str, Any] | None:
    """Its written form."""
    if season is None:
        return None
    return {
        "places": season.places,
        "sizes": season.sizes,
        "clock": season.clock,
        "began": season.began,
        "hour": season.hour,
        "open": packed(season.open),
        "levels": _packed(season.levels),
        "rows": packed(season.rows),
        "values": season.values.tolist(),
        "rest": [astuple(one) for one in season.rest],
        "again": season.again,
        "used": season.used,
    }


def season_from(plain: Mapping[str, Any] | None) -> Season | None:
    """What `content_of` wrote.

    Raises:
        ValueError: it cannot be read; a KeyError or TypeError says it as well.
    """
    if plain is None:
        return None
    sizes = tuple(map(int, plain["sizes"]))
    places = tuple(map(int, plain["places"]))
    rest = tuple(Excess(int(compared), *map(float, sums)) for compared, *sums in plain["rest"])
    used = plain["used"]
    if not len(places) == len(sizes) == len(rest) == len(plain["values"]):
        raise ValueError("a rhythm of other features than it names")
    return Season(
        places=places,
        sizes=sizes,
        clock=str(plain["clock"]),
        began=int(plain["began"]),
        hour=int(plain["hour"]),
        open=unpacked(plain["open"], sum(sizes)),
        levels=_unpacked(plain["levels"], sum(sizes)),
        rows=unpacked(plain["rows"], HOURS),
        values=np.array(plain["values"], np.int64),
        rest=rest,
        again=int(plain["again"]),
        used=None if used is None else tuple(map(bool, used)),
    )


def _packed(levels: "np.ndarray[Any, np.dtype[np.uint8]]") -> str:
    """The hours of a cell side by side: most of them are as the one before."""
    return squeezed(levels.T.tobytes(), level=6)


def _unpacked(text: str, cells: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    turned = spread_out(text, most=HOURS * cells)
    if len(turned) != HOURS * cells:
        raise ValueError(f"not the hours of {cells} cells")
    return np.ascontiguousarray(np.frombuffer(turned, np.uint8).reshape(cells, HOURS).T)
