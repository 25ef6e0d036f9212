"""Whole runs of the real command, over the disk and a real S3 server, killed and at once."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from modelway.artifacts import uri
from modelway.batch.errors import BatchError, ChangedError, Reason
from modelway.batch.folder import FileSystem
from modelway.batch.objects import Bucket
from modelway.profiling import profile
from support.batch import NAMES, table
from support.models import iris
from support.s3 import s3_server


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        (server.root / "lake").mkdir()
        yield server


@pytest.fixture(params=["disk", "s3"])
def root(request, tmp_path, s3):
    """A folder for input and output: its URI, its path on the disk, and the environment that reaches it."""
    if request.param == "disk":
        return f"file://{tmp_path}/", tmp_path, {}
    name = f"run-{time.monotonic_ns()}"
    (s3.root / "lake" / name).mkdir()
    return f"s3://lake/{name}/", s3.root / "lake" / name, s3.environ()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "model.onnx").write_bytes(iris().onnx)
    (folder / "modelway.json").write_bytes(orjson.dumps({"featureNames": NAMES}))
    return folder


def start(root, model, *more, shards=4, output="out"):
    base, _, environ = root
    command = [sys.executable, "-m", "modelway.cli", "batch", "score", "--model", str(model)]
    command += ["--input", f"{base}in/", "--output", f"{base}{output}/", "--columns", "id", "--shards", str(shards)]
    return subprocess.Popen([*command, *more], env=os.environ | environ, stderr=subprocess.PIPE, text=True)


def run(*given, **more):
    process = start(*given, **more)
    log = process.communicate(timeout=120)[1]
    return process.returncode, log


def answers(root, output="out"):
    found = sorted((root[1] / output).glob("part-*"))
    return pa.concat_tables(pq.read_table(path) for path in found), {path.name: path.read_bytes() for path in found}


def write(root, times=20, group=500):
    (root[1] / "in").mkdir(exist_ok=True)
    pq.write_table(table(times), root[1] / "in" / "x.parquet", row_group_size=group)


def test_the_command_scores_everything_skips_what_is_done_and_says_how_it_ended(root, model, tmp_path):
    write(root)
    code, log = run(root, model)
    assert code == 0, log
    rows, parts = answers(root)
    assert rows["id"].to_pylist() == list(range(3000))
    assert np.array_equal(rows["prediction"], np.tile(iris().estimator.predict(iris().rows), 20))
    assert len(parts) == 4
    code, log = run(root, model)
    assert (code, log.count('"shard_done_already"')) == (0, 4)
    code, log = run(root, model, shards=5)
    assert code == 43
    assert orjson.loads(log.splitlines()[-1])["reason"] == "PlanDiffers"


def test_shards_in_processes_of_their_own_at_once_give_the_same_bytes(root, model):
    write(root)
    assert run(root, model)[0] == 0
    _, alone = answers(root)
    with ThreadPoolExecutor(4) as pool:
        codes = list(
            pool.map(lambda shard: run(root, model, "--shard", str(shard), output="again"), [0, 1, 2, 3, 2, 1])
        )
    assert [code for code, _ in codes] == [0] * 6, codes
    assert answers(root, "again")[1] == alone
    assert (root[1] / "again" / "_SUCCESS").exists()


def test_a_process_killed_at_any_moment_leaves_nothing_half_and_the_next_completes(root, model):
    write(root, times=400, group=2000)
    output = root[1] / "out"
    for parts in (0, 1, 2):
        process = start(root, model, "--rows-per-batch", "64")
        deadline = time.monotonic() + 60
        while len(list(output.glob("part-*"))) <= parts and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM if parts == 1 else signal.SIGKILL)
        process.communicate()
        for part in output.glob("part-*"):
            pq.read_table(part)  # whole
    code, log = run(root, model, "--rows-per-batch", "64")
    assert code == 0, log
    assert answers(root)[0]["id"].to_pylist() == list(range(60_000))


def test_bad_rows_end_with_43_and_their_reason_and_pass_when_that_is_allowed(root, model, tmp_path):
    rows = table().to_pydict()
    rows["b"][10] = None
    (root[1] / "in").mkdir()
    pq.write_table(pa.table(rows), root[1] / "in" / "x.parquet")
    words = tmp_path / "words"
    code, _ = run((root[0], root[1], root[2] | {"MODELWAY_TERMINATION_LOG": str(words)}), model, shards=1)
    assert (code, orjson.loads(words.read_bytes())["reason"]) == (43, "TooManyFailedRows")
    code, _ = run(root, model, "--max-failed-rows-per-million", "10000", shards=1)
    assert code == 0
    [listed] = (root[1] / "out" / "_errors").rglob("*.jsonl")
    assert orjson.loads(listed.read_bytes())["row"] == 10


def test_the_last_words_say_which_inputs_are_not_as_usual(root, model, tmp_path):
    known = tmp_path / "known"
    known.mkdir()
    (known / "model.onnx").write_bytes(iris().onnx)
    usual = np.tile(iris().rows, (20, 1))
    usual[:, 2] -= 1.0  # so that the rows of the run are larger than usual
    profile({name: usual[:, index] for index, name in enumerate(NAMES)}).write(known / "modelway.json")
    write(root)
    words = tmp_path / "words"
    told = root[0], root[1], root[2] | {"MODELWAY_TERMINATION_LOG": str(words)}
    names = ",".join(NAMES)
    assert run(root, known, "--features", names, "--shard", "1", shards=2)[0] == 0
    code, log = run(told, known, "--features", names, "--shard", "0", shards=2)
    assert code == 0, log
    inputs = orjson.loads(words.read_bytes())["run"]["inputs"]
    assert (inputs["features"], inputs["driftedFeatures"]) == (4, 1)
    assert (inputs["worst"][0]["name"], inputs["worst"][0]["drifted"]) == ("c", True)
    code, _ = run(told, known, "--features", names, "--hide-features", "--drift-max-psi", "10", shards=2)
    inputs = orjson.loads(words.read_bytes())["run"]["inputs"]
    assert (code, inputs["driftedFeatures"], inputs["worst"][0]["name"]) == (0, 0, "feature 3")


def test_a_model_that_cannot_be_loaded_ends_the_run_with_its_reason(root, tmp_path):
    write(root)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model.onnx").write_bytes(iris().onnx[:-100])
    words = tmp_path / "words"
    told = root[0], root[1], root[2] | {"MODELWAY_TERMINATION_LOG": str(words)}
    code, _ = run(told, broken)
    assert (code, orjson.loads(words.read_bytes())["reason"]) == (43, "ModelLoadFailed")
    assert not (root[1] / "out").exists()


def test_a_broken_file_ends_with_42(root, model):
    (root[1] / "in").mkdir()
    (root[1] / "in" / "x.parquet").write_bytes(b"PAR1 and no more")
    code, log = run(root, model, "--shard", "0", shards=1)
    assert (code, orjson.loads(log.splitlines()[-1])["reason"]) == (42, "InputUnreadable")


@pytest.fixture(params=["disk", "s3"])
def store(request, tmp_path, s3):
    """A store and a prefix of its own."""
    if request.param == "disk":
        return FileSystem(), f"{tmp_path}/"
    return Bucket(uri.parse("s3://lake/x/"), s3.environ()), f"store-{time.monotonic_ns()}/"


def test_only_one_of_many_creates_wins(store):
    store, prefix = store
    barrier = threading.Barrier(8)

    def create(number):
        barrier.wait()
        return store.create(prefix + "_plan.json", b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))
    assert won.count(True) == 1
    assert store.get(prefix + "_plan.json") == b"%d" % won.index(True)
    assert store.exclusive


def test_an_upload_is_there_wholly_or_not_at_all(store):
    store, prefix = store
    upload = store.upload(prefix + "a/part")
    upload.write(b"x" * 20_000_000)
    assert store.list(prefix) == []
    upload.abort()
    assert store.list(prefix) == []
    upload = store.upload(prefix + "a/part")
    for _ in range(20):
        upload.write(b"y" * 1_000_000)
    stored = upload.commit()
    assert store.list(prefix) == [stored]
    assert store.read(stored, 19_999_990, 30_000_000) == b"y" * 10


def test_what_was_replaced_or_removed_is_not_read(store):
    store, prefix = store
    store.put(prefix + "x", b"1")
    [stored] = store.list(prefix)
    store.put(prefix + "x", b"22")
    with pytest.raises(ChangedError):
        store.read(stored, 0, 1)
    store.delete(prefix + "x")
    with pytest.raises(ChangedError):
        store.read(stored, 0, 1)
    store.delete(prefix + "x")
    assert store.get(prefix + "x") is None


def test_listing_takes_the_beginning_of_a_name(store):
    store, prefix = store
    for name in ("part-a-1", "part-a-2", "part-b-1", "part/c", "x"):
        store.put(prefix + name, b"1")
    assert [one.key.removeprefix(prefix) for one in store.list(prefix + "part-a")] == ["part-a-1", "part-a-2"]


def test_a_store_that_refuses_is_told(s3):
    store = Bucket(uri.parse("s3://lake/x/"), s3.environ(AWS_SECRET_ACCESS_KEY="wrong"))
    for work in (lambda: store.list("x/"), lambda: store.put("x/y", b""), lambda: store.create("x/y", b"")):
        with pytest.raises(BatchError) as caught:
            work()
        assert caught.value.reason == Reason.STORE_REFUSED
        assert "the secret key is wrong" in caught.value.message
