"""What all processes of a session use: a server's workers, stubs and helpers count for it."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def members(session: int) -> list[int]:
    """The session's processes."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields and int(fields[3]) == session:
                found.append(int(entry.name))
    return found


def cpu_seconds(session: int) -> float:
    """User and system time of all of them, and of their children that have ended."""
    return sum(sum(map(int, fields[11:15])) for pid in members(session) if (fields := _stat(pid))) / _TICKS


def resident_mib(session: int) -> float:
    """Resident memory of all of them; a page that several share counts for each."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in members(session))
    return pages * _PAGE / 2**20


def _stat(pid: int) -> list[str]:
    """The fields behind the name: state, parent, group, session, …; none when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
