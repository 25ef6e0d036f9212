"""What docs/formats.md says is so."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from modelway.server.formats import REGISTRY, pfa
from modelway.server.formats.base import LoadOptions
from support.formats import ask

DOCS = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()


@pytest.mark.parametrize("name", REGISTRY)
def test_every_format_is_listed_with_its_files_extra_and_image(name):
    entry = REGISTRY[name]
    row = next(line for line in DOCS.splitlines() if line.startswith(f"| `{name}` |"))
    assert all(suffix in row for suffix in (*entry.suffixes, *entry.shared))
    assert f"| `{entry.extra}` |" in row
    assert row.endswith("| both |" if entry.in_base_image else "| full |")
    assert ("code: AllowList" in row) == entry.runs_code


def test_the_document_of_pfa_is_one_that_is_served(tmp_path):
    document = next(
        block for block in re.findall(r"```json\n(.+?)```", DOCS, re.DOTALL) if "action" in json.loads(block)
    )
    path = tmp_path / "model.pfa"
    path.write_text(document)
    model = pfa.load(path, LoadOptions())
    assert model.features == ("age", "income")
    assert ask(model, np.array([[40.0, 100.0]])) == pytest.approx([1 / (1 + np.exp(0.0))])
