"""The `modelway` command line. `main` and `plugin` are the entry points that the package installs."""

from modelway.cli.main import main, plugin

__all__ = ["main", "plugin"]
