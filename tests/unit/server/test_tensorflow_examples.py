"""The examples of TensorFlow Serving's REST documentation (https://www.tensorflow.org/tfx/serving/api_rest)."""

import numpy as np
import orjson
import pytest

from modelway.server.app import App
from modelway.server.options import ServerOptions
from modelway.server.tensors import TensorSpec
from support.asked import answer_to
from support.fake_model import FakeModel, loaded

HALF_PLUS_THREE = FakeModel(
    inputs=(TensorSpec("x", "FP32", (-1,)),),
    outputs=(TensorSpec("y", "FP32", (-1,)),),
    compute=lambda batch: {"y": batch.tensors["x"] / 2 + 3},
)
SENSORS = FakeModel(
    inputs=(
        TensorSpec("tag", "BYTES", (-1,)),
        TensorSpec("signal", "FP32", (-1, 5)),
        TensorSpec("sensor", "FP32", (-1, 2, 2)),
    ),
    outputs=(TensorSpec("total", "FP32", (-1,)), TensorSpec("name", "BYTES", (-1,))),
    compute=lambda batch: {
        "total": batch.tensors["signal"].sum(axis=1) + batch.tensors["sensor"].sum(axis=(1, 2)),
        "name": np.array(batch.tensors["tag"]),
    },
)
TOTALS = [{"total": 25.0, "name": "foo"}, {"total": 38.0, "name": "bar"}]


async def ask(tmp_path, model, method, path, body=b""):
    app = App(ServerOptions(tmp_path, "half_plus_three"))
    app.serve(loaded(model, version="123"))
    answer = await answer_to(app, method, path, body)
    return answer.status, orjson.loads(answer.body)


async def predict(tmp_path, model, body, path="/v1/models/half_plus_three:predict"):
    return await ask(tmp_path, model, "POST", path, orjson.dumps(body))


async def test_the_status_of_the_model(tmp_path):
    status, said = await ask(tmp_path, HALF_PLUS_THREE, "GET", "/v1/models/half_plus_three")
    assert status == 200
    assert said["model_version_status"] == [
        {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]


@pytest.mark.parametrize("version", ["", "/versions/123"])
async def test_half_plus_three(tmp_path, version):
    path = f"/v1/models/half_plus_three{version}:predict"
    answer = await predict(tmp_path, HALF_PLUS_THREE, {"instances": [1.0, 2.0, 5.0]}, path)
    assert answer == (200, {"predictions": [3.5, 4.0, 5.5]})


async def test_half_plus_three_by_column(tmp_path):
    answer = await predict(tmp_path, HALF_PLUS_THREE, {"signature_name": "serving_default", "inputs": [1.0, 2.0, 5.0]})
    assert answer == (200, {"outputs": [3.5, 4.0, 5.5]})


async def test_a_model_that_is_not_there(tmp_path):
    status, said = await predict(tmp_path, HALF_PLUS_THREE, {"instances": [1.0]}, "/v1/models/half:predict")
    assert (status, said.keys()) == (404, {"error"})


async def test_several_named_inputs_by_row(tmp_path):
    instances = [
        {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
        {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]},
    ]
    assert await predict(tmp_path, SENSORS, {"instances": instances}) == (200, {"predictions": TOTALS})


async def test_several_named_inputs_by_column(tmp_path):
    inputs = {
        "tag": ["foo", {"b64": "YmFy"}],
        "signal": [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]],
        "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]],
    }
    columns = {name: [row[name] for row in TOTALS] for name in ("total", "name")}
    assert await predict(tmp_path, SENSORS, {"inputs": inputs}) == (200, {"outputs": columns})
