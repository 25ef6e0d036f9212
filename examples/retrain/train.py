"""Trains a credit model from the latest labelled applications, uploads it, and deploys it.

The Job of `monitoring.onDegraded` runs this in the image modelway/server-full, which has scikit-learn, its way to ONNX
and a client for S3 (retrain.yaml). On your own machine it makes applications to train from, and the first version:

    python examples/retrain/train.py --rows as-usual
    python examples/retrain/train.py

`--rows inflation` makes applications of a world in which incomes are half as high again. In your own cluster somebody
else writes them.
"""

import argparse
import io
import json
import os
import ssl
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import obstore
from obstore.store import S3Store
from skl2onnx import to_onnx
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import modelway

FEATURES = ["income", "age", "amount", "years_employed", "open_loans", "utilisation"]
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
GOOD_ENOUGH = 0.7
"""Area under the curve; a model below it is not deployed, whatever has drifted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", choices=["as-usual", "inflation"], help="upload such applications, and train nothing")
    wanted = parser.parse_args().rows

    bucket, _, folder = os.environ.get("FOLDER", "s3://models/credit").removeprefix("s3://").partition("/")
    store = connected(bucket)
    if wanted is not None:
        rows, labels = applications(20_000, np.random.default_rng(0), growth=1.0 if wanted == "as-usual" else 1.5)
        upload_rows(store, f"{folder}/rows.csv", rows, labels)
        return
    rows, labels = download_rows(store, f"{folder}/rows.csv")

    known, asked, truth, answers = train_test_split(rows, labels, test_size=0.25, random_state=0, stratify=labels)
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(known, truth)
    auc = roc_auc_score(answers, model.predict_proba(asked)[:, 1])
    if auc < GOOD_ENOUGH:
        sys.exit(f"the new model has an AUC of {auc:.3f}, less than {GOOD_ENOUGH}: it is not deployed")

    version = version_of(os.environ)
    with tempfile.TemporaryDirectory() as directory:
        save(model, known, Path(directory))
        for file in sorted(Path(directory).iterdir()):
            obstore.put(store, f"{folder}/{version}/{file.name}", file.read_bytes())
    uri = f"s3://{bucket}/{folder}/{version}/"
    print(f"version {version}: AUC {auc:.3f}, from {len(known)} applications -> {uri}")
    if "MODELWAY_MODEL" in os.environ:
        deploy(os.environ["MODELWAY_NAMESPACE"], os.environ["MODELWAY_MODEL"], uri, version)


def version_of(environ: os._Environ[str]) -> str:
    """The same for each try of one Job, and another for each Job; 1 where nobody has asked for it."""
    asked = environ.get("MODELWAY_WINDOW_END")
    return "".join(filter(str.isdigit, asked)) if asked else "1"


def deploy(namespace: str, name: str, uri: str, version: str) -> None:
    """Point the ModelDeployment to the new version; its rollout does the rest. Needs the right to patch it."""
    trained = datetime.now(UTC).isoformat(timespec="seconds")
    answer = httpx.patch(
        f"https://kubernetes.default.svc/apis/modelway.dev/v1alpha1/namespaces/{namespace}/modeldeployments/{name}",
        content=json.dumps({"spec": {"model": {"uri": uri, "version": version, "trainingTime": trained}}}),
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/merge-patch+json",
        },
        verify=ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt")),
        timeout=30,
    )
    if answer.is_error:
        sys.exit(f"{name} could not be patched: {answer.status_code} {answer.text}")
    print(f"{name} is to serve version {version}")


def save(model: Pipeline, rows: np.ndarray, folder: Path) -> None:
    """Write the model, a golden request, and what is usual for its inputs, which drift is measured against."""
    onnx = to_onnx(model, rows[:1], options={"zipmap": False})
    (folder / "model.onnx").write_bytes(onnx.SerializeToString())
    metadata = {
        "format": "onnx",
        "featureNames": FEATURES,
        "inputs": [{"name": "X", "nullable": True}],
        "outputs": [{"name": onnx.graph.output[0].name}],
        "golden": [{"instances": rows[:2].tolist(), "predictions": model.predict(rows[:2]).tolist()}],
    }
    (folder / "modelway.json").write_text(json.dumps(metadata, indent=2) + "\n")
    modelway.profile(rows, names=FEATURES).write(folder / "modelway.json")


def connected(bucket: str) -> S3Store:
    """The bucket, by the variables that the Secret of the model has too."""
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    return S3Store(
        bucket,
        endpoint=endpoint,
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        region=os.environ["AWS_REGION"],
        client_options={"allow_http": endpoint.startswith("http://")},
    )


def upload_rows(store: S3Store, key: str, rows: np.ndarray, labels: np.ndarray) -> None:
    """Write applications as CSV, the label last."""
    text = io.StringIO()
    header = ",".join([*FEATURES, "bad"])
    np.savetxt(text, np.column_stack([rows, labels]), "%.7g", delimiter=",", comments="", header=header)
    obstore.put(store, key, text.getvalue().encode())


def download_rows(store: S3Store, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Applications and their labels."""
    text = bytes(obstore.get(store, key).bytes()).decode()
    table = np.loadtxt(io.StringIO(text), delimiter=",", skiprows=1)
    return table[:, :-1].astype(np.float32), table[:, -1].astype(np.int64)


def applications(count: int, random: np.random.Generator, *, growth: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Applications for a loan, and whether each was not paid back; `growth` is that of incomes."""
    income = growth * random.lognormal(10.4, 0.4, count)
    age = random.normal(42, 11, count).clip(18, 90)
    amount = random.lognormal(9.2, 0.6, count)
    years = (random.beta(2, 5, count) * (age - 17)).clip(0)
    loans = random.poisson(1.2, count)
    utilisation = random.beta(2, 4, count)
    risk = amount / income + 0.4 * loans + 2.5 * utilisation - 0.05 * years + random.normal(0, 0.6, count)
    columns = [income, age, amount, years, loans, utilisation]
    return np.column_stack(columns).astype(np.float32), (risk > np.quantile(risk, 0.8)).astype(np.int64)


if __name__ == "__main__":
    main()
