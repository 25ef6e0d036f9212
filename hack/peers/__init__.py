"""What modelway is measured against, and its server must agree with, installed from a lock into the cache.

`pyproject.toml` and `uv.lock` beside this file say what the servers are, those in `engines/` what batch runs are
compared with. Each group has an environment of its own, `$MODELWAY_CACHE/peers-<group>-<hash of the lock>`
(`~/.cache/modelway` where the variable is not set). Used by the conformance tests, by `make bench-server` and
`make bench-batch`; nothing of it ships.
"""

from .install import ENGINES, GROUPS, PeersError, ensure, environment, executable, python

__all__ = ["ENGINES", "GROUPS", "PeersError", "ensure", "environment", "executable", "python"]
