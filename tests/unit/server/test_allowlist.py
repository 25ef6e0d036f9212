"""The list is what its rules make, and the rules let real estimators through and nothing that runs a stranger's code."""

import ast
import importlib
import inspect
import pickle
import textwrap
import warnings

import numpy as np
import pytest
from sklearn import (
    calibration,
    cluster,
    compose,
    covariance,
    cross_decomposition,
    decomposition,
    discriminant_analysis,
    dummy,
    ensemble,
    feature_extraction,
    feature_selection,
    gaussian_process,
    impute,
    isotonic,
    kernel_approximation,
    kernel_ridge,
    linear_model,
    mixture,
    model_selection,
    multiclass,
    multioutput,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    random_projection,
    semi_supervised,
    svm,
    tree,
)
from sklearn.utils import all_estimators
from threadpoolctl import threadpool_limits

from modelway.server.formats import allowlist, unpickle

RANDOM = np.random.RandomState(0)
X = np.abs(RANDOM.normal(size=(40, 4)))
Y = np.arange(40) % 2
NAMES = np.array(["no", "yes"])[Y]
TARGET = X @ [1.0, 2.0, 3.0, 4.0] + 1
TEXTS = ["some words here", "and other ones"] * 20

PREPROCESSING = [
    preprocessing.StandardScaler(),
    preprocessing.MinMaxScaler(),
    preprocessing.RobustScaler(),
    preprocessing.MaxAbsScaler(),
    preprocessing.Normalizer(),
    preprocessing.Binarizer(),
    preprocessing.PowerTransformer(),
    preprocessing.QuantileTransformer(n_quantiles=10),
    preprocessing.PolynomialFeatures(),
    preprocessing.SplineTransformer(),
    preprocessing.KBinsDiscretizer(3),
    preprocessing.OrdinalEncoder(dtype=np.float32),
    preprocessing.OneHotEncoder(handle_unknown="ignore"),
    preprocessing.TargetEncoder(),
    preprocessing.FunctionTransformer(np.log1p),
    preprocessing.FunctionTransformer(preprocessing.normalize),
    impute.SimpleImputer(add_indicator=True),
    impute.KNNImputer(),
    feature_selection.SelectKBest(k=2),
    feature_selection.SelectFromModel(tree.DecisionTreeClassifier()),
    feature_selection.VarianceThreshold(),
    feature_selection.RFE(linear_model.LogisticRegression()),
    decomposition.PCA(2),
    decomposition.TruncatedSVD(2),
    decomposition.NMF(2),
    decomposition.FastICA(2),
    decomposition.KernelPCA(2),
    kernel_approximation.Nystroem(n_components=5),
    kernel_approximation.RBFSampler(),
    random_projection.SparseRandomProjection(2),
    random_projection.GaussianRandomProjection(2),
    cluster.FeatureAgglomeration(2),
]
CLASSIFIERS = [
    linear_model.LogisticRegression(),
    linear_model.SGDClassifier(),
    linear_model.SGDClassifier(loss="modified_huber"),
    linear_model.Perceptron(),
    linear_model.RidgeClassifierCV(),
    tree.DecisionTreeClassifier(),
    ensemble.RandomForestClassifier(3),
    ensemble.ExtraTreesClassifier(3),
    ensemble.GradientBoostingClassifier(n_estimators=3),
    ensemble.HistGradientBoostingClassifier(max_iter=3, categorical_features=[0], early_stopping=True),
    ensemble.AdaBoostClassifier(n_estimators=3),
    ensemble.BaggingClassifier(n_estimators=3),
    ensemble.VotingClassifier(
        [("a", linear_model.LogisticRegression()), ("b", naive_bayes.GaussianNB())], voting="soft"
    ),
    ensemble.StackingClassifier([("a", naive_bayes.BernoulliNB()), ("b", naive_bayes.GaussianNB())], cv=2),
    svm.SVC(),
    svm.LinearSVC(),
    svm.NuSVC(kernel="poly"),
    neighbors.KNeighborsClassifier(),
    neighbors.KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
    neighbors.KNeighborsClassifier(algorithm="brute", weights="distance", metric="cosine"),
    neighbors.RadiusNeighborsClassifier(100),
    neighbors.NearestCentroid(),
    naive_bayes.GaussianNB(),
    naive_bayes.MultinomialNB(),
    naive_bayes.BernoulliNB(),
    naive_bayes.ComplementNB(),
    discriminant_analysis.LinearDiscriminantAnalysis(),
    discriminant_analysis.QuadraticDiscriminantAnalysis(),
    neural_network.MLPClassifier((5,), max_iter=5),
    neural_network.MLPClassifier((5,), max_iter=5, solver="sgd"),
    gaussian_process.GaussianProcessClassifier(),
    calibration.CalibratedClassifierCV(naive_bayes.GaussianNB(), cv=2),
    calibration.CalibratedClassifierCV(naive_bayes.GaussianNB(), cv=2, method="isotonic"),
    multiclass.OneVsRestClassifier(linear_model.LogisticRegression()),
    multiclass.OneVsOneClassifier(linear_model.LogisticRegression()),
    model_selection.GridSearchCV(naive_bayes.BernoulliNB(), {"alpha": [1, 2]}, cv=2, scoring="f1_macro"),
    model_selection.TunedThresholdClassifierCV(naive_bayes.GaussianNB(), cv=2, thresholds=3),
    model_selection.FixedThresholdClassifier(naive_bayes.GaussianNB()),
    semi_supervised.LabelPropagation(),
    dummy.DummyClassifier(),
    pipeline.make_pipeline(
        compose.ColumnTransformer(
            [("n", preprocessing.StandardScaler(), slice(0, 2)), ("k", preprocessing.KBinsDiscretizer(3), [2])],
            remainder="passthrough",
        ),
        pipeline.make_union(decomposition.PCA(1), preprocessing.FunctionTransformer()),
        ensemble.RandomForestClassifier(2),
    ),
]
REGRESSORS = [
    linear_model.LinearRegression(),
    linear_model.RidgeCV(),
    linear_model.LassoCV(cv=2),
    linear_model.ElasticNet(),
    linear_model.BayesianRidge(),
    linear_model.HuberRegressor(max_iter=9),
    linear_model.QuantileRegressor(),
    linear_model.PoissonRegressor(max_iter=3),
    linear_model.GammaRegressor(max_iter=3),
    linear_model.TweedieRegressor(power=1.5, max_iter=3),
    linear_model.SGDRegressor(loss="huber"),
    linear_model.RANSACRegressor(),
    tree.DecisionTreeRegressor(),
    ensemble.RandomForestRegressor(3),
    ensemble.GradientBoostingRegressor(n_estimators=3, loss="huber"),
    ensemble.GradientBoostingRegressor(n_estimators=3, loss="quantile"),
    *[
        ensemble.HistGradientBoostingRegressor(
            max_iter=3, loss=loss, **({"quantile": 0.5} if loss == "quantile" else {})
        )
        for loss in ("squared_error", "poisson", "quantile")
    ],
    ensemble.AdaBoostRegressor(n_estimators=3),
    svm.SVR(),
    svm.LinearSVR(),
    neighbors.KNeighborsRegressor(),
    kernel_ridge.KernelRidge(),
    gaussian_process.GaussianProcessRegressor(gaussian_process.kernels.RBF() + gaussian_process.kernels.WhiteKernel()),
    gaussian_process.GaussianProcessRegressor(gaussian_process.kernels.Matern() * 2.0),
    neural_network.MLPRegressor(hidden_layer_sizes=(5,), max_iter=5),
    cross_decomposition.PLSRegression(1),
    compose.TransformedTargetRegressor(linear_model.LinearRegression(), func=np.log, inverse_func=np.exp),
    multioutput.MultiOutputRegressor(linear_model.Ridge()),
    multioutput.RegressorChain(linear_model.Ridge()),
    dummy.DummyRegressor(),
]
OTHERS = [
    cluster.KMeans(2, n_init=1),
    cluster.MiniBatchKMeans(2, n_init=1),
    cluster.BisectingKMeans(2),
    cluster.Birch(n_clusters=2),
    cluster.MeanShift(bandwidth=9, max_iter=2),
    mixture.GaussianMixture(2, max_iter=2),
    mixture.BayesianGaussianMixture(n_components=2, max_iter=2),
    ensemble.IsolationForest(n_estimators=3),
    covariance.EllipticEnvelope(support_fraction=1.0),
    neighbors.LocalOutlierFactor(novelty=True),
    svm.OneClassSVM(),
]


def fitted():
    for estimator in PREPROCESSING:
        yield estimator, (X, Y)
    for estimator in CLASSIFIERS:
        yield estimator, (X, NAMES)
    for estimator in REGRESSORS:
        target = (
            np.c_[TARGET, TARGET]
            if isinstance(estimator, multioutput.MultiOutputRegressor | multioutput.RegressorChain)
            else TARGET
        )
        yield estimator, (X, target)
    for estimator in OTHERS:
        yield estimator, (X,)
    yield isotonic.IsotonicRegression(out_of_bounds="clip"), (X[:, 0], TARGET)
    texts = feature_extraction.text
    for vectorizer in (texts.TfidfVectorizer(), texts.CountVectorizer(), texts.HashingVectorizer(n_features=16)):
        yield pipeline.make_pipeline(vectorizer, naive_bayes.BernoulliNB()), (TEXTS, Y)
    yield feature_extraction.DictVectorizer(), ([{"a": 1, "b": "x"}] * 3,)


def answer(estimator, rows):
    method = "predict" if hasattr(estimator, "predict") else "transform"
    value = getattr(estimator, method)(rows)
    return value.toarray() if hasattr(value, "toarray") else value


@pytest.mark.filterwarnings("ignore")
def test_a_wide_sample_of_estimators_passes_and_answers_as_before(tmp_path):
    path = tmp_path / "model.pkl"
    count = 0
    for estimator, arguments in fitted():
        # One thread: on a busy machine BLAS threads that wait for each other take most of the time.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")
            estimator.fit(*arguments)
            path.write_bytes(pickle.dumps(estimator))
            loaded = unpickle.load(path, allowlist.allowed())
            assert np.array_equal(answer(loaded, arguments[0]), answer(estimator, arguments[0])), estimator
        count += 1
    assert count > 105


def test_the_committed_list_is_what_the_rules_make():
    text = importlib.resources.files(allowlist.__package__).joinpath(allowlist.FILENAME).read_text()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = "\n".join(allowlist.generate()) + "\n"
    assert made == text, "run `python -m modelway.server.formats.allowlist` and commit what it prints"


def test_every_name_exists():
    python2 = ("__builtin__.", "copy_reg.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy.core is numpy 1's name
        for dotted in allowlist.allowed():
            if not dotted.startswith(python2):
                module, _, name = dotted.rpartition(".")
                assert hasattr(importlib.import_module(module), name), dotted


@pytest.mark.parametrize(
    "dotted",
    [
        "builtins.eval",
        "builtins.exec",
        "builtins.getattr",
        "builtins.open",
        "builtins.__import__",
        "builtins.type",
        "os.system",
        "posix.system",
        "operator.attrgetter",
        "operator.methodcaller",
        "numpy.load",
        "numpy.memmap",
        "numpy.fromfile",
        "numpy.frompyfunc",
        "numpy.vectorize",
        "joblib.memory.Memory",
        "joblib.parallel.Parallel",
        "sklearn.datasets._base.load_files",
        "sklearn.metrics._dist_metrics.PyFuncDistance64",
        "scipy.stats._continuous_distns.norm_gen",
        "scipy.stats._distn_infrastructure.rv_frozen",
    ],
)
def test_what_must_stay_out_is_out(dotted):
    assert dotted not in allowlist.allowed()


@pytest.mark.parametrize(
    "prefix", ["scipy.stats", "joblib", "sklearn.datasets", "os", "posix", "subprocess", "numpy.f2py"]
)
def test_whole_packages_must_stay_out(prefix):
    assert not [dotted for dotted in allowlist.allowed() if dotted.startswith(prefix + ".")]


# What an __init__ may call besides its parent's: other estimators without arguments, warnings, constants.
HARMLESS = {"isinstance", "warn", "warnings.warn", "np.finfo"}


def test_constructing_an_estimator_runs_nothing_of_the_pickles():
    estimators = {cls.__name__: cls for _, cls in all_estimators()}
    for cls in estimators.values():
        if "__init__" not in vars(cls):
            continue  # a parent's, which is looked at as well or is object's
        for call in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(cls.__init__)))):
            if isinstance(call, ast.Call):
                name = ast.unparse(call.func)
                assert name in HARMLESS or name.startswith("super()") or name == "super" or name in estimators, cls


def test_functions_on_the_list_take_no_code():
    """No function here evaluates, imports or opens what it is given: their sources are searched for the means."""
    means = {"eval", "exec", "compile", "open", "__import__", "import_module", "system", "Popen", "run", "attrgetter"}
    for dotted in allowlist.allowed():
        module, _, name = dotted.rpartition(".")
        function = getattr(importlib.import_module(module), name) if module.startswith("sklearn") else None
        if inspect.isfunction(function):
            source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
            called = {
                ast.unparse(call.func).rpartition(".")[2]
                for call in ast.walk(ast.parse(source))
                if isinstance(call, ast.Call)
            }
            assert not called & means, dotted
