"""Batch runs of the real command over the tables of a real PostgreSQL."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from modelway.batch.sql.database import Database
from modelway.batch.sql.ledger import Ledger
from modelway.batch.sql.location import parse
from support.batch import NAMES, table
from support.models import iris
from support.postgres import Postgres, postgres

ROWS = 3000


@pytest.fixture(scope="module")
def server():
    with postgres() as one:
        one.sql("CREATE SCHEMA lake; CREATE SCHEMA scores;")
        yield one


@dataclass
class World:
    """A table with iris rows, and a name for the output, of one test."""

    server: Postgres
    model: object
    name: str

    @property
    def input(self) -> str:
        return f"lake.{self.name}"

    @property
    def output(self) -> str:
        return f"scores.{self.name}"

    def start(self, *more: str, shards: int = 4, source: str | None = None, target: str | None = None, environ=None):
        command = [sys.executable, "-m", "modelway.cli", "batch", "score", "--model", str(self.model)]
        command += ["--input", source or self.server.uri(self.input), "--shards", str(shards), "--columns", "id"]
        command += ["--output", target or self.server.uri(self.output)]
        command += [] if source else ["--key", "id"]
        environ = os.environ | self.server.environ() | (environ or {})
        return subprocess.Popen([*command, *more], env=environ, stderr=subprocess.PIPE, text=True)

    def run(self, *given, **more) -> tuple[int, str]:
        process = self.start(*given, **more)
        log = process.communicate(timeout=120)[1]
        return process.returncode, log

    def answers(self, table: str | None = None) -> list[tuple[int, int]]:
        lines = self.server.sql(f"SELECT id, prediction FROM {table or self.output} ORDER BY id").splitlines()
        return [tuple(map(int, line.split("|"))) for line in lines]

    def make_output(self) -> None:
        """As the run would make it."""
        self.server.sql(
            f"CREATE TABLE {self.output} "
            "(id bigint, prediction bigint, probabilities real[], model_version text, model_digest text)"
        )

    def tables(self) -> set[str]:
        return set(self.server.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'scores'").splitlines())


@pytest.fixture
def world(server, tmp_path, request):
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.onnx").write_bytes(iris().onnx)
    (model / "modelway.json").write_bytes(orjson.dumps({"featureNames": NAMES}))
    name = f"t{abs(hash(request.node.name)) % 10**9}"
    columns = ", ".join(f"{feature} real" for feature in NAMES)
    server.sql(f"CREATE TABLE lake.{name} (id bigint PRIMARY KEY, {columns}, note text, amount numeric(12, 4))")
    rows = ", ".join(
        f"({row['id']}, {', '.join(str(row[feature]) for feature in NAMES)}, 'note ''{row['id']}''', {row['id']}.0625)"
        for row in table(20).to_pylist()
    )
    server.sql(f"INSERT INTO lake.{name} VALUES {rows}")
    return World(server, model, name)


def wait_for(process, *words: str) -> str:
    """Read the log to a line with one of the words; gives it."""
    for line in process.stderr:
        if any(word in line for word in words):
            return line
    raise AssertionError(f"the log has ended without {words}")


def reason(log: str) -> str:
    return orjson.loads(log.splitlines()[-1])["reason"]


def expected() -> list[tuple[int, int]]:
    answers = iris().estimator.predict(iris().rows)
    return [(index, int(answers[index % 150])) for index in range(ROWS)]


def test_a_table_is_scored_into_another_every_row_once_and_again_nothing(world):
    code, log = world.run()
    assert code == 0, log
    assert world.answers() == expected()
    assert world.tables() >= {"modelway_batch", world.name}
    assert not [name for name in world.tables() if name.startswith("modelway_") and name != "modelway_batch"]
    code, log = world.run()
    assert (code, log.count('"shard_done_already"')) == (0, 4)
    assert world.answers() == expected()
    code, log = world.run(shards=5)
    assert (code, reason(log)) == (43, "PlanDiffers")


def test_nothing_that_is_kept_or_said_holds_the_password_or_the_user(world):
    code, log = world.run()
    kept = world.server.sql(f"SELECT content FROM scores.modelway_batch WHERE key LIKE '{world.output}%'")
    refused, refusal = world.run(environ={"PGPASSWORD": "never-this-one"})
    assert (code, refused) == (0, 43), refusal
    assert reason(refusal) == "StoreRefused"
    for text in (log, kept, refusal):
        assert "not-to-be-seen" not in text
        assert "never-this-one" not in text
        assert world.server.user not in text


def test_a_table_is_scored_into_files_and_files_into_a_table(world, tmp_path):
    out = tmp_path / "out"
    code, log = world.run("--output-format", "parquet", target=str(out))
    assert code == 0, log
    parts = pa.concat_tables(pq.read_table(path) for path in sorted(out.glob("part-*")))
    assert parts["id"].to_pylist() == list(range(ROWS))
    assert parts["prediction"].to_pylist() == [answer for _, answer in expected()]

    (tmp_path / "in").mkdir()
    pq.write_table(table(20), tmp_path / "in" / "x.parquet", row_group_size=200)
    code, log = world.run(source=f"{tmp_path}/in/")
    assert code == 0, log
    assert world.answers() == expected()


def test_days_share_a_table_and_each_is_written_once(world):
    world.server.sql(f"ALTER TABLE {world.input} ADD dt date; UPDATE {world.input} SET dt = '2026-11-20'")
    world.server.sql(f"UPDATE {world.input} SET dt = '2026-11-21' WHERE id % 2 = 0")
    world.server.sql(
        f"CREATE TABLE {world.output} (id numeric, prediction bigint, probabilities real[], model_version text, "
        "model_digest text, dt date, made timestamptz DEFAULT now())"
    )
    for day in ("2026-11-20", "2026-11-21", "2026-11-20"):
        source, target = (world.server.uri(f"{name}/dt={{date}}") for name in (world.input, world.output))
        code, log = world.run("--date", day, "--key", "id", source=source, target=target)
        assert code == 0, log
    assert world.answers() == expected()
    told = world.server.sql(
        f"SELECT dt, count(*), min(id % 2), max(id % 2) FROM {world.output} GROUP BY dt ORDER BY dt"
    )
    assert told.splitlines() == ["2026-11-20|1500|1|1", "2026-11-21|1500|0|0"]


def test_two_runs_at_once_write_each_row_once(world):
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: world.run(), range(2)))
    assert [code for code, _ in ended] == [0, 0], ended
    assert world.answers() == expected()


def test_a_success_that_was_taken_away_comes_again_and_no_row_twice(world):
    code, log = world.run()
    assert code == 0, log
    world.server.sql(f"DELETE FROM scores.modelway_batch WHERE key = '{world.output}/_SUCCESS'")
    code, log = world.run()
    assert code == 0, log
    assert world.answers() == expected()
    assert (
        world.server.sql("SELECT key FROM scores.modelway_batch WHERE key LIKE '%/_SUCCESS'").count(world.output) == 1
    )

    world.server.sql(f"DELETE FROM {world.output} WHERE true")
    world.server.sql(f"DELETE FROM scores.modelway_batch WHERE starts_with(key, '{world.output}/')")
    code, log = world.run()
    assert code == 0, log
    assert world.answers() == expected()


def test_shards_that_are_killed_while_they_write_leave_nothing_that_is_read(world):
    """Killed when rows of theirs are there; that no run ends meanwhile is seen to by a lock on the user's table."""
    world.make_output()
    with world.server.locked(world.output):
        process = world.start("--rows-per-batch", "16")
        assert process.stderr is not None
        wait_for(process, '"scoring"')  # the end of the first shard
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
    assert world.answers() == []
    code, log = world.run("--rows-per-batch", "16")
    assert code == 0, log
    assert world.answers() == expected()


def test_rows_of_a_try_that_was_killed_do_not_count(world):
    """As if a pod had been killed after its rows were there and before they counted."""
    with_three = [world.run("--shard", str(shard)) for shard in range(3)]
    assert [code for code, _ in with_three] == [0, 0, 0], with_three
    [staged] = [name for name in world.tables() if name.startswith("modelway_") and name != "modelway_batch"]
    before = world.server.sql(f"SELECT count(*) FROM scores.{staged}")
    world.server.sql(
        f'CREATE TEMP TABLE copy AS SELECT * FROM scores.{staged}; UPDATE copy SET "modelway try" = 7; '
        f"INSERT INTO scores.{staged} SELECT * FROM copy"
    )
    assert before != "0"
    assert world.run("--shard", "3")[0] == 0
    assert world.answers() == expected()


def test_rows_that_are_lost_before_the_end_are_missed(world):
    for shard in range(3):
        assert world.run("--shard", str(shard))[0] == 0
    [staged] = [name for name in world.tables() if name.startswith("modelway_") and name != "modelway_batch"]
    world.server.sql(f"DELETE FROM scores.{staged} WHERE id = 7")
    code, log = world.run("--shard", "3")
    assert (code, reason(log)) == (1, "PartChanged")
    assert world.name not in world.tables() or world.answers() == []


def test_a_database_that_stops_in_the_middle_costs_a_try_at_most(world):
    world.make_output()
    with world.server.locked(world.output):
        process = world.start("--rows-per-batch", "16")
        assert process.stderr is not None
        wait_for(process, '"scoring"')
        world.server.stop()
        seen = wait_for(process, '"retrying"', '"failed"')
        world.server.start()
    log = seen + process.stderr.read()
    assert process.wait() in {0, 1}, log
    assert world.run("--rows-per-batch", "16")[0] == 0
    assert world.answers() == expected()


def test_rows_that_come_and_go_during_the_run_are_told_or_end_it(world):
    assert world.run("--shard", "0")[0] == 0
    world.server.sql(f"INSERT INTO {world.input} SELECT 5000, {', '.join(NAMES)}, note FROM {world.input} WHERE id = 1")
    for shard in (1, 2):
        assert world.run("--shard", str(shard))[0] == 0
    code, log = world.run("--shard", "3")
    assert code == 0, log
    assert "1 rows" in log  # the warning of what came late
    assert world.answers() == expected()
    world.server.sql(f"DELETE FROM {world.input} WHERE id IN (2, 5000)")
    code, log = world.run()
    assert (code, reason(log)) == (43, "InputChanged")
    code, log = world.run("--shard", "3", target=world.server.uri(f"{world.output}_2"))
    assert code == 0
    world.server.sql(f"DELETE FROM {world.input} WHERE id = 3")
    code, log = world.run("--shard", "0", target=world.server.uri(f"{world.output}_2"))
    assert (code, reason(log)) == (43, "InputChanged")
    assert "had 7" in log


def test_bad_rows_are_named_by_their_key(world):
    world.server.sql(
        f"UPDATE {world.input} SET a = 'NaN' WHERE id = 1041; UPDATE {world.input} SET b = NULL WHERE id = 7"
    )
    code, log = world.run()
    assert (code, reason(log)) == (43, "TooManyFailedRows")
    assert world.name not in world.tables()
    code, log = world.run("--max-failed-rows-per-million", "1000")
    assert code == 0, log
    told = world.server.sql(
        f"SELECT content FROM scores.modelway_batch WHERE key LIKE '{world.output}/_errors/%' ORDER BY key"
    )
    rows = [orjson.loads(line) for line in told.splitlines() if line]
    assert [(row["row"], row["column"]) for row in rows] == [(7, "b"), (1041, "a")]
    assert len(world.answers()) == ROWS - 2


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        pytest.param("", ("--key", "nokey"), ("ColumnMissing", "nokey"), id="no such key"),
        pytest.param("", ("--key", "a"), ("ColumnTypeWrong", "real"), id="key of floats"),
        pytest.param("", ("--map", "a=missing"), ("ColumnMissing", "missing"), id="no such column"),
        pytest.param("", ("--map", "a=note"), ("ColumnTypeWrong", "note"), id="text for a number"),
        pytest.param("UPDATE {0} SET note = 'same'", ("--key", "note"), ("SettingsInvalid", "same"), id="key twice"),
        pytest.param(
            "UPDATE {0} SET note = NULL WHERE id=9", ("--key", "note"), ("SettingsInvalid", "is missing"), id="no key"
        ),
        pytest.param("DELETE FROM {0}", (), ("InputNotFound", "no such row"), id="empty"),
        pytest.param("CREATE TABLE {1} (id bigint)", (), ("ColumnMissing", "prediction"), id="output lacks columns"),
        pytest.param(
            "CREATE TABLE {1} (id smallint, prediction bigint, probabilities real[], model_version text, model_digest text)",
            (),
            ("ColumnTypeWrong", "smallint"),
            id="output too narrow",
        ),
        pytest.param(
            "CREATE TABLE {1} (id bigint, prediction bigint, probabilities real[], model_version text, model_digest text);"
            "INSERT INTO {1} VALUES (1)",
            (),
            ("OutputNotEmpty", "are not this run's"),
            id="output has rows",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(world, change, options, told):
    if change:
        world.server.sql(change.format(world.input, world.output))
    code, log = world.run(*options)
    assert code == 43, log
    assert reason(log) == told[0]
    assert told[1] in log.splitlines()[-1]
    assert world.server.sql(f"SELECT count(*) FROM scores.modelway_batch WHERE key LIKE '{world.output}/%'") == "0"


def test_keys_of_every_kind_are_cut_into_ranges_that_hold_all_rows(world):
    kinds = {
        "k_uuid uuid": "md5(id::text)::uuid",
        "k_text varchar(40)": "chr(97 + (id % 26)::int) || id || '''é'",
        "k_time timestamptz": "timestamptz '2026-03-29 00:30:00.123456+01' + id * interval '7 min'",
        "k_date date": "date '1990-01-01' + id::int",
        "k_numeric numeric": "id * 1.5",
    }
    for column, value in kinds.items():
        name = column.split()[0]
        world.server.sql(f"ALTER TABLE {world.input} ADD {column}; UPDATE {world.input} SET {name} = {value}")
        code, log = world.run("--key", name, target=world.server.uri(f"{world.output}_{name}"), shards=7)
        assert code == 0, log
        assert world.answers(f"{world.output}_{name}") == expected()


def test_one_input_goes_into_two_places_of_a_table_at_once(world):
    """The plans are the same; what one run has staged and dropped is not the other's."""
    targets = [world.server.uri(f"{world.output}/run={name}") for name in ("a", "b")]
    for target in targets:
        assert world.run("--shard", "0", target=target)[0] == 0
    for target in targets:
        code, log = world.run(target=target)
        assert code == 0, log
    told = world.server.sql(f"SELECT run, count(*), count(DISTINCT id) FROM {world.output} GROUP BY run ORDER BY run")
    assert told.splitlines() == [f"a|{ROWS}|{ROWS}", f"b|{ROWS}|{ROWS}"]


def test_a_database_that_is_not_there_is_refused_at_once(world):
    code, log = world.run(source=None, target=world.server.uri(world.output).replace("/shop/", "/elsewhere/"))
    assert (code, reason(log)) == (43, "StoreRefused")
    assert "elsewhere" in log.splitlines()[-1]
    assert '"retrying"' not in log


def test_the_ledger_lets_one_of_many_create_an_object(world, monkeypatch):
    for name, value in world.server.environ().items():
        monkeypatch.setenv(name, value)

    def create(content: bytes) -> bool:
        return Ledger(Database(parse(world.server.uri(world.output)))).create("contested", content)

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, (str(number).encode() for number in range(8))))
    assert created.count(True) == 1


def test_a_table_that_others_may_not_touch_is_refused_with_the_database_s_words(world):
    world.server.sql(
        f"CREATE ROLE r{world.name} LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA lake TO r{world.name}; "
        f"GRANT SELECT ON {world.input} TO r{world.name}"
    )
    code, log = world.run(environ={"PGUSER": f"r{world.name}", "PGPASSWORD": "x"})
    assert (code, reason(log)) == (43, "StoreRefused")
    assert "permission denied" in log
