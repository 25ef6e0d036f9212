"""The operator as a process of its own, as its image runs it, and what it costs."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hack.peers import install

_TICKS = os.sysconf("SC_CLK_TCK")
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process has used so far."""

    cpu_seconds: float
    resident_mib: float
    peak_mib: float


def operator_environment(cache: Path) -> Path:
    """A virtual environment with what the operator's image holds and nothing else; gives its `modelway`.

    Of the Python that runs this and compiled, as in the image.
    """
    command = cache / "bin" / "modelway"
    uv = Path(os.environ.get("UV", "uv"))
    environment = os.environ | {"UV_PROJECT_ENVIRONMENT": str(cache)}
    subprocess.run(
        [
            uv,
            "sync",
            "--frozen",
            "--no-dev",
            "--extra",
            "operator",
            "--compile-bytecode",
            "--quiet",
            "--python",
            str(install.BASE_PYTHON),
        ],
        cwd=_ROOT,
        env=environment,
        check=True,
    )
    return command


class OperatorProcess:
    """One operator against the cluster of a kubeconfig."""

    def __init__(self, command: Path, kubeconfig: Path, log: Path, *, port: int, **settings: str) -> None:
        self._command = command
        self._log = log
        self._port = port
        self._settings = settings
        self._environment = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(kubeconfig),
            "MODELWAY_SERVER_IMAGE": "modelway.dev/server:dev",
            "MODELWAY_HEALTH_PORT": str(port),
            **{f"MODELWAY_{name.upper()}": value for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def beside(self, *, port: int) -> Self:
        """Another replica, which is not started."""
        kubeconfig = Path(self._environment["KUBECONFIG"])
        return type(self)(self._command, kubeconfig, self._log, port=port, **self._settings)

    def start(self, **settings: str) -> float:
        """Start it; gives the seconds until it leads."""
        self.launch(**settings)
        return self.wait_for("ok, leading")

    def launch(self, **settings: str) -> None:
        """Start it, and wait for nothing."""
        environment = self._environment | {f"MODELWAY_{name.upper()}": value for name, value in settings.items()}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([self._command, "operator"], env=environment, stdout=log, stderr=log)

    def wait_for(self, readiness: str) -> float:
        """Seconds until it says so."""
        began = time.monotonic()
        assert self._process is not None
        while self._readiness() != readiness:
            if self._process.poll() is not None:
                sys.exit(f"the operator ended; see {self._log}")
            if time.monotonic() - began > 60:
                sys.exit(f"the operator does not say {readiness!r} after 60 s; see {self._log}")
            time.sleep(0.02)
        return time.monotonic() - began

    def hand_over_to(self, other: Self) -> float:
        """End it in an orderly way while another stands by; gives the seconds until that one leads."""
        other.wait_for("ok, standing by")
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        seconds = other.wait_for("ok, leading")
        self._process.wait(60)
        return seconds

    def stop(self) -> None:
        """End it in an orderly way and wait."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)

    def end(self) -> None:
        """Stop it, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self.stop()

    def cost(self) -> Cost:
        """What it has used since it started."""
        assert self._process is not None
        proc = Path(f"/proc/{self._process.pid}")
        fields = (proc / "stat").read_text().rpartition(")")[2].split()
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line)
        return Cost(
            cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS,
            resident_mib=int(status["VmRSS"].split()[0]) / 1024,
            peak_mib=int(status["VmHWM"].split()[0]) / 1024,
        )

    def _readiness(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=2) as answer:
                text: str = answer.read().decode().strip()
                return text
        except OSError:
            return ""
