"""Real scikit-learn models, saved as their users save them."""

import pickle

import joblib
import msgspec
import numpy as np
import pytest
import sklearn
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import sklearn as sklearn_format
from modelway.server.formats.base import LoadOptions
from modelway.server.metadata import Metadata
from modelway.server.tensors import Batch
from support.models import iris

ROWS = iris().rows
LABELS = iris().labels
NAMES = np.array(["setosa", "versicolor", "virginica"])


@pytest.fixture
def load(tmp_path):
    def run(estimator, **metadata):
        path = tmp_path / "model.pkl"
        path.write_bytes(estimator if isinstance(estimator, bytes) else pickle.dumps(estimator))
        return sklearn_format.load(path, LoadOptions(metadata=msgspec.convert(metadata, Metadata)))

    return run


def predict(model, *columns, wanted=None):
    tensors = dict(zip((spec.name for spec in model.inputs), map(np.asarray, columns), strict=True))
    return model.predict(Batch(tensors, rows=len(columns[0]), wanted=wanted or model.default_outputs))


def described(specs):
    return [(spec.name, spec.datatype, spec.shape) for spec in specs]


def test_answers_are_exactly_scikit_learns(load):
    model = load(iris().estimator)
    outputs = predict(model, ROWS, wanted=("predict", "predict_proba", "decision_function"))
    for name, values in outputs.items():
        assert np.array_equal(values, getattr(iris().estimator, name)(ROWS))
    assert predict(model, ROWS).keys() == {"predict"}


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)], ids=str)
def test_joblib_files_are_read_compressed_or_not(tmp_path, compress):
    path = tmp_path / "model.joblib"
    joblib.dump(iris().estimator, path, compress=compress)
    model = sklearn_format.load(path, LoadOptions())
    assert np.array_equal(predict(model, ROWS)["predict"], iris().estimator.predict(ROWS))
    assert model.platform == "sklearn_joblib"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol_is_read(load, protocol):
    model = load(pickle.dumps(iris().estimator, protocol=protocol))
    assert np.array_equal(predict(model, ROWS)["predict"], iris().estimator.predict(ROWS))


@pytest.mark.parametrize(
    ("estimator", "inputs", "outputs"),
    [
        pytest.param(
            LinearRegression().fit(ROWS, LABELS), ("FP64", (-1, 4)), [("predict", "FP64", (-1,))], id="regressor"
        ),
        pytest.param(
            LinearRegression().fit(ROWS, ROWS[:, :2]),
            ("FP64", (-1, 4)),
            [("predict", "FP64", (-1, 2))],
            id="two targets",
        ),
        pytest.param(
            KNeighborsClassifier().fit(ROWS, NAMES[LABELS]),
            ("FP64", (-1, 4)),
            [("predict", "BYTES", (-1,)), ("predict_proba", "FP64", (-1, 3))],
            id="classifier of names",
        ),
        pytest.param(
            KNeighborsClassifier().fit(ROWS, np.c_[LABELS, LABELS]),
            ("FP64", (-1, 4)),
            [("predict", "INT64", (-1, 2))],
            id="several labels: probabilities have no array form",
        ),
        pytest.param(
            KMeans(3, n_init=1).fit(ROWS),
            ("FP64", (-1, 4)),
            [("predict", "INT32", (-1,)), ("transform", "FP64", (-1, 3))],
            id="clusterer",
        ),
        pytest.param(PCA(2).fit(ROWS), ("FP64", (-1, 4)), [("transform", "FP64", (-1, 2))], id="transformer"),
        pytest.param(
            make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad day"] * 3, [1, 0] * 3),
            ("BYTES", (-1,)),
            [("predict", "INT64", (-1,)), ("predict_proba", "FP64", (-1, 2)), ("decision_function", "FP64", (-1,))],
            id="texts",
        ),
        pytest.param(
            make_pipeline(OneHotEncoder(), LogisticRegression()).fit(np.array([["a"], ["b"]]), [0, 1]),
            ("BYTES", (-1, 1)),
            [("predict", "INT64", (-1,)), ("predict_proba", "FP64", (-1, 2)), ("decision_function", "FP64", (-1,))],
            id="categories: an unknown one refused, outputs presumed",
        ),
    ],
)
def test_what_it_takes_and_gives_is_found_out(load, estimator, inputs, outputs):
    model = load(estimator)
    assert [(spec.datatype, spec.shape) for spec in model.inputs] == [inputs]
    assert described(model.outputs) == outputs


def test_texts_are_classified(load):
    estimator = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad day"] * 3, ["+", "-"] * 3)
    model = load(estimator)
    texts = np.array(["a good one", "a bad one"], dtype=object)
    assert predict(model, texts)["predict"].tolist() == estimator.predict(texts).tolist() == ["+", "-"]


def test_columns_of_texts_and_numbers_come_together(load):
    table = np.array([[1.5, "a"], [2.5, "b"], [3.5, "a"], [0.5, "b"]], dtype=object)
    columns = ColumnTransformer([("n", StandardScaler(), [0]), ("t", OneHotEncoder(handle_unknown="ignore"), [1])])
    estimator = make_pipeline(columns, LogisticRegression()).fit(table, [0, 1, 0, 1])
    inputs = [{"name": "n", "datatype": "FP64"}, {"name": "t", "datatype": "BYTES"}]
    model = load(estimator, inputs=inputs)
    assert described(model.inputs) == [("n", "FP64", (-1, 1)), ("t", "BYTES", (-1, 1))]
    numbers, texts = table[:, :1].astype(float), table[:, 1:]
    assert np.array_equal(
        predict(model, numbers, texts, wanted=("predict_proba",))["predict_proba"], estimator.predict_proba(table)
    )


def test_a_sparse_result_is_made_dense(load):
    encoder = OneHotEncoder().fit(np.array([[1], [2]]))
    assert predict(load(encoder), [[2.0]])["transform"].tolist() == [[0.0, 1.0]]


def test_metadata_chooses_the_output(load):
    assert load(iris().estimator, outputs=[{"name": "predict_proba"}]).default_outputs == ("predict_proba",)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"outputs": [{"name": "score"}]}, 'outputs names "score", the model has predict, predict_proba, decision'),
        ({"inputs": [{"name": "X", "shape": [-1, 5]}]}, "inputs have 5 columns, the model 4"),
        ({"inputs": [{"name": "a"}, {"name": "b"}]}, "inputs have 2 columns, the model 4"),
    ],
)
def test_metadata_that_contradicts_the_model_is_refused(load, metadata, said):
    with pytest.raises(ModelError) as caught:
        load(iris().estimator, **metadata)
    assert caught.value.reason is Reason.METADATA_INVALID
    assert said in caught.value.message


def test_another_version_is_warned_of_and_still_loads(load):
    here = sklearn.__version__
    other = here[:-1] + ("0" if here[-1] != "0" else "1")
    content = pickle.dumps(iris().estimator).replace(here.encode(), other.encode())
    model = load(content)
    assert model.notes["scikit-learn"] == other
    assert model.notes["warning"].startswith(f"made with scikit-learn {other} and served with {here}")
    assert np.array_equal(predict(model, ROWS)["predict"], iris().estimator.predict(ROWS))


def test_the_same_version_is_not_warned_of(load):
    assert load(iris().estimator).notes == {}


def test_no_estimator_starts_threads_of_its_own(load):
    voting = VotingClassifier([("f", make_pipeline(RandomForestClassifier(3)))]).fit(ROWS, LABELS)
    voting.n_jobs = voting.estimators_[0][-1].n_jobs = -1
    model = load(voting)
    fitted = model.estimator.estimators_[0]
    assert (model.estimator.n_jobs, fitted[-1].n_jobs) == (1, 1)


def test_a_model_that_opens_files_by_request_is_refused(load):
    vectorizer = CountVectorizer(input="filename", vocabulary=["root"])
    with pytest.raises(ModelError, match="opens the files which a request names") as caught:
        load(make_pipeline(vectorizer, LogisticRegression()))
    assert caught.value.reason is Reason.CODE_REFUSED


@pytest.mark.parametrize("thing", [{"a": 1}, [1, 2], "text", np.ones(3)], ids=str)
def test_what_is_no_model_is_refused(load, thing):
    with pytest.raises(ModelError, match="has neither predict nor transform"):
        load(thing)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "EOFError"),
        (b"nonsense", "may be cut short"),
        (pickle.dumps(iris().estimator)[:-200], "may be cut short"),
        (pickle.dumps(iris().estimator)[:100], "may be cut short"),
    ],
    ids=["empty", "nonsense", "end missing", "most missing"],
)
def test_broken_files_are_told(load, content, said):
    with pytest.raises(ModelError) as caught:
        load(content)
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED
    assert said in caught.value.message


@pytest.mark.parametrize("compress", [0, 3])
def test_a_cut_joblib_file_is_told(tmp_path, compress):
    path = tmp_path / "model.joblib"
    joblib.dump(RandomForestClassifier(5).fit(ROWS, LABELS), path, compress=compress)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ModelError) as caught:
        sklearn_format.load(path, LoadOptions())
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED
