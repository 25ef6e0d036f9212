"""Writes the tables of the operator's settings and metrics (docs/operator.md) and of the chart's values (its README).

python -m hack.settings            # write
python -m hack.settings --check    # compare, for CI
"""

import re
import sys
from datetime import UTC, datetime
from functools import reduce
from itertools import pairwise
from operator import getitem
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from hack.generated import ROOT, between_markers, main, prose, table
from pydantic.fields import FieldInfo

from modelway.api.rollout import Rollout
from modelway.api.status import CheckCounts, CheckStatus, LiveWeight, RolloutStatus
from modelway.controller.metrics import make_metrics
from modelway.controller.settings import OperatorSettings
from modelway.kube.store import Owner
from modelway.plan.rollout.ledger import Ledger
from modelway.stats import Evidence

PAGE = ROOT / "docs" / "operator.md"
CHART = ROOT / "charts" / "modelway"
README = CHART / "README.md"

_TYPES = {str: "text", int: "whole number", float: "number", tuple[str, ...]: "list"}


def files() -> dict[Path, str]:
    """What should be in the pages."""
    page = between_markers(PAGE.read_text(), "settings", settings_table())
    page = between_markers(page, "metrics", metrics_table())
    readme = between_markers(README.read_text(), "values", values_table((CHART / "values.yaml").read_text()))
    return {PAGE: page, README: readme}


def settings_table() -> str:
    """Every setting with its type, its default and the chart's value for it."""
    values = values_by_variable((CHART / "templates" / "deployment.yaml").read_text())
    rows = []
    for name, field in OperatorSettings.model_fields.items():
        variable = f"MODELWAY_{name.upper()}"
        value = f"`{values[variable]}`" if values[variable] else "set by the chart"
        rows.append((f"`{variable}`", _type(field), _default(field), value, prose(field.description)))
    return table(("Variable", "Type", "Default", "Value of the chart", "Meaning"), rows)


def values_by_variable(template: str) -> dict[str, str]:
    """Which value of the chart gives which variable, read from the Deployment's template; empty where none does."""
    found = {}
    for before, block in pairwise(re.split(r"\n\s*- name: (?=MODELWAY_)", template)):
        guard = re.search(r"\{\{- with \.Values\.([\w.]+) }}\s*$", before)
        given = re.search(r"\n\s*value:.*?\.Values\.([\w.]+)", block.split("- name:", 1)[0])
        told = given or guard
        found[block.split("\n", 1)[0]] = told[1] if told else ""
    return found


def _type(field: FieldInfo) -> str:
    if get_origin(field.annotation) is not tuple and (choices := get_args(field.annotation)):
        return " or ".join(f"`{choice}`" for choice in choices)
    words = _TYPES[field.annotation]
    bounds = {key: getattr(bound, key) for bound in field.metadata for key in ("ge", "gt", "le") if hasattr(bound, key)}
    if "ge" in bounds and "le" in bounds:
        return f"{words}, {bounds['ge']} to {bounds['le']}"
    return f"{words}, more than {bounds['gt']:g}" if "gt" in bounds else words


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default_factory is not None or field.default == ():
        return ""
    return f"`{field.default:g}`" if isinstance(field.default, float) else f"`{field.default}`"


_A_ROLLOUT = RolloutStatus(
    state="Progressing",
    weight=5,
    live_weight=LiveWeight(min=5, max=5),
    checks=(CheckStatus(name="errors", verdict="Continue", candidate=CheckCounts(requests=1, bad=0)),),
)
_ITS_LEDGER = Ledger(
    stable="6f1c2a9b",
    candidate="0b77d1ce",
    rollout=Rollout(),
    floor=1,
    seen_at=datetime(2026, 1, 1, tzinfo=UTC),
    evidence={"errors": Evidence.begin(0.01)},
)


def metrics_table() -> str:
    """The operator's own metrics with their labels; those of the process and of Python have their usual names."""
    metrics = make_metrics()
    metrics.count_request("GET", 200)  # a metric tells its labels when it has a value
    metrics.count_reconcile("success")
    metrics.count_error("Conflict")
    metrics.rollouts.saw(Owner("ml", "fraud"), _A_ROLLOUT, _ITS_LEDGER)
    rows = []
    for family in metrics.registry.collect():
        if family.name.startswith(("process_", "python_")):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
        rows.append((f"`{name}`", family.type, ", ".join(f"`{label}`" for label in labels), family.documentation))
    return table(("Metric", "Type", "Labels", "Meaning"), rows)


def values_table(text: str) -> str:
    """Every value of the chart that has a comment and no commented values in it, with its default and its comment."""
    commented, values = comments_of(text), yaml.safe_load(text)
    rows = []
    for path, comment in commented.items():
        if any(other[: len(path)] == path for other in commented if other != path):
            continue
        default: Any = reduce(getitem, path, values)
        shown = yaml.safe_dump(default, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
        rows.append((f"`{'.'.join(path)}`", "" if default == "" else f"`{shown}`", comment))
    return table(("Value", "Default", "Meaning"), rows)


def comments_of(values: str) -> dict[tuple[str, ...], str]:
    """The keys of a values.yaml that follow a comment, as paths, with the comment in one line."""
    found = {}
    path: list[str] = []
    comment: list[str] = []
    for line in values.splitlines():
        if told := re.match(r"\s*# (.*)", line):
            comment.append(told[1])
            continue
        if key := re.match(r"( *)(\w+):", line):
            path = [*path[: len(key[1]) // 2], key[2]]
            if comment:
                found[tuple(path)] = " ".join(comment)
        comment = []
    return found


if __name__ == "__main__":
    sys.exit(main("hack.settings", "Write the tables of the operator's settings and of the chart's values.", files()))
