"""The control groups of the nodes, in cgroup v1 (a tree for each controller) and v2 (one tree).

All processes in them are the cluster's own: only pods are put there, so ending them by group ends nobody else's.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .layout import CGROUP, NodePlaces
from .waiting import wait_until

_V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted tree of control groups."""

    mount: Path
    unified: bool
    controllers: frozenset[str]


def parse_mounts(mountinfo: str) -> list[Hierarchy]:
    """The hierarchies in the text of /proc/self/mountinfo."""
    found: dict[Path, Hierarchy] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        mount = Path(before.split()[4])
        kind, _source, options = after.split()[:3]
        if kind == "cgroup":
            found[mount] = Hierarchy(mount, unified=False, controllers=frozenset(options.split(",")) - {"rw", "ro"})
        elif kind == "cgroup2":
            found[mount] = Hierarchy(mount, unified=True, controllers=frozenset())
    return list(found.values())


def with_controllers(found: list[Hierarchy]) -> list[Hierarchy]:
    """Those that limit pods. Where v1 and v2 are mounted side by side it is v1, as for runc; v2 only follows."""
    return [item for item in found if not item.unified] or found


def hierarchies() -> list[Hierarchy]:
    return parse_mounts(Path("/proc/self/mountinfo").read_text())


def make(node: NodePlaces) -> None:
    """The node's group in every tree. A kubelet does not make its own root."""
    for hierarchy in with_controllers(hierarchies()):
        group = hierarchy.mount
        if hierarchy.unified:
            _pass_on_controllers(group)
        for part in Path(node.cgroup).parts[1:]:
            parent, group = group, group / part
            group.mkdir(exist_ok=True)
            if hierarchy.unified:
                _pass_on_controllers(group)
            elif "cpuset" in hierarchy.controllers:
                for file in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, and then nothing can run in it
                    if not (group / file).read_text().strip():
                        (group / file).write_text((parent / file).read_text())


def kill_all() -> None:
    """Ends every process in the cluster's groups."""

    def all_gone() -> bool:
        pids = set(_processes())
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    wait_until(all_gone, what="the pods' processes end", seconds=30, interval=0.05)


def remove_all() -> None:
    """Removes the groups, leaves first."""
    for group in leftovers():
        with contextlib.suppress(FileNotFoundError):
            group.rmdir()


def leftovers() -> list[Path]:
    """The cluster's groups that exist, deepest first."""
    return [group for root in _roots() for group in sorted(_walk(root), reverse=True)]


def _pass_on_controllers(group: Path) -> None:
    available = (group / "cgroup.controllers").read_text().split()
    for controller in _V2_CONTROLLERS:
        if controller in available:
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _roots() -> list[Path]:
    return [root for item in hierarchies() if (root := item.mount / CGROUP).is_dir()]


def _walk(root: Path) -> Iterator[Path]:
    yield root
    with contextlib.suppress(FileNotFoundError):
        for path in root.iterdir():
            if path.is_dir():
                yield from _walk(path)


def _processes() -> Iterator[int]:
    for root in _roots():
        for group in _walk(root):
            with contextlib.suppress(OSError):
                yield from map(int, (group / "cgroup.procs").read_text().split())
