"""A real Gateway (Contour and its Envoy) before the local cluster, and clients that ask models through it."""

import http.client
import json
import subprocess
import sys
import threading
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hack.local import cluster as local
from hack.local import gateway
from hack.local.progress import silent

_ROOT = Path(__file__).resolve().parent.parent.parent
_BODY = json.dumps({"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}]})

PARENT = {"name": gateway.NAME, "namespace": gateway.NAMESPACED_NAME.split("/")[0], "sectionName": "http"}
"""The Gateway, as a `parentRef`."""


def hack_local(*arguments: str) -> str:
    """What a command of the local cluster prints; it has to end with 0."""
    done = subprocess.run(
        [sys.executable, "-m", "hack.local", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def entrance() -> Iterator[str]:
    """Where the Gateway answers, as host:port; there for these tests alone, unless somebody had started it before."""
    found = local.existing(silent)
    if found is None:
        pytest.skip("not a cluster without Docker")
    is_theirs = found.processes.pid("contour") is not None
    yield urllib.parse.urlsplit(hack_local("gateway", "up")).netloc
    if not is_theirs:
        hack_local("gateway", "down")


class Client:
    """Asks one model under one host, over a connection that it keeps."""

    def __init__(self, entrance: str, host: str, *, model: str) -> None:
        self._connection = http.client.HTTPConnection(entrance, timeout=20)
        self._path = f"/v2/models/{model}/infer"
        self._headers = {"host": host, "content-type": "application/json"}

    def ask(self) -> tuple[int, str]:
        """Status, and the version of the model that answered; or who said else what."""
        self._connection.request("POST", self._path, _BODY, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status == 200:
            return 200, json.loads(text)["model_version"]
        who = "behind the Gateway" if answer.getheader("x-envoy-upstream-service-time") else "the Gateway"
        return answer.status, f"{who}: {text.decode()[:200]}"


@contextmanager
def asking(entrance: str, host: str, outcomes: Counter[str], *, model: str, pause: float = 0.0) -> Iterator[None]:
    """Two clients ask, each so many seconds after an answer, and count every one, until the block ends."""
    over = threading.Event()

    def run() -> None:
        client = Client(entrance, host, model=model)
        while not over.is_set():
            try:
                status, told = client.ask()
            except (OSError, http.client.HTTPException) as error:
                status, told = 0, type(error).__name__
                client = Client(entrance, host, model=model)
            outcomes[told if status == 200 else f"{status} {told}"] += 1
            over.wait(pause)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def answers(entrance: str, host: str, *statuses: int, model: str) -> bool:
    """Whether a request for the host is answered by one of `statuses`; 0: nobody listens."""
    try:
        return Client(entrance, host, model=model).ask()[0] in statuses
    except (OSError, http.client.HTTPException):
        return 0 in statuses  # this Gateway's Envoy listens only while there is a route
