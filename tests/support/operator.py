"""The operator under test: as a process of its own, which can be killed, or inside the test's event loop."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from modelway.controller.app import Operator
from modelway.controller.host import find_connection
from modelway.controller.settings import read_settings
from support.cluster import Cluster

USUAL = {
    "MODELWAY_SERVER_IMAGE": "modelway.dev/server:test",
    "MODELWAY_HEALTH_PORT": "0",
    "MODELWAY_LOG_FORMAT": "json",
}
QUICK_LEASE = {
    "MODELWAY_LEASE_DURATION": "3",
    "MODELWAY_LEASE_RENEW_DEADLINE": "2",
    "MODELWAY_LEASE_RETRY_PERIOD": "0.5",
}
"""A takeover takes seconds; the order of the times is that of the defaults."""
DRAIN_SECONDS = 3
"""How long the operators of these tests wait for clients to forget a revision, instead of the usual time."""
_SHORT_DRAIN = f"import sys, modelway.plan; sys.modules['modelway.plan.plan'].DRAIN_SECONDS = {DRAIN_SECONDS}"
_START = "import sys; from modelway.cli.main import main; sys.argv = ['modelway', 'operator']; main()"


class OperatorProcess:
    """One operator process.

    Args:
        cluster: that it works on.
        log: file that it writes to.
        user: that it is to the API server; its own lines in the audit log.
        namespaces: to watch; empty for all.
        environment: further settings.
        prelude: Python that runs before it starts, to break it in a certain way.
    """

    def __init__(
        self,
        cluster: Cluster,
        log: Path,
        *,
        user: str = "modelway-operator",
        namespaces: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        prelude: str = "",
    ) -> None:
        self.user = user
        self._log = log
        self._prelude = prelude
        self._environment = (
            {key: value for key, value in os.environ.items() if not key.startswith("MODELWAY_")}
            | USUAL
            | QUICK_LEASE
            | {
                "KUBECONFIG": str(cluster.control_plane.kubeconfig_of(user)),
                "MODELWAY_WATCH_NAMESPACES": ",".join(namespaces),
                "MODELWAY_IDENTITY": user,
            }
            | dict(environment or {})
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0

    def start(self) -> None:
        """Start it; returns at once."""
        self._began = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            command = [sys.executable, "-c", f"{_SHORT_DRAIN}\n{self._prelude}\n{_START}"]
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Gone without a word, as by `kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: it stands still in the middle of whatever it does, and time goes on."""
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def stop(self, *, seconds: float = 40) -> int:
        """SIGTERM; gives the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds=seconds)

    def wait(self, *, seconds: float = 40) -> int:
        """The exit code of a process that ends by itself."""
        assert self._process is not None
        return self._process.wait(seconds)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged since its last start, line by line."""
        if not self._log.exists():
            return []
        with self._log.open("rb") as log:
            log.seek(self._began)
            return [json.loads(line) for line in log if line.startswith(b"{") and line.endswith(b"\n")]

    def has_logged(self, event: str) -> bool:
        return any(line.get("event") == event for line in self.lines())

    def last_words(self) -> str:
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        state = "running" if self.is_running else "not running"
        return f"--- {self.user} ({state}), {self._log}\n" + "\n".join(text.splitlines()[-25:])

    def ready(self) -> str:
        """What /readyz says, or nothing."""
        port = next((line["health_port"] for line in self.lines() if line.get("event") == "started"), None)
        return self.ask(f"http://127.0.0.1:{port}/readyz") if port else ""

    @staticmethod
    def ask(url: str) -> str:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                text: str = answer.read().decode()
        except (urllib.error.URLError, OSError):
            return ""
        return text

    def wait_until_leading(self, cluster: Cluster, *, seconds: float = 60) -> None:
        cluster.wait_for(lambda: self.ready() == "ok, leading\n", what=f"{self.user} leads", seconds=seconds)

    def wait_until_standing_by(self, cluster: Cluster, *, seconds: float = 60) -> None:
        cluster.wait_for(lambda: self.ready().startswith("ok"), what=f"{self.user} is ready", seconds=seconds)


@contextmanager
def operating(cluster: Cluster, log: Path, *, lead: bool = True, **more: Any) -> Iterator[OperatorProcess]:
    """An operator process that leads, and that is ended in the end however it goes."""
    operator = OperatorProcess(cluster, log, **more)
    cluster.witnesses.append(operator.last_words)
    try:
        operator.start()
        if lead:
            operator.wait_until_leading(cluster)
        yield operator
    finally:
        if operator.is_running:
            operator.go_on()
            operator.signal(signal.SIGTERM)
            try:
                operator.wait(seconds=30)
            except subprocess.TimeoutExpired:
                operator.kill()
        cluster.witnesses.remove(operator.last_words)


@asynccontextmanager
async def operating_here(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, **environment: str
) -> AsyncIterator[Operator]:
    """An operator in this event loop, which leads. Fast to start, and parts of it can be exchanged."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.control_plane.kubeconfig_of("modelway-operator")))
    operator = Operator(read_settings(USUAL | QUICK_LEASE | environment), find_connection())
    running = asyncio.create_task(operator.run())
    try:
        deadline = time.monotonic() + 60
        while not operator._lease.holds():
            assert not running.done(), running.result()
            assert time.monotonic() < deadline, "the operator does not lead"
            await asyncio.sleep(0.02)
        yield operator
    finally:
        operator.stop()
        await running
        await operator.close()
