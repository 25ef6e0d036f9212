import json

import msgspec
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
    text = content if isinstance(content, (str, bytes)) else json.dumps(content)
    (tmp_path / "modelway.json").write_bytes(text.encode() if isinstance(text, str) else text)
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
        ("{", "Invalid JSON: unexpected end of data: line 1 column 2"),
        ('{\n  "format": nope\n}', "line 2 column 13"),
        ('{"golden": [NaN]}', "line 1 column 13"),
        (b'{"format": "\xff"}', "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        ("[]", "wrong: Expected `object`, got `array`"),
        ({"formt": "onnx"}, "in formt: Extra inputs are not permitted"),
        ({"golden": [{"instances": [[1]]}]}, "in golden.0: give either instances and predictions"),
        ({"golden": [{"instances": [[1]], "outputs": []}]}, "in golden.0"),
        ({"golden": [{"instance": [[1]], "predictions": [1]}]}, "golden.0.instance: Extra inputs"),
        ({"golden": [{"instances": [], "predictions": [], "tolerance": -1}]}, "in golden.0.tolerance"),
        ({"inputs": [{"name": "x", "datatype": "FP33"}]}, "in inputs.0.datatype: Invalid enum value 'FP33'; it should"),
        ({"inputs": [{"name": "x", "shape": [-2]}]}, "in inputs.0.shape.0: Expected `int` >= -1"),
        ({"inputs": [{"name": "x", "shape": [-1, True]}]}, "in inputs.0.shape.1: Expected `int`, got `bool`"),
        ({"inputs": [{"datatype": "FP32"}]}, "in inputs.0.name: Field required"),
        ({"inputs": [{"name": ""}]}, "in inputs.0.name: Expected `str` of length >= 1"),
        ({"extraFeatures": "Drop"}, "in extraFeatures: Invalid enum value 'Drop'; it should be one of Refuse, Ignore"),
        ({"extra_features": "Ignore"}, "in extra_features: Extra inputs are not permitted"),
        ({"trainingTime": "2026-11-01T00:00:00"}, "in trainingTime: Expected `datetime` with a timezone component"),
        ({"trainingTime": "yesterday"}, "in trainingTime: Invalid RFC3339 encoded datetime"),
        (
            {"producer": {"python": "3.11", "scikit-learn": 1.9}},
            "in producer.scikit-learn: Expected `str`, got `float`",
        ),
        ({"answers": {"class:a": 1, "class:b": -1}}, "in answers.class:b: Expected `int` >= 0"),
        ({"answers": {"class:a": 1.5}}, "in answers.class:a: Expected `int`"),
        ({"answers": {"class:a": 1, "setosa": 1}}, '"setosa" is no key of answers; there are class:<label>'),
        ({"answers": {"value:9999": 1}}, "value:9999: there are buckets from -5250 to 5250"),
        (
            {
                "reference": {
                    "features": [{"name": "a", "edges": [2, 1], "lowest": 0, "highest": 3, "counts": [1, 1, 1]}]
                }
            },
            "in reference.features.0: edges: they must rise",
        ),
        ({"reference": {"features": [{"name": "a", "counts": [1]}]}}, "features.0: give either edges, of numbers"),
        ({"reference": {"features": []}}, "in reference: features: none"),
        ({"classes": ["a", None]}, "in classes.1: Expected `bool | int | float | str`, got `null`"),
        ({"transform": {}}, "in transform: give either file or module"),
        ({"transform": {"file": ""}}, "in transform.file: Expected `str` of length >= 1"),
        ({"version": 17}, "in version: Expected `str | null`, got `int`"),
        ({"version": "1" * 129}, "in version: Expected `str` of length <= 128"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(tmp_path, content, said):
    with pytest.raises(ModelError) as caught:
        read(tmp_path, content)
    assert caught.value.reason is Reason.METADATA_INVALID
    assert said in caught.value.message


def test_every_field_is_documented():
    _, owners = msgspec.json.schema_components([Metadata])
    for owner in owners.values():
        for name, field in owner["properties"].items():
            assert field.get("description"), f"{owner['title']}.{name} has no description"
