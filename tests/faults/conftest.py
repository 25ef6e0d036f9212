"""What was tried and how it ended goes into `bench/results/`: a table for people, when all of it was tried; and of
rollouts and batch runs a file for programs, of each fault when it was tried last.
"""

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hack.demo.kubectl import Kubectl

from e2e.conftest import bucket, environment, iris, kubectl, onnx_bytes
from support.deployments import Bucket
from support.entrance import entrance
from support.trial import Load, Trial

__all__ = ["bucket", "entrance", "environment", "iris", "kubectl", "onnx_bytes"]

_RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"
_TABLE = _RESULTS / "faults.md"
_KEPT = {"test_rollout": _RESULTS / "faults-rollouts.json", "test_batch": _RESULTS / "faults-batch.json"}
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
    title = request.node.originalname.removeprefix("test_").replace("_", " ")
    has_passed = request.node.stash.get(_passed, False)
    if has_passed:
        _rows.append(f"| {title} | {'; '.join(seen)} | {time.monotonic() - began:.0f} |")
    for beginning, file in _KEPT.items():
        if request.node.path.name.startswith(beginning):
            _keep(file, request.node.name.removeprefix("test_"), "; ".join(seen) if has_passed else None)


def _keep(file: Path, fault: str, seen: str | None) -> None:
    """Write down what was seen of a fault; of one that did not end as it should, or was cut short, nothing."""
    if any(name.startswith("MODELWAY_FAULTS_") for name in os.environ):
        return
    kept = json.loads(file.read_text()) if file.exists() else {}
    kept.pop(fault, None)
    if seen is not None:
        kept[fault] = {"seen": seen, "on": datetime.now(UTC).date().isoformat()}
    file.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")


@pytest.fixture(scope="module")
def trial(kubectl: Kubectl, bucket: Bucket, onnx_bytes: bytes, environment: dict[str, str]) -> Iterator[Trial]:
    """A model behind routers under load, for all tests of a module."""
    trial = Trial(kubectl, bucket, Load(kubectl, environment["SERVER_IMAGE"]), onnx_bytes)
    with trial.followed():
        yield trial


_passed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.stash[_passed] = report.passed
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    is_whole = [Path(one).resolve() for one in session.config.args] == [Path(__file__).parent] and not any(
        session.config.getoption(name, None) for name in ("keyword", "deselect", "lf")
    )
    if exitstatus == 0 and is_whole and len(_rows) == session.testscollected:
        _TABLE.write_text(_HEAD + "\n".join(_rows) + "\n")
