"""PFA documents as model writers make them, and Titus, the reference implementation, to compare with.

Titus was written for Python 3.10 and numpy 1; two names that have gone since are given back to it here.
"""

import inspect
import warnings
from functools import cache

import numpy as np


@cache
def _titus():
    if not hasattr(inspect, "getargspec"):
        inspect.getargspec = inspect.getfullargspec
    if not hasattr(np, "float_"):
        setattr(np, "float_", np.float64)  # noqa: B010 a name that linters take for a mistake
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from titus.genpy import PFAEngine

    return PFAEngine


def titus_answers(document, rows):
    """What Titus answers to each of these inputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (engine,) = _titus().fromJson(document)
        return [engine.action(row) for row in rows]


def record(name, **fields):
    return {"type": "record", "name": name, "fields": [{"name": key, "type": kind} for key, kind in fields.items()]}


def numbers(*names):
    return record("Input", **dict.fromkeys(names, "double"))


DOUBLES = {"type": "array", "items": "double"}
IRIS = ("sl", "sw", "pl", "pw")


def linear(coefficients, constant, link=None, kind="double"):
    """As Aurelius writes lm and glm: the fields into an array, a regression cell, a link function."""
    score = {"model.reg.linear": ["x", {"cell": "reg"}]}
    several = isinstance(constant, list)
    model = record("Regression", const=DOUBLES if several else "double")
    model["fields"].append({"name": "coeff", "type": {"type": "array", "items": DOUBLES} if several else DOUBLES})
    return {
        "input": numbers(*IRIS),
        "output": kind,
        "cells": {"reg": {"type": model, "init": {"const": constant, "coeff": coefficients}}},
        "action": [
            {"let": {"x": {"type": DOUBLES, "new": [f"input.{name}" for name in IRIS]}}},
            {link: [score]} if link else score,
        ],
    }


def tree_type(leaf):
    node = {
        "field": {"type": "enum", "name": "Fields", "symbols": list(IRIS)},
        "operator": "string",
        "value": "double",
        "pass": ["TreeNode", leaf],
        "fail": ["TreeNode", leaf],
    }
    return record("TreeNode", **node)


def tree_of(sklearn_tree, leaf, name):
    """A fitted scikit-learn tree as a PFA cell; `name` makes a leaf's value of its numbers."""
    arrays = sklearn_tree.tree_

    def node(index):
        if arrays.children_left[index] == -1:
            return {leaf: name(arrays.value[index][0])}
        return {
            "TreeNode": {
                "field": IRIS[arrays.feature[index]],
                "operator": "<=",
                "value": float(arrays.threshold[index]),
                "pass": node(arrays.children_left[index]),
                "fail": node(arrays.children_right[index]),
            }
        }

    return node(0)["TreeNode"]


def tree(estimator, leaf, name):
    return {
        "input": numbers(*IRIS),
        "output": leaf,
        "cells": {"tree": {"type": tree_type(leaf), "init": tree_of(estimator, leaf, name)}},
        "action": {"model.tree.simpleTree": ["input", {"cell": "tree"}]},
    }


def forest(estimators, leaf, name, *, combine):
    """As Aurelius writes randomForest: each tree walked by a function in place, then the mean or the mode."""
    walk = {
        "params": [{"tree": "TreeNode"}],
        "ret": leaf,
        "do": {
            "model.tree.simpleWalk": [
                "input",
                "tree",
                {
                    "params": [{"d": "Input"}, {"t": "TreeNode"}],
                    "ret": "boolean",
                    "do": {"model.tree.simpleTest": ["d", "t"]},
                },
            ]
        },
    }
    return {
        "input": numbers(*IRIS),
        "output": leaf,
        "cells": {
            "forest": {
                "type": {"type": "array", "items": tree_type(leaf)},
                "init": [tree_of(one, leaf, name) for one in estimators],
            }
        },
        "action": [{"let": {"scores": {"a.map": [{"cell": "forest"}, walk]}}}, {combine: ["scores"]}],
    }


def clusters(centres, metric):
    """As Titus' own k-means producer writes them."""
    return {
        "input": numbers(*IRIS),
        "output": "string",
        "cells": {
            "clusters": {
                "type": {"type": "array", "items": record("Cluster", center=DOUBLES, id="string")},
                "init": [{"center": list(centre), "id": str(index)} for index, centre in enumerate(centres)],
            }
        },
        "action": [
            {"let": {"x": {"type": DOUBLES, "new": [f"input.{name}" for name in IRIS]}}},
            {
                "attr": {
                    "model.cluster.closest": [
                        "x",
                        {"cell": "clusters"},
                        {
                            "params": [{"a": DOUBLES}, {"b": DOUBLES}],
                            "ret": "double",
                            "do": {metric: [{"fcn": "metric.absDiff"}, "a", "b"]},
                        },
                    ]
                },
                "path": [["id"]],
            },
        ],
    }
