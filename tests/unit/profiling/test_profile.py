"""What is usual in rows, from files and from a notebook."""

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import modelway
from modelway.artifacts.errors import ModelError
from modelway.profiling import profile
from modelway.server import metadata
from modelway.stats.drift_reference import from_record

RNG = np.random.default_rng(1)
AGES = RNG.normal(50, 10, 2000)
TABLE = pd.DataFrame(
    {
        "age": np.where(np.arange(2000) % 10 == 0, np.nan, AGES),
        "colour": RNG.choice(["red", "green"], 2000),
        "flag": RNG.random(2000) < 0.5,
        "zip": RNG.integers(1000, 1010, 2000),
        "label": RNG.integers(0, 2, 2000),
    }
)


def by_name(made):
    return {one.name: one for one in made.features}


@pytest.fixture(params=["csv", "parquet", "pandas", "mapping"])
def rows(request, tmp_path):
    if request.param == "csv":
        TABLE.to_csv(tmp_path / "rows.csv", index=False)
        return tmp_path / "rows.csv"
    if request.param == "parquet":
        TABLE.to_parquet(tmp_path / "rows.parquet")
        return str(tmp_path / "rows.parquet")
    return TABLE if request.param == "pandas" else {name: TABLE[name].to_numpy() for name in TABLE.columns}


def test_every_source_tells_the_same(rows):
    made = by_name(profile(rows, exclude=["label"], texts=["zip"]))
    assert list(made) == ["age", "colour", "flag", "zip"]
    assert (made["age"].rows, made["age"].missing) == (1800, 200)
    assert made["age"].cells.mean == pytest.approx(np.nanmean(TABLE["age"]))
    assert len(made["age"].counts) == 22
    assert set(made["colour"].cells.categories) == {"red", "green"}
    assert made["flag"].cells.edges == (0.5,)
    assert set(made["zip"].cells.categories) == {str(number) for number in range(1000, 1010)}


def test_it_is_the_field_that_the_server_reads(tmp_path):
    modelway.profile(TABLE).write(tmp_path / "modelway.json")
    read = metadata.read(tmp_path)
    assert [one.name for one in read.reference.features] == list(TABLE.columns)
    said = orjson.loads((tmp_path / "modelway.json").read_bytes())
    assert from_record(said["reference"]) == profile(TABLE).features


def test_other_fields_of_the_file_stay(tmp_path):
    path = tmp_path / "modelway.json"
    path.write_text('{"format": "onnx", "reference": {"features": []}, "golden": []}')
    profile(TABLE).write(path)
    said = orjson.loads(path.read_bytes())
    assert (said["format"], said["golden"], len(said["reference"]["features"])) == ("onnx", [], 5)


def test_texts_that_occur_once_are_never_written_down():
    names = [f"person {number}" for number in range(2000)]
    (feature,) = profile({"name": names}).features
    assert feature.cells.categories == ()
    assert "person" not in str(profile({"name": names}).record())


def test_rare_categories_are_told_together():
    colours = ["red"] * 1000 + ["green"] * 990 + [f"rare {number}" for number in range(10)]
    (feature,) = profile({"colour": colours}).features
    assert (feature.cells.categories, feature.counts) == (("red", "green"), (1000, 990, 10))


def test_an_array_needs_names():
    assert [one.name for one in profile(np.zeros((10, 2)), names=["a", "b"]).features] == ["a", "b"]
    with pytest.raises(ModelError, match="2 columns and 0 names; say what the columns are called"):
        profile(np.zeros((10, 2)))


def test_what_is_neither_number_nor_text_is_left_out_and_told():
    made = profile({"x": [1.0, 2.0], "when": np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]")})
    assert made.left_out == {"when": "datetime64[D] is neither a number nor a text"}


def test_columns_of_arrow_are_numbers_or_texts(tmp_path):
    table = pa.table(
        {
            "decimal": pa.array([1, 2, 3], pa.decimal128(5, 2)),
            "dictionary": pa.array(["a", "b", None]).dictionary_encode(),
            "whole": pa.array([1, None, 3], pa.int64()),
            "nothing": pa.nulls(3),
            "list": pa.array([[1], [2], [3]]),
        }
    )
    parquet.write_table(table, tmp_path / "rows.parquet")
    made = profile(tmp_path / "rows.parquet")
    assert [one.name for one in made.features] == ["decimal", "dictionary", "whole"]
    assert [one.missing for one in made.features] == [0, 1, 1]
    assert made.left_out == {
        "nothing": "no value is a finite number",
        "list": "list<element: int64> is neither a number nor a text",
    }


def test_missing_values_of_pandas_are_missing():
    table = pd.DataFrame({"n": pd.array([1, None, 3], dtype="Int64"), "s": pd.array(["a", None, "a"], dtype="string")})
    assert [(one.rows, one.missing) for one in profile(table).features] == [(2, 1), (2, 1)]


@pytest.mark.parametrize(
    ("name", "content", "options", "problem"),
    [
        pytest.param("rows.txt", "a\n1\n", {}, "rows.txt: rows are read from .parquet and .csv", id="suffix"),
        pytest.param("rows.parquet", "nonsense", {}, "rows.parquet: ", id="no parquet"),
        pytest.param(
            "rows.csv", "a,b\n1,2\n1\n", {}, "rows.csv: CSV parse error: Expected 2 columns, got 1: 1", id="a short row"
        ),
        pytest.param(
            "rows.csv", "a\n1\n", {"exclude": ["b"]}, 'rows.csv: there is no column "b"; there are a', id="name"
        ),
        pytest.param("rows.csv", "a\n\n", {}, "rows.csv: no column can be compared", id="no value"),
        pytest.param("rows.csv", "a\n", {}, "rows.csv: no column can be compared: a: there are no rows", id="no row"),
        pytest.param("rows.csv", "a,a\n1,2\n", {}, 'rows.csv: two columns are called "a"', id="a name twice"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, name, content, options, problem):
    (tmp_path / name).write_text(content)
    with pytest.raises(ModelError) as caught:
        profile(tmp_path / name, **options)
    assert caught.value.message.startswith(problem)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelError, match="No such file or directory"):
        profile(tmp_path / "rows.csv")


@pytest.mark.parametrize(("content", "problem"), [("[]", "a JSON object is needed"), ("{", "Invalid JSON")])
def test_a_file_that_is_no_object_is_not_written_over(tmp_path, content, problem):
    path = tmp_path / "modelway.json"
    path.write_text(content)
    with pytest.raises(ModelError, match=problem):
        profile(TABLE).write(path)
    assert path.read_text() == content
