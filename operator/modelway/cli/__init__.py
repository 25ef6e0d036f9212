"""The `modelway` command line. `main` is the entry point that the package installs."""

from modelway.cli.main import main

__all__ = ["main"]
