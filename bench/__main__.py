"""`python -m bench`: measure the operator on a real control plane and print the figures."""

import argparse
import json
from pathlib import Path

from bench import controlplane

_RESULTS = Path(__file__).parent / "results"


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
    print(controlplane.table(figures))
    if arguments.save:
        _RESULTS.mkdir(exist_ok=True)
        (_RESULTS / "controlplane.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
