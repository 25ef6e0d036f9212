"""A packed folder describes its model, serves, and holds the model's own answers."""

import json
import os
import pickle
from collections import Counter
from datetime import UTC, datetime

import joblib
import numpy as np
import pytest
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import modelway
from modelway.api.observations import value_key
from modelway.artifacts import digest
from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.packing import Code, Trust, pack
from modelway.server import loading
from modelway.server.options import ServerOptions
from modelway.server.tensors import Batch
from support.models import iris

ALLOWED = Trust(Code.ALLOW_LIST)
PEOPLE = np.array([[25, "Vigo"], [61, "Lugo"], [44, "Vigo"], [70, "Vigo"], [33, "Lugo"]], dtype=object)
CHOSE = np.array([0, 1, 0, 1, 1])
CSV = "age,city\n25,Vigo\n61,Lugo\n44,Vigo\n70,Vigo\n33,Lugo\n"
MODULE = """
import numpy as np


def transform(tensors):
    age, city = tensors["age"], tensors["city"]
    return np.hstack([(age - 46.6) / 16.9, (city == "Lugo").astype(float), (city == "Vigo").astype(float)])
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with an ONNX model and sample rows beside it."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "iris.onnx").write_bytes(iris().onnx)
    np.save(tmp_path / "rows.npy", iris().rows)
    return tmp_path


def said(where):
    return json.loads((where / "modelway.json").read_text())


class TestOnnx:
    def test_everything_that_the_model_and_its_answers_tell_is_written(self, folder):
        packed = pack(folder / "model", folder / "rows.npy", folder / "to", version="17")
        written = said(folder / "to")
        assert {key: written[key] for key in ("format", "file", "version", "inputs")} == {
            "format": "onnx",
            "file": "iris.onnx",
            "version": "17",
            "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}],
        }
        assert [output["name"] for output in written["outputs"]] == ["label", "probabilities"]
        assert {row["label"] for row in written["golden"][0]["predictions"]} == {0, 1, 2}
        assert {output["name"] for output in written["golden"][1]["outputs"]} == {"label", "probabilities"}
        assert written["producer"].keys() == {"python", "modelway", "onnxruntime"}
        assert "trainingTime" not in written
        assert packed.digest == digest.of_path(folder / "to").value

    def test_the_answers_to_many_rows_are_counted_as_the_server_counts(self, folder):
        rows = np.tile(iris().rows, (8, 1))
        np.save(folder / "many.npy", rows)
        pack(folder / "model", folder / "many.npy", folder / "to")
        counts = said(folder / "to")["answers"]
        model = loading.load(ServerOptions(folder / "to", "m")).model
        predicted = model.predict(Batch({"X": rows.astype(np.float32)}, rows=1200, wanted=("label", "probabilities")))
        for label in (0, 1, 2):
            assert counts[f"class:{label}"] == int((predicted["label"] == label).sum())
        scores = [value_key(float(score)) for score in predicted["probabilities"].max(axis=1)]
        assert {key: count for key, count in counts.items() if key.startswith("value:")} == Counter(scores)

    def test_the_answers_to_few_rows_are_not_counted(self, folder):
        pack(folder / "model", folder / "rows.npy", folder / "to")
        assert "answers" not in said(folder / "to")

    def test_the_server_asks_what_was_recorded(self, folder):
        pack(folder / "model", folder / "rows.npy", folder / "to")
        assert loading.load(ServerOptions(folder / "to", "m")).golden == 2
        written = said(folder / "to")
        written["golden"][0]["predictions"][0]["label"] = 2
        (folder / "to" / "modelway.json").write_text(json.dumps(written))
        with pytest.raises(ModelError, match="expected 2, got 0"):
            loading.load(ServerOptions(folder / "to", "m"))

    def test_without_a_target_the_description_is_put_beside_the_model(self, folder):
        pack(folder / "model", folder / "rows.npy")
        assert sorted(path.name for path in (folder / "model").iterdir()) == ["iris.onnx", "modelway.json"]
        pack(folder / "model" / "iris.onnx", folder / "rows.npy", version="2")
        assert said(folder / "model")["version"] == "2"

    def test_other_files_are_not_packed_by_accident(self, folder):
        (folder / "model" / "notes.txt").write_text("mine")
        with pytest.raises(ModelError, match=r"holds other files beside the model, notes\.txt for one"):
            pack(folder / "model" / "iris.onnx", folder / "rows.npy")
        assert not (folder / "model" / "modelway.json").exists()

    def test_what_is_wrong_leaves_nothing_behind(self, folder):
        np.save(folder / "narrow.npy", np.zeros((2, 3), np.float32))
        with pytest.raises(ModelError) as caught:
            pack(folder / "model", folder / "narrow.npy", folder / "to")
        assert caught.value.reason is Reason.ROWS_INVALID
        assert not list((folder / "to").iterdir())

    def test_what_was_said_before_stays_and_old_golden_requests_go(self, folder):
        old = {"version": "3", "producer": {"by": "me"}, "golden": [{"instances": [[5, 3, 1, 0]], "predictions": []}]}
        (folder / "model" / "modelway.json").write_text(json.dumps(old | {"golden": []}))
        pack(folder / "model", folder / "rows.npy")
        written = said(folder / "model")
        assert (written["version"], written["producer"]["by"], len(written["golden"])) == ("3", "me", 2)


class TestNotebook:
    def test_a_fitted_estimator_is_saved_in_a_form_that_runs_no_code(self, tmp_path):
        packed = modelway.pack(
            iris().estimator, iris().rows, tmp_path / "to", training_time=datetime(2026, 11, 1, tzinfo=UTC)
        )
        assert (packed.metadata.format, packed.metadata.classes) == ("skops", (0, 1, 2))
        loaded = loading.load(ServerOptions(tmp_path / "to", "m"))
        answers = loaded.model.predict(Batch({"X": iris().rows}, 150, ("predict",)))
        assert np.array_equal(answers["predict"], iris().estimator.predict(iris().rows))
        assert said(tmp_path / "to")["trainingTime"] == "2026-11-01T00:00:00Z"

    def test_names_of_columns_come_from_the_sample(self, tmp_path):
        (tmp_path / "rows.csv").write_text("a,b,c,d\n5.1,3.5,1.4,0.2\n6.0,3.0,5.0,1.8\n")
        pack(iris().estimator, tmp_path / "rows.csv", tmp_path / "to")
        assert said(tmp_path / "to")["featureNames"] == ["a", "b", "c", "d"]

    def test_what_is_no_estimator_is_refused(self, tmp_path):
        with pytest.raises(ModelError, match="a dict is no estimator"):
            pack({}, iris().rows, tmp_path / "to")

    def test_a_target_must_be_named(self):
        with pytest.raises(ModelError, match="name a folder"):
            pack(iris().estimator, iris().rows)


class TestTransform:
    @pytest.fixture
    def features(self):
        return ColumnTransformer([("n", StandardScaler(), [0]), ("c", OneHotEncoder(), [1])]).fit(PEOPLE)

    @pytest.fixture
    def source(self, tmp_path, features):
        inner = LogisticRegression().fit(features.transform(PEOPLE), CHOSE)
        content = to_onnx(inner, np.zeros((1, 3), np.float32), options={"zipmap": False}).SerializeToString()
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "model.onnx").write_bytes(content)
        (tmp_path / "rows.csv").write_text(CSV)
        (tmp_path / "features.py").write_text(MODULE)
        joblib.dump(features, tmp_path / "features.joblib")
        return inner

    def test_a_module_travels_with_the_model(self, tmp_path, source, features):
        trust = Trust(Code.TRUST)
        pack(
            tmp_path / "model", tmp_path / "rows.csv", tmp_path / "to", transform=tmp_path / "features.py", trust=trust
        )
        loaded = loading.load(ServerOptions(tmp_path / "to", "m", code=Code.TRUST))
        assert [(spec.name, spec.datatype) for spec in loaded.model.inputs] == [("age", "FP64"), ("city", "BYTES")]
        assert loaded.golden == 2
        asked = {"age": PEOPLE[:, :1].astype(float), "city": PEOPLE[:, 1:]}
        answers = loaded.model.predict(Batch(asked, 5, ("label", "probabilities")))
        assert answers["label"].tolist() == source.predict(features.transform(PEOPLE)).tolist()

    def test_code_is_run_only_when_it_is_trusted(self, tmp_path, source):
        with pytest.raises(ModelError, match="run only with code: Trust") as caught:
            pack(
                tmp_path / "model",
                tmp_path / "rows.csv",
                tmp_path / "to",
                transform=tmp_path / "features.py",
                trust=ALLOWED,
            )
        assert caught.value.reason is Reason.CODE_REFUSED

    def test_a_missing_transform_is_told(self, tmp_path, source):
        with pytest.raises(ModelError, match="there is no transform at"):
            pack(tmp_path / "model", tmp_path / "rows.csv", tmp_path / "to", transform=tmp_path / "none.joblib")


def test_the_time_of_training_may_be_the_files(tmp_path):
    from modelway.packing.package import trained_at

    (tmp_path / "m.pkl").write_bytes(pickle.dumps(iris().estimator))
    os.utime(tmp_path / "m.pkl", (1_000_000_000, 1_000_000_000.7))
    assert trained_at(tmp_path / "m.pkl") == datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
