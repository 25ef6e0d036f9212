"""`gunicorn flask_app:app`."""

from flask import Flask, jsonify, request
from web import Model

app = Flask(__name__)
model = Model()


@app.get("/ready")
def ready() -> object:
    """Answer probes."""
    return jsonify(ready=True)


@app.post("/predict")
def predict() -> object:
    """Answer predictions."""
    return jsonify(predictions=model.predict(request.get_json()["instances"]))
