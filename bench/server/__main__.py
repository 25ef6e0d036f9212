"""`python -m bench.server`: measure the model server beside its peers and print the figures."""

import argparse
import json
import os
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hack import peers

from bench.server import comparison, forest, image, load, models, report

_RESULTS = Path(__file__).parent.parent / "results"
_PAGE = Path(__file__).parents[2] / "docs" / "performance-server.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.server", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each server's turn comes (default: 5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one load (default: 4)")
    parser.add_argument("--only", default="", help="servers whose name holds one of these, separated by commas")
    parser.add_argument("--skip-forest", action="store_true", help="leave the random forest out")
    parser.add_argument("--save", action="store_true", help="write the figures to bench/results/ and docs/")
    arguments = parser.parse_args()
    load.require_tools()
    load.require_cores()
    image.ensure()
    peers.ensure(say=_say)
    began = time.monotonic()
    figures: dict[str, Any] = {"machine": _machine(), "rounds": arguments.rounds, "seconds": arguments.seconds}
    with tempfile.TemporaryDirectory(prefix="modelway-bench-") as folder:
        made = models.make(Path(folder))
        work = Path(folder) / "servers"
        measured = {"rounds": arguments.rounds, "seconds": arguments.seconds, "say": _say}
        figures["servers"] = comparison.compare(made, work, only=arguments.only, **measured)
        if not arguments.skip_forest:
            figures["forest"] = forest.measure(made, work, **measured | {"rounds": min(arguments.rounds, 3)})
    figures["minutes"] = round((time.monotonic() - began) / 60, 1)
    print(report.table(figures))
    if arguments.save:
        _RESULTS.mkdir(exist_ok=True)
        (_RESULTS / "server.json").write_text(json.dumps(figures, indent=2) + "\n")
        _PAGE.write_text(report.document(figures, _PAGE.read_text()))


def _machine() -> dict[str, Any]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "date": datetime.now(UTC).date().isoformat(),
    }


_BEGAN = time.monotonic()


def _say(text: str) -> None:
    print(f"[{time.monotonic() - _BEGAN:6.1f} s] {text}", flush=True)


if __name__ == "__main__":
    main()
