"""The figures of `bench.drift` as tables, for people and for docs/monitoring.md."""

from pathlib import Path
from typing import Any

from hack.generated import between_markers, table

_PAGE = Path(__file__).parents[1] / "docs" / "monitoring.md"

_STABLE = {
    "independent": "independent rows",
    "spread": "rows alike in all cells",
    "wobble": "a mean that wobbles",
    "unlearnt": "rows alike in all cells, spread not learnt",
    "season": "a daily season",
}


def told(figures: dict[str, Any]) -> str:
    """All figures, a line each."""
    lines = []
    for part, rows in figures.items():
        if isinstance(rows, list):
            lines.append(f"\n{part}")
            lines += [
                f"  {row['name']:<37} " + "  ".join(f"{name} {value}" for name, value in row.items() if name != "name")
                for row in rows
            ]
    return "\n".join(lines)


def rendered(page: str, figures: dict[str, Any]) -> str:
    """The page with the tables of these figures."""
    parts = {"stable": _stable(figures), "delay": _delay(figures), "peers": _peers(figures), "sets": _sets(figures)}
    parts |= {"watched": _watched(figures), "told": _told_shifts(figures), "hours": _hours(figures)}
    for name, text in parts.items():
        page = between_markers(page, name, text)
    return page


def write(figures: dict[str, Any]) -> None:
    """Put the tables into the page."""
    _PAGE.write_text(rendered(_PAGE.read_text(), figures))


def _stable(figures: dict[str, Any]) -> str:
    rows = [
        (
            what,
            row["name"],
            f"{row['windows']:,}",
            f"{row['alarms']:,}",
            f"{row['windows_beyond'] / row['windows']:.1%}",
        )
        for part, what in _STABLE.items()
        for row in figures[part]
    ]
    return table(("Stable windows of 30 features", "", "Windows", "Alarms", "Windows beyond the rule, alone"), rows)


def _watched(figures: dict[str, Any]) -> str:
    rows = [
        (row["name"], f"{row['at_first']} in {row['blocks']} deployments", f"{row['alarms']} in {row['windows']:,}")
        for row in figures["watched"]
    ]
    return table(("Stable windows of 30 features", "Alarms in the first ten windows", "Alarms after that"), rows)


def _told_shifts(figures: dict[str, Any]) -> str:
    rows = [
        (
            row["name"],
            f"{row['told']} of {row['runs']}",
            _windows(row["median"]),
            f"{row['still_told']} of {row['runs']}",
        )
        for row in figures["told"]
    ]
    return table(("Shift of 3 of 30 features", "Told within 100", "Windows, median", "Told 100 windows later"), rows)


def _delay(figures: dict[str, Any]) -> str:
    rows = [
        (
            row["name"],
            str(row["psi"]),
            _windows(row["median"]),
            _windows(row["p90"]),
            f"{row['missed']} of {row['runs']}",
        )
        for row in figures["delay"]
    ]
    return table(("3 of 30 features", "True PSI", "Windows, median", "9 of 10 within", "Not within 60"), rows)


def _peers(figures: dict[str, Any]) -> str:
    names = [name for name in figures["peers"][0] if name not in {"name", "windows"}]
    rows = [(row["name"], *(f"{row[name]:.0%}" for name in names)) for row in figures["peers"]]
    return table(("Windows that are told to have drifted", *names), rows)


def _sets(figures: dict[str, Any]) -> str:
    rows = [
        (row["name"], _false(row), _windows(row["drift_after"]), _windows(row["finding_after"]))
        for row in figures["sets"]
    ]
    return table(("Change of the first column", "False in stable windows", "Drift after", "Finding after"), rows)


def _hours(figures: dict[str, Any]) -> str:
    head = ("Rhythm", "Compared with", "Alarms in stable windows", "PSI 0.1", "PSI 0.25", "PSI 0.5")
    names = {"plain": "one and the same", "hours": "its hour of the week"}
    rows = [
        (
            row["name"],
            what,
            f"{row[f'{name}_alarms']:,} in {row['windows']:,}",
            *(_told(row[f"{name}_{psi}"]) for psi in (0.1, 0.25, 0.5)),
        )
        for row in figures["hours"]
        for name, what in names.items()
    ]
    return table(head, rows)


def _told(found: dict[str, Any]) -> str:
    return f"{found['told']} of {found['runs']}" + (f", after {found['median']:g}" if found["told"] else "")


def _false(row: dict[str, Any]) -> str:
    return f"{row['windows_with_false_drift'] + row['windows_with_false_findings']} of {row['stable_windows']}"


def _windows(number: float | None) -> str:
    return "" if number is None else f"{number:g}"
