"""From PFA's expressions to Python functions, once, when a document is loaded; every row then only calls them.

Whatever is not understood is refused here, with its place, so that no row meets it. A program ends: there are no loops
but over arrays that exist, and functions may not call themselves. It has no state: cells are read only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from modelway.server.formats.pfa.errors import PfaError
from modelway.server.formats.pfa.forms import FORMS, Code, Environment, Names, assign
from modelway.server.formats.pfa.functions import FUNCTIONS
from modelway.server.formats.pfa.types import Types

_LITERALS: Final = {"int": int, "long": int, "float": float, "double": float, "string": str, "boolean": bool}
_USER: Final = "u."


@dataclass(frozen=True, slots=True)
class Program:
    """What a document is compiled with: its types, the values of its cells, and the functions that it defines."""

    types: Types
    cells: Mapping[str, Any]
    defined: Mapping[str, Any]
    compiled: dict[str, Callable[..., Any]] = field(default_factory=dict)
    in_progress: list[str] = field(default_factory=list)

    def block(self, expressions: Any, names: Names, where: str) -> Code:
        """Expressions after each other; the last one's value is the block's."""
        steps = expressions if isinstance(expressions, list) else [expressions]
        codes = []
        for index, step in enumerate(steps):
            place = f"{where}[{index}]" if steps is expressions else where
            if isinstance(step, dict) and "let" in step:
                codes.append(assign(self, step["let"], names, f"{place}.let"))
                names |= step["let"].keys()
            else:
                codes.append(self.expression(step, names, place))
        if not codes:
            raise PfaError(where, "an empty block")
        *before, last = codes
        if not before:
            return last

        def run(env: Environment) -> Any:
            for code in before:
                code(env)
            return last(env)

        return run

    def expression(self, it: Any, names: Names, where: str) -> Code:
        """One expression. Raises PfaError."""
        if isinstance(it, str):
            return self._symbol(it, names, where)
        if it is None or isinstance(it, (bool, int, float)):
            return lambda _: it
        if isinstance(it, list) and len(it) == 1 and isinstance(it[0], str):  # PFA's short form of a text
            text = it[0]
            return lambda _: text
        if not isinstance(it, dict):
            raise PfaError(where, "expected an expression")
        it = {key: value for key, value in it.items() if not key.startswith("@")}
        for key, form in FORMS.items():
            if key in it and it.keys() <= form.others | {key}:
                return form.make(self, it, names, where)
        if len(it) != 1:
            raise PfaError(where, f"this form is not supported: {', '.join(sorted(it)) or 'an empty object'}")
        name, arguments = next(iter(it.items()))
        if name in _LITERALS:
            return _literal(_LITERALS[name], arguments, f"{where}.{name}")
        return self._call(name, arguments, names, f"{where}.{name}")

    def _symbol(self, text: str, names: Names, where: str) -> Code:
        name, *path = text.split(".")
        if name not in names:
            raise PfaError(where, f'"{name}" is not defined here')
        if not path:
            return lambda env: env[name]
        if len(path) == 1:
            key = path[0]
            return lambda env: env[name][key]

        def walk(env: Environment) -> Any:
            value = env[name]
            for key in path:
                value = value[key]
            return value

        return walk

    def _call(self, name: str, arguments: Any, names: Names, where: str) -> Code:
        given = arguments if isinstance(arguments, list) else [arguments]
        arity: tuple[int, ...]
        functions: tuple[int, ...] = ()
        if name.startswith(_USER):
            function = self.user_function(name.removeprefix(_USER), where)
            arity = (len(self.defined[name.removeprefix(_USER)]["params"]),)
        elif name in FUNCTIONS:
            known = FUNCTIONS[name]
            function, arity, functions = known.call, known.arity, known.functions
        elif name in _LAZY:
            return self._lazy(name, given, names, where)
        else:
            raise PfaError(where, "this function or form is not supported")
        if len(given) not in arity:
            raise PfaError(where, f"{len(given)} arguments, where {' or '.join(map(str, arity))} are expected")
        codes = [
            self._function(one, names, f"{where}[{index}]")
            if index in functions
            else self.expression(one, names, f"{where}[{index}]")
            for index, one in enumerate(given)
        ]
        return _applied(function, codes)

    def _lazy(self, name: str, given: list[Any], names: Names, where: str) -> Code:
        if len(given) != 2:
            raise PfaError(where, f"{len(given)} arguments, where 2 are expected")
        left, right = (self.expression(one, names, f"{where}[{index}]") for index, one in enumerate(given))
        if name == "&&":
            return lambda env: left(env) and right(env)
        return lambda env: left(env) or right(env)

    def _function(self, it: Any, names: Names, where: str) -> Code:
        """A function as an argument: of the library, of the document, or written in place."""
        name = it.get("fcn", it.get("fcnref")) if isinstance(it, dict) else None
        if isinstance(name, str):
            if name.startswith(_USER):
                function = self.user_function(name.removeprefix(_USER), where)
            elif name in FUNCTIONS and "fill" not in it:
                function = FUNCTIONS[name].call
            else:
                raise PfaError(where, f'"{name}" is no function that is supported')
            return lambda _: function
        if not isinstance(it, dict) or "params" not in it or "do" not in it:
            raise PfaError(where, "expected a function")
        parameters = _parameters(it, where)
        same = _same_as(it["do"], parameters)
        if same is not None:
            return lambda _: same
        body = self.block(it["do"], names | set(parameters), f"{where}.do")
        if len(parameters) == 1:
            (only,) = parameters
            return lambda env: lambda value: body({**env, only: value})
        return lambda env: lambda *values: body({**env, **dict(zip(parameters, values, strict=True))})

    def user_function(self, name: str, where: str) -> Callable[..., Any]:
        """A function that the document defines. It sees its parameters only."""
        if name in self.compiled:
            return self.compiled[name]
        if name in self.in_progress:
            raise PfaError(where, f"the function {name} calls itself, which is not supported")
        definition = self.defined.get(name)
        if not isinstance(definition, dict):
            raise PfaError(where, f"the document defines no function {name}")
        parameters = _parameters(definition, f"fcns.{name}")
        self.in_progress.append(name)
        body = self.block(definition.get("do"), frozenset(parameters), f"fcns.{name}.do")
        self.in_progress.pop()
        self.compiled[name] = lambda *values: body(dict(zip(parameters, values, strict=True)))
        return self.compiled[name]


_LAZY: Final = {"&&", "||"}


def _literal(kind: type, value: Any, where: str) -> Code:
    if not isinstance(value, (int, float) if kind is float else kind):
        raise PfaError(where, f"{value!r:.60} is not of this type")
    made = kind(value)
    return lambda _: made


def _parameters(definition: Mapping[str, Any], where: str) -> list[str]:
    """Names of a function's parameters, which stand as [{"x": type}, …]."""
    parameters = definition.get("params")
    if not isinstance(parameters, list) or not all(isinstance(one, dict) and len(one) == 1 for one in parameters):
        raise PfaError(f"{where}.params", "expected a list of names with their types")
    return [next(iter(one)) for one in parameters]


def _same_as(body: Any, parameters: list[str]) -> Callable[..., Any] | None:
    """The library's function that a function in place does nothing but call, as tree walkers are given."""
    inner = body[0] if isinstance(body, list) and len(body) == 1 else body
    if isinstance(inner, dict) and len(inner) == 1:
        name, arguments = next(iter(inner.items()))
        if name in FUNCTIONS and arguments == parameters and not FUNCTIONS[name].functions:
            return FUNCTIONS[name].call
    return None


def _applied(function: Callable[..., Any], codes: list[Code]) -> Code:
    match codes:
        case [one]:
            return lambda env: function(one(env))
        case [one, two]:
            return lambda env: function(one(env), two(env))
    return lambda env: function(*[code(env) for code in codes])
