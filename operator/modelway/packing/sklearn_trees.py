"""Converters of scikit-learn's trees for skl2onnx, in place of its own, which write single precision.

skl2onnx calls them wherever such an estimator stands: alone, in a pipeline, in a voting or stacking ensemble. What they
add over its own: doubles throughout, missing values as scikit-learn routes them, histogram gradient boosting (which
skl2onnx 1.20 cannot write with current onnx), and the label that scikit-learn gives where two classes tie.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import onnx
from sklearn import ensemble, tree

from modelway.packing.errors import NotConvertibleError
from modelway.packing.trees import LEAF, Floats, Tree, attributes

Converter = Callable[[Any, Any, Any], None]

_FLOAT: Final = onnx.TensorProto.FLOAT
_DOUBLE: Final = onnx.TensorProto.DOUBLE


def converters() -> dict[type, Converter]:
    """What to hand to `convert_sklearn` as `custom_conversion_functions`."""
    forests = ("RandomForest", "ExtraTrees")
    return (
        {getattr(ensemble, f"{name}Classifier"): _forest_classifier for name in forests}
        | {getattr(ensemble, f"{name}Regressor"): _forest_regressor for name in forests}
        | dict.fromkeys((tree.DecisionTreeClassifier, tree.ExtraTreeClassifier), _forest_classifier)
        | dict.fromkeys((tree.DecisionTreeRegressor, tree.ExtraTreeRegressor), _forest_regressor)
        | {
            ensemble.GradientBoostingClassifier: _boosting_classifier,
            ensemble.GradientBoostingRegressor: _boosting_regressor,
            ensemble.HistGradientBoostingClassifier: _histogram_classifier,
            ensemble.HistGradientBoostingRegressor: _histogram_regressor,
        }
    )


def _forest_classifier(scope: Any, operator: Any, container: Any) -> None:
    forest = operator.raw_operator
    _check_one_output(forest)
    grown = [_own_tree(one, fractions=True) for one in _members(forest)]
    graph = _Graph(scope, operator, container)
    sums = graph.trees(grown, outputs=len(forest.classes_), single=True)
    probabilities = graph.add("Div", [sums, graph.constant([float(len(grown))])])
    graph.give_classes(probabilities, sums, forest.classes_)


def _forest_regressor(scope: Any, operator: Any, container: Any) -> None:
    forest = operator.raw_operator
    grown = [_own_tree(one, fractions=False) for one in _members(forest)]
    graph = _Graph(scope, operator, container)
    sums = graph.trees(grown, outputs=grown[0].value.shape[1], single=True)
    graph.give(graph.add("Div", [sums, graph.constant([float(len(grown))])]))


def _boosting_classifier(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    rounds = [[_own_tree(one, fractions=False) for one in stage] for stage in model.estimators_]
    start = _start(model, np.atleast_1d(model.decision_function(_zeros(model))[0]))
    graph = _Graph(scope, operator, container)
    raw = graph.trees(_scaled(rounds, model.learning_rate), outputs=len(start), base=start, single=True)
    # Half the log-odds for the exponential loss: Friedman, Hastie, Tibshirani (2000), Additive Logistic Regression.
    scale = 2.0 if model.loss == "exponential" else 1.0
    graph.give_scores(raw, model.classes_, scale)


def _boosting_regressor(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    rounds = [[_own_tree(one, fractions=False) for one in stage] for stage in model.estimators_]
    start = _start(model, model.predict(_zeros(model)))
    graph = _Graph(scope, operator, container)
    graph.give(graph.trees(_scaled(rounds, model.learning_rate), outputs=1, base=start, single=True))


def _histogram_classifier(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    graph = _Graph(scope, operator, container)
    graph.give_scores(_histogram(model, graph), model.classes_, 1.0)


def _histogram_regressor(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    graph = _Graph(scope, operator, container)
    raw = _histogram(model, graph)
    graph.give(graph.add("Exp", [raw]) if model.loss in {"poisson", "gamma"} else raw)


def _histogram(model: Any, graph: "_Graph") -> str:
    if model.is_categorical_ is not None and np.any(model.is_categorical_):
        raise NotConvertibleError("categorical features of histogram gradient boosting have no ONNX form here")
    # The fitted trees have no public name; parity is checked after every conversion, a renamed one fails it.
    rounds: Sequence[Sequence[Any]] = model._predictors  # noqa: SLF001 - see above
    trees = [_histogram_tree(one.nodes, target) for predictors in rounds for target, one in enumerate(predictors)]
    base = np.ravel(model._baseline_prediction)  # noqa: SLF001 - see above
    return graph.trees(trees, outputs=len(rounds[0]), base=base.tolist(), single=False)


def _histogram_tree(nodes: Any, target: int) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        np.where(leaf, LEAF, nodes["left"].astype(np.int64)),
        np.where(leaf, LEAF, nodes["right"].astype(np.int64)),
        nodes["feature_idx"].astype(np.int64),
        nodes["num_threshold"].astype(np.float64),
        nodes["value"].reshape(-1, 1),
        nodes["missing_go_to_left"].astype(bool),
        target=target,
    )


def _members(forest: Any) -> Iterable[Any]:
    return forest.estimators_ if hasattr(forest, "estimators_") else [forest]


def _check_one_output(forest: Any) -> None:
    if isinstance(forest.classes_, list):
        raise NotConvertibleError(f"a {type(forest).__name__} with several labels a row has no ONNX form here")


def _own_tree(estimator: Any, *, fractions: bool, scale: float = 1.0, target: int = 0) -> Tree:
    """The tree of a DecisionTree; with `fractions` a leaf's values become shares of its classes."""
    own = estimator.tree_
    value: Floats = own.value[:, 0, :] if own.n_outputs == 1 else own.value[:, :, 0]
    if fractions:
        value = value / value.sum(axis=1, keepdims=True)
    return Tree(
        own.children_left,
        own.children_right,
        own.feature,
        own.threshold,
        value * scale,
        own.missing_go_to_left.astype(bool),
        target=target,
    )


def _scaled(rounds: Sequence[Sequence[Tree]], rate: float) -> list[Tree]:
    return [
        Tree(one.left, one.right, one.feature, one.threshold, one.value * rate, one.missing_left, target=target)
        for stage in rounds
        for target, one in enumerate(stage)
    ]


def _zeros(model: Any) -> Floats:
    return np.zeros((1, model.n_features_in_))


def _start(model: Any, at_zero: Floats) -> list[float]:
    """What boosting starts from: the answer to a row of zeros without what the trees add to it."""
    if not isinstance(model.init_, str) and type(model.init_).__name__ not in {"DummyClassifier", "DummyRegressor"}:
        raise NotConvertibleError(f"boosting that starts from a {type(model.init_).__name__} has no ONNX form here")
    added = sum(
        np.array([one.predict(_zeros(model))[0] for one in stage]) * model.learning_rate for stage in model.estimators_
    )
    return [float(value) for value in np.ravel(at_zero - added)]


class _Graph:
    """Nodes of one estimator, with names that are free in its scope."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._scope, self._operator, self._container = scope, operator, container

    def add(self, kind: str, inputs: Sequence[str], *, output: str = "", **options: Any) -> str:
        output = output or self._scope.get_unique_variable_name(kind.lower())
        self._container.add_node(kind, list(inputs), output, op_version=13, **options)
        return output

    def constant(self, values: Sequence[Any], kind: int = _FLOAT) -> str:
        name: str = self._scope.get_unique_variable_name("constant")
        self._container.add_initializer(name, kind, [len(values)], list(values))
        return name

    def trees(self, trees: Sequence[Tree], *, outputs: int, base: Sequence[float] = (), single: bool) -> str:
        """What the trees add up to. `single`: scikit-learn rounds rows to single precision before it compares."""
        rows = self._operator.inputs[0].full_name
        if single:
            rows = self.add("Cast", [rows], to=_FLOAT)
        rows = self.add("Cast", [rows], to=_DOUBLE)
        output: str = self._scope.get_unique_variable_name("trees")
        self._container.add_node(
            "TreeEnsembleRegressor",
            [rows],
            output,
            op_domain="ai.onnx.ml",
            op_version=3,
            **attributes(trees, outputs=outputs, base=base),
        )
        return output

    def give(self, name: str) -> None:
        """Make `name` the estimator's output, in the type that is declared for it."""
        self.add("Cast", [name], output=self._operator.outputs[0].full_name, to=_type_of(self._operator.outputs[0]))

    def give_scores(self, raw: str, classes: Any, scale: float) -> None:
        """Classes of raw scores: one column for two classes, else one each."""
        if len(classes) == 2:
            positive = self.add("Sigmoid", [self.add("Mul", [raw, self.constant([scale])])])
            negative = self.add("Sub", [self.constant([1.0]), positive])
            probabilities = self.add("Concat", [negative, positive], axis=1)
            raw = self.add("Concat", [self.add("Neg", [raw]), raw], axis=1)
        else:
            probabilities = self.add("Softmax", [raw], axis=1)
        self.give_classes(probabilities, raw, classes)

    def give_classes(self, probabilities: str, scores: str, classes: Any) -> None:
        """The estimator's two outputs: the first class with the highest score, as numpy's argmax, and probabilities."""
        label, second = self._operator.outputs
        kind = _type_of(label)
        names = [str(one) if kind == onnx.TensorProto.STRING else int(one) for one in classes]
        best = self.add("ArgMax", [scores], axis=1, keepdims=0)
        self.add("Gather", [self.constant(names, kind), best], output=label.full_name, axis=0)
        self.add("Cast", [probabilities], output=second.full_name, to=_type_of(second))


def _type_of(variable: Any) -> int:
    kinds = {
        "Int64TensorType": onnx.TensorProto.INT64,
        "StringTensorType": onnx.TensorProto.STRING,
        "DoubleTensorType": _DOUBLE,
        "BooleanTensorType": onnx.TensorProto.BOOL,
    }
    return kinds.get(type(variable.type).__name__, _FLOAT)
