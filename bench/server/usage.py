"""What all processes of a session use: a server's workers, stubs and helpers count for it."""

import os
from collections.abc import Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def members(session: int) -> list[int]:
    """The session's processes."""
    return [pid for pid, _ in _stats(session)]


def cpu_seconds(session: int) -> float:
    """User and system time of all of them, and of their children that have ended."""
    return sum(sum(map(int, fields[11:15])) for _, fields in _stats(session)) / _TICKS


def own_cpu_seconds(session: int) -> dict[tuple[int, str], float]:
    """User and system time of each by itself, by its number and when it began; such a pair never comes again."""
    return {(pid, fields[19]): (int(fields[11]) + int(fields[12])) / _TICKS for pid, fields in _stats(session)}


def resident_mib(session: int) -> float:
    """Resident memory of all of them; a page that several share counts for each."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in members(session))
    return pages * _PAGE / 2**20


def _stats(session: int) -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) and int(fields[3]) == session:
            yield int(entry.name), fields


def _stat(pid: int) -> list[str]:
    """The fields behind the name: state, parent, group, session, …; none when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
