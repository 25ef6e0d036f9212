"""A process is ended by us only if it is, for certain, the one that we started."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hack.local.errors import LocalClusterError
from hack.local.processes import Processes, Record, Stat, boot_id, fingerprint, read_stat
from hack.local.waiting import wait_until

LINE = "4711 (kubelet) S 1 4711 4711 0 -1 4194560 900 0 0 0 5 3 0 0 20 0 9 0 123456 1 2 3"


@pytest.fixture
def processes(tmp_path):
    found = Processes(tmp_path / "run", tmp_path / "logs")
    yield found
    found.stop_all(kill=True)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        pytest.param("kubelet", LINE, id="plain"),
        pytest.param("a b", LINE.replace("(kubelet)", "(a b)"), id="blank-in-the-name"),
        pytest.param(") S 1 (", LINE.replace("(kubelet)", "() S 1 ()"), id="parentheses-in-the-name"),
    ],
)
def test_stat_is_read_whatever_the_program_is_called(command, line):
    assert Stat.parse(line) == Stat(pid=4711, command=command, state="S", started=123456)


@pytest.mark.parametrize(
    ("boot", "stat", "runs"),
    [
        pytest.param("a", Stat(7, "etcd", "S", 100), True, id="the-same"),
        pytest.param("a", Stat(7, "anything", "R", 100), True, id="renamed-itself"),
        pytest.param("a", None, False, id="gone"),
        pytest.param("a", Stat(7, "etcd", "S", 101), False, id="pid-given-to-another"),
        pytest.param("b", Stat(7, "etcd", "S", 100), False, id="same-pid-and-time-after-a-reboot"),
        pytest.param("a", Stat(7, "etcd", "Z", 100), False, id="zombie"),
        pytest.param("a", Stat(7, "etcd", "X", 100), False, id="dead"),
    ],
)
def test_a_process_is_the_recorded_one_by_boot_pid_and_start(boot, stat, runs):
    assert Record(boot="a", pid=7, started=100).is_running(boot=boot, stat=stat) is runs


def test_a_started_process_is_recorded_and_started_once(processes):
    assert processes.start("sleeper", ["sleep", "60"])
    pid = processes.pid("sleeper")
    wait_until(lambda: read_stat(pid).command == "sleep", what="the shell has become the program", seconds=20)
    assert not processes.start("sleeper", ["sleep", "60"])
    assert processes.pid("sleeper") == pid


def test_it_is_restarted_when_its_command_environment_or_configuration_is_another(processes, tmp_path):
    file = tmp_path / "config"
    file.write_text("one")
    sleeper = ["sleep", "60"]
    assert processes.start("sleeper", sleeper, reads=[file])
    assert not processes.start("sleeper", sleeper, reads=[file])
    file.write_text("two")
    assert processes.start("sleeper", sleeper, reads=[file])
    assert processes.start("sleeper", ["sleep", "61"], reads=[file])
    assert processes.start("sleeper", ["sleep", "61"], reads=[file], environment={"A": "b"})
    assert not processes.start("sleeper", ["sleep", "61"], reads=[file], environment={"A": "b"})
    assert len(list(processes.records.glob("*.process"))) == 1


def test_parts_of_a_command_do_not_run_together():
    assert fingerprint(["a", "bc"], {}, []) != fingerprint(["ab", "c"], {}, [])
    assert fingerprint([], {}, [b"a", b"bc"]) != fingerprint([], {}, [b"ab", b"c"])


def test_the_record_outlives_the_starter(processes):
    processes.start("sleeper", ["sleep", "60"])
    another = Processes(processes.records, processes.logs)
    assert another.names() == ["sleeper"]
    another.stop("sleeper")
    assert processes.pid("sleeper") is None
    assert another.names() == []


def test_a_pid_that_belongs_to_another_now_is_left_alone(processes):
    with subprocess.Popen(["sleep", "60"]) as stranger:
        stat = read_stat(stranger.pid)
        processes.records.mkdir(parents=True)
        fake = LINE.replace("4711", str(stranger.pid), 1).replace("123456", str(stat.started - 1))
        (processes.records / "sleeper.process").write_text(f"{boot_id()}\n{fake}\n")
        assert processes.pid("sleeper") is None
        processes.stop_all(kill=True)
        assert stranger.poll() is None
        stranger.kill()


def test_a_record_cut_short_is_no_record(processes):
    processes.records.mkdir(parents=True)
    (processes.records / "sleeper.process").write_text(f"{boot_id()}\n{LINE}")
    assert processes.pid("sleeper") is None
    assert processes.start("sleeper", ["sleep", "60"])


def test_one_that_ignores_sigterm_is_killed(processes):
    ignore = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    processes.start("stubborn", [sys.executable, "-c", ignore])
    processes.wait_for("stubborn", lambda: "up" in processes.log("stubborn").read_text(), seconds=10)
    processes.stop("stubborn", seconds=0.2)
    assert processes.pid("stubborn") is None


def test_waiting_for_one_that_died_tells_its_last_words(processes):
    processes.start("crasher", ["sh", "-c", "echo no such file >&2; exit 1"])
    with pytest.raises(LocalClusterError, match=r"(?s)crasher ended while starting.*no such file"):
        processes.wait_for("crasher", lambda: False, seconds=10)


def test_waiting_has_an_end_and_says_what_for(processes):
    processes.start("sleeper", ["sleep", "60"])
    with pytest.raises(LocalClusterError, match=r"sleeper is ready: not within 0\.1 s"):
        processes.wait_for("sleeper", lambda: False, seconds=0.1)


def test_it_runs_in_a_session_of_its_own_so_ctrl_c_passes_it_by(processes):
    processes.start("sleeper", ["sleep", "60"])
    assert os.getsid(processes.pid("sleeper")) != os.getsid(0)


def test_a_restart_keeps_the_log_of_the_run_before(processes):
    for text in ("first", "second"):
        processes.start("talker", ["sh", "-c", f"echo {text}; sleep 60"])
        wait_until(lambda text=text: text in processes.log("talker").read_text(), what="it talks", seconds=10)
        processes.stop("talker", kill=True)
    assert processes.log("talker").read_text() == "second\n"
    assert processes.log("talker").with_suffix(".previous.log").read_text() == "first\n"


def test_the_environment_is_added_to_ours(processes):
    processes.start("talker", ["sh", "-c", "echo $GREETING $HOME; sleep 60"], environment={"GREETING": "hello"})
    wait_until(lambda: processes.log("talker").read_text() == f"hello {Path.home()}\n", what="it talks", seconds=10)


def test_records_differ_in_any_part():
    record = Record(boot="a", pid=7, started=100)
    assert len({record, replace(record, boot="b"), replace(record, pid=8), replace(record, started=1)}) == 4
