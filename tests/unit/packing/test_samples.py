"""Sample rows from files and from notebooks, and what is told of bad ones."""

import json

import numpy as np
import pytest

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.packing import samples
from modelway.server.tensors import TensorSpec
from support.fake_model import FakeModel

ROWS = np.array([[1.0, 2.5], [3.0, 4.0]])
ONE = FakeModel((TensorSpec("X", "FP64", (-1, 2), lenient=True),), features=("age", "income"))
NAMELESS = FakeModel((TensorSpec("X", "FP64", (-1, 2), lenient=True),))
TWO = FakeModel((TensorSpec("age", "FP64", (-1, 1)), TensorSpec("city", "BYTES", (-1, 1))))


class Table:
    """What tables of pandas and polars have in common."""

    def __init__(self, **columns) -> None:
        self._columns = {name: np.array(values) for name, values in columns.items()}
        self.columns = list(columns)

    def __getitem__(self, name) -> object:
        column = self._columns[name]
        return type("Column", (), {"to_numpy": lambda _self: column, "__array__": lambda _self, *_: column})()


def written(folder, name, content):
    path = folder / name
    if name.endswith(".npy"):
        np.save(path, content)
    elif name.endswith(".npz"):
        np.savez(path, **content)
    elif name.endswith(".parquet"):
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.table(content), path)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.csv", "age,income\n1,2.5\n3,4\n"),
        ("r.csv", "label,income,age\nyes,2.5,1\nno,4,3\n"),
        ("r.json", {"instances": [[1, 2.5], [3, 4]]}),
        ("r.json", [[1, 2.5], [3, 4]]),
        ("r.json", [{"age": 1, "income": 2.5}, {"age": 3, "income": 4}]),
        ("r.npy", ROWS),
        ("r.npz", {"X": ROWS}),
        ("r.parquet", {"income": [2.5, 4.0], "age": [1, 3], "label": ["a", "b"]}),
    ],
    ids=["csv", "csv with a label", "request", "rows", "objects", "npy", "npz", "parquet"],
)
def test_rows_are_read_from_each_kind_of_file(tmp_path, name, content):
    assert samples.read(written(tmp_path, name, content), ONE).tensors["X"].tolist() == ROWS.tolist()


@pytest.mark.parametrize("name", ["r.csv", "r.parquet"])
def test_names_that_the_model_does_not_know_are_learnt_from_the_sample(tmp_path, name):
    content = "a,b\n1,2.5\n3,4\n" if name.endswith("csv") else {"a": [1.0, 3.0], "b": [2.5, 4.0]}
    sample = samples.read(written(tmp_path, name, content), NAMELESS)
    assert (sample.names, sample.tensors["X"].tolist()) == (("a", "b"), ROWS.tolist())


def test_columns_become_inputs_of_their_own(tmp_path):
    sample = samples.read(written(tmp_path, "r.csv", "city,age\nVigo,41\nLugo,7\n"), TWO)
    assert sample.tensors["age"].tolist() == [[41.0], [7.0]]
    assert sample.tensors["city"].tolist() == [["Vigo"], ["Lugo"]]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(ROWS, id="array"),
        pytest.param(ROWS.tolist(), id="lists"),
        pytest.param(ROWS.astype(np.float32), id="narrow array"),
        pytest.param(Table(income=[2.5, 4.0], age=[1, 3]), id="table"),
        pytest.param({"X": ROWS}, id="tensors"),
    ],
)
def test_rows_are_taken_from_a_notebook(rows):
    assert samples.of(rows, ONE).tensors["X"].tolist() == ROWS.tolist()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        pytest.param("r.xlsx", "", "r.xlsx: sample rows are read from .csv, .json", id="unknown kind"),
        pytest.param("r.csv", "age,income\n1,x\n", 'r.csv: line 2, column 2 (income): "x"', id="no number"),
        pytest.param("r.csv", "age,wage\n1,2\n", 'r.csv: CSV: no value for "income"', id="missing column"),
        pytest.param("r.json", '{"instances": [[1]]}', "r.json: instances[0]: 1 value", id="too narrow"),
        pytest.param("r.json", "{", "r.json: ", id="no JSON"),
        pytest.param("r.npy", np.zeros((2, 3)), "rows of shape [2, 3]", id="wrong width"),
        pytest.param("r.npy", np.array([["a", "b"]]), '"X" holds <U1', id="texts"),
        pytest.param("r.npy", np.array([{}]), "plain numbers", id="objects"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path, name, content, told):
    with pytest.raises(ModelError) as caught:
        samples.read(written(tmp_path, name, content), ONE)
    assert caught.value.reason is Reason.ROWS_INVALID
    assert told in caught.value.message


def test_a_broken_parquet_file_is_told(tmp_path):
    (tmp_path / "r.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ModelError, match=r"r\.parquet"):
        samples.read(tmp_path / "r.parquet", ONE)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelError, match="No such file"):
        samples.read(tmp_path / "r.csv", ONE)


def test_a_matrix_for_several_inputs_is_refused():
    with pytest.raises(ModelError, match="the model has 2 inputs"):
        samples.of(ROWS, TWO)
