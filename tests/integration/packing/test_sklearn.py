"""scikit-learn models become ONNX that answers as they do, or nothing is written."""

import json
import pickle

import joblib
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.packing import Code, Trust, convert
from modelway.packing.exporter import Precision
from modelway.packing.sklearn_export import SklearnExporter
from modelway.server import loading
from modelway.server.options import ServerOptions
from modelway.server.tensors import Batch
from support.models import iris

ROWS, LABELS = iris().rows, iris().labels
HOLES = np.where(np.random.default_rng(0).random(ROWS.shape) < 0.1, np.nan, ROWS)
TEXTS = ["good day", "bad night", "good night", "Bad, bad day!", "neither nor"]
ALLOWED = Trust(Code.ALLOW_LIST)


@pytest.fixture
def converted(tmp_path):
    """Convert an estimator; gives what was told and the loaded model."""

    def run(estimator, **options):
        source = tmp_path / "source"
        source.mkdir()
        (source / "model.pkl").write_bytes(pickle.dumps(estimator))
        result = convert(source, tmp_path / "to", trust=ALLOWED, **options)
        return result, loading.load(ServerOptions(tmp_path / "to", "m")).model

    return run


def ask(model, rows, *outputs):
    answers = model.predict(Batch({model.inputs[0].name: rows}, len(rows), outputs))
    return [np.asarray(answers[name]) for name in outputs]


CLASSIFIERS = {
    "forest": RandomForestClassifier(7, random_state=0),
    "extra trees": ExtraTreesClassifier(7, random_state=0),
    "tree": DecisionTreeClassifier(random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=3),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=5),
    "scaled forest": make_pipeline(StandardScaler(), RandomForestClassifier(7, random_state=0)),
    "columns": make_pipeline(
        ColumnTransformer([("s", StandardScaler(), [0, 1]), ("m", MinMaxScaler(), [3])]),
        RandomForestClassifier(5, random_state=0),
    ),
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
    "vote": VotingClassifier(
        [("a", LogisticRegression(max_iter=500)), ("b", RandomForestClassifier(3))], voting="soft"
    ),
}


@pytest.mark.parametrize("estimator", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_a_classifier_gives_the_same_labels_and_probabilities(converted, estimator):
    two = LABELS[:100]  # scikit-learn's own pickles of histogram boosting with three classes need a name more
    estimator.fit(ROWS[:100], two)
    _, model = converted(estimator)
    rows = np.vstack([ROWS, ROWS * 1.01])
    labels, shares = ask(model, rows, "predict", "predict_proba")
    assert np.array_equal(labels, estimator.predict(rows))
    assert shares == pytest.approx(estimator.predict_proba(rows), abs=1e-5)


REGRESSORS = {
    "forest": RandomForestRegressor(7, random_state=0),
    "boosting": GradientBoostingRegressor(n_estimators=3),
    "histogram boosting": HistGradientBoostingRegressor(max_iter=5),
    "of counts": HistGradientBoostingRegressor(max_iter=5, loss="poisson"),
    "linear": LinearRegression(),
}


@pytest.mark.parametrize("estimator", REGRESSORS.values(), ids=REGRESSORS)
def test_a_regressor_gives_the_same_numbers(converted, estimator):
    estimator.fit(ROWS, ROWS[:, 2] * 1000 + 1)
    _, model = converted(estimator)
    (numbers,) = ask(model, ROWS, "predict")
    assert numbers == pytest.approx(estimator.predict(ROWS), rel=1e-5)


@pytest.mark.parametrize("labels", [["a", "b", "c"], [True, False, True], [1.0, 2.0, 4.0]], ids=str)
def test_labels_of_every_kind_stay_what_they_are(converted, labels):
    estimator = LogisticRegression(max_iter=500).fit(ROWS, np.array(labels)[LABELS])
    _, model = converted(estimator)
    (given,) = ask(model, ROWS, "predict")
    assert given.tolist() == estimator.predict(ROWS).tolist()
    assert model.classes == tuple(estimator.classes_.tolist())


def test_texts_are_taken(converted):
    estimator = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, [1, 0, 1, 0, 0])
    _, model = converted(estimator)
    rows = np.array([*TEXTS, "GOOD", "Ñandú", ""], dtype=object)
    labels, shares = ask(model, rows, "predict", "predict_proba")
    assert labels.tolist() == estimator.predict(rows).tolist()
    assert shares == pytest.approx(estimator.predict_proba(rows), abs=1e-5)


def test_words_that_the_converter_would_cut_in_two_are_found_out(converted):
    texts = [*TEXTS, "ärgerlich"]  # skl2onnx knows words of ASCII letters only
    estimator = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0, 0, 1])
    with pytest.raises(ModelError, match="answers otherwise") as caught:
        converted(estimator)
    assert caught.value.reason is Reason.PARITY_FAILED


class TestInterface:
    def test_requests_and_answers_are_those_of_the_original(self, converted, tmp_path):
        _, model = converted(RandomForestClassifier(3, random_state=0).fit(ROWS, LABELS))
        original = loading.load(ServerOptions(tmp_path / "source", "m", code=Code.ALLOW_LIST)).model
        assert model.inputs == original.inputs
        assert model.default_outputs == original.default_outputs
        assert [(spec.name, spec.shape) for spec in model.outputs] == [
            (spec.name, spec.shape) for spec in original.outputs
        ]

    def test_the_folder_says_where_it_comes_from_and_holds_the_originals_answers(self, converted, tmp_path):
        estimator = RandomForestClassifier(3, random_state=0).fit(ROWS, LABELS)
        converted(estimator)
        said = json.loads((tmp_path / "to" / "modelway.json").read_text())
        assert said["producer"]["convertedFrom"] == "sklearn"
        assert {"scikit-learn", "skl2onnx", "onnx"} <= said["producer"].keys()
        rows, answers = said["golden"][0]["instances"], said["golden"][0]["predictions"]
        assert estimator.predict(rows).tolist() == answers
        assert len(set(answers)) == 3, "each class is among them"

    def test_what_the_source_said_stays(self, tmp_path):
        source = tmp_path / "source"
        source.mkdir()
        estimator = LogisticRegression(max_iter=500).fit(ROWS, LABELS)
        (source / "model.pkl").write_bytes(pickle.dumps(estimator))
        golden = {"instances": [[5.1, 3.5, 1.4, 0.2]], "predictions": [0], "tolerance": 0.5}
        said = {"version": "17", "featureNames": ["a", "b", "c", "d"], "golden": [golden], "producer": {"by": "me"}}
        (source / "modelway.json").write_text(json.dumps(said))
        convert(source, tmp_path / "to", trust=ALLOWED)
        written = json.loads((tmp_path / "to" / "modelway.json").read_text())
        assert {key: written[key] for key in ("version", "featureNames", "golden")} == {
            key: said[key] for key in ("version", "featureNames", "golden")
        }
        assert written["producer"]["by"] == "me"


def test_a_transform_stays_and_the_model_behind_it_is_converted(tmp_path):
    people = np.array([[25, "Vigo"], [61, "Lugo"], [44, "Vigo"], [70, "Vigo"], [33, "Lugo"]], dtype=object)
    features = ColumnTransformer([("n", StandardScaler(), [0]), ("c", OneHotEncoder(), [1])]).fit(people)
    inner = RandomForestClassifier(5, random_state=0).fit(features.transform(people), [0, 1, 0, 1, 1])
    (tmp_path / "rows.csv").write_text("age,city\n" + "\n".join(f"{age},{city}" for age, city in people))
    joblib.dump(features, tmp_path / "features.joblib")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "model.pkl").write_bytes(pickle.dumps(inner))
    (tmp_path / "inner" / "modelway.json").write_text(
        json.dumps(
            {
                "inputs": [
                    {"name": "age", "datatype": "FP64", "shape": [-1, 1]},
                    {"name": "city", "datatype": "BYTES", "shape": [-1, 1]},
                ],
                "file": "model.pkl",
                "transform": {"file": "features.joblib"},
            }
        )
    )
    (tmp_path / "inner" / "features.joblib").write_bytes((tmp_path / "features.joblib").read_bytes())
    convert(tmp_path / "inner", tmp_path / "to", trust=ALLOWED)
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == [
        "features.joblib",
        "model.onnx",
        "modelway.json",
    ]
    model = loading.load(ServerOptions(tmp_path / "to", "m", code=Code.ALLOW_LIST)).model
    batch = Batch({"age": people[:, :1].astype(float), "city": people[:, 1:]}, 5, ("predict", "predict_proba"))
    answers = model.predict(batch)
    assert answers["predict"].tolist() == inner.predict(features.transform(people)).tolist()
    assert answers["predict_proba"] == pytest.approx(inner.predict_proba(features.transform(people)), abs=1e-5)


class TestMissingValues:
    def test_they_go_where_the_original_sends_them(self, converted):
        estimator = HistGradientBoostingClassifier(max_iter=5).fit(HOLES[:100], LABELS[:100])
        result, model = converted(estimator)
        assert result.takes_missing is True
        assert model.inputs[0].nullable
        (shares,) = ask(model, HOLES, "predict_proba")
        assert shares == pytest.approx(estimator.predict_proba(HOLES), abs=1e-5)

    def test_are_refused_where_they_would_be_answered_otherwise(self, converted, monkeypatch):
        def deaf(self, precision, export=SklearnExporter.export):
            model = export(self, precision)
            for node in model.graph.node:
                for attribute in node.attribute:
                    if attribute.name == "nodes_missing_value_tracks_true":
                        del attribute.ints[:]
            return model

        monkeypatch.setattr(SklearnExporter, "export", deaf)
        result, model = converted(RandomForestClassifier(7, random_state=0).fit(HOLES, LABELS))
        assert result.takes_missing is False
        assert not model.inputs[0].nullable

    def test_of_the_users_rows_must_agree(self, converted, tmp_path, monkeypatch):
        def deaf(self, precision, export=SklearnExporter.export):
            model = export(self, precision)
            for node in model.graph.node:
                for attribute in node.attribute:
                    if attribute.name == "nodes_missing_value_tracks_true":
                        del attribute.ints[:]
            return model

        monkeypatch.setattr(SklearnExporter, "export", deaf)
        sample = tmp_path / "rows.npy"
        np.save(sample, HOLES)
        with pytest.raises(ModelError, match="answers otherwise") as caught:
            converted(RandomForestClassifier(7, random_state=0).fit(HOLES, LABELS), sample=sample)
        assert caught.value.reason is Reason.PARITY_FAILED


class TestGate:
    def test_a_model_that_needs_double_precision_gets_it(self, converted):
        estimator = make_pipeline(StandardScaler(), RandomForestClassifier(7, random_state=0)).fit(ROWS, LABELS)
        result, _ = converted(estimator)
        assert result.precision is Precision.DOUBLE

    def test_a_wrong_conversion_is_refused_with_the_worst_row_and_nothing_is_written(
        self, converted, tmp_path, monkeypatch
    ):
        def sabotaged(self, precision, export=SklearnExporter.export):
            model = export(self, precision)
            (trees,) = [node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor"]
            (weights,) = [one for one in trees.attribute if one.name == "target_weights_as_tensor"]
            weights.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights.t)[::-1].copy()))
            return model

        monkeypatch.setattr(SklearnExporter, "export", sabotaged)
        with pytest.raises(
            ModelError, match=r"predict\w* of row \d+ is .*, where the original has .*the row: "
        ) as caught:
            converted(RandomForestClassifier(3, random_state=0).fit(ROWS, LABELS))
        assert caught.value.reason is Reason.PARITY_FAILED
        assert not list((tmp_path / "to").iterdir())

    def test_the_tolerance_decides(self, converted):
        with pytest.raises(ModelError, match="tolerance 1e-12"):
            converted(RandomForestClassifier(7, random_state=0).fit(ROWS, LABELS), tolerance=1e-12)

    def test_the_users_rows_are_compared_instead_of_made_ones(self, converted, tmp_path):
        sample = tmp_path / "rows.csv"
        sample.write_text("a,b,c,d\n" + "\n".join(",".join(map(str, row)) for row in ROWS[:37]))
        result, _ = converted(RandomForestClassifier(3, random_state=0).fit(ROWS, LABELS), sample=sample)
        assert result.parity.rows == 37

    def test_outputs_that_only_some_ask_for_are_left_out_and_told(self, converted):
        result, model = converted(LogisticRegression(max_iter=500).fit(ROWS, LABELS))
        assert result.left_out == ("decision_function",)
        assert [spec.name for spec in model.outputs] == ["predict", "predict_proba"]

    def test_scores_of_a_classifier_without_probabilities_are_kept(self, converted):
        estimator = LinearSVC().fit(ROWS, LABELS)
        _, model = converted(estimator)
        labels, scores = ask(model, ROWS, "predict", "decision_function")
        assert labels.tolist() == estimator.predict(ROWS).tolist()
        assert scores == pytest.approx(estimator.decision_function(ROWS), abs=1e-4)


class TestRefusals:
    def test_what_skl2onnx_does_not_know_is_told(self, converted):
        estimator = make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()).fit(np.abs(ROWS), LABELS)
        with pytest.raises(ModelError, match="skl2onnx cannot convert this Pipeline") as caught:
            converted(estimator)
        assert caught.value.reason in {Reason.CONVERSION_FAILED, Reason.FORBIDDEN_GLOBAL}

    def test_an_onnx_model_is_one_already(self, tmp_path):
        (tmp_path / "m.onnx").write_bytes(iris().onnx)
        with pytest.raises(ModelError, match="is an ONNX model already"):
            convert(tmp_path / "m.onnx", tmp_path / "to")

    def test_a_pickle_needs_its_policy_as_it_does_to_be_served(self, tmp_path):
        (tmp_path / "m.pkl").write_bytes(pickle.dumps(iris().estimator))
        with pytest.raises(ModelError) as caught:
            convert(tmp_path / "m.pkl", tmp_path / "to")
        assert caught.value.reason is Reason.CODE_REFUSED

    def test_a_folder_that_holds_files_is_left_alone(self, tmp_path):
        (tmp_path / "m.pkl").write_bytes(pickle.dumps(iris().estimator))
        (tmp_path / "to").mkdir()
        (tmp_path / "to" / "mine").write_text("x")
        with pytest.raises(ModelError, match="holds mine already"):
            convert(tmp_path / "m.pkl", tmp_path / "to", trust=ALLOWED)
        assert (tmp_path / "to" / "mine").read_text() == "x"

    def test_or_is_emptied_where_that_is_wanted(self, tmp_path):
        (tmp_path / "m.pkl").write_bytes(pickle.dumps(iris().estimator))
        (tmp_path / "to" / "sub").mkdir(parents=True)
        (tmp_path / "to" / "old").write_text("x")
        convert(tmp_path / "m.pkl", tmp_path / "to", trust=ALLOWED, replace=True)
        assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["model.onnx", "modelway.json"]


def test_the_graph_is_valid_and_says_who_made_it(converted, tmp_path):
    converted(RandomForestClassifier(3, random_state=0).fit(ROWS, LABELS))
    model = onnx.load(tmp_path / "to" / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert model.producer_name == "modelway"
