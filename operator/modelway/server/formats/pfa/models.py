"""The models of PFA's library: trees, linear models, clusters, support vectors, naive Bayes, layers. Pure."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from modelway.server.formats.pfa.arithmetic import power
from modelway.server.formats.pfa.errors import EvaluationError
from modelway.server.formats.pfa.types import Record

Values = list[Any]
_TESTS: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        "<=": operator.le,
        "<": operator.lt,
        ">=": operator.ge,
        ">": operator.gt,
        "==": operator.eq,
        "!=": operator.ne,
        "in": lambda value, known: value in known,
        "notIn": lambda value, known: value not in known,
        "alwaysTrue": lambda _value, _known: True,
        "alwaysFalse": lambda _value, _known: False,
        "isMissing": lambda value, _known: value is None,
        "notMissing": lambda value, _known: value is not None,
    }
)


def simple_test(datum: Record, comparison: Record) -> bool:
    """model.tree.simpleTest."""
    return bool(_TESTS[comparison["operator"]](datum[comparison["field"]], comparison["value"]))


def missing_test(datum: Record, comparison: Record) -> bool | None:
    """model.tree.missingTest: null for a value that is missing."""
    if datum[comparison["field"]] is None and comparison["operator"] not in {"alwaysTrue", "alwaysFalse"}:
        return None
    return simple_test(datum, comparison)


def compound_test(datum: Record, kind: str, comparisons: Values, test: Callable[..., bool]) -> bool:
    passed = (test(datum, comparison) for comparison in comparisons)
    match kind:
        case "and":
            return all(passed)
        case "or":
            return any(passed)
        case "xor":
            return sum(passed) % 2 == 1
    raise EvaluationError(f'"{kind}" is none of and, or, xor')


def surrogate_test(datum: Record, comparisons: Values, test: Callable[..., bool | None]) -> bool:
    for comparison in comparisons:
        result = test(datum, comparison)
        if result is not None:
            return result
    raise EvaluationError("model.tree.surrogateTest: all values are missing")


def simple_walk(datum: Record, node: Any, test: Callable[..., bool]) -> Any:
    kind = node.type
    while isinstance(node, Record) and node.type == kind:  # else it is a leaf: a score, or a record of its own
        node = node["pass"] if test(datum, node) else node["fail"]
    return node


def missing_walk(datum: Record, node: Any, test: Callable[..., bool | None]) -> Any:
    kind = node.type
    while isinstance(node, Record) and node.type == kind:
        result = test(datum, node)
        node = node["missing"] if result is None else node["pass"] if result else node["fail"]
    return node


def linear(datum: Any, model: Record) -> Any:
    coefficients, constant = model["coeff"], model["const"]
    if isinstance(coefficients, dict):
        if isinstance(constant, dict):
            rows = coefficients.keys() | constant.keys()
            return {row: _named_dot(datum, coefficients.get(row, {})) + constant.get(row, 0.0) for row in rows}
        return _named_dot(datum, coefficients) + constant
    if isinstance(constant, list):
        if len(constant) != len(coefficients):
            raise EvaluationError("model.reg.linear: const and coeff are of different lengths")
        return [dot(row, datum) + one for row, one in zip(coefficients, constant, strict=True)]
    return dot(coefficients, datum) + constant


def dot(x: Sequence[float], y: Sequence[float]) -> float:
    if len(x) != len(y):
        raise EvaluationError(f"{len(x)} and {len(y)} numbers to be multiplied")
    return float(np.dot(x, y)) if x else 0.0


def _named_dot(x: dict[str, float], y: dict[str, float]) -> float:
    return sum(value * y.get(key, 0.0) for key, value in x.items())


def closest(datum: Any, clusters: Values, metric: Callable[..., float] | None = None) -> Any:
    if not clusters:
        raise EvaluationError("model.cluster.closest: no clusters")
    measure = metric or (lambda x, y: sum((one - other) ** 2 for one, other in zip(x, y, strict=True)))
    return min(clusters, key=lambda cluster: measure(datum, cluster["center"]))


def support_vectors(datum: Values, model: Record, kernel: Callable[..., float]) -> float:
    total = sum(kernel(one["supVec"], datum) * one["coeff"] for one in model["negClass"])
    return float(total + sum(kernel(one["supVec"], datum) * one["coeff"] for one in model["posClass"]) + model["const"])


def gaussian(datum: Any, model: Any) -> float:
    if len(datum) != len(model) or (isinstance(datum, dict) and datum.keys() != model.keys()):
        raise EvaluationError("model.naive.gaussian: datum and classModel do not match")
    total = 0.0
    for key in datum if isinstance(datum, dict) else range(len(datum)):
        mean, variance = model[key]["mean"], model[key]["variance"]
        total += -0.5 * math.log(2.0 * math.pi * variance)
        total += -0.5 * ((datum[key] - mean) ** 2 / variance)
    return total


def layers(datum: Values, layers: Values, activation: Callable[[float], float]) -> Values:
    for index, layer in enumerate(layers):
        datum = [dot(row, datum) + bias for row, bias in zip(layer["weights"], layer["bias"], strict=True)]
        if index < len(layers) - 1:
            datum = [activation(value) for value in datum]
    return datum


def distance(
    combine: Callable[[float, float], float], finish: Callable[[float], float] = float
) -> Callable[..., float]:
    """A metric: of a similarity, over the values that both have, weighted up for those that are missing."""

    def call(similarity: Callable[..., float], x: Values, y: Values, weights: Values | None = None) -> float:
        if len(x) != len(y) or (weights is not None and len(weights) != len(x)):
            raise EvaluationError("metric: rows of different lengths")
        weights = weights or [1.0] * len(x)
        tally = present = 0.0
        for one, other, weight in zip(x, y, weights, strict=True):
            if one is not None and other is not None:
                tally = combine(tally, similarity(one, other))
                present += weight
        return finish(tally * sum(weights) / present) if present else math.nan

    return call


def minkowski(similarity: Callable[..., float], x: Values, y: Values, p: float) -> float:
    return distance(lambda tally, one: tally + power(one, p), lambda tally: power(tally, 1 / p))(similarity, x, y)
