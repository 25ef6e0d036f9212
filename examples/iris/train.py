"""Train three versions of an iris classifier with scikit-learn and write each as a folder that modelway serves.

    python examples/iris/train.py --out /tmp/iris

Version 1 is a logistic regression, version 2 a random forest. Version 3 was trained on shuffled labels: the file is
whole and answers everything, wrongly. Each folder holds the model as ONNX and a `modelway.json` whose golden requests
are rows with known answers; version 3 cannot answer them, so it never gets ready.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sklearn
from skl2onnx import to_onnx
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
GOLDEN_ROWS = [0, 75, 140]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write the versions into")
    out = parser.parse_args().out

    rows, labels = load_iris(return_X_y=True)
    rows = rows.astype(np.float32)
    shuffled = np.random.default_rng(0).permutation(labels)
    versions: dict[str, tuple[ClassifierMixin, np.ndarray]] = {
        "1": (LogisticRegression(max_iter=1000), labels),
        "2": (RandomForestClassifier(n_estimators=50, random_state=0), labels),
        "3": (RandomForestClassifier(n_estimators=5, max_depth=2, random_state=0), shuffled),
    }
    for version, (model, target) in versions.items():
        model.fit(rows, target)
        save(model, rows, labels, out / version)
        print(f"version {version}: {type(model).__name__}, accuracy {model.score(rows, labels):.2f} -> {out / version}")


def save(model: ClassifierMixin, rows: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Write the model, its golden requests, and what scikit-learn itself answers to all rows."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx = to_onnx(model, rows[:1], options={"zipmap": False})
    (folder / "model.onnx").write_bytes(onnx.SerializeToString())
    metadata = {
        "format": "onnx",
        "featureNames": FEATURES,
        "outputs": [{"name": onnx.graph.output[0].name}],  # the label; probabilities where a request asks for them
        "golden": [{"instances": rows[GOLDEN_ROWS].tolist(), "predictions": labels[GOLDEN_ROWS].tolist()}],
        "producer": {"scikit-learn": sklearn.__version__},
        "trainingTime": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (folder / "modelway.json").write_text(json.dumps(metadata, indent=2) + "\n")
    answers = {"instances": rows.tolist(), "predictions": model.predict(rows).tolist()}
    (folder.parent / f"expected-{folder.name}.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
