"""`python -m modelway.cli`."""

from modelway.cli.main import main

main(prog_name="modelway")
