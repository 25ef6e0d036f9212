"""Which classes and functions a pickle may name. Rules here, the list they make beside it in `allowed_globals.txt`.

A pickle is a program: it may call whatever global it names with whatever arguments. So each name on the list must be
harmless when called by a stranger, with arguments that are themselves made of names on the list. Names are exact pairs
of module and attribute. A prefix such as `numpy.*` will not do: `numpy.f2py.crackfortran.myeval` is an eval.

    python -m modelway.server.formats.allowlist     prints the list anew, after scikit-learn or numpy were updated

Each rule says why its names are harmless. What was looked at and left out, and must stay out:
  scipy.stats distributions (their `__setstate__` runs `exec` over a string from the pickle), numpy.memmap (opens
  files), numpy.load and its kin, joblib.Memory and joblib.Parallel, operator.attrgetter and getattr (they reach names
  that are not on the list), sklearn.datasets (files and network), types and code of any kind.

What the list cannot do: the state of compiled objects (trees, k-d trees) is read by C code that trusts its shape. A
hostile file may still crash the process. It runs without privileges, token or egress for that reason.
"""

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module, resources

FILENAME = "allowed_globals.txt"
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """A group of names, and why they are harmless."""

    why: str
    pairs: tuple[Pair, ...]


@cache
def allowed() -> frozenset[str]:
    """The committed list, as dotted names."""
    text = resources.files(__package__).joinpath(FILENAME).read_text(encoding="utf-8")
    return frozenset(line.replace(" ", ".") for line in text.splitlines() if line and not line.startswith("#"))


def generate() -> Iterator[str]:
    """The lines of the list, made by the rules from the libraries that are installed."""
    import numpy as np  # noqa: PLC0415 generating is the only thing that needs them
    import scipy  # noqa: PLC0415
    import sklearn  # noqa: PLC0415

    versions = f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, scipy {scipy.__version__}"
    yield f"# Made by allowlist.py from {versions}."
    seen: set[Pair] = set()
    for rule in rules():
        yield ""
        yield f"# {rule.why}"
        for module, name in sorted(set(rule.pairs) - seen):
            yield f"{module} {name}"
        seen.update(rule.pairs)


def rules() -> Iterator[Rule]:
    """All rules."""
    yield from _python()
    yield from _numpy()
    yield from _scipy()
    yield from _estimators()
    yield from _parts()
    yield from _functions()


def _python() -> Iterator[Rule]:
    values = "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple"
    yield Rule(
        "Python's own values: construction copies or allocates. The second name is Python 2's, used by old protocols.",
        (*_named("builtins", values), *_named("__builtin__", values)),
    )
    yield Rule(
        "Containers; a defaultdict calls its factory, which has to be on this list itself.",
        _named("collections", "Counter OrderedDict defaultdict deque"),
    )
    yield Rule(
        "How protocols 0 to 2 make objects (object.__new__ of a class on this list) and bytes (from text).",
        (("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor"), ("_codecs", "encode")),
    )


def _numpy() -> Iterator[Rule]:
    import numpy as np  # noqa: PLC0415

    yield Rule(
        "Arrays and scalars from bytes; numpy.core is numpy 1's name for numpy._core.",
        (
            *_named("numpy._core.multiarray", "_reconstruct scalar"),
            *_named("numpy.core.multiarray", "_reconstruct scalar"),
            ("numpy._core.numeric", "_frombuffer"),
            ("numpy.core.numeric", "_frombuffer"),
            *_named("numpy", "dtype matrix ndarray"),
            ("numpy.ma", "MaskedArray"),
            *_named("numpy.ma.core", "MaskedArray _mareconstruct"),
        ),
    )
    yield Rule(
        "Types of numbers, as estimators keep them for a `dtype` parameter.",
        tuple(
            ("numpy", name)
            for name, value in vars(np).items()
            if inspect.isclass(value) and issubclass(value, np.generic) and value.__name__ == name
        ),
    )
    yield Rule(
        "Random number generators: state machines that are given their state.",
        (
            *_named("numpy.random._pickle", "__bit_generator_ctor __generator_ctor __randomstate_ctor"),
            *_named("numpy.random.bit_generator", "SeedSequence __pyx_unpickle_SeedSequence"),
            ("numpy.random._mt19937", "MT19937"),
            *_named("numpy.random._pcg64", "PCG64 PCG64DXSM"),
            ("numpy.random._philox", "Philox"),
            ("numpy.random._sfc64", "SFC64"),
        ),
    )
    yield Rule(
        "Universal functions: arithmetic on arrays, as FunctionTransformer is given them.",
        tuple(("numpy", value.__name__) for value in vars(np).values() if isinstance(value, np.ufunc)),
    )
    yield Rule(
        "Reductions and other arithmetic on arrays, as FunctionTransformer and FeatureAgglomeration are given them.",
        _named(
            "numpy",
            "all any argmax argmin around average clip max mean median min nan_to_num nanmax nanmean nanmedian nanmin "
            "nanstd nansum nanvar prod ptp ravel round std sum var",
        ),
    )


def _scipy() -> Iterator[Rule]:
    kinds = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
    yield Rule(
        "Sparse matrices: arrays with an index.",
        tuple((f"scipy.sparse._{kind}", f"{kind}_{form}") for kind in kinds for form in ("matrix", "array")),
    )
    yield Rule(
        "Fitted curves of isotonic regression, splines and calibration; evaluated by compiled code.",
        (
            ("scipy.interpolate._bsplines", "BSpline"),
            ("scipy.interpolate._interpolate", "PPoly"),
            ("scipy.interpolate._interpolate", "interp1d"),
            ("scipy._lib.array_api_compat.numpy._aliases", "asarray"),
        ),
    )


def _estimators() -> Iterator[Rule]:
    from sklearn.utils import all_estimators  # noqa: PLC0415

    yield Rule(
        "scikit-learn's estimators: construction stores parameters (a test reads every __init__ for calls).",
        tuple((cls.__module__, cls.__name__) for _, cls in all_estimators()),
    )


def _parts() -> Iterator[Rule]:
    yield Rule(
        "Losses and link functions: compiled arithmetic, and how Cython makes such an object anew from its numbers.",
        (
            *_classes(
                "sklearn._loss.loss", "sklearn._loss._loss", "sklearn._loss.link", "sklearn.linear_model._sgd_fast"
            ),
            *(
                ("sklearn._loss._loss", name)
                for name in vars(import_module("sklearn._loss._loss"))
                if name.startswith("__pyx_unpickle_Cy")
            ),
        ),
    )
    yield Rule(
        "Trees, binning and the pieces that ensembles, clusterings and calibration are fitted to: arrays and numbers.",
        (
            ("sklearn.tree._tree", "Tree"),
            ("sklearn.ensemble._hist_gradient_boosting.binning", "_BinMapper"),
            ("sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor"),
            *_named("sklearn.calibration", "_CalibratedClassifier _SigmoidCalibration _TemperatureScaling"),
            *_named("sklearn.cluster._birch", "_CFNode _CFSubcluster"),
            ("sklearn.cluster._bisect_k_means", "_BisectingTree"),
            *_named("sklearn.cluster._kmeans", "_kmeans_single_lloyd _kmeans_single_elkan"),
            ("sklearn.multiclass", "_ConstantPredictor"),
            ("sklearn.gaussian_process._gpc", "_BinaryGaussianProcessClassifierLaplace"),
            *_named("sklearn.neural_network._stochastic_optimizers", "AdamOptimizer SGDOptimizer"),
            ("sklearn.utils._bunch", "Bunch"),
            ("sklearn.compose._column_transformer", "make_column_selector"),
        ),
    )
    yield Rule(
        "How gradient boosting with categories checks its numbers. A partial calls only what is on the list, with "
        "arguments made of it, which a pickle can do by itself.",
        (("functools", "partial"), ("sklearn.utils.validation", "check_array")),
    )
    yield Rule(
        "Kernels of Gaussian processes: parameters and arithmetic.", _classes("sklearn.gaussian_process.kernels")
    )
    yield Rule(
        "Distances and the search trees over them. PyFuncDistance, which calls a function, is left out.",
        tuple(
            pair
            for pair in _classes(
                "sklearn.metrics._dist_metrics", "sklearn.neighbors._kd_tree", "sklearn.neighbors._ball_tree"
            )
            if not pair[1].startswith("PyFunc")
        )
        + tuple(
            (module, "newObj")
            for module in (
                "sklearn.metrics._dist_metrics",
                "sklearn.neighbors._kd_tree",
                "sklearn.neighbors._ball_tree",
            )
        ),
    )
    yield Rule(
        "What a search keeps of its settings: splitters, scorers, metadata routing. Used in fitting only.",
        (
            *_classes("sklearn.model_selection._split"),
            *_named("sklearn.metrics._scorer", "_CurveScorer _MultimetricScorer _PassthroughScorer _Scorer"),
            *_named(
                "sklearn.utils._metadata_requests",
                "MetadataRequest MetadataRouter MethodMapping MethodMetadataRequest MethodPair RouterMappingPair",
            ),
        ),
    )


def _functions() -> Iterator[Rule]:
    from sklearn.metrics import _classification, _ranking, _regression, pairwise  # noqa: PLC0415
    from sklearn.metrics._scorer import _SCORERS  # noqa: PLC0415

    scores = [scorer._score_func for scorer in _SCORERS.values()]  # noqa: SLF001 there is no public way to them
    for module in (_classification, _ranking, _regression):
        scores += [
            value for _, value in inspect.getmembers(module, inspect.isfunction) if value.__module__ == module.__name__
        ]
    yield Rule(
        "Metrics: arithmetic on two arrays, kept by scorers.",
        tuple((score.__module__, score.__name__) for score in scores if not score.__name__.startswith("_")),
    )
    kernels = (*pairwise.PAIRWISE_KERNEL_FUNCTIONS.values(), *pairwise.PAIRWISE_DISTANCE_FUNCTIONS.values())
    yield Rule(
        "Kernels and distances between rows: arithmetic on two arrays.",
        tuple((function.__module__, function.__name__) for function in kernels if function is not None),
    )
    yield Rule(
        "Scores of features and stateless scalers: arithmetic on arrays.",
        tuple(
            (function.__module__, function.__name__)
            for package, names in {
                "sklearn.feature_selection": (
                    "chi2 f_classif f_regression mutual_info_classif mutual_info_regression r_regression"
                ),
                "sklearn.preprocessing": (
                    "add_dummy_feature binarize label_binarize maxabs_scale minmax_scale normalize power_transform "
                    "quantile_transform robust_scale scale"
                ),
            }.items()
            for function in (getattr(import_module(package), name) for name in names.split())
        ),
    )


def _named(module: str, names: str) -> tuple[Pair, ...]:
    return tuple((module, name) for name in names.split())


def _classes(*modules: str) -> tuple[Pair, ...]:
    """Every class that is defined in these modules, abstract ones included (they do not do anything either)."""

    def of(module: str) -> Iterable[Pair]:
        for name, value in vars(import_module(module)).items():
            if inspect.isclass(value) and value.__module__ == module and value.__name__ == name:
                yield module, name

    return tuple(pair for module in modules for pair in of(module))


if __name__ == "__main__":
    print(*generate(), sep="\n")  # noqa: T201
