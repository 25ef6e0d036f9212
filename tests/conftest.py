"""What all tests share: how hard hypothesis tries, the real API server, and what runs only when it is asked for.

`pytest --hypothesis-profile=thorough` tries a hundred times as much; worth an hour after a change of `plan`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from support.cluster import Cluster, Namespace
    from support.operator import OperatorProcess

settings.register_profile(
    "modelway",
    max_examples=40,
    deadline=None,  # the machine may be busy
    derandomize="CI" in os.environ,  # what CI finds, everybody finds
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
settings.register_profile("thorough", settings.get_profile("modelway"), max_examples=4000)
settings.load_profile("modelway")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "faults: kills and outages in numbers; minutes, not seconds (make test-faults)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long ones out unless `-m` names them."""
    if "faults" in config.getoption("markexpr"):
        return
    long = [item for item in items if item.get_closest_marker("faults")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Cluster]":
    """A real API server, controller-manager and scheduler, with simulated nodes; one for the whole session."""
    from hack.local import ControlPlane

    from support.cluster import OPERATORS, Cluster

    control_plane = ControlPlane(
        tmp_path_factory.mktemp("control-plane"),
        audit=True,
        kwok_nodes=4,
        users=dict.fromkeys(OPERATORS, ("system:masters",)),
        # On a busy machine a simulated node is late to say that it is well, and its pods would turn unready.
        controller_manager_flags=["--node-monitor-grace-period=24h"],
    )
    with control_plane:
        cluster = Cluster(control_plane)
        cluster.install_crd()
        yield cluster


@pytest.fixture
def namespace(cluster: "Cluster") -> "Iterator[Namespace]":
    """A namespace of the test's own."""
    with cluster.namespace() as namespace:
        yield namespace


@pytest.fixture(scope="module")
def operator(cluster: "Cluster", tmp_path_factory: pytest.TempPathFactory) -> "Iterator[OperatorProcess]":
    """An operator that leads, for all tests of a module."""
    from support.operator import operating

    with operating(cluster, tmp_path_factory.mktemp("operator") / "log") as operator:
        yield operator


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where an operator of the test's own writes its log."""
    return tmp_path / "operator.log"
