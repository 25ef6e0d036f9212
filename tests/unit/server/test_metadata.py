import json

import pytest

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server import metadata
from modelway.server.metadata import Metadata

FULL = {
    "format": "onnx",
    "file": "m.onnx",
    "version": "17",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "label"}],
    "featureNames": ["a", "b", "c", "d"],
    "classes": ["no", "yes"],
    "golden": [
        {"instances": [[1, 2, 3, 4]], "predictions": [0], "tolerance": 1e-6},
        {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}],
            "outputs": [{"name": "label", "data": [0]}],
        },
    ],
    "producer": {"python": "3.11.7", "scikit-learn": "1.9.1"},
    "trainingTime": "2026-11-01T00:00:00Z",
}


def read(tmp_path, content):
    (tmp_path / "modelway.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return metadata.read(tmp_path)


def test_everything_can_be_said(tmp_path):
    found = read(tmp_path, FULL)
    assert found.version == "17"
    assert found.inputs[0].shape == (-1, 4)
    assert found.golden[0].tolerance == 1e-6
    assert found.golden[1].tolerance == 1e-5
    assert found.training_time.year == 2026


def test_nothing_need_be_said(tmp_path):
    assert metadata.read(tmp_path) == Metadata() == read(tmp_path, {})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "Invalid JSON"),
        ("[]", "Input should be an object"),
        ({"formt": "onnx"}, "in formt: Extra inputs are not permitted"),
        ({"golden": [{"instances": [[1]]}]}, "in golden.0: Value error, give either instances and predictions"),
        ({"golden": [{"instances": [[1]], "outputs": []}]}, "in golden.0"),
        ({"golden": [{"instance": [[1]], "predictions": [1]}]}, "golden.0.instance: Extra inputs"),
        ({"golden": [{"instances": [], "predictions": [], "tolerance": -1}]}, "in golden.0.tolerance"),
        ({"inputs": [{"name": "x", "datatype": "FP33"}]}, "in inputs.0.datatype"),
        ({"inputs": [{"name": "x", "shape": [-2]}]}, "in inputs.0.shape.0"),
        ({"trainingTime": "2026-11-01T00:00:00"}, "in trainingTime"),
        ({"version": 17, "format": 5}, "(1 more)"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(tmp_path, content, said):
    with pytest.raises(ModelError) as caught:
        read(tmp_path, content)
    assert caught.value.reason is Reason.METADATA_INVALID
    assert said in caught.value.message


def test_every_field_is_documented():
    schema = Metadata.model_json_schema(by_alias=True)
    for owner in (schema, *schema["$defs"].values()):
        for name, field in owner["properties"].items():
            assert field.get("description"), f"{owner['title']}.{name} has no description"
