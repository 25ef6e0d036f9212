"""What is measured of engines: all of their processes, and why there is nothing where there is nothing."""

import subprocess
import sys
import time

import pytest
from bench import batch_engines as engines

BURN = "import sys\nprint('here', flush=True)\nwhile True: sum(range(10_000))"


@pytest.fixture
def burning():
    """A process that computes in a session of its own until it is ended."""
    process = subprocess.Popen([sys.executable, "-c", BURN], stdout=subprocess.PIPE, start_new_session=True)
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_what_a_process_has_used_counts_when_it_has_ended(burning):
    meter = engines._Meter(burning.pid)
    deadline = time.monotonic() + 60
    while (used := meter.cpu()) < 0.1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    burning.kill()
    burning.wait()
    assert meter.cpu() >= used


def measure(engine, folder):
    with pytest.raises(engines.NotMeasuredError) as caught:
        engines.measured(engine, folder, names=["a"], cores=1, batch=1, block=1)
    return str(caught.value)


def test_spark_without_java_is_told_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(engines.shutil, "which", lambda _name: None)
    assert "apt-get install openjdk" in measure("spark", tmp_path)


def test_an_engine_that_cannot_be_installed_is_told_with_the_cause(monkeypatch, tmp_path):
    def ensure(groups, say):
        raise engines.peers.PeersError("there is no network")

    monkeypatch.setattr(engines.peers, "ensure", ensure)
    assert measure("ray", tmp_path) == "not installed: there is no network"


def test_an_engine_that_fails_is_told_with_its_last_words(monkeypatch, tmp_path):
    monkeypatch.setattr(engines, "_installed", lambda _engine: sys.executable)
    assert "No module named" in measure("of_nobody", tmp_path)
