"""What the documentation promises is there."""

import re
from pathlib import Path

import pytest

from modelway.api.conditions import Condition
from modelway.api.conditions import Reason as ConditionReason
from modelway.artifacts.reasons import Reason as ContainerReason

_ROOT = Path(__file__).resolve().parent.parent.parent
_PAGES = sorted([_ROOT / "README.md", _ROOT / "CONTRIBUTING.md", *(_ROOT / "docs").rglob("*.md")])
_REASONS = sorted({*map(str, ConditionReason), *map(str, ContainerReason)})


@pytest.mark.parametrize("word", [*map(str, Condition), *_REASONS])
def test_every_condition_and_reason_is_explained(word: str) -> None:
    assert f"`{word}`" in (_ROOT / "docs" / "conditions.md").read_text()


def test_no_reason_is_explained_that_does_not_exist() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", (_ROOT / "docs" / "conditions.md").read_text(), re.MULTILINE)
    told = {word for row in rows for word in re.findall(r"`(\w+)`", row)}
    assert told - set(_REASONS) - set(map(str, Condition)) == set()


def test_a_reason_that_two_parts_use_means_the_same_word() -> None:
    assert ConditionReason.DIGEST_MISMATCH == ContainerReason.DIGEST_MISMATCH


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", page.read_text())  # a pattern among code may look like a link
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
