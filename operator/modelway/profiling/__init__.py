"""What is usual for a model's inputs, found in the rows that it was trained on: `modelway profile`, `modelway.profile`.

The result is the field `reference` of `modelway.json`: borders of cells and how many rows lie in each, no rows. Used by
the command line, by notebooks and by `packing`; nothing of it runs where requests are answered.
"""

from modelway.profiling.profiles import Profile, profile

__all__ = ["Profile", "profile"]
