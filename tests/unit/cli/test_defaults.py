"""What `serve` and `observe` do where nothing is said is what their options say."""

from dataclasses import replace

import pytest
from click.testing import CliRunner

from modelway.cli import logs
from modelway.cli.observe import observe
from modelway.cli.serve import serve
from modelway.observer import process as observer_process
from modelway.observer.options import ObserverOptions
from modelway.server import cpu
from modelway.server import process as server_process
from modelway.server.options import ServerOptions


@pytest.fixture
def told(monkeypatch):
    """What the process would have been told by a command and its arguments."""
    seen = []
    for process in (server_process, observer_process):
        monkeypatch.setattr(process, "run", seen.append)
    monkeypatch.setattr(logs, "configure", lambda: None)
    monkeypatch.setattr(cpu, "limit_libraries", lambda _threads: None)

    def run(command, *arguments):
        ended = CliRunner().invoke(command, arguments, catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        return seen.pop()

    return run


def test_a_server_that_is_told_nothing(told, tmp_path):
    options = told(serve, str(tmp_path), "--name=m")
    by_machine = {"threads": options.threads, "concurrency": options.concurrency}
    assert options == replace(ServerOptions(tmp_path, "m"), **by_machine)


def test_an_observer_that_is_told_nothing(told):
    assert told(observe, "--name=m") == ObserverOptions("m")
