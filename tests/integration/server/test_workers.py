"""Several worker processes behind one port."""

import asyncio
import json
import os
import signal
import socket
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from support.load import Clients
from support.models import iris
from support.server_process import server_process

BODY = json.dumps({"instances": [[5.1, 3.5, 1.4, 0.2]]}).encode()
PATH = "/v1/models/iris:predict"


@pytest.fixture(scope="module")
def server(model_folder):
    with server_process(model_folder(iris().onnx), "--name", "iris", "--workers", "2", "--drain", "1s") as running:
        yield running.wait_until_ready()


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(condition, deadline=30.0):
    end = time.monotonic() + deadline
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


class Connection:
    """A connection that is kept, and asks when it is told to."""

    def __init__(self, port) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]

    def ask(self, path=PATH):
        self.socket.sendall(b"POST %b HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (path.encode(), len(BODY), BODY))
        return self.socket.recv(10_000).split()[1]


def held(server):
    """Which worker holds which connection, told by its client's port."""
    inodes = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, *_, inode = line.split()[:10]
        if int(local.partition(":")[2], 16) == server.port:
            inodes[f"socket:[{inode}]"] = int(remote.partition(":")[2], 16)
    found = {}
    for worker in children(server.process.pid):
        for descriptor in Path(f"/proc/{worker}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since it was listed
                if port := inodes.get(str(descriptor.readlink())):  # 0 of the listening socket, which a worker has not
                    found[port] = worker
    return found


def total(server, name):
    with server.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))


def test_connections_are_dealt_evenly(server):
    until(lambda: not held(server))  # what asked whether it was ready is gone
    workers = children(server.process.pid)
    connections = [Connection(server.port) for _ in range(10)]
    assert [connection.ask() for connection in connections] == [b"200"] * 10
    dealt = held(server)
    assert Counter(dealt.values()) == dict.fromkeys(workers, 5)
    # Those of one worker end: the next go to it.
    leaving = [connection for connection in connections if dealt[connection.port] == workers[0]]
    for connection in leaving:
        connection.socket.close()
    until(lambda: len(held(server)) == 5)
    more = [Connection(server.port) for _ in range(5)]
    assert [connection.ask() for connection in more] == [b"200"] * 5
    assert Counter(held(server).values()) == dict.fromkeys(workers, 5)
    for connection in connections + more:
        connection.socket.close()


def test_metrics_are_those_of_all_workers(server):
    before = total(server, "modelway_server_requests_total")
    connections = [Connection(server.port) for _ in range(4)]
    for connection in connections * 5:
        assert connection.ask() == b"200"
    assert total(server, "modelway_server_requests_total") == before + 20
    for connection in connections:
        connection.socket.close()


def test_a_worker_that_dies_is_replaced_and_no_count_is_lost(server):
    before = total(server, "modelway_server_requests_total")
    restarts = total(server, "modelway_server_worker_restarts_total")
    connections = [Connection(server.port) for _ in range(2)]
    assert [connection.ask() for connection in connections] == [b"200"] * 2
    dying, staying = children(server.process.pid)
    ready = len(server.events("ready"))
    os.kill(dying, signal.SIGKILL)
    until(lambda: server.events("worker_died"))
    # The other one goes on, and is asked alone until there are two again.
    assert Connection(server.port).ask() == b"200"
    until(lambda: len(server.events("ready")) > ready)
    assert staying in children(server.process.pid)
    assert len(children(server.process.pid)) == 2
    assert total(server, "modelway_server_requests_total") == before + 3
    assert total(server, "modelway_server_worker_restarts_total") == restarts + 1
    assert server.events("worker_died")[0]["how"] == "signal SIGKILL"


def test_it_is_ready_only_when_all_workers_are(model_folder):
    folder = model_folder(iris().onnx)
    # A worker that cannot even begin to load, as it is stopped.
    with server_process(folder, "--name", "iris", "--workers", "2", "--drain", "0s") as server:
        stopped = until(lambda: len(children(server.process.pid)) == 2 and children(server.process.pid)[1])
        os.kill(stopped, signal.SIGSTOP)
        with server.client() as client:
            # The first one has loaded, or soon has; it would be ready if it were alone.
            assert client.get("/v2/health/live").status_code == 200
            assert client.get("/v2/health/ready").status_code == 503
            os.kill(stopped, signal.SIGCONT)
            server.wait_until_ready()
            until(lambda: client.get("/v2/health/ready").status_code == 200)


def test_a_model_that_does_not_load_ends_the_server_with_its_reason(model_folder, tmp_path):
    words = tmp_path / "words"
    arguments = [model_folder(b"no onnx"), "--name", "m", "--workers", "2"]
    with server_process(*arguments, termination=words) as server:
        assert server.wait() == 1
    assert json.loads(words.read_text())["reason"] == "ModelLoadFailed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_end_ends_even_if_a_worker_hangs(model_folder, number):
    arguments = [model_folder(iris().onnx), "--name", "iris", "--workers", "2", "--drain", "0s", "--timeout", "100ms"]
    with server_process(*arguments) as server:
        server.wait_until_ready()
        workers = children(server.process.pid)
        os.kill(workers[0], signal.SIGSTOP)
        server.process.send_signal(number)
        assert server.wait(deadline=20) == 0
        assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]


def test_a_server_in_a_hurry_ends_at_once(model_folder):
    with server_process(model_folder(iris().onnx), "--name", "iris", "--workers", "2", "--drain", "60s") as server:
        server.wait_until_ready()
        server.process.send_signal(signal.SIGTERM)
        server.wait_for_event("draining")
        server.process.send_signal(signal.SIGTERM)
        assert server.wait(deadline=10) == 0


def test_workers_end_with_their_supervisor(model_folder):
    with server_process(model_folder(iris().onnx), "--name", "iris", "--workers", "2", "--drain", "60s") as server:
        server.wait_until_ready()
        workers = children(server.process.pid)
        server.process.kill()
        until(lambda: not [worker for worker in workers if Path(f"/proc/{worker}/exe").exists()])


def test_a_supervisor_costs_nothing_while_nothing_happens(server):
    def spent():
        fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # After all that the tests before have done to it: a descriptor that is always ready would show as a busy loop.
    with Connection(server.port).socket as idle:
        idle.settimeout(1.0)
        before = spent()
        with pytest.raises(TimeoutError):
            idle.recv(1)
    assert spent() - before < 0.1


async def test_no_request_is_lost_when_a_server_with_workers_is_drained(model_folder, server):
    with server_process(model_folder(iris().onnx), "--name", "iris", "--workers", "2", "--drain", "1s") as staying:
        staying.wait_until_ready()
        clients = Clients([server.port, staying.port], PATH, BODY)

        async def story():
            async with asyncio.timeout(20):
                while clients.outcomes["200"] < 200:  # noqa: ASYNC110 the clients have no event to wait for
                    await asyncio.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(server.wait_for_event, "draining")
            clients.ports.remove(server.port)
            assert await asyncio.to_thread(server.wait) == 0

        await clients.run(20, story)
    assert clients.outcomes.keys() == {"200"}
    assert clients.closed_by_server >= 5
