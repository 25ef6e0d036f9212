"""A model inside its own image, behind FastAPI: no `spec.model` at all, modelway only runs the container."""

import os

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

app = FastAPI(title="iris")
model = LogisticRegression(max_iter=1000).fit(*load_iris(return_X_y=True))


class Rows(BaseModel):
    rows: list[list[float]]


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/predict")
def predict(body: Rows) -> dict[str, object]:
    return {"classes": model.predict(np.asarray(body.rows)).tolist(), "version": os.environ.get("APP_VERSION", "1")}
