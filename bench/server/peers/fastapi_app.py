"""`uvicorn fastapi_app:app`."""

from fastapi import FastAPI
from pydantic import BaseModel
from web import Model

app = FastAPI()
model = Model()


class Rows(BaseModel):
    """A request."""

    instances: list[list[float]]


class Predictions(BaseModel):
    """An answer."""

    predictions: list[list[float]]


@app.get("/ready")
async def ready() -> dict[str, bool]:
    """Answer probes."""
    return {"ready": True}


@app.post("/predict")
async def predict(rows: Rows) -> Predictions:
    """Answer predictions, on the event loop: the model is fast, and a thread would cost more than it."""
    return Predictions(predictions=model.predict(rows.instances))
