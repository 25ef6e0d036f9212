"""`python -m bench.drift`: simulate windows and print how often drift is told falsely, and how soon truly.

Every number of docs/monitoring.md about alarms comes from here. `--full` takes all windows that the claims are about,
and only it may be saved, to bench/results/drift.json; without it there is a twentieth of them, in under a minute.
The same seed gives the same figures, however many processes compute them. A claim that does not hold ends it with 1.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import drift_report, drift_seasons, drift_sets, drift_worlds
from bench.drift_rules import Peers, alarms_of, moved
from bench.drift_worlds import CELLS, DAY, FEATURES, REFERENCE_ROWS, World
from modelway.plan.monitoring.family import Family
from modelway.stats.drift import Rule
from modelway.stats.drift_cells import Cells
from modelway.stats.drift_distance import INDEPENDENT, Spread
from modelway.stats.drift_reference import Feature
from modelway.stats.drift_spread import learn_spread

_RESULT = Path(__file__).parent / "results" / "drift.json"
_MEMORY = 4 * 2**30
_RULE = Rule(min_rows=200)
_BLOCK = 500  # windows against one reference
_FIRST = 10  # windows of a block, in which little is known
_LONGEST = 60  # windows in which a drift is to be found
_DRIFTED = 3  # of the features
_ROWS = (200, 1000, 10_000)
_CORRELATIONS = (0.001, 0.005, 0.02)
_CELLS = Cells(edges=tuple(float(place) for place in range(CELLS - 1)))


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of a table.

    Args:
        part: of which table.
        name: of the row, with all that tells it from others.
        run: from chance and the share of the work that is to be done: its figures.

    """

    part: str
    name: str
    run: Callable[[np.random.Generator, float], dict[str, Any]]


def stable(world: World, rows: int, *, learnt: bool) -> Callable[[np.random.Generator, float], dict[str, Any]]:
    """Alarms in 20,000 stable windows; `learnt`: with the spread of a baseline of 288 windows before each block."""

    def run(rng: np.random.Generator, effort: float) -> dict[str, Any]:
        blocks = max(1, round(40 * effort))
        alarms, beyond_rule, in_alarm = 0, 0, 0
        for _ in range(blocks):
            usual = drift_worlds.reference(rng)
            spread = _learnt(world(rng, rows, DAY)) if learnt else INDEPENDENT
            beyond = moved(usual, world(rng, rows, _BLOCK), _RULE, spread)
            beyond_rule += int(beyond.any(axis=1).sum())
            begun, during = alarms_of(beyond, _RULE.windows)
            alarms += int(begun.any(axis=1).sum())
            in_alarm += int(during.any(axis=1).sum())
        windows = blocks * _BLOCK
        found = {"windows": windows, "alarms": alarms, "windows_in_alarm": in_alarm, "windows_beyond": beyond_rule}
        return found | {"alarms_at_most": _upper(alarms, windows)}

    return run


def watched(world: World, rows: int) -> Callable[[np.random.Generator, float], dict[str, Any]]:
    """The same by the operator's own code, which begins each block knowing nothing and learns the spread as it goes."""

    def run(rng: np.random.Generator, effort: float) -> dict[str, Any]:
        blocks, found = max(1, round(40 * effort)), {"at_first": 0, "alarms": 0}
        for _ in range(blocks):
            family, before = _unknowing(rng), set[int]()
            for number, counts in enumerate(world(rng, rows, _BLOCK)):
                family = family.after(drift_worlds.read(counts), _RULE)
                now = {one.place for one in family.drifted()}
                found["at_first" if number < _FIRST else "alarms"] += bool(now - before)
                before = now
        windows = blocks * (_BLOCK - _FIRST)
        return {"blocks": blocks, "windows": windows} | found | {"alarms_at_most": _upper(found["alarms"], windows)}

    return run


def watched_shift(psi: float, after: int) -> Callable[[np.random.Generator, float], dict[str, Any]]:
    """Windows until the operator tells of a shift that comes after so many, and whether it still does 100 later."""
    shares = drift_worlds.shifted("mean", psi)

    def run(rng: np.random.Generator, effort: float) -> dict[str, Any]:
        delays, still = [], 0
        for _ in range(max(5, round(40 * effort))):
            family, told = _unknowing(rng), 0
            windows = drift_worlds.independent(rng, 1000, after + 100)
            windows[after:, :_DRIFTED] = rng.multinomial(1000, shares, size=(100, _DRIFTED))
            for number, counts in enumerate(windows, 1 - after):
                family = family.after(drift_worlds.read(counts), _RULE)
                if not told and number > 0 and family.drifted():
                    told = number
            delays.append(told)
            still += bool(family.drifted())
        seen = [one for one in delays if one]
        return {
            "runs": len(delays),
            "told": len(seen),
            "median": float(np.median(seen)) if seen else None,
            "still_told": still,
        }

    return run


def _unknowing(rng: np.random.Generator) -> Family:
    usual = drift_worlds.reference(rng)
    return Family.of([Feature(f"f{place}", _CELLS, tuple(row.tolist())) for place, row in enumerate(usual)])


def delay(shares: np.ndarray, rows: int) -> Callable[[np.random.Generator, float], dict[str, Any]]:
    """Windows until one of the drifted features alarms, in 200 runs."""

    def run(rng: np.random.Generator, effort: float) -> dict[str, Any]:
        found = []
        for _ in range(max(20, round(200 * effort))):
            windows = drift_worlds.independent(rng, rows, _LONGEST)
            windows[:, :_DRIFTED] = rng.multinomial(rows, shares, size=(_LONGEST, _DRIFTED))
            begun = alarms_of(moved(drift_worlds.reference(rng), windows, _RULE), _RULE.windows)[0][:, :_DRIFTED]
            found.append(int(begun.any(axis=1).argmax()) + 1 if begun.any() else 0)
        seen = [one for one in found if one]
        return {
            "psi": round(drift_worlds.psi(np.maximum(shares, 0.5 / rows)), 3),
            "runs": len(found),
            "missed": len(found) - len(seen),
            "median": round(float(np.median(seen)), 1) if seen else None,
            "p90": round(float(np.quantile(seen, 0.9)), 1) if seen else None,
        }

    return run


def side_by_side(rows: int, shift: float) -> Callable[[np.random.Generator, float], dict[str, Any]]:
    """The share of windows in which each rule alarms, in streams of values; 3 of 30 features are shifted by so much."""

    def run(rng: np.random.Generator, effort: float) -> dict[str, Any]:
        windows = max(20, round(200 * effort * min(1.0, 2000 / rows)))
        usual = rng.standard_normal((REFERENCE_ROWS, FEATURES))
        peers, ours = Peers(usual), drift_sets.Watch(usual, _RULE)
        alarms: dict[str, int] = {}
        for _ in range(windows):
            values = rng.standard_normal((rows, FEATURES))
            values[:, :_DRIFTED] += shift
            for name, alarm in ({"modelway": ours.see(values)} | dict(peers.alarms(values))).items():
                alarms[name] = alarms.get(name, 0) + alarm
        return {"windows": windows} | {name: round(count / windows, 4) for name, count in alarms.items()}

    return run


def cells() -> list[Cell]:
    """All rows of all tables."""
    found = [
        Cell("independent", f"{rows} rows", stable(drift_worlds.independent, rows, learnt=False)) for rows in _ROWS
    ]
    for name, made in (("spread", drift_worlds.excess_spread), ("wobble", drift_worlds.wobbling_mean)):
        found += [
            Cell(name, f"correlation {correlation}, {rows} rows", stable(made(correlation), rows, learnt=True))
            for correlation in _CORRELATIONS
            for rows in _ROWS
        ]
    found += [
        Cell("unlearnt", f"correlation {correlation}, 1000 rows", stable(world, 1000, learnt=False))
        for correlation in _CORRELATIONS
        for world in (drift_worlds.excess_spread(correlation),)
    ]
    found += [
        Cell(
            "season", f"{amplitude} deviations, 1000 rows", stable(drift_worlds.seasonal(amplitude), 1000, learnt=True)
        )
        for amplitude in (0.1, 0.2, 0.4)
    ]
    found += [Cell("watched", f"independent, {rows} rows", watched(drift_worlds.independent, rows)) for rows in _ROWS]
    for name, made in (
        ("alike in all cells", drift_worlds.excess_spread),
        ("a wobbling mean", drift_worlds.wobbling_mean),
    ):
        found += [
            Cell("watched", f"{name}, correlation {correlation}, 1000 rows", watched(made(correlation), 1000))
            for correlation in _CORRELATIONS
        ]
    found += [
        Cell("told", f"PSI {psi}, after {after} windows", watched_shift(psi, after))
        for psi in (0.25, 0.5, 1.0)
        for after in (0, 5, 12, 60, 300)
    ]
    drifts = [
        (f"{kind}, PSI {psi}", drift_worlds.shifted(kind, psi))
        for kind in ("mean", "scale")
        for psi in (0.1, 0.25, 0.5)
    ]
    drifts.append(("a category of 5 % gone", drift_worlds.without(0)))
    drifts.append(("labels of a fifth flipped", _flipped(0.2)))
    found += [Cell("delay", f"{name}, {rows} rows", delay(shares, rows)) for name, shares in drifts for rows in _ROWS]
    found += [
        Cell("peers", f"{rows} rows, {shift} deviations", side_by_side(rows, shift))
        for rows in (200, 1000, 10_000)
        for shift in (0.0, 0.1, 0.5)
    ]
    found += [Cell("sets", name, run) for name, run in drift_sets.cells(_RULE)]
    return found + [Cell("hours", name, run) for name, run in drift_seasons.cells(_RULE)]


def broken(figures: dict[str, Any]) -> list[str]:
    """Which claims do not hold."""
    claims = (
        ("independent", "alarms", 20_000),
        ("spread", "alarms", 5_000),
        ("watched", "alarms", 5_000),
        ("hours", "hours_alarms", 5_000),
    )
    return [
        f"{part}, {row['name']}: {row[alarms]} alarms in {row['windows']} windows, claimed 1 in {claimed:,}"
        for part, alarms, claimed in claims
        for row in figures.get(part, ())
        if row[alarms] > max(1, row["windows"] // claimed)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.drift", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all windows that the claims are about (minutes)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--seed", type=int, default=1, help="of all chance (default: 1)")
    parser.add_argument("--part", action="append", help="only these tables; may be repeated")
    parser.add_argument(
        "--save", action="store_true", help="write the figures to bench/results/ and docs/; with --part only these"
    )
    parser.add_argument("--render", action="store_true", help="write the tables of the saved figures, and end")
    arguments = parser.parse_args()
    if arguments.render:
        drift_report.write(json.loads(_RESULT.read_text()))
        return
    if arguments.save and not arguments.full:
        parser.error("--save needs --full")
    figures = measure(arguments.seed, arguments.jobs, 1.0 if arguments.full else 0.05, arguments.part)
    print(drift_report.told(figures))
    if arguments.save:
        parts = {name: figures[name] for name in arguments.part or ()}
        figures = json.loads(_RESULT.read_text()) | parts if parts else figures
        _RESULT.write_text(json.dumps(figures, indent=1) + "\n")
        drift_report.write(figures)
    wrong = broken(figures)
    for line in wrong:
        print(f"BROKEN: {line}")
    sys.exit(1 if wrong else 0)


def measure(seed: int, jobs: int, effort: float, parts: list[str] | None) -> dict[str, Any]:
    """All rows of the tables."""
    began = time.monotonic()
    chosen = [place for place, cell in enumerate(cells()) if not parts or cell.part in parts]
    figures: dict[str, Any] = {"seed": seed, "effort": effort}
    with multiprocessing.get_context("spawn").Pool(jobs, initializer=_bound) as pool:
        work = [(place, seed, effort) for place in chosen]
        for done, (part, row) in enumerate(pool.imap(_one, work, chunksize=1), 1):
            figures.setdefault(part, []).append(row)
            print(f"[{time.monotonic() - began:5.0f} s] {done}/{len(work)} {part}: {row['name']}", flush=True)
    return figures | {"minutes": round((time.monotonic() - began) / 60, 1)}


def _one(task: tuple[int, int, float]) -> tuple[str, dict[str, Any]]:
    place, seed, effort = task
    cell = cells()[place]
    return cell.part, {"name": cell.name, **cell.run(np.random.default_rng([seed, place]), effort)}


def _bound() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def _learnt(windows: np.ndarray) -> Spread:
    learnt = [learn_spread(windows[:, feature], ordered=True) for feature in range(windows.shape[1])]
    return Spread(np.array([one.mean for one in learnt]), np.array([one.variance for one in learnt]))


def _upper(events: int, among: int) -> float:
    """The 95 % upper confidence bound of a rate (Garwood, one-sided, events being rare)."""
    from scipy.stats import chi2  # noqa: PLC0415 half a second, for the end of a cell

    return round(float(chi2.ppf(0.95, 2 * events + 2)) / 2 / among, 7)


def _flipped(share: float) -> np.ndarray:
    """A classifier of two labels, 85 % and 15 %, in the first and the other cells: so many rows get the other one."""
    found = np.full(CELLS, 0.15 * (1 - share) / 3)
    found[:17] = 0.85 * (1 - share) / 17
    return found + share * np.where(np.arange(CELLS) < 17, 0.15 / 17, 0.85 / 3)


if __name__ == "__main__":
    main()
