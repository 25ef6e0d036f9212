"""A model behind Flask, as a data scientist would write it: modelway runs it as it is, as `serving.container`."""

import os
from pathlib import Path

import joblib
import numpy as np
from flask import Flask, Response, jsonify, request

app = Flask(__name__)
model = joblib.load(Path(os.environ["MODELWAY_MODEL_DIR"]) / "model.joblib")


@app.get("/healthz")
def healthz() -> str:
    return "ok"


@app.post("/predict")
def predict() -> Response | tuple[Response, int]:
    rows = (request.get_json(force=True, silent=True) or {}).get("rows")
    if not rows:
        return jsonify(error='give rows: {"rows": [[5.1, 3.5, 1.4, 0.2]]}'), 400
    return jsonify(classes=model.predict(np.asarray(rows, dtype=float)).tolist(), pod=os.environ["HOSTNAME"])
