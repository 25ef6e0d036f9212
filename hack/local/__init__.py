"""A real Kubernetes on this machine, without Docker.

`python3 -m hack.local` from the repository's root is the command (`--help`); `ControlPlane` is for tests and
benchmarks. Standard library only, so that it runs before anything is installed.
"""

from .controlplane import ControlPlane
from .errors import LocalClusterError

__all__ = ["ControlPlane", "LocalClusterError"]
