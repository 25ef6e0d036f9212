"""NNEF folders, written with the nnef package; answers are compared with its own session and with numpy."""

import msgspec
import nnef
import numpy as np
import pytest

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import nnef as nnef_format
from modelway.server.formats.base import LoadOptions
from modelway.server.metadata import Metadata
from modelway.server.tensors import Batch
from support.formats import ask, assert_threads_agree, described

GENERATOR = np.random.default_rng(5)
WEIGHTS = {
    "w1": GENERATOR.normal(size=(8, 4)).astype("f4"),
    "b1": GENERATOR.normal(size=(1, 8)).astype("f4"),
    "w2": GENERATOR.normal(size=(3, 8)).astype("f4"),
    "b2": GENERATOR.normal(size=(1, 3)).astype("f4"),
}
ROWS = GENERATOR.normal(size=(23, 4)).astype("f4")


def network(batch=1, last="y = softmax(z);"):
    return f"""version 1.0;
graph network(x) -> (y)
{{
    x = external<scalar>(shape = [{batch}, 4]);  # rows
    w1 = variable<scalar>(shape = [8, 4], label = 'w1');
    b1 = variable<scalar>(shape = [1, 8], label = 'b1');
    w2 = variable<scalar>(shape = [3, 8], label = 'w2');
    b2 = variable<scalar>(shape = [1, 3], label = 'b2');
    h = relu(linear(x, w1, b1));
    flat = reshape(h, shape = [{batch}, 8]);
    z = linear(flat, w2, b2);
    {last}
}}
"""


def expected(rows):
    hidden = np.maximum(rows @ WEIGHTS["w1"].T + WEIGHTS["b1"], 0)
    scores = np.exp(hidden @ WEIGHTS["w2"].T + WEIGHTS["b2"])
    return scores / scores.sum(axis=1, keepdims=True)


@pytest.fixture
def folder(tmp_path):
    def make(text=None, **variables):
        (tmp_path / "graph.nnef").write_text(network() if text is None else text)
        for name, array in (WEIGHTS | variables).items():
            if array is None:
                continue
            with (tmp_path / f"{name}.dat").open("wb") as file:
                file.write(array) if isinstance(array, bytes) else nnef.write_tensor(file, array)
        return tmp_path / "graph.nnef"

    return make


def load(path, **metadata):
    return nnef_format.load(path, LoadOptions(metadata=msgspec.convert(metadata, Metadata)))


def test_one_row_after_the_other_answers_as_the_interpreters_own_session(folder):
    path = folder()
    model = load(path)
    session = nnef.Session(str(path.parent), stdlib="", lowered=[])
    own = np.concatenate([session(row[None])[0].copy() for row in ROWS])
    answers = ask(model, ROWS)
    assert np.array_equal(answers, own)
    assert np.allclose(answers, expected(ROWS), atol=1e-6)
    assert described(model.inputs) == [("x", "FP32", (-1, 4))]
    assert described(model.outputs) == [("y", "FP32", (-1, 3))]


@pytest.mark.parametrize("batch", [2, 8, 23, 40])
def test_any_number_of_rows_goes_through_a_batch_that_is_fixed(folder, batch):
    model = load(folder(network(batch)))
    for rows in (1, 7, 23):
        answers = ask(model, ROWS[:rows])
        assert answers.shape == (rows, 3)
        assert np.allclose(answers, expected(ROWS[:rows]), atol=1e-6)


def test_answers_stay_when_the_next_ones_come(folder):
    model = load(folder())
    first = ask(model, ROWS[:1])
    kept = first.copy()
    ask(model, ROWS[1:2])
    assert np.array_equal(first, kept)


def test_a_graph_that_is_not_of_rows_takes_what_it_declares(folder):
    model = load(folder(network(2, last="y = sum_reduce(z, axes = [0]);")))
    assert described(model.inputs) == [("x", "FP32", (2, 4))]
    assert described(model.outputs) == [("y", "FP32", (1, 3))]
    assert model.predict(Batch({"x": ROWS[:2]}, rows=2, wanted=("y",)))["y"].shape == (1, 3)


def test_several_threads_do_not_disturb_each_other(folder):
    assert_threads_agree(load(folder()), ROWS)


def test_metadata_that_contradicts_the_graph_is_refused(folder):
    with pytest.raises(ModelError, match='inputs names "X", where the model has x') as caught:
        load(folder(), inputs=[{"name": "X"}])
    assert caught.value.reason is Reason.METADATA_INVALID


FRAGMENT = """version 1.0;
extension KHR_enable_fragment_definitions;
fragment own( x: tensor<scalar> ) -> ( y: tensor<scalar> ) { y = x; }
graph network(x) -> (y) { x = external<scalar>(shape = [1, 4]); y = own(x); }
"""


def one(line, shape="1, 4"):
    return f"version 1.0;\ngraph g(x) -> (y) {{ x = external<scalar>(shape = [{shape}]); {line} }}\n"


@pytest.mark.parametrize(
    ("text", "variables", "said"),
    [
        ("", {}, "cannot load graph.nnef"),
        ("version 1.0;\ngraph g(x) -> (y) {", {}, "cannot load graph.nnef"),
        (one("y = nosuch(x);"), {}, "nosuch"),
        (FRAGMENT, {}, "operations of the file's own are not supported"),
        (one("y = " + "(" * 100 + "x" + ")" * 100 + ";"), {}, "nested deeper than 64"),
        (one("y = add(x, q);"), {}, "cannot load graph.nnef"),
        (one("v = variable<scalar>(shape = [1, 4], label = '../secret'); y = add(x, v);"), {}, "is outside the folder"),
        (one("v = variable<scalar>(shape = [1, 4], label = 'none'); y = add(x, v);"), {}, "none.dat of a variable is missing"),
        (one("v = variable<scalar>(shape = [1, 4], label = 'w1'); u = update(v, x); y = add(x, v);"), {}, "not supported"),
        (one("copy(x); y = copy(x);"), {}, "this is no assignment of an operation: copy(x)"),
        (one("y = tile(x, repeats = [1000000, 1000000]);"), {}, "cannot load"),
        (one("y = reshape(x, shape = [3, 3]);"), {}, "its shapes do not fit together"),
        (network().replace("linear(x", "conv(x"), {}, '"conv" needs an input of three dimensions'),
        (None, {"w1": b""}, "w1.dat: it is no tensor file"),
        (None, {"w1": b"\x80\x04" + bytes(300)}, "w1.dat: it is no tensor file"),
        (None, {"w1": np.zeros((4, 8), "f4")}, "w1.dat: its shape is [4, 8], where the graph has [8, 4]"),
        (None, {"w1": "cut"}, "w1.dat: 236 bytes, where 256 are expected"),
        (None, {"w1": "long"}, "its header says 1000000 bytes"),
    ],
)  # fmt: skip
def test_what_is_broken_or_evil_is_told(folder, tmp_path, text, variables, said):
    if isinstance(variables.get("w1"), str):
        path = folder()
        content = bytearray((tmp_path / "w1.dat").read_bytes())
        if variables["w1"] == "cut":
            content = content[:-20]
        else:
            content[4:8] = (1000000).to_bytes(4, "little")
        (tmp_path / "w1.dat").write_bytes(content)
    else:
        path = folder(text, **variables)
    with pytest.raises(ModelError) as caught:
        load(path)
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED
    assert said in caught.value.message
    assert "\n" not in caught.value.message
