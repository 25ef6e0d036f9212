"""A real `modelway serve` process, or another that listens, on a free port of loopback."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

# Not PYTHONDONTWRITEBYTECODE: compiling scikit-learn anew in every process would take most of the test's time.
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("MODELWAY_", "PYTHONDONT"))}


class ServerProcess:
    """A running server and what it logs."""

    def __init__(
        self,
        *arguments: str | Path,
        environ: dict[str, str] | None = None,
        termination: Path | None = None,
        command: str = "serve",
    ) -> None:
        named = {"MODELWAY_TERMINATION_LOG": str(termination)} if termination else {}
        self.lines: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self._logged = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "modelway.cli", command, "--host", "127.0.0.1", "--port", "0", *map(str, arguments)],
            env=ENVIRON | named | (environ or {}),
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.port = int(self.wait_for_event("observing" if command == "observe" else "listening")["port"])
        self.url = f"http://127.0.0.1:{self.port}"

    def _read(self) -> None:
        for line in self.process.stderr:
            with self._logged:
                self.raw.append(line)
                with contextlib.suppress(ValueError):
                    self.lines.append(json.loads(line))
                self._logged.notify_all()
        with self._logged:
            self._logged.notify_all()

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]

    def wait_for_event(self, name: str, *, deadline: float = 30) -> dict[str, Any]:
        end = time.monotonic() + deadline
        with self._logged:
            while not self.events(name):
                if time.monotonic() > end or (self.process.poll() is not None and not self._logged.wait(0.5)):
                    raise AssertionError(f"no event {name}; log:\n{''.join(self.raw)}")
                self._logged.wait(0.1)
            return self.events(name)[0]

    def wait_until_ready(self) -> "ServerProcess":
        self.wait_for_event("ready")
        return self

    def wait(self, *, deadline: float = 30) -> int:
        return self.process.wait(deadline)

    def client(self, **options: Any) -> httpx.Client:
        # verify: without it each client loads all certificate authorities, for plain http.
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False, verify=False, **options)


@contextlib.contextmanager
def server_process(*arguments: str | Path, **options: Any) -> Iterator[ServerProcess]:
    """A server for the length of a block."""
    server = ServerProcess(*arguments, **options)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()
