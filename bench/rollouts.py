"""`python -m bench.rollouts`: simulate rollouts and print how often they decide wrongly, and how long they take.

Every number of docs/statistics.md comes from here: with `--save` the figures go to bench/results/rollouts.json, and the
tables and the plot of that page are written from them; `--render` only writes these again. The same seed gives the same
figures, however many processes compute them.
"""

import argparse
import json
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

from bench import rollouts_dependent, rollouts_extra, rollouts_grid, rollouts_points, rollouts_report

_RESULT = Path(__file__).parent / "results" / "rollouts.json"
_PARTS: dict[str, list[Any]] = {
    "grid": [cell for cell in rollouts_grid.cells() if isinstance(cell, rollouts_grid.GridCell)],
    "many": [cell for cell in rollouts_grid.cells() if isinstance(cell, rollouts_grid.ManyCell)],
    "dependent": rollouts_dependent.cells(),
    "points": [cell for cell in rollouts_points.cells() if isinstance(cell, rollouts_points.PointCell)],
    "late": rollouts_extra.late(),
    "pairs": rollouts_extra.paired(),
    "forecasts": [cell for cell in rollouts_points.cells() if isinstance(cell, rollouts_points.ForecastCell)],
}
_ORDER = ("many", "dependent", "points", "forecasts", "pairs", "late", "grid")
"""The largest pieces first, so that the processes end together."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.rollouts", description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="simulated rollouts of each cell (default: 2000)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--seed", type=int, default=1, help="of all chance (default: 1)")
    parser.add_argument("--part", choices=sorted(_PARTS), action="append", help="only these parts; may be repeated")
    parser.add_argument("--save", action="store_true", help="write the figures, the tables and the plot")
    parser.add_argument("--render", action="store_true", help="write tables and plot from the saved figures, and end")
    arguments = parser.parse_args()
    if arguments.render:
        rollouts_report.write(json.loads(_RESULT.read_text()))
        return
    if arguments.save and arguments.part:
        parser.error("--save needs all parts: leave out --part")
    figures = measure(arguments.runs, arguments.seed, arguments.jobs, arguments.part or list(_PARTS))
    print(rollouts_report.tables(figures))
    if arguments.save:
        _RESULT.parent.mkdir(exist_ok=True)
        _RESULT.write_text(json.dumps(figures, indent=1) + "\n")
        rollouts_report.write(figures)
    broken = rollouts_report.broken(figures)
    for line in broken:
        print(f"BROKEN: {line}")
    sys.exit(1 if broken else 0)


def measure(runs: int, seed: int, jobs: int, parts: list[str]) -> dict[str, Any]:
    """All cells of the parts; prints one line for each as it is done."""
    began = time.monotonic()
    work = [(part, index, runs, seed) for part in _ORDER if part in parts for index in range(len(_PARTS[part]))]
    found: dict[str, dict[int, Any]] = {part: {} for part in parts}
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for done, (part, index, figures) in enumerate(pool.imap_unordered(_one, work, chunksize=1), 1):
            found[part][index] = figures
            print(f"[{time.monotonic() - began:5.0f} s] {done}/{len(work)} {_PARTS[part][index].name}", flush=True)
    results = {part: [cells[index] for index in sorted(cells)] for part, cells in found.items()}
    return {"runs": runs, "seed": seed, "minutes": round((time.monotonic() - began) / 60, 1), **results}


def _one(task: tuple[str, int, int, int]) -> tuple[str, int, dict[str, Any]]:
    part, index, runs, seed = task
    return part, index, _PARTS[part][index](runs, seed)


if __name__ == "__main__":
    main()
