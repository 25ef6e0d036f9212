"""One environment for each group of peers, made by uv from the lock.

An environment's name holds a hash of what it was made from, the lock and the Python, so a changed lock makes a new one
and an old one is never taken for it; a mark is written last, so a killed install is done again. The engines of batch
runs have a lock of their own (`engines/`).
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from hack.local.binaries import cache_directory
from hack.local.locks import exclusive
from hack.local.progress import Say, silent

PROJECT = Path(__file__).resolve().parent
BASE_PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
"""The Python that runs this, outside of its environment: who is compared with us has the same."""
GROUPS = ("kserve", "mlserver", "web", "triton")
"""The servers that modelway's is compared with."""
ENGINES = "engines"
"""The engines that batch runs are compared with."""
_MARK = "modelway-complete"


class PeersError(Exception):
    """The peers could not be installed; the message says why and what to do."""


def environment(group: str) -> Path:
    """Where the group's environment is, or will be once installed."""
    lock = b"".join((_project(group) / name).read_bytes() for name in ("pyproject.toml", "uv.lock"))
    made_from = lock + f"{BASE_PYTHON} {sys.version}".encode()
    return cache_directory() / f"peers-{group}-{hashlib.sha256(made_from).hexdigest()[:8]}"


def python(group: str) -> Path:
    """The group's Python. `ensure` it first."""
    return executable(group, "python")


def executable(group: str, name: str) -> Path:
    """A program of the group: `executable("web", "gunicorn")`. `ensure` the group first."""
    return environment(group) / "bin" / name


def ensure(groups: Iterable[str] = GROUPS, say: Say = silent) -> None:
    """Install what is missing; does nothing where all is there. Raises PeersError."""
    missing = [group for group in groups if not (environment(group) / _MARK).exists()]
    if not missing:
        return
    program = uv()
    with exclusive(cache_directory() / "peers.lock", what="another install of the peers", say=say):
        for group in missing:
            _install(program, group, say)


def _install(program: str, group: str, say: Say) -> None:
    target = environment(group)
    if (target / _MARK).exists():  # another process installed it while this one waited for the lock
        return
    say(f"installing the peers' group {group} into {target} (a minute or two the first time) …")
    # `--active` would take the caller's environment; the variable names ours.
    environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    command = [program, "sync", "--frozen", "--project", str(_project(group)), "--no-default-groups", "--group", group]
    command += ["--python", str(BASE_PYTHON), "--compile-bytecode"]
    ended = subprocess.run(
        command,
        env=environ | {"UV_PROJECT_ENVIRONMENT": str(target)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise PeersError(f"installing the peers' group {group} failed:\n{ended.stderr.strip()[-2000:]}")
    (target / _MARK).touch()


def _project(group: str) -> Path:
    return PROJECT / ENGINES if group == ENGINES else PROJECT


def uv() -> str:
    """The uv that `make venv` installs, else the one on the PATH."""
    named = os.environ.get("UV")
    cached = sorted(cache_directory().glob("uv-*/bin/uv"))
    found = named or (str(cached[-1]) if cached else shutil.which("uv"))
    if not found:
        raise PeersError("uv is not installed; run `make venv` first, which brings it")
    return found
