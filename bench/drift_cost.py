"""`python -m bench.drift_cost`: what counting inputs and answers costs the model server.

The same model is served in one process in two ways that take turns (`server.switched`): nothing is counted, and answers
and inputs are. Requests per second of the process's CPU time hardly mind a busy machine; latencies do.
"""

import argparse
import tempfile
from pathlib import Path

from sklearn.datasets import load_breast_cancer

from bench.figures import tell
from bench.server import models, switched
from modelway.profiling import profile
from modelway.server.loading import load as load_model
from modelway.server.options import OBSERVE_RATE, ServerOptions

PATH = "/v1/models/m:predict"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.drift_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="turns of each way at full load (default: 40)")
    parser.add_argument("--save", action="store_true", help="write the figures to bench/results/")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelway-bench-") as folder:
        made = described(Path(folder))
        ways = {
            "nothing": ServerOptions(made.linear, "m", observe=False),
            "observed": ServerOptions(made.linear, "m", observe_rate=OBSERVE_RATE / 2),
        }
        figures = switched.compare(ways, bodies(made), path=PATH, rounds=arguments.rounds)
    tell(figures, name="drift_cost", save=arguments.save)


def described(folder: Path) -> models.Models:
    """The models of the other benchmarks; the linear one knows its columns and what is usual."""
    made = models.make(folder)
    _describe(made.linear)
    return made


def bodies(made: models.Models) -> dict[str, bytes]:
    """Of requests, by the name of their case."""
    return {"one_row": models.v1(made.rows[:1]), "rows_64": models.v1(made.rows[:64])}


def _describe(folder: Path) -> None:
    """Name the model's columns and give it a reference: its own training rows."""
    data = load_breast_cancer()
    width = load_model(ServerOptions(folder, "m")).model.inputs[0].shape[1]
    names = [str(name) for name in data.feature_names]
    assert width == len(names)
    made = profile(data.data, names=names)
    made.write(folder / "modelway.json")
    text = (folder / "modelway.json").read_text()
    quoted = ", ".join(f'"{name}"' for name in names)
    (folder / "modelway.json").write_text(text.replace("{", f'{{"featureNames": [{quoted}],', 1))


if __name__ == "__main__":
    main()
