"""Files, and tables of the docs, that are made from code: written by `make`, and compared in CI.

Used by `hack.crds`, `hack.reference` and `hack.settings`, which say what is to be in them. In a page, what is generated
stands between `<!-- begin: … -->` and `<!-- end: … -->`; the rest is written by hand.
"""

import argparse
import difflib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(module: str, description: str, files: Mapping[Path, str]) -> int:
    """The command line of `module`: writes `files`, or with `--check` says which of them differ and how.

    Returns:
        The process' exit code: 1 when a check has found a difference.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is not up to date")
    check = parser.parse_args().check
    stale = [path for path, text in files.items() if _on_disk(path) != text]
    for path in stale:
        if check:
            _tell_difference(path, files[path], module)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
            print(f"written: {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


def between_markers(text: str, name: str, content: str) -> str:
    """`text` with `content` between its markers `name`.

    Raises:
        ValueError: a marker is missing.
    """
    begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->\n"
    head, found_begin, rest = text.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"the markers {begin.strip()} and {end.strip()} are missing")
    return f"{head}{begin}\n{content.strip()}\n\n{end}{tail}"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def prose(text: str | None) -> str:
    """`text` in one line."""
    return " ".join((text or "").split())


def _on_disk(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _tell_difference(path: Path, wanted: str, module: str) -> None:
    name = str(path.relative_to(ROOT))
    print(f"{name} is not up to date: run `python -m {module}`", file=sys.stderr)
    lines = difflib.unified_diff(
        _on_disk(path).splitlines(), wanted.splitlines(), f"{name} as it is", f"{name} as it should be", lineterm=""
    )
    for line in [*lines][:40]:
        print(f"  {line}", file=sys.stderr)
