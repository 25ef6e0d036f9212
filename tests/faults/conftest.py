"""What was tried and how it ended goes into `bench/results/faults.md`, when all of it was tried."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results" / "faults.md"
_HEAD = """# Faults

Written by `make test-faults`, which fails when one of these does not end as it should.

| fault | seen | seconds |
|---|---|---|
"""
_rows: list[str] = []


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """What the test has seen, in a few words; a row of the results when it passes."""
    began, seen = time.monotonic(), []
    yield seen
    if request.node.stash.get(_passed, False):
        title = request.node.originalname.removeprefix("test_").replace("_", " ")
        _rows.append(f"| {title} | {'; '.join(seen)} | {time.monotonic() - began:.0f} |")


_passed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.stash[_passed] = report.passed
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == 0 and len(_rows) == session.testscollected:
        _RESULTS.parent.mkdir(exist_ok=True)
        _RESULTS.write_text(_HEAD + "\n".join(_rows) + "\n")
