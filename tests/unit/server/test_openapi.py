"""The document says what the parsers take: whatever is valid by it is read, and what they refuse is not."""

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import validate

from modelway.server import v1, v2
from modelway.server.errors import RequestError
from modelway.server.openapi import document
from modelway.server.signature import Signature
from modelway.server.tensors import TensorSpec
from support.fake_model import FakeModel

IRIS = FakeModel(features=("length", "width", "<b>"))
PLAIN = FakeModel()
COLUMNS = FakeModel(
    inputs=(
        TensorSpec("age", "INT8", (-1, 1)),
        TensorSpec("city", "BYTES", (-1,)),
        TensorSpec("weight", "FP16", (-1,), nullable=True),
        TensorSpec("pair", "BOOL", (-1, 2)),
    ),
    outputs=(TensorSpec("label", "INT64", (-1,)), TensorSpec("odds", "FP32", (-1, 2))),
)
IMAGE = FakeModel(inputs=(TensorSpec("image", "UINT8", (-1, 2, 2)),))
LENIENT = FakeModel(inputs=(TensorSpec("X", "FP64", (-1, -1), lenient=True),))
MODELS = {"features": IRIS, "plain": PLAIN, "columns": COLUMNS, "image": IMAGE, "lenient": LENIENT}


def schema(model, name, **options):
    """A component's schema with all that it refers to."""
    described = document(Signature.of(model, **options), "m", None)
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
    )


def is_read(wire, body, model, **options):
    try:
        wire.parse(orjson.dumps(body), Signature.of(model, **options))
    except RequestError as error:
        return error.message
    return True


@pytest.mark.parametrize(
    ("model", "name", "version"),
    [*((key, "iris", None) for key in MODELS), ("plain", "{iris}", "7"), ("plain", 'ünï "c" <b>', "a b{c}/d")],
)
def test_the_document_is_openapi(model, name, version):
    validate(document(Signature.of(MODELS[model]), name, version))


def test_a_version_has_paths_of_its_own():
    paths = document(Signature.of(IRIS), "iris", "7")["paths"]
    assert {"/v1/models/iris:predict", "/v1/models/iris/versions/7:predict"} <= set(paths)
    assert {"/v2/models/iris/infer", "/v2/models/iris/versions/7/infer"} <= set(paths)
    assert not [path for path in document(Signature.of(IRIS), "iris", None)["paths"] if "versions" in path]


PREDICTIONS = [
    ("features", {"instances": [[1, 2.5, -3]]}, True),
    ("features", {"instances": [{"length": 1, "width": 2, "<b>": 3}]}, True),
    ("features", {"instances": [{"x": [1, 2, 3]}]}, True),
    ("features", {"inputs": {"length": [1], "width": [2], "<b>": [3]}}, True),
    ("features", {"inputs": [[1, 2, 3]]}, True),
    ("features", {"dataframe_split": {"columns": ["length", "width", "<b>"], "data": [[1, 2, 3]]}}, True),
    ("features", {"dataframe_records": [{"length": 1, "width": 2, "<b>": 3}]}, True),
    ("features", {"instances": [[1, 2]]}, False),
    ("features", {"instances": [[1, 2, "3"]]}, False),
    ("features", {"instances": [[1, 2, None]]}, False),
    ("features", {"instances": [[1, 2, 1e39]]}, False),
    ("features", {"instances": [{"length": 1, "width": 2}]}, False),
    ("features", {"instances": [{"length": 1, "width": 2, "<b>": 3, "more": 4}]}, False),
    ("features", {"instances": []}, False),
    ("features", {"instances": [[1, 2, 3]], "inputs": [[1, 2, 3]]}, False),
    ("features", {"instances": [[1, 2, 3]], "signature_name": "train"}, False),
    ("features", {}, False),
    ("plain", {"instances": [[1, 2, 3]]}, True),
    ("plain", {"instances": [{"length": 1}]}, False),
    ("columns", {"instances": [{"age": -128, "city": "Vigo", "weight": None, "pair": [True, False]}]}, True),
    ("columns", {"instances": [{"age": [3], "city": {"b64": "Vmlnbw=="}, "weight": 1, "pair": [True, False]}]}, True),
    ("columns", {"inputs": {"age": [1], "city": ["Vigo"], "weight": [1.5], "pair": [[True, False]]}}, True),
    ("columns", {"instances": [{"age": 128, "city": "Vigo", "weight": 1, "pair": [True, False]}]}, False),
    ("columns", {"instances": [{"age": 1.5, "city": "Vigo", "weight": 1, "pair": [True, False]}]}, False),
    ("columns", {"instances": [{"age": 1, "city": 5, "weight": 1, "pair": [True, False]}]}, False),
    ("columns", {"instances": [{"age": 1, "city": "Vigo", "weight": 1, "pair": [1, 0]}]}, False),
    ("columns", {"instances": [[1, "Vigo", 1, [True, False]]]}, False),
    ("image", {"instances": [[[1, 2], [3, 255]]]}, True),
    ("image", {"instances": [[[1, 2], [3, 256]]]}, False),
    ("image", {"instances": [[[1, 2]]]}, False),
]


@pytest.mark.parametrize(("model", "body", "is_right"), PREDICTIONS)
def test_a_v1_request_is_valid_where_the_server_takes_it(model, body, is_right):
    told = is_read(v1, body, MODELS[model])
    assert (told is True, schema(MODELS[model], "PredictRequest").is_valid(body)) == (is_right, is_right), told


def tensor(**changes):
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]} | changes]}


TENSORS = [
    (IRIS, tensor(), True),
    (IRIS, tensor(name="y"), False),
    (IRIS, tensor(datatype="FP64"), False),
    (IRIS, tensor(shape=[1, 4], data=[1, 2, 3, 4]), False),
    (IRIS, tensor(shape=[0, 3], data=[]), False),
    (IRIS, tensor(shape=["1", 3]), False),
    (IRIS, tensor() | {"outputs": [{"name": "y"}]}, True),
    (IRIS, tensor() | {"outputs": [{"name": "z"}]}, False),
    (IRIS, tensor() | {"id": 5}, False),
    (IRIS, {"inputs": []}, False),
    (LENIENT, tensor(name="anything"), True),
    (LENIENT, tensor(datatype="INT8"), True),
    (LENIENT, tensor(datatype="BYTES"), False),
]


@pytest.mark.parametrize(("model", "body", "is_right"), TENSORS)
def test_a_v2_request_is_valid_where_the_server_takes_it(model, body, is_right):
    told = is_read(v2, body, model)
    assert (told is True, schema(model, "InferRequest").is_valid(body)) == (is_right, is_right), told


def test_values_that_are_ignored_are_valid():
    body = {"instances": [{"length": 1, "width": 2, "<b>": 3, "more": 4}]}
    assert is_read(v1, body, IRIS, ignores_extra=True) is True
    assert schema(IRIS, "PredictRequest", ignores_extra=True).is_valid(body)


VALUES = (
    st.none() | st.booleans() | st.integers(-300, 300) | st.floats(allow_nan=False, allow_infinity=False) | st.just("a")
)


@given(st.lists(st.lists(VALUES, min_size=2, max_size=4), min_size=1, max_size=2))
def test_rows_are_valid_exactly_where_the_server_takes_them(rows):
    told = is_read(v1, {"instances": rows}, IRIS)
    assert (told is True) == schema(IRIS, "PredictRequest").is_valid({"instances": rows}), told


def test_the_document_of_a_very_wide_model_is_small():
    width = 100_000
    model = FakeModel(inputs=(TensorSpec("x", "FP32", (-1, width)),), features=tuple(map(str, range(width))))
    assert len(orjson.dumps(document(Signature.of(model), "m", "7"))) < 50_000
    assert schema(model, "PredictRequest").is_valid({"instances": [dict.fromkeys(model.features, 1)]})
    assert not schema(model, "PredictRequest").is_valid({"instances": [{"0": 1}]})


def test_answers_are_valid():
    one, several = schema(IRIS, "PredictAnswer"), schema(COLUMNS, "PredictAnswer")
    assert one.is_valid({"predictions": [1.5, None]})
    assert not one.is_valid({"predictions": ["a"]})
    assert several.is_valid({"predictions": [{"label": 1, "odds": [0.5, 0.5]}]})
    assert not several.is_valid({"predictions": [{"label": 1, "odds": [0.5]}]})
    assert not several.is_valid({"predictions": [1]})
