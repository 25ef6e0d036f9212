"""What of the cluster runs, for `make cluster-status`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import gateway
from .cluster import Cluster
from .commands import attempt


@dataclass(frozen=True, slots=True)
class Program:
    """A line of the table; `pid` is None for one that does not run."""

    name: str
    pid: int | None
    resident_mib: int
    log: Path

    @property
    def state(self) -> str:
        return f"pid {self.pid}" if self.pid else "NOT RUNNING"


def programs(cluster: Cluster) -> list[Program]:
    """All that should run, and what somebody started besides: simulated nodes, a Gateway."""
    processes = cluster.processes
    names = [*cluster.program_names(), *(name for name in ("kwok", *gateway.PROGRAMS) if processes.pid(name))]
    return [
        Program(name, pid := processes.pid(name), _resident_mib(pid) if pid else 0, processes.log(name))
        for name in names
    ]


def table(lines: Sequence[Program]) -> str:
    width = max(len(line.name) for line in lines)
    return "\n".join(f"{line.name:{width}}  {line.state:12} {line.resident_mib:5} MiB  {line.log}" for line in lines)


def show(kubectl: Path, kubeconfig: Path) -> int:
    """Prints the nodes and the pods that are not well. 0 when the API server answers."""
    for arguments in (
        ("get", "nodes", "--output=wide"),
        ("get", "pods", "--all-namespaces", "--field-selector=status.phase!=Running,status.phase!=Succeeded"),
    ):
        done = attempt(kubectl, f"--kubeconfig={kubeconfig}", *arguments)
        print("", done.stdout.strip() or done.stderr.strip(), sep="\n")
        if done.returncode:
            return 1
    return 0


def _resident_mib(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 // 2**20
