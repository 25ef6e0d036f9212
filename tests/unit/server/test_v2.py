import contextlib

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.server import descriptions, v2
from modelway.server.errors import InvalidInputError
from modelway.server.signature import Signature
from modelway.server.tensors import DTYPES, TensorSpec
from support.fake_model import FakeModel

ROWS = FakeModel(outputs=(TensorSpec("y", "FP32", (-1,)), TensorSpec("z", "FP32", (-1,))))
LENIENT = FakeModel(inputs=(TensorSpec("X", "FP64", (-1, 3), lenient=True),))
TWO = FakeModel(inputs=(TensorSpec("a", "FP32", (-1, 1)), TensorSpec("b", "INT64", (-1,))))


def tensor(**changes):
    return {"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]} | changes


def parse(request, model=ROWS, **options):
    return v2.parse(orjson.dumps(request), Signature.of(model, **options))


@pytest.mark.parametrize(
    "data",
    [[1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]],
    ids=["flat", "nested"],
)
def test_data_may_be_flat_or_nested(data):
    request = parse({"id": "7", "inputs": [tensor(data=data)]})
    assert request.id == "7"
    assert request.batch.rows == 2
    assert request.batch.tensors["x"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert request.batch.wanted == ("y", "z")


def test_outputs_can_be_chosen_and_ordered():
    assert parse({"inputs": [tensor()], "outputs": [{"name": "z"}, {"name": "y"}]}).batch.wanted == ("z", "y")
    assert parse({"inputs": [tensor()], "outputs": [{"name": "z"}]}).batch.wanted == ("z",)
    assert parse({"inputs": [tensor()], "outputs": []}).batch.wanted == ("y", "z")


def test_parameters_are_read_and_mean_nothing():
    parse({"parameters": {"priority": 1}, "inputs": [tensor(parameters={"a": "b"})]})


@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT32", "UINT8", "INT64"])
def test_a_lenient_model_takes_what_numpy_casts_without_loss_under_any_name(datatype):
    request = parse({"inputs": [tensor(name="input-0", datatype=datatype)]}, LENIENT)
    assert request.batch.tensors["X"].dtype == np.float64


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BYTES"])
def test_every_datatype_reaches_a_model_of_it(datatype):
    model = FakeModel(inputs=(TensorSpec("x", datatype, (-1,)),))
    values = [True, False] if datatype == "BOOL" else [1, 0]
    request = parse({"inputs": [tensor(datatype=datatype, shape=[2], data=values)]}, model)
    assert request.batch.tensors["x"].dtype == DTYPES[datatype]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "inputs: expected an array of tensors, found nothing"),
        ({"inputs": []}, "inputs: expected an array of tensors, found an array"),
        ({"inputs": {}}, "inputs: expected an array of tensors, found an object"),
        ({"inputs": [5]}, "inputs[0]: expected a tensor object, found 5"),
        ({"id": 5, "inputs": [tensor()]}, "id: 5 is no text"),
        ({"parameters": [], "inputs": [tensor()]}, "parameters: expected an object, found an array"),
        ({"inputs": [tensor(name=None)]}, "inputs[0].name: expected a text, found null"),
        ({"inputs": [tensor(name="q")]}, 'inputs[0].name: the model has no input "q"; it has x'),
        ({"inputs": [tensor(), tensor()]}, 'inputs[1].name: input "x" is given twice'),
        ({"inputs": [tensor(datatype="FP33")]}, 'inputs[0].datatype: "FP33" is none of BOOL, UINT8'),
        ({"inputs": [tensor(datatype=["FP32"])]}, "inputs[0].datatype: expected a text, found an array"),
        ({"inputs": [tensor(datatype="FP64")]}, 'inputs[0].datatype: FP64, where the model\'s input "x" is FP32'),
        ({"inputs": [tensor(datatype="BYTES")]}, "inputs[0].datatype: BYTES, where"),
        ({"inputs": [tensor(shape=None)]}, "inputs[0].shape: expected an array of integers, found null"),
        ({"inputs": [tensor(shape=[2, "3"])]}, 'inputs[0].shape[1]: "3" is no size of 1 or more'),
        ({"inputs": [tensor(shape=[2, -1])]}, "inputs[0].shape[1]: -1 is no size"),
        ({"inputs": [tensor(shape=[0, 3], data=[])]}, "inputs[0].shape[0]: 0 is no size"),
        ({"inputs": [tensor(shape=[True, 3])]}, "inputs[0].shape[0]: true is no size"),
        ({"inputs": [tensor(shape=[3, 2])]}, "inputs[0].shape: [3, 2] does not fit the model's input"),
        ({"inputs": [tensor(shape=[6])]}, "inputs[0].shape: [6] does not fit"),
        ({"inputs": [tensor(data=[1, 2])]}, "inputs[0].data: 2 values, where shape [2, 3] has 6"),
        ({"inputs": [tensor(data=[[1, 2], [3, 4], [5, 6]])]}, "inputs[0].data: nested as [3, 2], where the shape is"),
        ({"inputs": [tensor(data=[[1, 2, 3], [4, 5]])]}, "inputs[0].data[1]: 2 values, where inputs[0].data[0] has 3"),
        ({"inputs": [tensor(data=[1, 2, 3, 4, 5, "6"])]}, 'inputs[0].data[5]: "6" is not a number'),
        ({"inputs": [tensor(data="AAAA")]}, 'inputs[0].data: expected an array, found "AAAA"'),
        ({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3]}]}, "inputs[0].data: missing"),
        (
            {"inputs": [tensor(parameters={"binary_data_size": 24})]},
            "inputs[0]: has data and binary_data_size; give one of them",
        ),
        ({"inputs": [tensor(parameters=[])]}, "inputs[0].parameters: expected an object, found an array"),
        (
            {"inputs": [tensor(parameters={"shared_memory_region": "r"})]},
            "inputs[0].parameters.shared_memory_region: this server does not have that extension",
        ),
        (
            {"inputs": [tensor()], "outputs": [{"name": "y", "parameters": {"classification": 3}}]},
            "outputs[0].parameters.classification: this server does not have that extension",
        ),
        (
            {"inputs": [tensor()], "parameters": {"binary_data_output": 1}},
            "parameters.binary_data_output: 1 is neither true nor false",
        ),
        ({"inputs": [tensor()], "outputs": {}}, "outputs: expected an array of output objects"),
        (
            {"inputs": [tensor()], "outputs": [{"name": "q"}]},
            'outputs[0].name: "q" is no output of the model; it has y, z',
        ),
        ({"inputs": [tensor()], "outputs": ["y"]}, 'outputs[0]: expected an output object, found "y"'),
        ({"inputs": [tensor()], "outputs": [{"name": ["y"]}]}, "outputs[0].name: an array is no output"),
        ({"inputs": [tensor()], "outputs": [{"name": "y"}] * 2}, 'outputs[1].name: output "y" is asked for twice'),
    ],
)
def test_what_is_wrong_is_said_with_its_position(request_, message):
    with pytest.raises(InvalidInputError) as caught:
        parse(request_)
    assert caught.value.message.startswith(message)


def test_all_inputs_are_needed_and_of_as_many_rows():
    a = {"name": "a", "datatype": "FP32", "shape": [2, 1], "data": [1, 2]}
    b = {"name": "b", "datatype": "INT64", "shape": [3], "data": [1, 2, 3]}
    with pytest.raises(InvalidInputError, match='inputs: no tensor for the model\'s input "b"'):
        parse({"inputs": [a]}, TWO)
    with pytest.raises(InvalidInputError, match='inputs: "b" has 3 rows, where "a" has 2'):
        parse({"inputs": [a, b]}, TWO)


def test_an_answer_carries_id_version_and_flat_data():
    request = parse({"id": "7", "inputs": [tensor()], "outputs": [{"name": "y"}]})
    answer = orjson.loads(v2.render({"y": np.array([[1, 2], [3, 4]])}, request, name="m", version="3").body)
    assert answer == {
        "model_name": "m",
        "model_version": "3",
        "id": "7",
        "outputs": [{"name": "y", "datatype": "INT64", "shape": [2, 2], "data": [1, 2, 3, 4]}],
    }


def test_what_was_not_given_is_not_made_up():
    request = parse({"inputs": [tensor()], "outputs": [{"name": "y"}]})
    answer = orjson.loads(v2.render({"y": np.array(["a", "b"])}, request, name="m", version=None).body)
    assert answer.keys() == {"model_name", "outputs"}
    assert answer["outputs"][0] == {"name": "y", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}


def test_metadata_is_the_protocols():
    model = FakeModel(notes={"warning": "old"})
    assert descriptions.v2_metadata(model, name="m", version="3") == {
        "name": "m",
        "versions": ["3"],
        "platform": "fake",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
        "parameters": {"warning": "old"},
    }
    assert descriptions.v2_metadata(FakeModel(), name="m", version=None).keys() == {
        "name",
        "platform",
        "inputs",
        "outputs",
    }


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["id", "inputs", "outputs", "parameters"]), anything)
    | st.fixed_dictionaries(
        {
            "inputs": st.lists(
                st.dictionaries(st.sampled_from(["name", "datatype", "shape", "data"]), anything), max_size=2
            )
        }
    )
    | st.builds(
        lambda key, value: {"inputs": [tensor(**{key: value})]},
        st.sampled_from(["name", "datatype", "shape", "data", "parameters"]),
        anything,
    )
)
def test_any_request_is_a_batch_of_the_models_shape_or_a_told_error(request_):
    with contextlib.suppress(InvalidInputError):
        batch = parse(request_).batch
        assert ROWS.inputs[0].fits(batch.tensors["x"].shape)
        assert batch.tensors["x"].dtype == np.float32
