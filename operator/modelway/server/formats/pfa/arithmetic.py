"""Numbers as PFA has them, which is as Java has them: 1/0 is infinity, the root of -1 is NaN. Pure."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from modelway.server.formats.pfa.errors import EvaluationError

Values = list[Any]
Real = Callable[[float], float]


def divide(x: float, y: float) -> float:
    if y:
        return x / y
    return math.nan if x == 0 or math.isnan(x) else math.copysign(math.inf, x) * math.copysign(1, y)


def power(x: float, y: float) -> float:
    try:
        value = x**y
    except ZeroDivisionError:
        return math.inf
    except OverflowError:
        return math.inf if x > 0 or y % 2 == 0 else -math.inf
    return math.nan if isinstance(value, complex) else value


def as_java(function: Real, *, overflow: float = math.inf) -> Real:
    """A function of `math` that answers as Java's: NaN outside of its domain, infinity for what is too large."""

    def call(x: float) -> float:
        try:
            return function(x)
        except ValueError:
            return math.nan
        except OverflowError:
            return overflow

    return call


exp: Final = as_java(math.exp)


def logarithm(function: Real, lowest: float = 0.0) -> Real:
    """A logarithm that is minus infinity at its lowest number, and NaN below it."""
    return lambda x: function(x) if x > lowest else (-math.inf if x == lowest else math.nan)


def each(function: Real) -> Callable[[Any], Any]:
    """A link function: of a number, of each in an array, or of each in a map."""

    def call(x: Any) -> Any:
        if isinstance(x, dict):
            return {key: function(value) for key, value in x.items()}
        return [function(value) for value in x] if isinstance(x, list) else function(x)

    return call


def softmax(x: Any) -> Any:
    if isinstance(x, dict):
        return dict(zip(x, softmax(list(x.values())), strict=True))
    if not x:
        raise EvaluationError("m.link.softmax of nothing")
    # The summand that is taken off for large numbers is the one farthest from 0, as the reference has it.
    largest = max(x) if x[int(np.argmax(np.abs(x)))] >= 0 else min(x)
    powers = [exp(value - largest) for value in x]
    return [divide(power, sum(powers)) for power in powers]


def best(choose: Callable[..., Any]) -> Callable[[Any], Any]:
    """The position, or key, of the largest or smallest; of equal ones the first."""

    def call(x: Any) -> Any:
        if not x:
            raise EvaluationError("the largest or smallest of nothing")
        return choose(x, key=x.get) if isinstance(x, dict) else choose(range(len(x)), key=x.__getitem__)

    return call


def mode(x: Values) -> Any:
    if not x:
        raise EvaluationError("a.mode of nothing")
    return Counter(x).most_common(1)[0][0]


def mean(x: Values) -> float:
    return divide(sum(x), len(x))


def log_sum_exp(x: Values) -> float:
    largest = max(x, default=-math.inf)
    return largest + math.log(sum(math.exp(value - largest) for value in x)) if math.isfinite(largest) else largest


def round_half_up(x: float) -> float:
    return math.floor(x + 0.5)


def signum(x: float) -> float:
    return (x > 0) - (x < 0)


LINKS: Final[dict[str, Real]] = {
    "logit": lambda y: divide(1.0, 1.0 + exp(-y)),
    "probit": lambda y: (math.erf(y / math.sqrt(2.0)) + 1.0) / 2.0,
    "cloglog": lambda y: 1.0 - math.exp(-exp(y)),
    "loglog": lambda y: math.exp(-exp(y)),
    "cauchit": lambda y: 0.5 + (1.0 / math.pi) * math.atan(y),
    "softplus": lambda y: math.log(1.0 + exp(y)),
    "relu": lambda y: y if math.isnan(y) else max(0.0, y),
    "tanh": math.tanh,
}
