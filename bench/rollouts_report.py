"""Tables and checks of `bench.rollouts`, and how they get into docs/statistics.md."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.rollouts_plot import plot
from bench.rollouts_points import TICK

Figures = dict[str, Any]
_DOCS = Path(__file__).resolve().parent.parent / "docs"
_COARSE = 2 * TICK  # requests: what was published was looked at so seldom too, so two looks are no difference
_PAGE, _PLOT = _DOCS / "statistics.md", _DOCS / "statistics-rollouts.svg"


def tables(figures: Figures) -> str:
    """All parts that were computed, as Markdown."""
    source = {"worst": "grid"}  # a summary, with no cells of its own
    parts = [f"### {part}\n\n{build(figures)}" for part, build in _TABLES.items() if source.get(part, part) in figures]
    return "\n\n".join([f"{figures['runs']} runs a cell, seed {figures['seed']}, {figures['minutes']} minutes", *parts])


def broken(figures: Figures) -> list[str]:
    """What does not hold: a rate whose 99.9 % lower confidence bound is above the claim, or too many requests."""
    found = [
        f"{part}: {where} is {entry['share']:.2%} (at least {entry['lower']:.2%}), claimed {entry['claimed']:.0%}"
        for part in ("grid", "many", "points")
        for cell in figures.get(part, [])
        for where, entry in _claims(cell)
        if entry["broken"]
    ]
    for row in figures.get("points", []):
        for excess, entry in _decisions(row):
            if entry["ratio"] is None or (entry["ratio"] > 1.5 and _more(entry) > _COARSE):
                found.append(
                    f"points: {_row_name(row)}, {excess} margins worse takes {entry['ratio']} times the published"
                )
    return found


def _more(entry: Figures) -> int:
    """Candidate requests more than the published median."""
    return round((entry["ratio"] - 1.0) * entry["published"][0])


def write(figures: Figures) -> None:
    """The tables between their marks in docs/statistics.md, and the plot beside it."""
    _PAGE.write_text(rendered(_PAGE.read_text(), figures))
    _PLOT.write_text(plot(figures))


def rendered(page: str, figures: Figures) -> str:
    """The page with the tables of these figures."""
    for part, build in _TABLES.items():
        begin, end = f"<!-- begin: {part} -->", f"<!-- end: {part} -->"
        head, rest = page.split(begin)
        page = f"{head}{begin}\n\n{build(figures)}\n\n{end}{rest.split(end)[1]}"
    return page


def _claims(cell: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(cell, dict):
        return
    if "claimed" in cell:
        yield where, cell
        return
    named = {key: value for key, value in cell.items() if not isinstance(value, (dict, list))}
    for key, value in cell.items():
        yield from _claims(value, f"{where or named} {key}")


def _grid(figures: Figures) -> str:
    cells = [cell for cell in figures["grid"] if cell["excess"] in {0.0, 1.0, 5.0}]
    return _table(
        (
            "traffic, /s", "bad", "margin", "candidate",
            "rolled back", "promoted", "undecided", "median h to Safe", "to Harmful",
            "Argo rolls back", "tuned", "Flagger rolls back", "tuned",
        ),
        (
            (
                f"{cell['traffic']:g}", f"{cell['base']:.1%}", f"{cell['margin']:.1%}", _truth(cell["excess"]),
                _share(cell["modelway"]["rolledBack"]), _share(cell["modelway"]["promoted"]),
                f"{cell['modelway']['undecided']:.0%}",
                _hours(cell["modelway"]["hoursToSafe"]["median"]), _hours(cell["modelway"]["hoursToHarmful"]["median"]),
                *(f"{cell[peer]['rolledBack']:.0%}" for peer in ("argo", "argoTuned", "flagger", "flaggerTuned")),
            )
            for cell in sorted(cells, key=lambda cell: (cell["base"], cell["margin"], cell["traffic"], cell["excess"]))
        ),
    )  # fmt: skip


def _worst(figures: Figures) -> str:
    """The largest error over all cells of the grid, modelway's and the peers'."""
    within = [cell for cell in figures["grid"] if cell["excess"] <= 1.0]
    beyond = [cell for cell in figures["grid"] if cell["excess"] >= 1.0]
    far = [cell for cell in figures["grid"] if cell["excess"] == 5.0]
    ours = [
        max(cell["modelway"]["rolledBack"]["share"] for cell in within),
        max(cell["modelway"]["promoted"]["share"] for cell in beyond),
        max(cell["modelway"]["promoted"]["share"] for cell in far),
    ]
    rows = [("modelway (claimed: 1 %, 5 %)", *(f"{value:.1%}" for value in ours))]
    names = {
        "argo": "Argo Rollouts",
        "argoTuned": "Argo Rollouts, tuned",
        "flagger": "Flagger",
        "flaggerTuned": "Flagger, tuned",
    }
    rows += [
        (
            name,
            f"{max(cell[peer]['rolledBack'] for cell in within):.1%}",
            f"{max(1 - cell[peer]['rolledBack'] for cell in beyond):.1%}",
            f"{max(1 - cell[peer]['rolledBack'] for cell in far):.1%}",
        )
        for peer, name in names.items()
    ]  # fmt: skip
    header = (
        "",
        "rolls back a version within the margin",
        "promotes one at or beyond it",
        "promotes one 5 margins worse",
    )
    note = (
        f"Each figure is the largest of {len(within)}, {len(beyond)} or {len(far)} cells of {figures['runs']} runs, so "
        "chance alone can lift it above the claim. The simulation fails when the 99.9 % lower confidence bound of "
        "any cell is above."
    )
    return f"{_table(header, rows)}\n\n{note}"


def _many(figures: Figures) -> str:
    return _table(
        ("traffic, /s", "answers", "rolled back", "promoted", "undecided"),
        (
            (
                f"{cell['traffic']:g}",
                "alike" if cell["excess"] == 0 else "two bins apart by the margin",
                _share(cell["modelway"]["rolledBack"]),
                _share(cell["modelway"]["promoted"]),
                f"{cell['modelway']['undecided']:.0%}",
            )
            for cell in figures["many"]
        ),
    )


def _dependent(figures: Figures) -> str:
    keys = ("rolledBackWorseAtAll", "rolledBack", "rolledBackDefended", "promotedAtMargin", "promotedAtMarginDefended")
    return _table(
        (
            "identical versions; requests are", "rolled back, no margin", "with the margin",
            "defence", "rolled back with it", "promoted at the margin", "with the defence", "identical undecided",
        ),
        (
            (
                cell["name"], *(_share(cell[key]) for key in keys[:2]), cell["defence"],
                *(_share(cell[key]) for key in keys[2:]), f"{cell['undecidedDefended']:.0%}",
            )
            for cell in figures["dependent"]
        ),
    )  # fmt: skip


def _points(figures: Figures) -> str:
    def shown(entry: Any) -> str:
        return f"{_number(entry['median'])} / {_number(entry['p90'])} (ratio {entry['ratio']:.2f})" if entry else "-"

    return _table(
        (
            "bad", "margin", "weight", "at the margin: rolled back, promoted",
            "identical → Safe", "2 margins worse → Harmful", "3", "5",
        ),
        (
            (
                f"{row['base']:.1%}", f"{row['margin']:.1%}", f"{row['weight']:.0%}",
                f"{_share(row['atMargin']['rolledBack'])}, {_share(row['atMargin']['promoted'])}",
                *(shown(row.get(excess)) for excess in ("0", "2", "3", "5")),
            )
            for row in figures["points"]
        ),
    )  # fmt: skip


def _late(figures: Figures) -> str:
    return _table(
        ("bad", "margin", "becomes", "modelway", "all bets laid at the start"),
        (
            (
                f"{cell['base']:.1%}",
                f"{cell['margin']:.1%}",
                _truth(cell["excess"]),
                *(
                    f"{_number(cell[side]['median'])} / {_number(cell[side]['p90'])}"
                    for side in ("modelway", "ordinary")
                ),
            )
            for cell in figures["late"]
        ),
    )


def _pairs(figures: Figures) -> str:
    return _table(
        ("wrong in both", "in one alone", "margin", "candidate", "pairs", "requests of each arm, not paired"),
        (
            (
                f"{cell['common']:.1%}",
                f"{cell['alone']:.1%}",
                f"{cell['margin']:.1%}",
                _truth(cell["excess"]),
                *(f"{_number(cell[side]['median'])} / {_number(cell[side]['p90'])}" for side in ("pairs", "arms")),
            )
            for cell in figures["pairs"]
        ),
    )


def _forecasts(figures: Figures) -> str:
    return _table(
        (
            "bad", "margin", "candidate", "asked after", "still undecided",
            "requests told", "came, median", "told / came", "chance of Safe told", "came",
            "called futile", "Safe all the same",
        ),
        (
            (
                f"{cell['base']:.1%}", f"{cell['margin']:.1%}", _truth(cell["excess"]), f"{moment['after']:.0%}",
                f"{moment['runs']}", _number(moment["requests"]["told"]["median"]),
                _number(moment["requests"]["came"]["median"]), f"{moment['ratio']:.2f}",
                f"{moment['chanceOfSafe']['told']:.0%}", f"{moment['chanceOfSafe']['came']:.0%}",
                f"{moment['futile']['told']:.0%}", f"{moment['futile']['safeAfterAll']:.0%}",
            )
            for cell in figures["forecasts"]
            for moment in cell["moments"]
        ),
    )  # fmt: skip


_TABLES: dict[str, Callable[[Figures], str]] = {
    "worst": _worst,
    "grid": _grid,
    "many": _many,
    "dependent": _dependent,
    "points": _points,
    "late": _late,
    "pairs": _pairs,
    "forecasts": _forecasts,
}


def _table(header: tuple[str, ...], rows: Any) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)


def _decisions(row: Any) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in row.items() if key.isdigit())


def _row_name(row: Any) -> str:
    return f"{row['base']:.1%} bad, margin {row['margin']:.1%}, weight {row['weight']:.0%}"


def _truth(excess: float) -> str:
    return {0.0: "identical", 1.0: "worse by the margin"}.get(excess, f"{excess:g} margins worse")


def _share(entry: Any) -> str:
    return f"{entry['share']:.1%}"


def _hours(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if value < 1 else f"{value:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
