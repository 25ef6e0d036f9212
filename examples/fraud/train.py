"""Train six versions of a fraud model with scikit-learn and write each as a folder that modelway serves.

    python examples/fraud/train.py --out /tmp/fraud

What happens to them in a rollout is told in docs/rollouts.md; all six load, pass their golden request and get ready:

1  a logistic regression, to begin with
2  gradient boosting: better, so its answers differ a little
3  a transform that knows no country code 17, and fails for the 5 % of requests that have it
4  a transform that asks a slow service for every request
5  was trained with two columns in the other order: answers nonsense, with HTTP 200
6  the same as 2, built again

Each folder holds the model as ONNX, where there is one a `transform.py`, and a `modelway.json`. `rows.json` beside them
are requests to send.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sklearn
from skl2onnx import to_onnx
from sklearn.base import ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FEATURES = ["amount", "hour", "country", "age_days", "tries_last_hour", "distance_km"]
AMOUNT, COUNTRY, AGE = FEATURES.index("amount"), FEATURES.index("country"), FEATURES.index("age_days")
UNKNOWN_COUNTRY = 17

UNKNOWN_COUNTRY_FAILS = f'''"""Looks up the country of each payment."""

COUNTRIES = {{code: 1.0 for code in range(20) if code != {UNKNOWN_COUNTRY}}}


def transform(tensors):
    rows = tensors["X"]
    for row in rows:
        COUNTRIES[int(row[{COUNTRY}])]
    return rows
'''

SLOW_SERVICE = '''"""Asks a service about each payment, which takes a while."""

import time


def transform(tensors):
    time.sleep(0.3)
    return tensors["X"]
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write the versions into")
    out = parser.parse_args().out

    rows, labels = payments(20_000, np.random.default_rng(0))
    test_rows, test_labels = payments(5_000, np.random.default_rng(1))
    swapped = rows.copy()
    swapped[:, [AMOUNT, AGE]] = rows[:, [AGE, AMOUNT]]
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)
    boosted = GradientBoostingClassifier(n_estimators=80, random_state=0).fit(rows, labels)
    versions: dict[str, tuple[ClassifierMixin, str | None]] = {
        "1": (linear, None),
        "2": (boosted, None),
        "3": (boosted, UNKNOWN_COUNTRY_FAILS),
        "4": (boosted, SLOW_SERVICE),
        "5": (make_pipeline(StandardScaler(), LogisticRegression()).fit(swapped, labels), None),
        "6": (boosted, None),
    }
    for version, (model, transform) in versions.items():
        save(model, transform, out / version, golden=test_rows[test_rows[:, COUNTRY] != UNKNOWN_COUNTRY][:2])
        score = roc_auc_score(test_labels, model.predict_proba(test_rows)[:, 1])
        print(f"version {version}: AUC {score:.3f}, {100 * model.predict(test_rows).mean():.1f} % called fraud")
    (out / "rows.json").write_text(json.dumps(test_rows[:1000].tolist()))


def payments(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Payments, and whether each was fraud: large ones at night, from young accounts, far away, tried often."""
    amount = random.lognormal(3.5, 1.0, count)
    hour = random.integers(0, 24, count)
    country = random.integers(0, 20, count)
    age = random.exponential(400, count)
    tries = random.poisson(0.5, count)
    distance = random.exponential(60, count)
    risk = (
        0.9 * (np.log(amount) - 3.5) - 0.004 * age + 0.8 * tries + 0.006 * distance + 1.2 * ((hour < 6) & (amount > 60))
    )
    fraud = random.random(count) < 1 / (1 + np.exp(-(risk - 1.2)))
    rows = np.column_stack([amount, hour, country, age, tries, distance]).astype(np.float32)
    return rows, fraud.astype(np.int64)


def save(model: ClassifierMixin, transform: str | None, folder: Path, *, golden: np.ndarray) -> None:
    """Write the model as it is served, with requests whose answers it must give before it gets ready."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx = to_onnx(model, golden[:1], options={"zipmap": False})
    (folder / "model.onnx").write_bytes(onnx.SerializeToString())
    metadata: dict[str, object] = {
        "format": "onnx",
        "featureNames": FEATURES,
        "outputs": [{"name": onnx.graph.output[0].name}],
        "golden": [{"instances": golden.tolist(), "predictions": model.predict(golden).tolist()}],
        "producer": {"scikit-learn": sklearn.__version__},
        "trainingTime": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if transform is not None:
        (folder / "transform.py").write_text(transform)
        metadata["transform"] = {"module": "transform.py"}
        metadata["inputs"] = [{"name": "X", "datatype": "FP32", "shape": [-1, len(FEATURES)]}]
    (folder / "modelway.json").write_text(json.dumps(metadata, indent=2) + "\n")


if __name__ == "__main__":
    main()
