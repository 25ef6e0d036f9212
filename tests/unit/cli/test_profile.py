"""`modelway profile`, and `modelway pack --reference`."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import modelway
from modelway.cli import main
from modelway.cli.types import Share
from support.models import iris

RNG = np.random.default_rng(1)
NAMES = ["a", "b", "c", "d"]
TABLE = pd.DataFrame(RNG.uniform(0, 8, size=(1500, 4)), columns=NAMES).assign(label=RNG.integers(0, 3, 1500))


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def train(tmp_path):
    TABLE.to_parquet(tmp_path / "train.parquet")
    return tmp_path / "train.parquet"


def said(folder):
    return json.loads((folder / "modelway.json").read_text())


def names(folder):
    return [one["name"] for one in said(folder)["reference"]["features"]]


def test_a_profile_is_written_and_told(train, tmp_path):
    ended = run("profile", train, "-o", tmp_path / "modelway.json", "--exclude", "label")
    assert ended.exit_code == 0, ended.output
    assert ended.output == f"profiled: 4 features into {tmp_path / 'modelway.json'}\n"
    assert names(tmp_path) == NAMES


def test_few_rows_are_told(tmp_path):
    (tmp_path / "rows.csv").write_text("a\n" + "1\n2\n" * 10)
    ended = run("profile", tmp_path / "rows.csv", "-o", tmp_path / "modelway.json")
    assert "few rows: 20 with a value; from 1,000 on small drifts can be told" in ended.output


def test_what_is_wrong_is_told_without_a_traceback(tmp_path):
    ended = run("profile", tmp_path / "rows.csv", "-o", tmp_path / "modelway.json")
    assert ended.exit_code == 1
    assert ended.stderr.startswith("RowsInvalid: ")
    assert "Traceback" not in ended.output


def test_a_packed_model_has_the_reference_of_its_own_columns(train, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "iris.onnx").write_bytes(iris().onnx)
    TABLE[NAMES].head(20).to_csv(tmp_path / "rows.csv", index=False)
    options = ["--rows", tmp_path / "rows.csv", "--reference", train, "-o", tmp_path / "packed"]
    ended = run("pack", tmp_path / "model", *options)
    assert ended.exit_code == 0, ended.output
    assert "reference: 4 features" in ended.output
    assert names(tmp_path / "packed") == said(tmp_path / "packed")["featureNames"] == NAMES
    assert len((tmp_path / "packed" / "modelway.json").read_text().splitlines()) > 10


def test_a_notebook_may_give_a_profile_or_rows(tmp_path):
    made = modelway.profile(TABLE)
    for place, reference in enumerate((made, TABLE, TABLE[NAMES].to_numpy())):
        packed = modelway.pack(iris().estimator, TABLE[NAMES].head(20), tmp_path / str(place), reference=reference)
        assert [one.name for one in packed.metadata.reference.features] == NAMES


def test_a_reference_of_other_columns_is_refused(tmp_path):
    other = TABLE.rename(columns=str.upper)
    with pytest.raises(modelway.packing.errors.RowsError, match=r"none of its columns \(A, B, C, D, LABEL\) is the"):
        modelway.pack(iris().estimator, TABLE[NAMES].head(20), tmp_path / "to", reference=other)
    assert not list((tmp_path / "to").iterdir())


@pytest.mark.parametrize(("text", "share"), [("100%", 1.0), ("0%", 0.0), ("2.5%", 0.025)])
def test_a_share_is_read(text, share):
    assert Share().convert(text, None, None) == share


@pytest.mark.parametrize("text", ["10", "101%", "-1%", "x%"])
def test_what_is_no_share_is_refused(text):
    ended = run("serve", "x", "--observe-share", text)
    assert ended.exit_code == 2
    assert "is not a percentage from 0% to 100%, such as 10%" in ended.stderr
