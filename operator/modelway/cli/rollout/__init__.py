"""`modelway rollout`: see how a new revision takes over, and have a say in it.

Needs nothing but click, orjson and the user's `kubectl`, so it is quick to start and small to install. `picture` reads
the resource, `render`, `outcome`, `actions` and `undo` are pure, `watch` and `modelway.cli.kubectl` do the rest.
"""

from modelway.cli.rollout.commands import rollout

__all__ = ["rollout"]
