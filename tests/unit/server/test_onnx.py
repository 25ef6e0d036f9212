"""Real ONNX models, made by scikit-learn's converter and by hand."""

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server import pace
from modelway.server.formats import onnx as onnx_format
from modelway.server.formats.base import LoadOptions
from modelway.server.metadata import Metadata
from modelway.server.tensors import DTYPES, Batch
from support.models import iris, typed_onnx


@pytest.fixture
def load(tmp_path):
    def run(content: bytes, **metadata):
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        return onnx_format.load(path, LoadOptions(metadata=msgspec.convert(metadata, Metadata)))

    return run


def predict(model, **tensors):
    arrays = {name: np.asarray(values) for name, values in tensors.items()}
    rows = len(next(iter(arrays.values())))
    return model.predict(Batch(arrays, rows=rows, wanted=model.default_outputs))


@pytest.mark.parametrize("form", ["onnx", "onnx_with_zipmap"])
def test_answers_are_scikit_learns(load, form):
    model = load(getattr(iris(), form))
    rows = iris().rows
    label, probabilities = predict(model, X=rows.astype(np.float32)).values()
    assert np.array_equal(label, iris().estimator.predict(rows))
    assert np.abs(probabilities - iris().estimator.predict_proba(rows)).max() < 1e-5


def test_what_it_takes_and_gives_is_told(load):
    model = load(iris().onnx)
    assert [(spec.name, spec.datatype, spec.shape) for spec in model.inputs] == [("X", "FP32", (-1, 4))]
    assert [(spec.name, spec.datatype, spec.shape) for spec in model.outputs] == [
        ("label", "INT64", (-1,)),
        ("probabilities", "FP32", (-1, 3)),
    ]
    assert model.platform == "onnxruntime_onnx"
    assert model.notes == {"producer": "skl2onnx"}


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BYTES"])
def test_every_datatype_goes_through(load, datatype):
    model = load(typed_onnx(helper.np_dtype_to_tensor_dtype(DTYPES[datatype])))
    assert model.inputs[0].datatype == model.outputs[0].datatype == datatype
    array = np.array([[1, 0]], dtype=DTYPES[datatype])
    assert predict(model, x=array)["y"].tolist() == array.tolist()


def test_texts_go_through(load):
    model = load(typed_onnx(TensorProto.STRING))
    assert predict(model, x=np.array([["a", "ü"]], dtype=object))["y"].tolist() == [["a", "ü"]]


def test_a_type_without_json_form_is_refused(load):
    with pytest.raises(ModelError, match=r"tensor\(bfloat16\), which has no JSON form"):
        load(typed_onnx(TensorProto.BFLOAT16))


@pytest.mark.parametrize(
    "content",
    [b"", b"not a model", b"\x00" * 100, pytest.param(None, id="cut in half")],
)
def test_broken_bytes_are_told_in_the_runtimes_words(load, content):
    broken = iris().onnx[: len(iris().onnx) // 2] if content is None else content
    with pytest.raises(ModelError, match=r"onnxruntime 1\.\d+\.\d+ cannot load model.onnx: ") as caught:
        load(broken)
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED
    assert "\n" not in caught.value.message


def test_a_file_outside_the_folder_is_not_read(load, tmp_path):
    secret = tmp_path.parent / "secret.bin"
    secret.write_bytes(np.ones(2, dtype=np.float32).tobytes())
    weights = numpy_helper.from_array(np.zeros(2, dtype=np.float32), "w")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../secret.bin")
    weights.external_data.add(key="length", value="8")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ModelError) as caught:
        load(model.SerializeToString())
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED


def test_a_custom_operator_is_not_looked_for(load):
    graph = helper.make_graph(
        [helper.make_node("Own", ["x"], ["y"], domain="evil.example")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
    )
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("evil.example", 1)]
    with pytest.raises(ModelError, match="Own") as caught:
        load(helper.make_model(graph, opset_imports=domains, ir_version=8).SerializeToString())
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED


@pytest.mark.parametrize("said", [True, False])
def test_metadata_makes_an_input_lenient_and_nullable(load, said):
    (spec,) = load(iris().onnx, inputs=[{"name": "X", "lenient": said, "nullable": said}]).inputs
    assert (spec.lenient, spec.nullable) == (said, said)


def test_metadata_chooses_the_outputs(load):
    model = load(iris().onnx, outputs=[{"name": "probabilities"}])
    assert model.default_outputs == ("probabilities",)
    assert {spec.name for spec in model.outputs} == {"label", "probabilities"}


def test_metadata_adds_names_and_a_narrower_shape(load):
    model = load(
        iris().onnx_with_zipmap,
        outputs=[{"name": "output_label"}, {"name": "output_probability", "shape": [-1, 3]}],
        featureNames=["a", "b", "c", "d"],
    )
    assert model.outputs[1].shape == (-1, 3)
    assert model.features == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"inputs": [{"name": "x"}]}, 'inputs names "x", where the model has X'),
        ({"inputs": [{"name": "X", "datatype": "FP64"}]}, '"X" is FP64, where the model has FP32'),
        ({"inputs": [{"name": "X", "shape": [-1, 5]}]}, '"X" has shape [-1, 5], the model [-1, 4]'),
        ({"inputs": [{"name": "X", "shape": [-1]}]}, '"X" has shape [-1]'),
        ({"inputs": []}, 'inputs leaves out "X"'),
        ({"outputs": [{"name": "score"}]}, 'outputs names "score", where the model has label, probabilities'),
    ],
)
def test_metadata_that_contradicts_the_model_is_refused(load, metadata, said):
    with pytest.raises(ModelError) as caught:
        load(iris().onnx, **metadata)
    assert caught.value.reason is Reason.METADATA_INVALID
    assert said in caught.value.message


def test_a_small_model_is_measured_as_fast(load):
    cost, problem = pace.measure(load(iris().onnx))
    assert problem is None
    assert cost.of(1) < pace.BUDGET
