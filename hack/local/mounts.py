"""Mounts that pods and containers left below the cluster's folders."""

import re
from pathlib import Path

from .commands import run
from .errors import LocalClusterError


def parse(mountinfo: str) -> list[Path]:
    """The mount points in the text of /proc/self/mountinfo, in the order they were mounted."""
    return [Path(_unescape(line.split()[4])) for line in mountinfo.splitlines()]


def below(*folders: Path) -> list[Path]:
    """Mount points in these folders, last mounted first."""
    points = parse(Path("/proc/self/mountinfo").read_text())
    return [point for point in reversed(points) if any(point.is_relative_to(folder) for folder in folders)]


def unmount_below(*folders: Path) -> None:
    """Unmounts everything in the folders. Only then may they be deleted: a bind mount shows files of elsewhere."""
    for point in below(*folders):
        run("umount", "--lazy", point)
    if left := below(*folders):
        raise LocalClusterError(f"still mounted, so nothing is deleted: {', '.join(map(str, left))}")


def _unescape(text: str) -> str:
    """The kernel writes blanks and backslashes as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
