import numpy as np
import pytest

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server import golden as golden_requests
from modelway.server.metadata import Golden
from modelway.server.signature import Signature
from modelway.server.tensors import TensorSpec
from support.fake_model import FakeModel

MODEL = FakeModel()


def ask(golden, index, model):
    return golden_requests.ask(golden, index, model, Signature.of(model))


TENSOR = {"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [1.5, 2, 3, 4, 5, 6]}


def v1(predictions, instances=None, **options):
    return Golden(instances=instances or [[1.5, 2, 3], [4, 5, 6]], predictions=predictions, **options)


def v2(*outputs):
    return Golden(inputs=[TENSOR], outputs=list(outputs))


@pytest.mark.parametrize(
    "golden",
    [
        v1([1.5, 4]),
        v1([1.500001, 4]),
        v1([1.4, 4.3], tolerance=0.1),
        v2({"name": "y", "data": [1.5, 4]}),
        v2({"name": "y", "data": [[1.5], [4]], "datatype": "FP32", "shape": [2]}),
    ],
)
def test_a_right_answer_passes_and_its_rows_are_given_back(golden):
    assert ask(golden, 0, MODEL).rows == 2


@pytest.mark.parametrize(
    ("golden", "said"),
    [
        (v1([1.5, 5]), "golden[3].predictions[1]: expected 5, got 4.0 (tolerance 1e-05)"),
        (v1([1.5]), "golden[3].predictions: expected 1 values, got 2"),
        (v1([1.5, "4"]), 'golden[3].predictions[1]: expected "4", got 4.0'),
        (v1([1.5, True]), "golden[3].predictions[1]: expected true, got 4.0"),
        (v1([1.5, None]), "golden[3].predictions[1]: expected null, got 4.0"),
        (v1([1.5, [4]]), "golden[3].predictions[1]: expected an array, got 4.0"),
        (v1([{"y": 1.5}, 4]), "golden[3].predictions[0]: expected an object, got 1.5"),
        (v1([1], instances=[[1]]), "golden[3]: instances[0]: 1 value, where a row of 3 numbers is expected"),
        (v2({"name": "y", "data": [1.5, 5]}), "golden[3].outputs[0].data[1]: expected 5, got 4.0"),
        (v2({"name": "q", "data": [1]}), 'golden[3]: outputs[0].name: "q" is no output'),
        (v2({"name": "y"}), "golden[3].outputs[0]: has no data"),
        (v2({"name": "y", "data": [1.5, 4], "shape": [1, 2]}), "golden[3].outputs[0].shape: expected [1, 2], got [2]"),
    ],
)
def test_a_wrong_answer_is_told_with_its_place(golden, said):
    with pytest.raises(ModelError) as caught:
        ask(golden, 3, MODEL)
    assert caught.value.reason is Reason.GOLDEN_REQUEST_FAILED
    assert said in caught.value.message


def test_nan_is_no_right_answer():
    model = FakeModel(compute=lambda _: {"y": np.array([np.nan, np.nan])})
    with pytest.raises(ModelError, match=r"expected 1.5, got null"):
        ask(v1([1.5, 4]), 0, model)


def test_objects_are_compared_by_field():
    outputs = (TensorSpec("a", "FP32", (-1,)), TensorSpec("b", "BYTES", (-1,)))
    model = FakeModel(outputs=outputs, compute=lambda _: {"a": np.array([1.0]), "b": np.array(["x"])})
    golden = v1([{"a": 1, "b": "x"}], instances=[[1, 2, 3]])
    assert ask(golden, 0, model).rows == 1
    with pytest.raises(ModelError, match=r"expected the fields \['a'\], got \['a', 'b'\]"):
        ask(v1([{"a": 1}], instances=[[1, 2, 3]]), 0, model)


def test_a_model_that_raises_is_told():
    def broken(_batch):
        raise ZeroDivisionError("by zero")

    with pytest.raises(ModelError, match="the model raised ZeroDivisionError: by zero"):
        ask(v1([1, 2]), 0, FakeModel(compute=broken))
