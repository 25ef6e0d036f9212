"""How much CPU this container may use: what libraries get wrong when they count the node's cores.

A pod limited to 1 CPU on a 64-core node that starts 64 threads is throttled for most of each 100 ms period, which shows
as a 99th percentile of many times the median.
"""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MAX_CONCURRENCY = 8  # without a limit: enough to use a small node, too little to swamp a large one


# The libraries that count the node's cores when they are imported.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def limit_libraries(threads: int) -> None:
    """Let libraries that are imported from now on use so many threads, unless the environment says otherwise."""
    for variable in _THREAD_VARIABLES:
        os.environ.setdefault(variable, str(threads))


def limit(root: Path = CGROUP) -> float | None:
    """The CPU limit of this control group in cores, version 2 or 1; None when there is none."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:
        return None  # "max", or -1
    return int(quota) / int(period)


def default_threads(root: Path = CGROUP, *, workers: int = 1) -> int:
    """Threads for one prediction: the worker's share of the CPU limit, rounded up; without a limit 1, as others on the
    node want to live.
    """
    cores = limit(root)
    return 1 if cores is None else max(1, min(math.ceil(cores / workers), _available()))


def default_concurrency(root: Path = CGROUP, *, workers: int = 1) -> int:
    """A worker's predictions at once: one for each core, and never one alone, so that a large request blocks no small
    one.
    """
    cores = limit(root)
    return max(2, min(math.ceil((cores if cores is not None else MAX_CONCURRENCY) / workers), _available()))


def all_cores(root: Path = CGROUP) -> int:
    """All that this container may use, for work that nobody waits beside: the CPU limit, rounded up, or every core."""
    found = limit(root)
    return _available() if found is None else max(1, min(math.ceil(found), _available()))


def _available() -> int:
    return len(os.sched_getaffinity(0))
