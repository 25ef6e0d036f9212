import hashlib
import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from modelway import __version__
from modelway.cli import main
from modelway.server.formats import REGISTRY

HEAVY = ["onnxruntime", "sklearn", "numpy", "kopf", "aiohttp", "uvicorn", "pydantic", "obstore", "httpx", "kubernetes"]


def run(*arguments, environ=None):
    return CliRunner().invoke(main, arguments, env=environ)


def loaded_by(code: str) -> set[str]:
    """Which heavy libraries a piece of code imports in a fresh process."""
    script = f"{code}\nimport sys\nprint('loaded:', *({HEAVY!r} & sys.modules.keys()))".replace(
        repr(HEAVY), repr(set(HEAVY))
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHONDONT")}
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=environ)
    return set(ended.stdout.rpartition("loaded:")[2].split())


def test_help_lists_every_command():
    shown = run("--help").output
    for command in ("serve", "fetch", "digest", "version", "operator", "crds"):
        assert f"\n  {command} " in shown


@pytest.mark.parametrize("command", ["serve", "fetch", "digest", "version", "operator", "crds"])
def test_every_command_has_help(command):
    ended = run(command, "--help")
    assert ended.exit_code == 0
    assert len(ended.output.splitlines()) > 5


def test_version_is_printed_and_nothing_heavy_loaded():
    assert run("version").output == f"{__version__}\n"
    assert loaded_by("from modelway.cli import main; main(['version'], standalone_mode=False)") == set()


def test_fetching_loads_no_library_of_the_server_nor_of_other_schemes(tmp_path):
    (tmp_path / "m").write_bytes(b"abc")
    arguments = ["fetch", "--uri", f"file://{tmp_path}/m", "--to", f"{tmp_path}/to"]
    assert loaded_by(f"from modelway.cli import main; main({arguments!r}, standalone_mode=False)") == set()


def test_a_digest_is_printed(tmp_path):
    (tmp_path / "m").write_bytes(b"abc")
    assert run("digest", str(tmp_path / "m")).output == f"sha256:{hashlib.sha256(b'abc').hexdigest()}\n"


def test_a_digest_of_nothing_is_an_error(tmp_path):
    ended = run("digest", str(tmp_path / "missing"))
    assert ended.exit_code == 1
    assert "there is nothing at" in ended.output


@pytest.fixture
def words(tmp_path):
    return tmp_path / "words"


def fetch(words, *arguments):
    return run(
        "fetch", *map(str, arguments), environ={"MODELWAY_TERMINATION_LOG": str(words), "MODELWAY_LOG_FORMAT": "json"}
    )


def test_a_fetch_ends_with_its_digest(tmp_path, words):
    (tmp_path / "m").write_bytes(b"abc")
    ended = fetch(words, "--uri", f"file://{tmp_path}/m", "--to", tmp_path / "to", "--pin-file", tmp_path / "no-pin")
    assert ended.exit_code == 0
    said = json.loads(words.read_text())
    assert said.keys() == {"digest", "bytes", "seconds"}
    assert (said["digest"], said["bytes"]) == (f"sha256:{hashlib.sha256(b'abc').hexdigest()}", 3)


def test_a_mounted_claim_is_hashed(tmp_path, words):
    (tmp_path / "m").write_bytes(b"abc")
    assert fetch(words, "--uri", "pvc://claim/m", "--to", tmp_path / "m", "--mounted").exit_code == 0
    assert json.loads(words.read_text())["bytes"] == 3


def test_a_pin_that_does_not_agree_ends_with_both_digests(tmp_path, words):
    (tmp_path / "m").write_bytes(b"abc")
    (tmp_path / "pin").write_text("sha256:" + "0" * 64)
    ended = fetch(words, "--uri", f"file://{tmp_path}/m", "--to", tmp_path / "to", "--pin-file", tmp_path / "pin")
    assert ended.exit_code == 1
    said = json.loads(words.read_text())
    assert said["reason"] == "DigestMismatch"
    assert hashlib.sha256(b"abc").hexdigest() in said["message"]
    assert "0" * 64 in said["message"]


def test_a_failure_is_one_log_line_and_the_last_words(tmp_path, words):
    ended = fetch(words, "--uri", "https://me:top-secret@host/m?sig=top-secret", "--to", tmp_path / "to")
    assert ended.exit_code == 1
    (line,) = ended.stderr.splitlines()
    logged = json.loads(line)
    said = json.loads(words.read_text())
    assert (logged["level"], logged["event"], logged["reason"]) == ("error", "failed", "InvalidURI")
    assert said == {"reason": logged["reason"], "message": logged["message"]}
    assert "top-secret" not in ended.output + words.read_text()


def test_what_nobody_foresaw_is_told_without_a_traceback(tmp_path, words, monkeypatch):
    def broken(*_args, **_options):
        raise ZeroDivisionError("https://host?top-secret")

    monkeypatch.setattr("modelway.artifacts.fetch.fetch", broken)
    ended = fetch(words, "--uri", "file:///m", "--to", tmp_path)
    assert ended.exit_code == 1
    assert json.loads(words.read_text()) == {"reason": "InternalError", "message": "fetching failed: ZeroDivisionError"}


def test_every_format_is_listed_with_its_files_and_whether_it_runs_code():
    shown = CliRunner().invoke(main, ["formats"], catch_exceptions=False).output
    for name, entry in REGISTRY.items():
        line = next(line for line in shown.splitlines() if line.startswith(f"{name} "))
        assert all(suffix in line for suffix in (*entry.suffixes, *entry.shared))
        assert ("yes" if entry.runs_code else "no") in line.split()


def test_a_format_whose_library_is_missing_is_listed_with_the_way_to_come_by_it(monkeypatch):
    monkeypatch.setattr("modelway.server.formats.find_spec", lambda name: None if name == "xgboost" else object())
    shown = CliRunner().invoke(main, ["formats"], catch_exceptions=False).output
    line = next(line for line in shown.splitlines() if line.startswith("xgboost "))
    assert line.endswith(
        "no: xgboost is not installed; serve it with the image modelway-server-full (spec.serving.runtime: modelway-full), or pip install 'modelway[xgboost]'"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/tmp/my models!"], '"my models!" cannot stand in URLs; say --name'),
        (["/tmp/m", "--model-dir", "/tmp/m"], "MODEL and --model-dir say the same thing"),
        (["--name", "m", "--workers", "0"], "is not in the range 1<=x<=64"),
        (["--name", "a/b"], "it stands in URLs"),
        (["--name", "m", "--timeout", "5"], "'5' is not a duration"),
        (["--name", "m", "--allow-global", "nodots"], "is not of the form module.name"),
        (["--name", "m", "--allow-global", "os.system;x"], "is not of the form module.name"),
        (["--name", "m", "--threads", "0"], "is not in the range x>=1"),
    ],
)
def test_options_of_serve_are_checked(arguments, said):
    ended = run("serve", *arguments)
    assert ended.exit_code == 2
    assert said in ended.output


def test_options_of_serve_come_from_the_environment_too(monkeypatch):
    seen = []
    monkeypatch.setattr("modelway.server.process.run", seen.append)
    environ = {
        "MODELWAY_THREADS": "3",
        "MODELWAY_REVISION": "0b77d1ce",
        "MODELWAY_TIMEOUT": "300ms",
        "MODELWAY_ALLOWED_GLOBALS": "my.Model my.other.Model",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    assert run("serve", "--name", "m", "--code", "AllowList", environ=environ).exit_code == 0
    (options,) = seen
    assert (options.threads, options.revision, options.timeout, options.drain) == (3, "0b77d1ce", 0.3, 10.0)
    assert options.allowed_globals == {"my.Model", "my.other.Model"}
    assert options.code == "AllowList"


@pytest.mark.parametrize(
    ("arguments", "environ", "model", "name"),
    [
        (["models/iris"], {}, "models/iris", "iris"),
        (["models/iris/model.onnx"], {}, "models/iris/model.onnx", "model"),
        (["models/iris", "--name", "flowers"], {}, "models/iris", "flowers"),
        (["--model-dir", "models/iris"], {}, "models/iris", "iris"),
        ([], {"MODELWAY_MODEL_DIR": "models/iris"}, "models/iris", "iris"),
        ([], {}, "/mnt/models", "models"),
    ],
    ids=["folder", "file", "a name of its own", "as an option", "environment", "default"],
)
def test_what_is_served_and_what_it_is_called(monkeypatch, tmp_path, arguments, environ, model, name):
    seen = []
    monkeypatch.setattr("modelway.server.process.run", seen.append)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "iris").mkdir(parents=True)
    (tmp_path / "models" / "iris" / "model.onnx").touch()
    assert run("serve", *arguments, environ=environ).exit_code == 0
    assert (str(seen[0].model_dir), seen[0].name) == (model, name)


def test_workers_share_the_cpu_limit(monkeypatch):
    seen = []
    monkeypatch.setattr("modelway.server.process.run", seen.append)
    monkeypatch.setattr("modelway.server.cpu.limit", lambda _root: 8.0)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(16)))
    assert run("serve", "--name", "m", "--workers", "4").exit_code == 0
    assert (seen[0].workers, seen[0].threads, seen[0].concurrency) == (4, 2, 2)


def test_the_crd_is_printed_as_it_is_committed():
    import orjson

    printed = run("crds").output
    assert orjson.loads(printed)["metadata"]["name"] == "modeldeployments.modelway.dev"


@pytest.mark.parametrize("command", ["crds", "operator"])
def test_a_command_of_the_operator_tells_what_the_servers_image_lacks(command):
    script = f"import sys; sys.modules['pydantic'] = None; from modelway.cli import main; main([{command!r}])"
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "pydantic is not installed" in ended.stderr
    assert "pip install 'modelway[operator]'" in ended.stderr
    assert "Traceback" not in ended.stderr
