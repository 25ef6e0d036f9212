"""`python -m bench`: measure the operator on a real control plane and print the figures."""

import argparse

from bench import controlplane
from bench.figures import tell


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--resources", type=int, default=1000, help="ModelDeployments to create (default: 1000)")
    parser.add_argument(
        "--rest", type=float, default=300.0, help="seconds to watch the operator at rest (default: 300)"
    )
    parser.add_argument("--repairs", type=int, default=50, help="children to delete or edit, each kind in turn")
    parser.add_argument("--save", action="store_true", help="write the figures to bench/results/")
    arguments = parser.parse_args()
    figures = controlplane.measure(
        resources=arguments.resources, rest_seconds=arguments.rest, repairs=arguments.repairs
    )
    tell(figures, name="controlplane", save=arguments.save)


if __name__ == "__main__":
    main()
