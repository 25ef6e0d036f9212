"""A workstation has click and orjson; a pod that fetches a model pays for nothing of the rollouts."""

import subprocess
import sys
from pathlib import Path

import pytest

from modelway.cli.rollout.picture import read
from modelway.cli.rollout.render import render
from modelway.cli.rollout.undo import undo
from support.rollouts import NOW, STABLE, promoted, under_way

PAGE = Path(__file__).parents[4] / "docs" / "cli.md"


def modules_of(code):
    """What a fresh process has loaded after `code`."""
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


def test_the_commands_need_nothing_of_the_operator_nor_of_the_server():
    loaded = modules_of("import modelway.cli.rollout.running")
    assert not loaded & {"pydantic", "numpy", "aiohttp", "kopf", "msgspec", "modelway.plan", "modelway.api.spec"}


def test_other_commands_do_not_load_what_rollouts_need():
    loaded = modules_of("import modelway.cli.main")
    assert [name for name in loaded if name.startswith("modelway.cli.rollout.")] == ["modelway.cli.rollout.commands"]


def shown_by_the_docs(command):
    blocks = PAGE.read_text().split("```console\n")
    block = next(block for block in blocks if block.startswith(f"$ {command}\n"))
    return block.partition("\n")[2].partition("\n```")[0]


def test_the_screen_in_the_docs_is_what_is_shown():
    assert shown_by_the_docs("modelway rollout status fraud -n ml") == render(read(under_way()), NOW)


@pytest.mark.parametrize("part", ["difference", "warnings"])
def test_the_difference_in_the_docs_is_what_is_shown(part):
    obj = promoted()
    obj["spec"] = {"model": {"uri": "s3://models/fraud/17/", "version": "17"}, "serving": {"replicas": 4}}
    spec = {"model": {"uri": "s3://models/fraud/16/", "version": "16"}, "serving": {}}
    record = {"metadata": {"labels": {"modelway.dev/revision": STABLE}}, "data": {"spec": spec}}
    planned = undo(read(obj), [record], None)
    told = planned.difference if part == "difference" else f"note: {planned.warnings[0]}"
    assert told in shown_by_the_docs("modelway rollout undo fraud -n ml")
