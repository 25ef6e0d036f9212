"""What the image `modelway-server` holds, in an environment of its own.

The developers' environment holds more, and some of it would be imported: structlog takes rich where it finds it, which
is 8 MiB and 50 ms of a start.
"""

import os
import subprocess
from pathlib import Path

from hack.local.binaries import cache_directory
from hack.peers import install

_ROOT = Path(__file__).parents[2]


def environment() -> Path:
    """Where it is."""
    return cache_directory() / "bench-server-venv"


def executable(name: str) -> Path:
    """A program in it. `ensure` it first."""
    return environment() / "bin" / name


def packages() -> Path:
    """Its packages."""
    return next(environment().glob("lib/python*/site-packages"))


def ensure() -> None:
    """Bring it up to date with the lock; hardly anything where it is."""
    subprocess.run(
        [
            install.uv(),
            "sync",
            "--frozen",
            "--no-dev",
            "--extra",
            "server",
            "--compile-bytecode",
            "--quiet",
            "--python",
            str(install.BASE_PYTHON),
        ],
        cwd=_ROOT,
        env=os.environ | {"UV_PROJECT_ENVIRONMENT": str(environment())},
        check=True,
    )
