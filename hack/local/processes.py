"""Processes that outlive the command that started them, and that only this project may end.

The record of a process (boot id and its line of /proc/<pid>/stat) is written by the process itself before it becomes
the program, so there is no moment at which a started process has no record, however the starter is killed. Pid and
start time together name one process: a pid that the kernel gave to somebody else later is never signalled.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import LocalClusterError
from .files import write_text
from .waiting import wait_until

# Run by the shell in the new process. `$0` is the record's path, `$@` the program, which keeps pid and start time.
_RECORD_THEN_BECOME = (
    "read -r boot < /proc/sys/kernel/random/boot_id && read -r stat < /proc/$$/stat && "
    'printf "%s\\n%s\\n" "$boot" "$stat" > "$0" && exec "$@"'
)


@dataclass(frozen=True, slots=True)
class Stat:
    """The part of /proc/<pid>/stat that tells who and how; `started` is in clock ticks since boot."""

    pid: int
    command: str
    state: str
    started: int

    @classmethod
    def parse(cls, line: str) -> "Stat":
        """Reads a stat line. The command stands in parentheses and may itself hold spaces and parentheses."""
        head, _, tail = line.rpartition(")")
        pid, _, command = head.partition("(")
        fields = tail.split()
        return cls(pid=int(pid), command=command, state=fields[0], started=int(fields[19]))


@dataclass(frozen=True, slots=True)
class Record:
    """One process, for ever: no other process, before or after a reboot, has the same record."""

    boot: str
    pid: int
    started: int

    @classmethod
    def parse(cls, text: str) -> "Record":
        boot, line = text.splitlines()[:2]
        stat = Stat.parse(line)
        return cls(boot=boot, pid=stat.pid, started=stat.started)

    def is_running(self, *, boot: str, stat: Stat | None) -> bool:
        """Whether `stat`, read from this pid now, is still this process. A zombie has ended."""
        return boot == self.boot and stat is not None and stat.started == self.started and stat.state not in "ZX"


def fingerprint(program: Sequence[str], environment: Mapping[str, str], contents: Sequence[bytes]) -> str:
    """The same for the same run of a program, and for no other."""
    parts = [json.dumps([list(program), sorted(environment.items())]).encode(), *contents]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def read_stat(pid: int) -> Stat | None:
    try:
        return Stat.parse(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


class Processes:
    """The named processes of one cluster: their records in one folder, their output in another."""

    def __init__(self, records: Path, logs: Path) -> None:
        self.records = records
        self.logs = logs
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def names(self) -> list[str]:
        return sorted(path.stem for path in self.records.glob("*.process"))

    def pid(self, name: str) -> int | None:
        """The pid when the process runs, else None."""
        record = self._record(name)
        if record is None:
            return None
        if child := self._children.get(name):
            child.poll()  # a child of ours stays a zombie until it is asked for
        return record.pid if record.is_running(boot=boot_id(), stat=read_stat(record.pid)) else None

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        network_namespace: str | None = None,
        reads: Sequence[Path] = (),
        prepare: Callable[[], object] = lambda: None,
    ) -> bool:
        """Makes the program run with this command, environment and what is in the files that it `reads`.

        One that runs so already is left alone, one that runs otherwise is restarted. True when it was started;
        `prepare` is called before that, while it does not run.

        `network_namespace` is a name as `ip netns` knows it. nsenter is used, not `ip netns exec`: the latter mounts a
        new /sys, without the control groups that a kubelet needs.
        """
        program = [str(part) for part in command]
        wanted = fingerprint(program, environment or {}, [path.read_bytes() for path in reads])
        note = self.records / f"{name}.wanted"
        if self.pid(name):
            if note.exists() and note.read_text() == wanted:
                return False
            self.stop(name)
        self.records.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        record = self.records / f"{name}.process"
        record.unlink(missing_ok=True)
        write_text(note, wanted)
        prepare()
        log = self.log(name)
        if log.exists():
            log.replace(log.with_suffix(".previous.log"))
        if network_namespace:
            program = ["nsenter", f"--net=/run/netns/{network_namespace}", "--", *program]
        with log.open("wb") as output:
            self._children[name] = subprocess.Popen(
                ["/bin/sh", "-c", _RECORD_THEN_BECOME, str(record), *program],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Ctrl-C in the terminal is for the command, not for the cluster
            )
        wait_until(lambda: self._record(name), what=f"{name} has started", seconds=10, interval=0.005)
        return True

    def stop(self, name: str, *, seconds: float = 30, kill: bool = False) -> None:
        """Ends the process: SIGTERM, and SIGKILL when that is not enough; returns when it is gone."""
        pid = self.pid(name)
        if pid:
            _signal(pid, signal.SIGKILL if kill else signal.SIGTERM)
            try:
                wait_until(lambda: self.pid(name) is None, what=f"{name} ends", seconds=seconds, interval=0.02)
            except LocalClusterError:
                _signal(pid, signal.SIGKILL)
                wait_until(lambda: self.pid(name) is None, what=f"{name} ends", seconds=10, interval=0.02)
        if child := self._children.pop(name, None):
            child.wait()
        (self.records / f"{name}.process").unlink(missing_ok=True)

    def stop_all(self, *, seconds: float = 30, kill: bool = False) -> None:
        """Ends all of them: all are asked first, then each is waited for."""
        for name in self.names():
            if not kill and (pid := self.pid(name)):
                _signal(pid, signal.SIGTERM)
        for name in self.names():
            self.stop(name, seconds=seconds, kill=kill)

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def last_words(self, name: str, lines: int = 12) -> str:
        """The end of its log, for the message of a failure."""
        try:
            text = self.log(name).read_text(errors="replace")
        except FileNotFoundError:
            return f"{name} has written nothing"
        return "\n".join([f"--- the end of {self.log(name)}", *text.splitlines()[-lines:]])

    def wait_for(self, name: str, is_ready: Callable[[], bool], *, seconds: float) -> None:
        """Until `is_ready()`; at once with its last words when the process has ended instead."""

        def ready_or_dead() -> bool:
            if self.pid(name) is None:
                raise LocalClusterError(f"{name} ended while starting\n{self.last_words(name)}")
            return is_ready()

        wait_until(ready_or_dead, what=f"{name} is ready", seconds=seconds, details=lambda: self.last_words(name))

    def _record(self, name: str) -> Record | None:
        try:
            text = (self.records / f"{name}.process").read_text()
        except FileNotFoundError:
            return None
        return Record.parse(text) if text.endswith("\n") and text.count("\n") == 2 else None


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
