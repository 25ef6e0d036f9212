import pytest

from modelway.artifacts.transfer import Retries
from support.https_server import https_server
from support.s3 import s3_server


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def web():
    with https_server() as server:
        yield server


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def retries(pauses) -> Retries:
    """Retries that do not wait, and note how long they would have."""
    return Retries(sleep=pauses.append, jitter=lambda: 0.0)
