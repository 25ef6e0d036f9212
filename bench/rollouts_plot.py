"""The plot of docs/statistics.md, as an SVG that needs no library and no fonts of its own."""

import math
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM, _GAP = 420, 260, 56, 52, 46, 40
_COLOURS = {"modelway": "#1565c0", "argo": "#ef6c00", "flagger": "#6a1b9a"}
_NAMES = {"modelway": "modelway", "argo": "Argo Rollouts' example", "flagger": "Flagger's example"}
_ALIKE, _WORSE = 0.02, 0.005
"""Which base each panel shows: one that is ordinary for a busy service, and one that is for a good one."""


def plot(figures: dict[str, Any]) -> str:
    """Two panels over the traffic: how often an identical version is rolled back, and a far worse one promoted."""
    cells = figures["grid"]
    identical = {
        cell["traffic"]: _rolled_back(cell) for cell in cells if (cell["base"], cell["excess"]) == (_ALIKE, 0.0)
    }
    worse = {
        cell["traffic"]: {
            "modelway": cell["modelway"]["promoted"]["share"],
            **{peer: 1.0 - cell[peer]["rolledBack"] for peer in ("argo", "flagger")},
        }
        for cell in cells
        if (cell["base"], cell["excess"]) == (_WORSE, 5.0)
    }
    width, height = 2 * (_LEFT + _WIDTH) + _GAP, _TOP + _HEIGHT + _BOTTOM
    panels = [
        _panel(0, "an identical version (2 % errors) is rolled back", identical),
        _panel(_LEFT + _WIDTH + _GAP, "a version with 3 % instead of 0.5 % errors is promoted", worse),
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 24}">',
            '<g font-family="sans-serif" font-size="12">',
            f'<rect width="{width}" height="{height + 24}" fill="white"/>',
            *panels,
            *_legend(height + 10),
            "</g>",
            "</svg>\n",
        ]
    )


def _rolled_back(cell: dict[str, Any]) -> dict[str, float]:
    return {
        "modelway": cell["modelway"]["rolledBack"]["share"],
        **{peer: cell[peer]["rolledBack"] for peer in ("argo", "flagger")},
    }


def _panel(offset: int, title: str, series: dict[float, dict[str, float]]) -> str:
    traffic = sorted(series)
    low, high = math.log10(traffic[0]), math.log10(traffic[-1])

    def x(value: float) -> float:
        return offset + _LEFT + 16 + (math.log10(value) - low) / max(high - low, 1e-9) * (_WIDTH - 32)

    def y(share: float) -> float:
        return _TOP + _HEIGHT * (1.0 - share)

    parts = [f'<text x="{offset + _LEFT}" y="{_TOP - 18}" font-size="14">{title}</text>']
    for percent in (0, 25, 50, 75, 100):
        level = y(percent / 100)
        right = offset + _LEFT + _WIDTH
        parts.append(f'<line x1="{offset + _LEFT}" x2="{right}" y1="{level:.1f}" y2="{level:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{offset + _LEFT - 8}" y="{level + 4:.1f}" text-anchor="end">{percent} %</text>')
    parts += [
        f'<text x="{x(value):.1f}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{value:g}</text>' for value in traffic
    ]
    middle = offset + _LEFT + _WIDTH / 2
    parts.append(f'<text x="{middle}" y="{_TOP + _HEIGHT + 36}" text-anchor="middle">requests per second</text>')
    for name, colour in _COLOURS.items():
        points = [(x(value), y(series[value][name])) for value in traffic]
        path = " ".join(f"{left:.1f},{top:.1f}" for left, top in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{left:.1f}" cy="{top:.1f}" r="3.5" fill="{colour}"/>' for left, top in points]
    return "\n".join(parts)


def _legend(top: int) -> list[str]:
    parts = []
    for index, (name, colour) in enumerate(_COLOURS.items()):
        left = _LEFT + index * 200
        parts.append(f'<rect x="{left}" y="{top - 9}" width="18" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{left + 26}" y="{top}">{_NAMES[name]}</text>')
    return parts
