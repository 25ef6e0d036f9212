"""Engines that score the same rows with the same model as `bench.batch`: Ray Data and Spark, as `bench.batch_ray` and
`bench.batch_spark` use them.

An engine is many processes, and begins slowly. So what all processes of its session use is counted, those that have
ended included, and a small folder is scored first: twice, so that whatever is compiled or started once has been. The
rate is that of the rows which the whole has more than the small one, with nothing of the start in it. What is not
installed, or does not end in time, is told with the reason.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hack import peers
from pyarrow import compute, parquet

from bench.server import usage

ENGINES: Final = ("ray", "spark")
SECONDS: Final = 75.0
"""For an engine and a model: all four together end within five minutes."""
_EVERY: Final = 0.1


class NotMeasuredError(Exception):
    """There is no figure; the message says why."""


@dataclass(slots=True)
class _Meter:
    """What all processes of a session have used so far, looked at ten times a second.

    A process that has ended counts with what it had used when it was last seen: not everybody waits for children.
    """

    session: int
    peak_mib: float = 0.0
    _seen: dict[tuple[int, str], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)

    def cpu(self) -> float:
        """Seconds of user and system time."""
        with self._lock:
            self._seen |= usage.own_cpu_seconds(self.session)
            return sum(self._seen.values())

    def watch(self) -> None:
        """Look until `end`."""
        while not self._ended.wait(_EVERY):
            self.cpu()
            self.peak_mib = max(self.peak_mib, sum(map(_mib, usage.members(self.session))))

    def end(self) -> None:
        """Look no more."""
        self._ended.set()


def measured(engine: str, folder: Path, *, names: list[str], cores: int, batch: int, block: int) -> dict[str, float]:
    """Rows a core-second and memory of an engine. Raises NotMeasuredError.

    Args:
        engine: of `ENGINES`.
        folder: with `in`, `small` and `model`.
        names: of the features.
        cores: how many batches it may score at once.
        batch: rows that the model is given at once.
        block: rows of a batch of the engine.

    """
    python = _installed(engine)
    for target in folder.glob("out-*"):  # of another engine
        shutil.rmtree(target)
    command = [python, "-m", f"bench.batch_{engine}", f"--folder={folder}", f"--names={','.join(names)}"]
    command += [f"--cores={cores}", f"--batch={batch}", f"--block={block}"]
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
    environ = os.environ | single | {"PYSPARK_PYTHON": str(python), "RAY_USAGE_STATS_ENABLED": "0"}
    # Of its own, as the paths of Ray's sockets may have no more than 107 bytes.
    with (folder / f"{engine}.log").open("w") as log, tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        process = subprocess.Popen(
            [*command, f"--scratch={scratch}"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        try:
            used, peak = _followed(process)
        finally:
            _end(process)
    if "in" not in used:
        why = (folder / f"{engine}.log").read_text().strip().splitlines()[-1:] or ["it said nothing"]
        raise NotMeasuredError(f"it did not end within {SECONDS:.0f} s, or failed: {why[0][:200]}")
    found = _answers(folder / "out-2")
    small = _answers(folder / "out-1")["rows"]
    return found | {"cpu": used["in"] - used["small"], "counted": found["rows"] - small, "mib": peak}


def _installed(engine: str) -> Path:
    """The engine's Python."""
    if engine == "spark" and shutil.which("java") is None:
        raise NotMeasuredError("Spark needs Java 17 or newer: apt-get install openjdk-17-jre-headless")
    try:
        peers.ensure([peers.ENGINES], say=print)
    except (peers.PeersError, OSError) as error:
        raise NotMeasuredError(f"not installed: {error}") from error
    return peers.python(peers.ENGINES)


def _followed(process: "subprocess.Popen[str]") -> tuple[dict[str, float], float]:
    """CPU seconds between the lines of each folder, the last time that it was scored; and the most memory, in MiB."""
    meter = _Meter(process.pid)
    timer = threading.Timer(SECONDS, _kill, (process.pid,))
    watching = threading.Thread(target=meter.watch, daemon=True)
    watching.start()
    timer.start()
    used: dict[str, float] = {}
    begun = 0.0
    try:
        for told in _told(process):
            if told["is"] == "begun":
                begun = meter.cpu()
            else:
                used[told["source"]] = meter.cpu() - begun
    finally:
        timer.cancel()
        meter.end()
        watching.join()
    return used, meter.peak_mib


def _told(process: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        with contextlib.suppress(json.JSONDecodeError):  # engines say other things too
            yield json.loads(line[line.find("{") :])


def _end(process: "subprocess.Popen[str]") -> None:
    """End all that the engine has started."""
    _kill(process.pid)
    process.wait()


def _kill(session: int) -> None:
    for pid in usage.members(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _answers(folder: Path) -> dict[str, float]:
    """How many rows were answered, and how many of these with 1."""
    labels = parquet.read_table(folder, columns=["prediction"])["prediction"]
    return {"rows": len(labels), "positives": compute.sum(labels).as_py()}


def _mib(pid: int) -> float:
    """Memory of a process; a page that several share is divided among them."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:")), 0.0)
