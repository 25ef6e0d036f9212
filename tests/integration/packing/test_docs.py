"""The examples of docs/packing.md and docs/convert.md work as they are printed."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from modelway.cli import main
from modelway.server import loading
from modelway.server.code import Code
from modelway.server.options import ServerOptions

DOCS = Path(__file__).resolve().parents[3] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.+?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


def run_python(page: str) -> None:
    """All Python of a page, in its order, in one namespace, as a reader would type it."""
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        if "def transform" not in block:
            exec(compile(block, page, "exec"), names)


def commands(page: str) -> list[tuple[list[str], list[str]]]:
    """The modelway commands of a page, each with the lines that it is said to print."""
    found: list[tuple[list[str], list[str]]] = []
    for line in "\n".join(blocks(page, "console")).splitlines():
        if line.startswith("$ "):
            found.append((shlex.split(line[2:]), []))
        elif found:
            found[-1][1].append(line)
    return [(command[1:], told) for command, told in found if command[0] == "modelway"]


@pytest.mark.parametrize("page", ["packing.md", "convert.md"])
def test_the_page_does_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_python(page)
    ran = 0
    for command, told in commands(page):
        if command[0] == "serve":
            assert loading.load(ServerOptions(tmp_path / command[1], "m", code=Code.ALLOW_LIST)).golden == 2
            continue
        ended = CliRunner().invoke(main, command)
        assert ended.exit_code == 0, ended.output
        for line in told:
            assert pattern(line).search(ended.output), f"{line!r} is not in {ended.output!r}"
        ran += 1
    assert ran == 1


def pattern(line: str) -> re.Pattern[str]:
    """A printed line, with any digits in the place of digests and of measured differences."""
    escaped = re.escape(line).replace("sha256:…", "sha256:[0-9a-f]{64}")
    return re.compile(re.sub(r"largest\\ difference\\ [0-9.e\\-]+", r"largest\\ difference\\ [0-9.e-]+", escaped))
