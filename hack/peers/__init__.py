"""The servers that modelway is measured against and must agree with, installed from a lock into the cache.

`pyproject.toml` and `uv.lock` beside this file say what they are. Each group has an environment of its own,
`$MODELWAY_CACHE/peers-<group>-<hash of the lock>` (`~/.cache/modelway` where the variable is not set). Used by the
conformance tests and by `make bench-server`; nothing of it ships.
"""

from .install import GROUPS, PeersError, ensure, environment, executable, python

__all__ = ["GROUPS", "PeersError", "ensure", "environment", "executable", "python"]
