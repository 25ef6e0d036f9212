"""Train a credit model with scikit-learn and write it as a folder that modelway serves and watches.

    python examples/credit/train.py --out /tmp/credit

The folder holds the model as ONNX and a `modelway.json` that tells what is usual for its inputs, so that a drift of
live rows is found from the first window on. `rows.json` beside it are rows to ask about, as usual as those of the
training, and `truths.json` is what became of them.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sklearn
from skl2onnx import to_onnx
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import modelway

FEATURES = ["income", "age", "amount", "years_employed", "open_loans", "utilisation"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model into")
    out = parser.parse_args().out

    rows, labels = applications(20_000, np.random.default_rng(0))
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(rows, labels)
    save(model, rows, out / "1")
    asked, truth = applications(20_000, np.random.default_rng(1))
    (out / "rows.json").write_text(json.dumps(asked.tolist()))
    (out / "truths.json").write_text(json.dumps(truth.tolist()))
    print(f"version 1: accuracy {model.score(asked, truth):.3f} -> {out / '1'}")


def applications(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Applications for a loan, and whether each was not paid back."""
    income = random.lognormal(10.4, 0.4, count)
    age = random.normal(42, 11, count).clip(18, 90)
    amount = random.lognormal(9.2, 0.6, count)
    years = (random.beta(2, 5, count) * (age - 17)).clip(0)
    loans = random.poisson(1.2, count)
    utilisation = random.beta(2, 4, count)
    risk = amount / income + 0.4 * loans + 2.5 * utilisation - 0.05 * years + random.normal(0, 0.6, count)
    columns = [income, age, amount, years, loans, utilisation]
    return np.column_stack(columns).astype(np.float32), (risk > np.quantile(risk, 0.8)).astype(np.int64)


def save(model: Pipeline, rows: np.ndarray, folder: Path) -> None:
    """Write the model, a golden request, and what is usual for its inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx = to_onnx(model, rows[:1], options={"zipmap": False})
    (folder / "model.onnx").write_bytes(onnx.SerializeToString())
    metadata = {
        "format": "onnx",
        "featureNames": FEATURES,
        "inputs": [{"name": "X", "nullable": True}],
        "outputs": [{"name": onnx.graph.output[0].name}],
        "golden": [{"instances": rows[:2].tolist(), "predictions": model.predict(rows[:2]).tolist()}],
        "producer": {"scikit-learn": sklearn.__version__},
        "trainingTime": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (folder / "modelway.json").write_text(json.dumps(metadata, indent=2) + "\n")
    modelway.profile(rows, names=FEATURES).write(folder / "modelway.json")


if __name__ == "__main__":
    main()
