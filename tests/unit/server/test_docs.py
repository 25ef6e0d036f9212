"""What docs/model-server.md and docs/artifacts.md say is so."""

import json
import re
from pathlib import Path

import click
import pytest

from modelway.artifacts.reasons import Reason
from modelway.cli import main
from modelway.server.loading import load
from modelway.server.metadata import Metadata
from modelway.server.metrics import Metrics
from modelway.server.options import ServerOptions
from support.models import iris

DOCS = Path(__file__).parents[3] / "docs"
SERVER = (DOCS / "model-server.md").read_text()
ARTIFACTS = (DOCS / "artifacts.md").read_text()
PACKING = (DOCS / "packing.md").read_text()
CONVERT = (DOCS / "convert.md").read_text()


def test_the_example_of_metadata_is_that_of_a_model_that_loads(model_folder):
    example = json.loads(re.search(r"```json\n(.+?)```", PACKING, re.DOTALL)[1])
    assert {*Metadata.__struct_encode_fields__} - {"transform"} == set(example)
    loaded = load(ServerOptions(model_folder(iris().onnx, **example), "iris"))
    assert (loaded.version, loaded.golden) == ("17", 2)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_explained(reason):
    assert f"`{reason}`" in SERVER + ARTIFACTS + PACKING + CONVERT


SERVE_OPTIONS = [param for param in main.commands["serve"].params if isinstance(param, click.Option)]


@pytest.mark.parametrize("option", SERVE_OPTIONS, ids=lambda param: param.opts[0])
def test_every_option_is_listed_with_its_variable(option):
    assert f"`{option.opts[0]}`" in SERVER
    assert f"`{option.envvar}`" in SERVER


def test_every_metric_is_listed():
    metrics = Metrics(model="m", version="1", revision="r", in_flight=lambda: 0)
    names = re.findall(r"^# TYPE (modelway\S+)", metrics.render().decode(), re.MULTILINE)
    assert names
    for name in names:
        assert f"`{name}`" in SERVER or name.endswith("_created")


def test_every_variable_of_fetch_is_listed():
    shown = main.commands["fetch"].help
    for variable in re.findall(r"\b[A-Z]{2,}(?:_[A-Z0-9]+)+\b", shown):
        assert f"`{variable}`" in ARTIFACTS
