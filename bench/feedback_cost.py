"""`python -m bench.feedback_cost`: what prediction ids and labels cost the model server.

The same model is served with and without keys in one process, in turns (`server.switched`); both ways count inputs and
answers. What one id and one label cost by themselves is measured in CPU time too.
"""

import argparse
import asyncio
import secrets
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson

from bench import drift_cost
from bench.figures import Figures, tell
from bench.server import models, switched
from modelway.server.feedback import MOST_LABELS, Feedback
from modelway.server.feedback_memory import FeedbackMemory
from modelway.server.loading import load as load_model
from modelway.server.options import ServerOptions
from modelway.server.tensors import Batch

_IDS = 20_000
_SLICE = 5000  # labels of a request


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.feedback_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="turns of each way at full load (default: 20)")
    parser.add_argument("--save", action="store_true", help="write the figures to bench/results/")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelway-bench-") as name:
        folder = Path(name)
        keys = folder / "keys"
        keys.write_bytes(b64encode(secrets.token_bytes(32)))
        made = drift_cost.described(folder)
        figures = asyncio.run(_each(made, keys))
        ways = {
            "nothing": ServerOptions(made.linear, "m"),
            "feedback": ServerOptions(made.linear, "m", feedback_keys=keys),
        }
        figures |= switched.compare(ways, drift_cost.bodies(made), path=drift_cost.PATH, rounds=arguments.rounds)
    tell(figures, name="feedback_cost", save=arguments.save)


async def _each(made: models.Models, keys: Path) -> Figures:
    """What one id, one count of an answer, and one label take."""
    options = ServerOptions(made.linear, "m", feedback_keys=keys)
    loaded = load_model(options)
    feedback = Feedback(options, FeedbackMemory())
    feedback.begin(loaded)
    model = loaded.model
    rows = np.asarray(made.rows[:1], dtype=np.float32)
    outputs = model.predict(Batch({model.inputs[0].name: rows}, 1, tuple(model.default_outputs)))
    ids: list[str] = []

    def issue() -> None:
        ids.extend(feedback.issue(outputs, model.default_outputs, 1) or "" for _ in range(_IDS))

    issuing, counting = _spent(issue), _spent(feedback.settle)
    before = time.process_time()
    for begin in range(0, _IDS, _SLICE):
        body = orjson.dumps([{"id": one, "label": "1"} for one in ids[begin : begin + min(_SLICE, MOST_LABELS)]])
        told = await feedback.take(body, b"application/json")
        if told["accepted"] != _SLICE:
            raise RuntimeError(f"not all labels counted: {told}")
    labelling = time.process_time() - before
    parts = {"id": issuing, "count_of_an_answer": counting, "label": labelling}
    return {f"{name}_us": round(spent / _IDS * 1e6, 1) for name, spent in parts.items()}


def _spent(work: Callable[[], None]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


if __name__ == "__main__":
    main()
