"""What a benchmark has found: printed for people, and kept in `bench/results` when asked for."""

import json
from pathlib import Path
from typing import Any

Figures = dict[str, Any]
"""By name, with the unit in it."""

_RESULTS = Path(__file__).parent / "results"


def tell(figures: Figures, *, name: str, save: bool) -> None:
    """Print the figures; with `save`, write them to `bench/results/<name>.json`."""
    width = max(len(figure) for figure in figures)
    print("\n".join(f"{figure:<{width}}  {_shown(value)}" for figure, value in figures.items()))
    if save:
        _RESULTS.mkdir(exist_ok=True)
        (_RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if value < 10 else f"{value:.1f}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    return str(value)
