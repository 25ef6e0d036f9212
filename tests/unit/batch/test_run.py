"""Whole runs over a store in memory: what comes out, what is skipped, what is refused."""

import gzip

import numpy as np
import orjson
import pyarrow as pa
import pytest

from modelway.batch.errors import BatchError, ExitCode, Reason
from modelway.batch.run import ModelOptions
from modelway.batch.settings import Format
from support.batch import as_csv, as_jsonl, as_parquet, output, parts, table
from support.models import iris


def test_every_row_has_the_models_own_answer_in_the_inputs_order(batch, store):
    store.objects["in/x.parquet"] = as_parquet(table())
    outcome = batch(shards=3)
    answers = parts(store)
    assert answers.column_names == ["id", "prediction", "probabilities", "model_version", "model_digest"]
    assert answers["id"].to_pylist() == list(range(150))
    assert np.array_equal(answers["prediction"], iris().estimator.predict(iris().rows))
    assert np.allclose(answers["probabilities"].to_pylist(), iris().estimator.predict_proba(iris().rows), atol=1e-5)
    assert set(answers["model_version"].to_pylist()) == {"3"}
    assert answers["model_digest"][0].as_py().startswith("sha256:")
    assert (outcome.rows, outcome.finished.complete, outcome.finished.rows) == (150, True, 150)


def write(store, form, rows, name="x", squeeze=False):
    content = {Format.PARQUET: as_parquet, Format.CSV: as_csv, Format.JSONL: as_jsonl}[form](rows)
    store.objects[f"in/{name}.{form}{'.gz' * squeeze}"] = gzip.compress(content) if squeeze else content


@pytest.mark.parametrize("shards", [1, 2, 7])
@pytest.mark.parametrize(
    ("form", "split", "squeeze"),
    [
        ("parquet", False, False),
        ("csv", False, False),
        ("csv", True, False),
        ("csv", False, True),
        ("jsonl", False, False),
        ("jsonl", False, True),
    ],
)
def test_all_formats_give_the_same_answers_in_any_number_of_shards(batch, store, form, split, squeeze, shards):
    write(store, Format(form), table().slice(0, 90), "x", squeeze)
    write(store, Format(form), table().slice(90), "y", squeeze)
    batch(input_format=Format(form), split_lines=split, shards=shards)
    answers = parts(store)
    assert [int(one) for one in answers["id"].to_pylist()] == list(range(150))
    assert np.array_equal(answers["prediction"], iris().estimator.predict(iris().rows))
    assert len([key for key in store.objects if key.startswith("out/part-")]) == shards


def test_csv_out_has_a_column_for_each_class(batch, store):
    write(store, Format.PARQUET, table())
    batch(output_format=Format.CSV)
    [content] = [content for key, content in store.objects.items() if key.startswith("out/part-")]
    lines = content.decode().splitlines()
    assert lines[0] == (
        '"id","prediction","probabilities_setosa","probabilities_versicolor","probabilities_virginica",'
        '"model_version","model_digest"'
    )
    assert len(lines) == 151


def test_json_lines_out_have_a_list_of_probabilities(batch, store):
    write(store, Format.PARQUET, table())
    batch(output_format=Format.JSONL)
    [content] = [content for key, content in store.objects.items() if key.startswith("out/part-")]
    row = orjson.loads(content.splitlines()[149])
    assert (row["id"], len(row["probabilities"]), row["model_version"]) == (149, 3, "3")


def test_a_second_run_scores_nothing(batch, store):
    write(store, Format.PARQUET, table())
    batch(shards=3)
    before = dict(store.objects)
    outcome = batch(shards=3)
    assert (outcome.scored, outcome.skipped, outcome.finished.complete) == (0, 3, True)
    assert store.objects == before


def test_the_shard_that_completes_the_set_finishes_the_run(batch, store):
    write(store, Format.PARQUET, table())
    assert not batch(shards=3, only=2).finished.complete
    assert not batch(shards=3, only=0).finished.complete
    assert "out/_SUCCESS" not in store.objects
    assert batch(shards=3, only=1).finished.complete
    manifest = orjson.loads(store.objects["out/_manifest.json"])
    assert [part["rows"] for part in manifest["parts"]] == [40, 80, 30]
    assert all("out/" + part["path"] in store.objects for part in manifest["parts"])


def test_more_shards_than_rows_write_empty_parts_with_all_columns(batch, store):
    write(store, Format.PARQUET, table().slice(0, 2))
    batch(shards=5)
    assert parts(store)["id"].to_pylist() == [0, 1]
    assert len([key for key in store.objects if key.startswith("out/part-")]) == 5


def refusal(run, **changes):
    with pytest.raises(BatchError) as caught:
        run(**changes)
    return caught.value


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shards": 4}, "3 shards, where 4 are asked for now"),
        ({"rows_per_batch": 8}, "rowsPerBatch 16, where it is 8 now"),
        ({"keys": ()}, 'columns ["id"], where it is [] now'),
        ({"output_format": Format.CSV}, 'outputFormat "parquet", where it is "csv" now'),
    ],
)
def test_other_settings_than_the_plans_are_refused(batch, store, changes, said):
    write(store, Format.PARQUET, table())
    batch(shards=3)
    before = dict(store.objects)
    error = refusal(batch, **({"shards": 3} | changes))
    assert (error.reason, error.code) == (Reason.PLAN_DIFFERS, ExitCode.RUN)
    assert said in error.message
    assert store.objects == before


def test_another_model_than_the_plans_is_refused_in_the_middle(batch, store, model, tmp_path):
    write(store, Format.PARQUET, table())
    batch(shards=3, only=0)
    for path in model.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "NOTES").write_text("retrained")
    error = refusal(batch, shards=3, only=1, model=ModelOptions(tmp_path))
    assert error.reason == Reason.PLAN_DIFFERS
    assert "the model sha256:" in error.message
    assert "out/_SUCCESS" not in store.objects


def test_files_that_come_during_the_run_move_nothing_and_are_told(batch, store):
    write(store, Format.PARQUET, table())
    batch(shards=2, only=0)
    write(store, Format.PARQUET, table(), "late")
    outcome = batch(shards=2, only=1)
    assert outcome.finished.rows == 150
    assert orjson.loads(store.objects["out/_manifest.json"])["lateFiles"] == ["s3://bucket/in/late.parquet"]


def test_files_that_come_after_the_run_are_not_passed_over_in_silence(batch, store):
    write(store, Format.PARQUET, table())
    batch()
    write(store, Format.PARQUET, table(), "late")
    error = refusal(batch)
    assert error.reason == Reason.INPUT_CHANGED
    assert "1 files have come since" in error.message


def test_a_file_that_was_replaced_during_the_run_ends_it(batch, store):
    write(store, Format.PARQUET, table())
    batch(shards=2, only=0)
    write(store, Format.PARQUET, table().slice(1))
    error = refusal(batch, shards=2, only=1)
    assert (error.reason, error.code) == (Reason.INPUT_CHANGED, ExitCode.RUN)
    assert "out/_SUCCESS" not in store.objects


def test_a_file_that_is_replaced_while_it_is_read_ends_the_run(batch, store):
    write(store, Format.JSONL, table(400))

    def replace(key):
        if "_plan" in key:
            return
        store.objects["in/x.jsonl"] = store.objects["in/x.jsonl"].replace(b"5.1", b"9.1")

    store.before_write = replace
    error = refusal(batch, input_format=Format.JSONL)
    assert error.reason == Reason.INPUT_CHANGED


def test_a_part_that_is_gone_is_scored_again_and_success_goes_meanwhile(batch, store):
    write(store, Format.PARQUET, table())
    batch(shards=3)
    before = output(store)
    gone = sorted(key for key in store.objects if "part-" in key)[1]
    del store.objects[gone]
    seen = []
    store.before_write = lambda key: seen.append(("out/_SUCCESS" in store.objects, key))
    assert batch(shards=3).scored == 1
    assert output(store) == before
    assert not next(there for there, key in seen if key == gone)


def test_a_part_that_is_not_what_its_shard_wrote_is_never_a_success(batch, store):
    write(store, Format.PARQUET, table())
    batch(shards=3, only=0)
    batch(shards=3, only=1)
    damaged = min(key for key in store.objects if "part-" in key)
    store.objects[damaged] = b"x" * len(store.objects[damaged])
    error = refusal(batch, shards=3, only=2)
    assert (error.reason, error.code) == (Reason.PART_CHANGED, ExitCode.AGAIN)
    assert "out/_SUCCESS" not in store.objects
    assert batch(shards=3).finished.complete
    assert parts(store)["id"].to_pylist() == list(range(150))


def test_parts_of_another_run_in_the_output_are_refused_before_and_after(batch, store):
    write(store, Format.PARQUET, table())
    store.objects["out/part-000000000000-00000.parquet"] = b"old"
    assert refusal(batch).reason == Reason.OUTPUT_NOT_EMPTY
    del store.objects["out/part-000000000000-00000.parquet"]
    batch(shards=2, only=0)
    store.objects["out/part-000000000000-00000.parquet"] = b"old"
    assert refusal(batch, shards=2, only=1).reason == Reason.OUTPUT_NOT_EMPTY
    assert "out/_SUCCESS" not in store.objects


def test_a_missing_column_is_named_before_anything_is_written(batch, store):
    write(store, Format.PARQUET, table().drop(["c"]))
    error = refusal(batch)
    assert (error.reason, error.code) == (Reason.COLUMN_MISSING, ExitCode.RUN)
    assert error.message == 's3://bucket/in/x.parquet has no column "c"; it has a, b, d, id'
    assert list(store.objects) == ["in/x.parquet"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_missing_column_of_a_text_is_named_too(batch, store, form):
    write(store, Format(form), table().drop(["c"]))
    assert 'has no column "c"; it has a, b, d, id' in refusal(batch, input_format=Format(form)).message


def test_a_column_of_the_wrong_type_is_refused_before_anything_is_written(batch, store):
    rows = table()
    write(store, Format.PARQUET, rows.set_column(1, "b", pa.array(["x"] * 150)))
    error = refusal(batch)
    assert (error.reason, error.code) == (Reason.COLUMN_TYPE_WRONG, ExitCode.RUN)
    assert error.message == 's3://bucket/in/x.parquet: column "b" is string, where the model takes FP32'


def test_columns_of_other_names_are_mapped(batch, store):
    write(store, Format.PARQUET, table().rename_columns(["w", "b", "c", "d", "id"]))
    batch(mapping={"a": "w"})
    assert np.array_equal(parts(store)["prediction"], iris().estimator.predict(iris().rows))
    assert "the mapping names" in refusal(batch, mapping={"z": "w"}).message


def test_columns_that_the_path_tells_can_be_written_and_scored(batch, store):
    store.objects["in/d=0.2/day=1/x.parquet"] = as_parquet(table().drop(["d"]))
    batch(keys=("id", "day"))
    answers = parts(store)
    assert set(answers["day"].to_pylist()) == {"1"}
    rows = iris().rows.copy()
    rows[:, 3] = 0.2
    assert np.array_equal(answers["prediction"], iris().estimator.predict(rows))


def test_bad_rows_are_listed_and_all_others_answered(batch, store):
    rows = table().to_pydict()
    rows["a"][3], rows["b"][7], rows["c"][149] = None, float("nan"), 1e300
    write(store, Format.PARQUET, pa.table(rows))
    error = refusal(batch, shards=2, max_failed_rows_per_million=19_999)
    assert (error.reason, error.code) == (Reason.TOO_MANY_FAILED_ROWS, ExitCode.RUN)
    assert "3 of 150 rows failed" in error.message
    assert "out/_SUCCESS" not in store.objects
    outcome = batch(shards=2, max_failed_rows_per_million=20_000)
    assert (outcome.scored, outcome.finished.failed_rows) == (0, 3)
    assert parts(store)["id"].to_pylist() == [one for one in range(149) if one not in {3, 7}]
    lines = [
        line
        for key in sorted(store.objects)
        if key.startswith("out/_errors/")
        for line in store.objects[key].splitlines()
    ]
    missing = "no value, and the model takes no missing values"
    assert [orjson.loads(line) for line in lines] == [
        {"file": "s3://bucket/in/x.parquet", "row": 3, "column": "a", "reason": missing},
        {"file": "s3://bucket/in/x.parquet", "row": 7, "column": "b", "reason": missing},
        {"file": "s3://bucket/in/x.parquet", "row": 149, "column": "c", "reason": "1e+300 is not a finite FP32"},
    ]


def test_bad_rows_of_texts_are_listed_with_their_place(batch, store):
    store.objects["in/x.csv"] = b'a,b,c,d,id\n1,2,3,4,"x\ny"\n1,2,3\n\n1,,3,4,e\n1,2, 3 ,x4,f\n5,6,7,8,g\n1,2,3,4,5,6\n'
    batch(input_format=Format.CSV, max_failed_rows_per_million=1_000_000)
    assert parts(store)["id"].to_pylist() == ["x\ny", "g"]
    [listed] = [content for key, content in store.objects.items() if key.startswith("out/_errors/")]
    assert [list(orjson.loads(line).values())[1:] for line in listed.splitlines()] == [
        [1, None, "3 cells, where the header names 5 columns"],
        [2, "b", "no value, and the model takes no missing values"],
        [3, "d", '"x4" is no number'],
        [5, None, "6 cells, where the header names 5 columns"],
    ]


def test_bad_lines_of_json_are_listed(batch, store):
    good = b'{"a": 1, "b": 2, "c": 3, "d": 4.5, "id": 7}\n'
    store.objects["in/x.jsonl"] = (
        good + b"{\n[1]\n" + good.replace(b"4.5", b'"4.5"') + good.replace(b"2", b"true") + good
    )
    batch(input_format=Format.JSONL, max_failed_rows_per_million=1_000_000)
    assert parts(store)["id"].to_pylist() == ["7", "7"]
    [listed] = [content for key, content in store.objects.items() if key.startswith("out/_errors/")]
    told = [orjson.loads(line) for line in listed.splitlines()]
    assert [one["row"] for one in told] == [1, 2, 3, 4]
    assert told[0]["reason"].startswith("no JSON: ")
    assert told[2]["column"], told[2]["reason"] == ("d", '"4.5" is no number')


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("parquet", as_parquet(table())[:-40]),
        ("jsonl.gz", gzip.compress(as_jsonl(table()))[:-30]),
        ("csv.gz", b"not gzip at all"),
        ("csv", b"a,b,c,d,id\n1,2,3,4,\xff\xfe\n"),
    ],
    ids=["parquet without its end", "gzip without its end", "no gzip", "no UTF-8"],
)
def test_a_poisoned_file_fails_its_shard_alone(batch, store, form, content):
    plain = Format(form.removesuffix(".gz"))
    write(store, plain, table(), "a", squeeze=form.endswith(".gz"))
    store.objects[f"in/b.{form}"] = content
    shards = 8 if plain is Format.PARQUET else 2
    numbers = list(range(shards))
    failed = []
    for number in numbers:
        try:
            batch(input_format=plain, shards=shards, only=number)
        except BatchError as error:
            failed.append((error.reason, error.code, error.message.partition(" cannot be read")[0]))
    assert failed == [(Reason.INPUT_UNREADABLE, ExitCode.SHARD, f"s3://bucket/in/b.{form}")]
    assert "out/_SUCCESS" not in store.objects


def test_no_input_is_told(batch):
    assert refusal(batch).reason == Reason.INPUT_NOT_FOUND


def test_input_and_output_in_each_other_are_refused(batch):
    assert "in each other" in refusal(batch, output="s3://bucket/in/scores/").message
    assert "in each other" in refusal(batch, input="s3://bucket/out/x/").message
