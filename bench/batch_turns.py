"""What `bench.batch_engines` says to an engine's program, and what that answers. Needs nothing but Python itself."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path


def asked(description: str | None) -> argparse.Namespace:
    """What was said: folder, scratch, names of the inputs, cores, rows of a batch and of a block."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--names", type=lambda text: text.split(","), required=True)
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--block", type=int, required=True)
    return parser.parse_args()


def play(folder: Path, run: Callable[[str, str], None]) -> None:
    """Score twice a little, to warm up, then all, with a line before and after: `run(where rows are, where to)`."""
    for turn, source in enumerate(("small", "small", "in")):
        print(json.dumps({"source": source, "is": "begun"}), flush=True)
        run(str(folder / source), str(folder / f"out-{turn}"))
        print(json.dumps({"source": source, "is": "done"}), flush=True)
