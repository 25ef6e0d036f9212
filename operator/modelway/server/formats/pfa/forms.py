"""PFA's special forms: what is no call of a function. https://datamininggroup.org/pfa/docs/special_forms.

Each takes the whole form and gives the function that evaluates it. Called by `program`, which knows a form by its key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from modelway.server.formats.pfa import types
from modelway.server.formats.pfa.errors import EvaluationError, PfaError
from modelway.server.formats.pfa.types import Record

if TYPE_CHECKING:
    from modelway.server.formats.pfa.program import Program

Environment = dict[str, Any]
Code = Callable[[Environment], Any]
Names = frozenset[str]


def assign(program: "Program", assignments: Any, names: Names, where: str) -> Code:
    if not isinstance(assignments, dict) or not assignments:
        raise PfaError(where, "expected names with their values")
    codes = {name: program.expression(one, names, f"{where}.{name}") for name, one in assignments.items()}

    def run(env: Environment) -> None:
        env.update({name: code(env) for name, code in codes.items()})

    return run


def _set(program: "Program", it: Any, names: Names, where: str) -> Code:
    for name in it["set"] if isinstance(it["set"], dict) else ():
        if name not in names:
            raise PfaError(f"{where}.set", f'"{name}" is not defined here')
    return assign(program, it["set"], names, f"{where}.set")


def _let(_program: "Program", _it: Any, _names: Names, where: str) -> Code:
    raise PfaError(where, "a let stands in a block only")


def _do(program: "Program", it: Any, names: Names, where: str) -> Code:
    return program.block(it["do"], names, f"{where}.do")


def _if(program: "Program", it: Any, names: Names, where: str) -> Code:
    test = program.expression(it["if"], names, f"{where}.if")
    then = program.block(it.get("then"), names, f"{where}.then")
    other = program.block(it["else"], names, f"{where}.else") if "else" in it else _nothing
    return lambda env: then(env) if test(env) else other(env)


def _cond(program: "Program", it: Any, names: Names, where: str) -> Code:
    cases = [
        (
            program.expression(case.get("if"), names, f"{where}.cond[{index}].if"),
            program.block(case.get("then"), names, f"{where}.cond[{index}].then"),
        )
        for index, case in enumerate(it["cond"])
    ]
    other = program.block(it["else"], names, f"{where}.else") if "else" in it else _nothing

    def run(env: Environment) -> Any:
        for test, then in cases:
            if test(env):
                return then(env)
        return other(env)

    return run


def _cell(program: "Program", it: Any, names: Names, where: str) -> Code:
    if "to" in it:
        raise PfaError(where, "writing to a cell makes answers depend on earlier ones, which is not supported")
    if it["cell"] not in program.cells:
        raise PfaError(where, f"the document has no cell {it['cell']!r:.60}")
    value = program.cells[it["cell"]]
    return _path(program, lambda _: value, it.get("path", []), names, where)


def _attribute(program: "Program", it: Any, names: Names, where: str) -> Code:
    if "to" in it:
        raise PfaError(where, "attr with to is not supported")
    return _path(program, program.expression(it["attr"], names, f"{where}.attr"), it.get("path", []), names, where)


def _path(program: "Program", start: Code, path: Any, names: Names, where: str) -> Code:
    keys = [program.expression(key, names, f"{where}.path[{index}]") for index, key in enumerate(path)]
    if not keys:
        return start

    def walk(env: Environment) -> Any:
        value = start(env)
        for key in keys:
            value = value[key(env)]
        return value

    return walk


def _new(program: "Program", it: Any, names: Names, where: str) -> Code:
    kind = program.types.of(it.get("type"), f"{where}.type")
    if kind.kind == "array" and isinstance(it["new"], list) and kind.items:
        cast = types.caster(kind.items)
        codes = [program.expression(one, names, f"{where}.new[{i}]") for i, one in enumerate(it["new"])]
        return lambda env: [cast(code(env)) for code in codes]
    if kind.kind in {"map", "record"} and isinstance(it["new"], dict):
        if kind.kind == "record" and it["new"].keys() != kind.fields.keys():
            odd = min(it["new"].keys() ^ kind.fields.keys())
            raise PfaError(f"{where}.new", f'"{odd}" is missing, or no field of {kind.tag}')
        values = {key: program.expression(one, names, f"{where}.new.{key}") for key, one in it["new"].items()}
        casts = {key: types.caster(kind.fields.get(key) or kind.items or kind) for key in values}
        if kind.kind == "map":
            return lambda env: {key: casts[key](code(env)) for key, code in values.items()}
        return lambda env: Record(kind.name, ((key, casts[key](code(env))) for key, code in values.items()))
    raise PfaError(f"{where}.new", f"does not fit the type {kind.tag}")


def _value(program: "Program", it: Any, _names: Names, where: str) -> Code:
    value = types.read(it["value"], program.types.of(it.get("type"), f"{where}.type"), f"{where}.value")
    return lambda _: value


def _if_not_null(program: "Program", it: Any, names: Names, where: str) -> Code:
    tested = {name: program.expression(one, names, f"{where}.ifnotnull") for name, one in it["ifnotnull"].items()}
    then = program.block(it.get("then"), names | tested.keys(), f"{where}.then")
    other = program.block(it["else"], names, f"{where}.else") if "else" in it else _nothing

    def run(env: Environment) -> Any:
        found = {name: code(env) for name, code in tested.items()}
        if None in found.values():
            return other(env)
        env.update(found)
        return then(env)

    return run


def _cast(program: "Program", it: Any, names: Names, where: str) -> Code:
    value = program.expression(it["cast"], names, f"{where}.cast")
    cases = []
    for index, case in enumerate(it.get("cases", ())):
        place = f"{where}.cases[{index}]"
        kind, name = program.types.of(case.get("as"), f"{place}.as"), case.get("named")
        cases.append((kind, name, program.block(case.get("do"), names | {name}, f"{place}.do")))

    def run(env: Environment) -> Any:
        found = value(env)
        for kind, name, code in cases:
            if types.is_a(found, kind):
                env[name] = found
                return code(env)
        return None

    return run


def _upcast(program: "Program", it: Any, names: Names, where: str) -> Code:
    cast = types.caster(program.types.of(it.get("as"), f"{where}.as"))
    value = program.expression(it["upcast"], names, f"{where}.upcast")
    return lambda env: cast(value(env))


def _foreach(program: "Program", it: Any, names: Names, where: str) -> Code:
    name, values = it["foreach"], program.expression(it.get("in"), names, f"{where}.in")
    body = program.block(it.get("do"), names | {name}, f"{where}.do")

    def run(env: Environment) -> None:
        for value in values(env):
            env[name] = value
            body(env)

    return run


def _error(_program: "Program", it: Any, _names: Names, _where: str) -> Code:
    message = str(it["error"])

    def fail(_env: Environment) -> Any:
        raise EvaluationError(f"the model says: {message}")

    return fail


def _nothing(_env: Environment) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Form:
    """A special form: what makes its code, and the keys that it may have beside the one that tells it."""

    make: Callable[["Program", Any, Names, str], Code]
    others: frozenset[str] = frozenset()


# What is not here (while, for, emit, pools, calls by computed name) is refused.
FORMS: Final = MappingProxyType(
    {
        "let": Form(_let),
        "set": Form(_set),
        "do": Form(_do),
        "cond": Form(_cond, frozenset({"else"})),
        "if": Form(_if, frozenset({"then", "else"})),
        "cell": Form(_cell, frozenset({"path", "to"})),
        "attr": Form(_attribute, frozenset({"path", "to"})),
        "new": Form(_new, frozenset({"type"})),
        "value": Form(_value, frozenset({"type"})),
        "ifnotnull": Form(_if_not_null, frozenset({"then", "else"})),
        "cast": Form(_cast, frozenset({"cases", "partial"})),
        "upcast": Form(_upcast, frozenset({"as"})),
        "foreach": Form(_foreach, frozenset({"in", "do", "seq"})),
        "error": Form(_error, frozenset({"code"})),
    }
)
