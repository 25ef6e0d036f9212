"""PFA's library, as far as model writers use it: https://datamininggroup.org/pfa/docs/function_reference.

Each function is pure arithmetic on its arguments: none reads a file, a clock or chance, and none keeps a state. What is
not here is refused when the document is loaded. Numbers behave as in Java, as PFA asks: 1/0 is infinity, no error.
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType
from typing import Any, Final

from modelway.server.formats.pfa import arithmetic, models
from modelway.server.formats.pfa.errors import EvaluationError


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the library.

    Args:
        call: what it does; arguments that are functions come as Python's.
        arity: how many arguments it may have.
        functions: positions of arguments that are functions.

    """

    call: Callable[..., Any]
    arity: tuple[int, ...]
    functions: tuple[int, ...] = ()


def _error_on_null(x: Any) -> Any:
    if x is None:
        raise EvaluationError("impute.errorOnNull: a value is missing")
    return x


_UNARY: Final[dict[str, Callable[[Any], Any]]] = {
    "m.abs": abs,
    "m.exp": arithmetic.exp,
    "m.expm1": arithmetic.as_java(math.expm1),
    "m.sqrt": arithmetic.as_java(math.sqrt),
    "m.ceil": math.ceil,
    "m.floor": math.floor,
    "m.round": arithmetic.round_half_up,
    "m.rint": round,
    "m.signum": arithmetic.signum,
    "m.ln": arithmetic.logarithm(math.log),
    "m.log10": arithmetic.logarithm(math.log10),
    "m.ln1p": arithmetic.logarithm(math.log1p, -1.0),
    "m.sin": math.sin,
    "m.cos": math.cos,
    "m.tan": math.tan,
    "m.asin": arithmetic.as_java(math.asin),
    "m.acos": arithmetic.as_java(math.acos),
    "m.atan": math.atan,
    "m.sinh": arithmetic.as_java(math.sinh),
    "m.cosh": arithmetic.as_java(math.cosh),
    "m.tanh": math.tanh,
    "m.special.erf": math.erf,
    "u-": operator.neg,
    "!": operator.not_,
    "m.link.softmax": arithmetic.softmax,
    "impute.errorOnNull": _error_on_null,
    "impute.isnan": math.isnan,
    "impute.isinf": math.isinf,
    "a.len": len,
    "a.sum": sum,
    "a.product": math.prod,
    "a.mean": arithmetic.mean,
    "a.max": max,
    "a.min": min,
    "a.argmax": arithmetic.best(max),
    "a.argmin": arithmetic.best(min),
    "a.mode": arithmetic.mode,
    "a.logsumexp": arithmetic.log_sum_exp,
    "a.reverse": lambda x: x[::-1],
    "a.sort": sorted,
    "a.head": operator.itemgetter(0),
    "a.last": operator.itemgetter(-1),
    "a.flatten": lambda x: [value for one in x for value in one],
    "map.len": len,
    "map.keys": list,
    "map.values": lambda x: list(x.values()),
    "map.argmax": arithmetic.best(max),
    "map.argmin": arithmetic.best(min),
    "s.len": len,
    "s.lower": str.lower,
    "s.upper": str.upper,
}
_BINARY: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": arithmetic.divide,
    "//": operator.floordiv,
    "**": arithmetic.power,
    "%": operator.mod,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "^^": operator.xor,
    "max": max,
    "min": min,
    "m.atan2": math.atan2,
    "m.hypot": math.hypot,
    "m.copysign": math.copysign,
    "metric.absDiff": lambda x, y: abs(x - y),
    "m.kernel.linear": models.dot,
    "metric.simpleEuclidean": math.dist,
    "model.reg.linear": models.linear,
    "model.tree.simpleTest": models.simple_test,
    "model.tree.missingTest": models.missing_test,
    "model.tree.simpleTree": lambda datum, node: models.simple_walk(datum, node, models.simple_test),
    "model.naive.gaussian": models.gaussian,
    "impute.defaultOnNull": lambda x, other: other if x is None else x,
    "a.append": lambda x, value: [*x, value],
    "a.concat": operator.add,
    "a.contains": operator.contains,
    "a.count": list.count,
    "map.containsKey": operator.contains,
    "s.concat": operator.add,
    "s.contains": operator.contains,
}

FUNCTIONS: Final = MappingProxyType(
    {name: Function(call, (1,)) for name, call in _UNARY.items()}
    | {name: Function(call, (2,)) for name, call in _BINARY.items()}
    | {f"m.link.{name}": Function(arithmetic.each(call), (1,)) for name, call in arithmetic.LINKS.items()}
    | {
        "m.pi": Function(lambda: math.pi, (0,)),
        "m.e": Function(lambda: math.e, (0,)),
        "m.kernel.rbf": Function(
            lambda x, y, g: math.exp(-g * sum((a - b) ** 2 for a, b in zip(x, y, strict=True))), (3,)
        ),
        "m.kernel.poly": Function(lambda x, y, g, c, d: arithmetic.power(g * models.dot(x, y) + c, d), (5,)),
        "m.kernel.sigmoid": Function(lambda x, y, g, c: math.tanh(g * models.dot(x, y) + c), (4,)),
        "metric.gaussianSimilarity": Function(
            lambda x, y, sigma: arithmetic.exp(arithmetic.divide(-math.log(2) * (x - y) ** 2, sigma**2)), (3,)
        ),
        "metric.euclidean": Function(models.distance(lambda t, x: t + x**2, math.sqrt), (3, 4), (0,)),
        "metric.squaredEuclidean": Function(models.distance(lambda t, x: t + x**2), (3, 4), (0,)),
        "metric.chebyshev": Function(models.distance(max), (3, 4), (0,)),
        "metric.taxicab": Function(models.distance(operator.add), (3, 4), (0,)),
        "metric.minkowski": Function(models.minkowski, (4,), (0,)),
        "model.tree.compoundTest": Function(models.compound_test, (4,), (3,)),
        "model.tree.surrogateTest": Function(models.surrogate_test, (3,), (2,)),
        "model.tree.simpleWalk": Function(models.simple_walk, (3,), (2,)),
        "model.tree.missingWalk": Function(models.missing_walk, (3,), (2,)),
        "model.cluster.closest": Function(models.closest, (2, 3), (2,)),
        "model.svm.score": Function(models.support_vectors, (3,), (2,)),
        "model.neural.simpleLayers": Function(models.layers, (3,), (2,)),
        "a.map": Function(lambda x, f: [f(value) for value in x], (2,), (1,)),
        "a.mapWithIndex": Function(lambda x, f: [f(i, value) for i, value in enumerate(x)], (2,), (1,)),
        "a.filter": Function(lambda x, f: [value for value in x if f(value)], (2,), (1,)),
        "a.any": Function(lambda x, f: any(f(value) for value in x), (2,), (1,)),
        "a.all": Function(lambda x, f: all(f(value) for value in x), (2,), (1,)),
        "a.zipmap": Function(lambda x, y, f: [f(a, b) for a, b in zip(x, y, strict=True)], (3,), (2,)),
        "a.reduce": Function(lambda x, f: reduce(f, x), (2,), (1,)),
        "a.fold": Function(lambda x, zero, f: reduce(f, x, zero), (3,), (2,)),
        "a.subseq": Function(lambda x, start, end: x[start:end], (3,)),
        "map.map": Function(lambda x, f: {key: f(value) for key, value in x.items()}, (2,), (1,)),
        "map.mapWithKey": Function(lambda x, f: {key: f(key, value) for key, value in x.items()}, (2,), (1,)),
        "map.add": Function(lambda x, key, value: {**x, key: value}, (3,)),
    }
)
