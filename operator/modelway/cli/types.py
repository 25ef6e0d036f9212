"""Kinds of option values that click does not bring: durations and sizes as Kubernetes users write them."""

import json
import re
from collections.abc import Mapping
from typing import Any

import click

from modelway.api.names import FEEDBACK_FIELDS

_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|ns|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_SIZE = re.compile(r"(\d+)(Ki|Mi|Gi|k|M|G)?B?")
_BYTES = {None: 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def seconds(text: str) -> float:
    """Read a Go duration, the form of every duration in Kubernetes: `300ms`, `5s`, `1m30s`, `0`.

    Raises ValueError for anything else, a bare number other than 0 included: 5 of what?
    """
    if text == "0":
        return 0.0
    if not text or _PART.sub("", text):
        raise ValueError(f"{text!r} is not a duration such as 300ms, 5s or 1m30s")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


class Duration(click.ParamType[float]):
    """A Go duration, as float seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Size(click.ParamType[int]):
    """A number of bytes as Kubernetes quantities write it: `512Ki`, `16Mi`, `1000000`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = _SIZE.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is not a size such as 512Ki or 16Mi", param, ctx)
        return int(found[1]) * _BYTES[found[2]]


class Share(click.ParamType[float]):
    """A part of a whole in percent, `10%`, as a float from 0 to 1."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)%", value)
        if found is None or float(found[1]) > 100:
            self.fail(f"{value!r} is not a percentage from 0% to 100%, such as 10%", param, ctx)
        return float(found[1]) / 100


class Slices(click.ParamType[Mapping[str, tuple[str, ...]]]):
    """Values by name, as JSON: `{"country": ["DE", "FR"]}`."""

    name = "json"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Mapping[str, tuple[str, ...]]:
        if not isinstance(value, str):
            return dict(value)
        try:
            found = json.loads(value)
        except json.JSONDecodeError as error:
            self.fail(f"is not JSON: {error.msg}, column {error.colno}", param, ctx)
        if not isinstance(found, dict):
            self.fail('expected an object of lists, such as {"country": ["DE", "FR"]}', param, ctx)
        for name, values in found.items():
            if name in FEEDBACK_FIELDS:
                self.fail(f"{name}: labels have a column of that name already; call the slice otherwise", param, ctx)
            if not isinstance(values, list) or not all(isinstance(one, str) and one for one in values):
                self.fail(f"{name}: expected a list of texts", param, ctx)
        return {name: tuple(values) for name, values in found.items()}
