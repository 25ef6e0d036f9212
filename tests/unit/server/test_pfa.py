"""PFA documents as model writers make them. Every answer is compared with Titus, the reference implementation."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.errors import InvalidInputError
from modelway.server.formats import pfa
from modelway.server.formats.base import LoadOptions
from modelway.server.formats.pfa.functions import FUNCTIONS
from modelway.server.metadata import Metadata
from modelway.server.tensors import Batch
from support import pfa as support_pfa
from support.formats import ask, described
from support.models import iris
from support.pfa import DOUBLES, IRIS, clusters, forest, linear, numbers, record, titus_answers, tree, tree_type

ROWS = iris().rows
LABELS = iris().labels
NAMES = np.array(["setosa", "versicolor", "virginica"])
NAMED = [dict(zip(IRIS, row.tolist(), strict=True)) for row in ROWS]


@pytest.fixture
def load(tmp_path):
    def run(document, **metadata):
        path = tmp_path / "model.pfa"
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        return pfa.load(path, LoadOptions(metadata=msgspec.convert(metadata, Metadata)))

    return run


def majority(values):
    return str(NAMES[values.argmax()])


def binary():
    return LogisticRegression().fit(ROWS, LABELS == 1)


def test_a_linear_model_answers_as_titus_and_as_the_estimator(load):
    own = LinearRegression().fit(ROWS, LABELS)
    document = linear(own.coef_.tolist(), float(own.intercept_))
    answers = ask(load(document), ROWS)
    assert answers.tolist() == titus_answers(document, NAMED)
    assert np.allclose(answers, own.predict(ROWS), rtol=1e-12)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "loglog", "cauchit", "softplus", "tanh"])
def test_links_answer_as_titus(load, link):
    own = binary()
    document = linear(own.coef_[0].tolist(), float(own.intercept_[0]), f"m.link.{link}")
    assert ask(load(document), ROWS).tolist() == titus_answers(document, NAMED)


def test_several_classes_are_a_column_each(load):
    own = LogisticRegression().fit(ROWS, LABELS)
    document = linear(own.coef_.tolist(), own.intercept_.tolist(), "m.link.softmax", kind=DOUBLES)
    model = load(document)
    assert np.allclose(ask(model, ROWS), titus_answers(document, NAMED), rtol=1e-12)
    assert np.allclose(ask(model, ROWS), own.predict_proba(ROWS), rtol=1e-9)
    assert described(model.outputs) == [("predict", "FP64", (-1, 3))]


def test_a_tree_answers_as_titus_and_as_the_estimator(load):
    own = DecisionTreeClassifier(random_state=1).fit(ROWS, LABELS)
    document = tree(own, "string", majority)
    model = load(document)
    answers = ask(model, ROWS).tolist()
    assert answers == titus_answers(document, NAMED) == NAMES[own.predict(ROWS)].tolist()
    assert described(model.inputs) == [("X", "FP64", (-1, 4))]
    assert described(model.outputs) == [("predict", "BYTES", (-1,))]
    assert model.features == IRIS
    assert model.platform == "pfa_json"


def test_a_forest_that_votes_answers_as_titus(load):
    own = RandomForestClassifier(7, random_state=1).fit(ROWS, LABELS)
    document = forest(own.estimators_, "string", majority, combine="a.mode")
    assert ask(load(document), ROWS).tolist() == titus_answers(document, NAMED)


def test_a_forest_that_averages_answers_as_titus_and_as_the_estimator(load):
    own = RandomForestRegressor(7, random_state=1).fit(ROWS, LABELS)
    document = forest(own.estimators_, "double", lambda values: float(values[0]), combine="a.mean")
    answers = ask(load(document), ROWS)
    assert answers.tolist() == titus_answers(document, NAMED)
    assert np.allclose(answers, own.predict(ROWS.astype(np.float32)))


@pytest.mark.parametrize("metric", ["euclidean", "squaredEuclidean", "chebyshev", "taxicab"])
def test_clusters_answer_as_titus(load, metric):
    own = KMeans(3, n_init=1, random_state=1).fit(ROWS)
    document = clusters(own.cluster_centers_, f"metric.{metric}")
    answers = ask(load(document), ROWS).tolist()
    assert answers == titus_answers(document, NAMED)
    if "uclidean" in metric:
        assert answers == own.predict(ROWS).astype(str).tolist()


def test_support_vectors_answer_as_titus(load):
    vector = record("Vector", supVec=DOUBLES, coeff="double")
    model = record("Machine", const="double", posClass={"type": "array", "items": vector})
    model["fields"].append({"name": "negClass", "type": {"type": "array", "items": "Vector"}})
    kernel = {
        "params": [{"x": DOUBLES}, {"y": DOUBLES}],
        "ret": "double",
        "do": {"m.kernel.rbf": ["x", "y", {"double": 0.2}]},
    }
    document = {
        "input": DOUBLES,
        "output": "double",
        "cells": {
            "svm": {
                "type": model,
                "init": {
                    "const": 0.1,
                    "posClass": [{"supVec": row.tolist(), "coeff": 0.5} for row in ROWS[:5]],
                    "negClass": [{"supVec": row.tolist(), "coeff": -0.7} for row in ROWS[-5:]],
                },
            }
        },
        "action": {"model.svm.score": ["input", {"cell": "svm"}, kernel]},
    }
    model = load(document)
    assert np.allclose(ask(model, ROWS), titus_answers(document, ROWS.tolist()), rtol=1e-12)
    assert described(model.inputs) == [("X", "FP64", (-1, -1))]


def test_missing_values_go_their_own_way(load):
    node = record(
        "TreeNode",
        field={"type": "enum", "name": "Fields", "symbols": ["a", "b"]},
        operator="string",
        value="double",
        **{"pass": ["TreeNode", "double"], "fail": ["TreeNode", "double"], "missing": ["TreeNode", "double"]},
    )
    leaf = {"TreeNode": {"field": "b", "operator": ">", "value": 1.0}}
    leaf["TreeNode"] |= {"pass": {"double": 1.0}, "fail": {"double": 2.0}, "missing": {"double": 3.0}}
    root = {"field": "a", "operator": "<", "value": 0.0, "pass": leaf, "fail": {"double": 4.0}, "missing": leaf}
    walk = {
        "params": [{"d": "Input"}, {"t": "TreeNode"}],
        "ret": ["null", "boolean"],
        "do": {"model.tree.missingTest": ["d", "t"]},
    }
    document = {
        "input": record("Input", a=["null", "double"], b=["double", "null"]),
        "output": "double",
        "cells": {"tree": {"type": node, "init": root}},
        "action": {"model.tree.missingWalk": ["input", {"cell": "tree"}, walk]},
    }
    rows = [[-1.0, 2.0], [-1.0, 0.0], [np.nan, 2.0], [-1.0, np.nan], [1.0, np.nan], [np.nan, np.nan]]
    tagged = [[None if np.isnan(value) else {"double": value} for value in row] for row in rows]
    model = load(document)
    assert model.inputs[0].nullable
    answers = ask(model, np.array(rows)).tolist()
    assert answers == titus_answers(document, [{"a": a, "b": b} for a, b in tagged]) == [1.0, 2.0, 1.0, 3.0, 4.0, 3.0]


def test_texts_and_numbers_are_inputs_of_their_own(load):
    document = {
        "input": record("Input", age="int", city="string", member="boolean"),
        "output": record("Answer", score="double", label="string"),
        "action": [
            {"let": {"base": {"if": {"==": ["input.city", ["Vigo"]]}, "then": 2.5, "else": {"double": 0.5}}}},
            {"let": {"score": {"*": ["base", {"u.half": ["input.age"]}]}}},
            {
                "new": {
                    "score": "score",
                    "label": {"if": "input.member", "then": {"string": "yes"}, "else": {"string": "no"}},
                },
                "type": "Answer",
            },
        ],
        "fcns": {"half": {"params": [{"x": "double"}], "ret": "double", "do": {"/": ["x", 2]}}},
    }
    model = load(document)
    assert described(model.inputs) == [
        ("age", "FP64", (-1, 1)),
        ("city", "BYTES", (-1, 1)),
        ("member", "BOOL", (-1, 1)),
    ]
    columns = {
        "age": np.array([[40.0], [31.0]]),
        "city": np.array([["Vigo"], ["Lugo"]], dtype=object),
        "member": np.array([[True], [False]]),
    }
    answers = model.predict(Batch(columns, rows=2, wanted=("score", "label")))
    assert {name: values.tolist() for name, values in answers.items()} == {
        "score": [50.0, 7.75],
        "label": ["yes", "no"],
    }
    rows = [{"age": 40, "city": "Vigo", "member": True}, {"age": 31, "city": "Lugo", "member": False}]
    assert [list(row.values()) for row in titus_answers(document, rows)] == [[50.0, "yes"], [7.75, "no"]]
    with pytest.raises(InvalidInputError, match=r'"age" is 1.5, where the model takes whole numbers'):
        model.predict(Batch(columns | {"age": np.array([[1.5], [2.0]])}, rows=2, wanted=("score",)))


def test_a_map_takes_its_names_from_the_metadata(load):
    model = record("Regression", const="double", coeff={"type": "map", "values": "double"})
    document = {
        "input": {"type": "map", "values": "double"},
        "output": "double",
        "cells": {"reg": {"type": model, "init": {"const": 1.0, "coeff": {"a": 2.0, "b": 3.0}}}},
        "action": {"model.reg.linear": ["input", {"cell": "reg"}]},
    }
    assert ask(load(document, featureNames=["b", "a"]), np.array([[1.0, 10.0]])).tolist() == [24.0]
    assert titus_answers(document, [{"a": 10.0, "b": 1.0}]) == [24.0]
    with pytest.raises(ModelError, match="declare them as featureNames"):
        load(document)


@pytest.mark.parametrize(
    "expression",
    [
        {"+": ["x", 2]}, {"-": ["x", 2]}, {"*": ["x", 2]}, {"/": ["x", 2]}, {"/": ["x", 0]}, {"**": ["x", 2]},
        {"**": ["x", 0.5]}, {"u-": ["x"]}, {"max": ["x", 0]}, {"min": ["x", 0]}, {"m.exp": ["x"]}, {"m.ln": ["x"]},
        {"m.log10": ["x"]}, {"m.ln1p": ["x"]}, {"m.expm1": ["x"]}, {"m.sqrt": ["x"]}, {"m.abs": ["x"]},
        {"m.floor": ["x"]}, {"m.ceil": ["x"]}, {"m.sin": ["x"]}, {"m.atan": ["x"]}, {"m.asin": ["x"]},
        {"m.sinh": ["x"]}, {"m.cosh": ["x"]}, {"m.atan2": ["x", 2]}, {"m.hypot": ["x", 2]}, {"m.special.erf": ["x"]},
        {"m.link.relu": ["x"]}, {"a.sum": [{"type": DOUBLES, "new": ["x", 1, 2.5]}]},
        {"a.product": [{"type": DOUBLES, "new": ["x", 1, 2.5]}]}, {"a.max": [{"type": DOUBLES, "new": ["x", 1]}]},
        {"a.logsumexp": [{"type": DOUBLES, "new": ["x", 1]}]}, {"metric.absDiff": ["x", 2]},
        {"metric.gaussianSimilarity": ["x", 2, 1.5]}, {"a.head": [{"type": DOUBLES, "new": ["x", 1]}]},
        {"a.reduce": [{"type": DOUBLES, "new": ["x", 1, 4]},
                      {"params": [{"a": "double"}, {"b": "double"}], "ret": "double", "do": {"-": ["a", "b"]}}]},
        {"cond": [{"if": {"<": ["x", 0]}, "then": -1.0}, {"if": {">=": ["x", 2]}, "then": 1.0}], "else": 0.0},
        {"if": {"&&": [{">": ["x", -1]}, {"!": [{"!=": ["x", 0.5]}]}]}, "then": 1.0, "else": 2.0},
        {"if": {"||": [{">": ["x", 1]}, {"<=": ["x", -1]}]}, "then": 1.0, "else": 2.0},
        {"do": [{"let": {"y": "x"}}, {"set": {"y": {"+": ["y", 1]}}}, "y"]},
        {"do": [{"let": {"t": 0.5}},
                {"foreach": "v", "in": {"type": DOUBLES, "new": ["x", 1.5]}, "do": {"set": {"t": {"+": ["t", "v"]}}}, "seq": True},
                "t"]},
        {"attr": {"type": record("Pair", a="double", b=DOUBLES), "value": {"a": 1.0, "b": [2.0, 3.0]}}, "path": [["b"], 1]},
        {"ifnotnull": {"n": {"type": ["null", "double"], "value": {"double": 3.0}}}, "then": "n", "else": 0.0},
        {"cast": {"type": ["string", "double"], "value": {"string": "a"}},
         "cases": [{"as": "string", "named": "s", "do": 1.0}, {"as": "double", "named": "d", "do": "d"}]},
        {"upcast": 3, "as": "double"},
    ],
    ids=lambda value: next(iter(value)),
)  # fmt: skip
def test_expressions_answer_as_titus(load, expression):
    document = {"input": "double", "output": "double", "action": [{"let": {"x": "input"}}, expression]}
    values = [-2.5, -1.0, 0.0, 0.5, 1.0, 3.0, 800.0]
    try:
        expected = np.array(titus_answers(document, values), dtype=float)
    except (OverflowError, ValueError):  # Titus has Python's arithmetic in places, where PFA asks for Java's
        values = [0.25, 0.5]
        expected = np.array(titus_answers(document, values), dtype=float)
    np.testing.assert_allclose(ask(load(document), np.array(values)), expected, rtol=1e-15)


def doubles(*values):
    return {"type": DOUBLES, "new": list(values)}


def function(body, *names, kind="double"):
    return {"params": [{name: "double"} for name in names], "ret": kind, "do": body}


POSITIVE = function({">": ["a", 0]}, "a", kind="boolean")
ADD = function({"+": ["a", "b"]}, "a", "b")
PAIR = {"type": {"type": "map", "values": "double"}, "new": {"p": "x", "q": 2.0}}
TEXTS = {"type": {"type": "array", "items": "string"}, "value": ["b", "a", "b"]}
BAYES = {
    "type": {"type": "array", "items": record("Gauss", mean="double", variance="double")},
    "value": [{"mean": 0.5, "variance": 2.0}, {"mean": -1.0, "variance": 0.3}],
}
LAYER = record("Layer", weights={"type": "array", "items": DOUBLES}, bias=DOUBLES)
LAYERS = {
    "type": {"type": "array", "items": LAYER},
    "value": [{"weights": [[0.5], [-1.5]], "bias": [0.1, 0.2]}, {"weights": [[1.0, 2.0]], "bias": [0.3]}],
}
NULL = {"type": ["null", "double"], "value": None}
SIMPLE = {"fcn": "metric.absDiff"}
MAPS = {"type": "map", "values": "double"}


@pytest.mark.parametrize(
    ("expression", "output"),
    [
        ({"m.pi": []}, "double"),
        ({"m.e": []}, "double"),
        ({"m.cos": ["x"]}, "double"),
        ({"m.tan": ["x"]}, "double"),
        ({"m.acos": ["x"]}, "double"),
        ({"m.tanh": ["x"]}, "double"),
        ({"m.round": ["x"]}, "long"),
        ({"m.rint": ["x"]}, "double"),
        ({"m.signum": ["x"]}, "int"),
        ({"m.copysign": ["x", -1.0]}, "double"),
        ({"//": [7, 2]}, "int"),
        ({"%": [7, 2]}, "int"),
        ({"==": ["x", 0.5]}, "boolean"),
        ({"^^": [{">": ["x", 0]}, True]}, "boolean"),
        ({"a.len": [doubles("x", 1.0)]}, "int"),
        ({"a.min": [doubles("x", 1.0)]}, "double"),
        ({"a.argmax": [doubles("x", 0.5, 1.0)]}, "int"),
        ({"a.argmin": [doubles("x", 0.5, 0.5)]}, "int"),
        ({"a.last": [doubles("x", 1.0)]}, "double"),
        ({"a.reverse": [doubles("x", 1.0)]}, DOUBLES),
        ({"a.sort": [doubles("x", 0.7, 1.0)]}, DOUBLES),
        ({"a.append": [doubles("x"), 1.0]}, DOUBLES),
        ({"a.concat": [doubles("x"), doubles(1.0)]}, DOUBLES),
        ({"a.contains": [doubles("x"), 0.5]}, "boolean"),
        ({"a.count": [doubles("x", 0.5, 0.5), 0.5]}, "int"),
        ({"a.flatten": [{"type": {"type": "array", "items": DOUBLES}, "new": [doubles("x"), doubles(1.0)]}]}, DOUBLES),
        ({"a.subseq": [doubles("x", 1.0, 2.0), 1, 3]}, DOUBLES),
        ({"a.len": [{"a.filter": [doubles(1.0, "x"), POSITIVE]}]}, "int"),
        ({"a.any": [doubles("x", -1.0), POSITIVE]}, "boolean"),
        ({"a.all": [doubles("x", 1.0), POSITIVE]}, "boolean"),
        ({"a.zipmap": [doubles("x", 1.0), doubles(2.0, 3.0), ADD]}, DOUBLES),
        ({"a.fold": [doubles("x", 1.0), 10.0, ADD]}, "double"),
        (
            {
                "a.mapWithIndex": [
                    doubles("x", 1.0),
                    {"params": [{"i": "int"}, {"v": "double"}], "ret": "double", "do": {"*": ["i", "v"]}},
                ]
            },
            DOUBLES,
        ),
        ({"map.len": [PAIR]}, "int"),
        ({"a.sort": [{"map.keys": [PAIR]}]}, {"type": "array", "items": "string"}),
        ({"a.sort": [{"map.values": [PAIR]}]}, DOUBLES),
        ({"map.containsKey": [PAIR, ["p"]]}, "boolean"),
        ({"map.argmax": [PAIR]}, "string"),
        ({"map.argmin": [PAIR]}, "string"),
        ({"map.add": [PAIR, ["r"], 3.0]}, MAPS),
        ({"map.map": [PAIR, function({"*": ["a", 2]}, "a")]}, MAPS),
        (
            {
                "map.mapWithKey": [
                    PAIR,
                    {
                        "params": [{"k": "string"}, {"v": "double"}],
                        "ret": "double",
                        "do": {"+": ["v", {"s.len": ["k"]}]},
                    },
                ]
            },
            MAPS,
        ),
        ({"m.link.softmax": [PAIR]}, MAPS),
        ({"m.link.logit": [doubles("x", 1.0)]}, DOUBLES),
        ({"a.mode": [TEXTS]}, "string"),
        ({"s.len": [["abc"]]}, "int"),
        ({"s.lower": [["aBc"]]}, "string"),
        ({"s.upper": [["aBc"]]}, "string"),
        ({"s.concat": [["a"], ["b"]]}, "string"),
        ({"s.contains": [["abc"], ["b"]]}, "boolean"),
        ({"impute.defaultOnNull": [NULL, 7.0]}, "double"),
        ({"impute.errorOnNull": [{"type": ["null", "double"], "value": {"double": 2.0}}]}, "double"),
        ({"impute.isnan": ["x"]}, "boolean"),
        ({"impute.isinf": ["x"]}, "boolean"),
        ({"m.kernel.linear": [doubles("x", 1.0), doubles(2.0, 3.0)]}, "double"),
        ({"m.kernel.poly": [doubles("x", 1.0), doubles(2.0, 3.0), 0.5, 1.0, 3.0]}, "double"),
        ({"m.kernel.sigmoid": [doubles("x", 1.0), doubles(2.0, 3.0), 0.5, 1.0]}, "double"),
        ({"metric.simpleEuclidean": [doubles("x", 1.0), doubles(2.0, 3.0)]}, "double"),
        ({"metric.minkowski": [SIMPLE, doubles("x", 1.0), doubles(2.0, 3.0), 3.0]}, "double"),
        ({"metric.taxicab": [SIMPLE, doubles("x", 1.0), doubles(2.0, 3.0), doubles(1.0, 4.0)]}, "double"),
        ({"model.naive.gaussian": [doubles("x", 1.0), BAYES]}, "double"),
        ({"model.neural.simpleLayers": [doubles("x"), LAYERS, function({"m.tanh": ["a"]}, "a")]}, DOUBLES),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) and "type" not in value else "",
)
def test_functions_answer_as_titus(load, expression, output):
    document = {"input": "double", "output": output, "action": [{"let": {"x": "input"}}, expression]}
    values = [-0.75, 0.25, 0.5]
    expected = titus_answers(document, values)
    if isinstance(output, dict) and output["type"] == "map":
        expected = [[row[key] for key in sorted(row)] for row in expected]
    answers = ask(load(document), np.array(values)).tolist()
    if "string" in json.dumps(output):
        assert answers == expected
    else:
        np.testing.assert_allclose(answers, expected, rtol=1e-15)


CHECKS = record("Check", field={"type": "enum", "name": "Names", "symbols": ["a"]}, operator="string", value="double")


@pytest.mark.parametrize("kind", ["and", "or", "xor"])
def test_compound_tests_answer_as_titus(load, kind):
    checks = [{"field": "a", "operator": ">", "value": 0.0}, {"field": "a", "operator": "<=", "value": 1.0}]
    document = {
        "input": record("Input", a="double"),
        "output": "boolean",
        "cells": {"checks": {"type": {"type": "array", "items": CHECKS}, "init": checks}},
        "action": {
            "model.tree.compoundTest": [
                "input",
                [kind],
                {"cell": "checks"},
                {
                    "params": [{"d": "Input"}, {"t": "Check"}],
                    "ret": "boolean",
                    "do": {"model.tree.simpleTest": ["d", "t"]},
                },
            ]
        },
    }
    values = [-1.0, 0.5, 2.0]
    expected = titus_answers(document, [{"a": value} for value in values])
    assert ask(load(document), np.array(values)[:, None]).tolist() == expected


def test_surrogate_tests_answer_as_titus(load):
    checks = [{"field": "a", "operator": ">", "value": 0.0}, {"field": "b", "operator": "<=", "value": 1.0}]
    check = record("Check", field={"type": "enum", "name": "Names", "symbols": ["a", "b"]}, operator="string")
    check["fields"].append({"name": "value", "type": "double"})
    test = {
        "params": [{"d": "Input"}, {"t": "Check"}],
        "ret": ["null", "boolean"],
        "do": {"model.tree.missingTest": ["d", "t"]},
    }
    document = {
        "input": record("Input", a=["null", "double"], b=["null", "double"]),
        "output": "boolean",
        "cells": {"checks": {"type": {"type": "array", "items": check}, "init": checks}},
        "action": {"model.tree.surrogateTest": ["input", {"cell": "checks"}, test]},
    }
    rows = [[1.0, np.nan], [np.nan, 0.5], [-1.0, 0.5], [np.nan, 2.0]]
    tagged = [[None if np.isnan(value) else {"double": value} for value in row] for row in rows]
    expected = titus_answers(document, [{"a": a, "b": b} for a, b in tagged])
    assert ask(load(document), np.array(rows)).tolist() == expected == [True, True, False, False]
    with pytest.raises(ValueError, match="all values are missing"):
        ask(load(document), np.array([[np.nan, np.nan]]))


def test_every_function_is_compared_with_titus():
    """By name: each stands somewhere in this file, or in the documents of `support.pfa`."""
    written = Path(__file__).read_text() + Path(support_pfa.__file__).read_text()
    links = {f"m.link.{name}" for name in ("logit", "probit", "cloglog", "loglog", "cauchit", "softplus", "tanh")}
    metrics = {f"metric.{name}" for name in ("euclidean", "squaredEuclidean", "chebyshev", "taxicab")}
    missing = {name for name in FUNCTIONS if f'"{name}"' not in written} - links - metrics
    assert missing == set()


def test_rows_that_have_no_answer_say_why(load):
    document = {"input": "double", "output": "double", "action": {"error": "no such customer"}}
    with pytest.raises(ValueError, match="the model says: no such customer"):
        ask(load(document), np.array([1.0]))


def test_several_threads_do_not_disturb_each_other(load):
    own = RandomForestRegressor(5, random_state=1).fit(ROWS, LABELS)
    model = load(forest(own.estimators_, "double", lambda values: float(values[0]), combine="a.mean"))
    alone = ask(model, ROWS).tolist()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: ask(model, ROWS).tolist(), range(8))) == [alone] * 8


def changed(**parts):
    return {"input": "double", "output": "double", "action": "input"} | parts


LOOP = {"f": {"params": [{"x": "double"}], "ret": "double", "do": {"u.g": ["x"]}}}
LOOP["g"] = {"params": [{"x": "double"}], "ret": "double", "do": {"u.f": ["x"]}}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"", "cut short"),
        (b"{", "cut short"),
        (b"[]", "the document: expected an object"),
        (b'{"input": "double"}', 'the document: "output" is missing'),
        (b"[" * 100000, "cut short"),
        (changed(method="fold"), """method: only "map" is supported, not 'fold'"""),
        (changed(begin=[{"log": ["a"]}]), "begin: is not supported"),
        (changed(pools={"p": {}}), "pools: is not supported"),
        (changed(action={"rand.float": [0, 1]}), "action.rand.float: this function or form is not supported"),
        (changed(action=[{"+": ["input", {"m.exp": [{"time.now": []}]}]}]), "action[0].+[1].m.exp[0].time.now: this"),
        (changed(action={"while": True, "do": "input"}), "action: this form is not supported: do, while"),
        (changed(action={"emit": "input"}), "action.emit: this function or form is not supported"),
        (changed(action={"+": ["input"]}), "action.+: 1 arguments, where 2 are expected"),
        (changed(action="inputs"), 'action: "inputs" is not defined here'),
        (changed(action="os.environ"), 'action: "os" is not defined here'),
        (changed(action={"a.map": [{"type": DOUBLES, "new": []}, "input"]}), "action.a.map[1]: expected a function"),
        (changed(action={"a.map": [{"type": DOUBLES, "new": []}, {"fcn": "os.system"}]}), '"os.system" is no function'),
        (changed(action={"cell": "x"}), "action: the document has no cell 'x'"),
        (changed(action={"cell": "x", "to": 1}), "action: writing to a cell"),
        (changed(action=[]), "action: an empty block"),
        (changed(action={"u.f": ["input"]}, fcns=LOOP), "calls itself"),
        (changed(action={"u.h": ["input"]}), "the document defines no function h"),
        (changed(input="bytes"), 'input: "bytes" is no type that is supported'),
        (changed(input={"type": "map", "values": DOUBLES}), "input: a map does not tell its keys"),
        (changed(input={"type": "array", "items": "string"}), "input: a array is no row"),
        (changed(output=["null", "string"]), "output: predict: a union has no form as a tensor"),
        (changed(cells={"c": {"type": "int", "init": 1.5}}), "cells.c.init: expected int, found 1.5"),
        (changed(cells={"c": {"type": DOUBLES, "init": [1, "a"]}}), "cells.c.init[1]: expected double, found 'a'"),
        (changed(cells={"c": {"type": DOUBLES, "init": [], "source": "avro"}}), "cells.c.source: values have to stand"),
        (changed(cells={"c": {"type": ["null", "int"], "init": 1}}), "cells.c.init: expected one of null, int under its"),
        (changed(cells={"c": {"type": tree_type("double"), "init": {"field": "sl"}}}), 'cells.c.init: "fail" is missing'),
        (changed(cells=[1]), "no well-formed document"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused_with_its_place(load, document, said):
    with pytest.raises(ModelError) as caught:
        load(document)
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED
    assert said in caught.value.message
    assert caught.value.message.startswith("model.pfa is no PFA document that can be served: ")


def test_a_tree_that_is_deep_without_end_is_refused(load):
    node = {"double": 1.0}
    for _ in range(400):
        node = {"TreeNode": {"field": "sl", "operator": "<", "value": 1.0, "pass": node, "fail": {"double": 0.0}}}
    document = changed(
        input=numbers(*IRIS),
        cells={"tree": {"type": tree_type("double"), "init": node["TreeNode"]}},
        action={"model.tree.simpleTree": ["input", {"cell": "tree"}]},
    )
    with pytest.raises(ModelError, match="nested too deeply"):
        load(document)
