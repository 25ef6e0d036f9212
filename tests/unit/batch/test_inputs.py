"""What a run's inputs say beside the model's reference: counted by shards, added up, judged as one window."""

import msgspec
import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.batch.counting import MOST_ROWS, Counts, Sample, Total
from modelway.batch.inputs import Compared
from modelway.batch.run import ModelOptions
from modelway.profiling import profile
from modelway.server.metadata import Reference
from modelway.server.observed_layout import lay_out_columns
from modelway.stats.drift import Rule, Verdict
from modelway.stats.drift_cells import FIGURES, MISSING
from modelway.stats.drift_findings import Finding, Kind
from support.batch import NAMES, as_parquet, parts, table
from support.models import iris

TIMES = 8
RULE = Rule(min_rows=100)


def usual(times=20):
    """What `modelway profile` says of many irises."""
    rows = np.tile(iris().rows, (times, 1)).astype(np.float32)
    return profile({name: rows[:, index] for index, name in enumerate(NAMES)}).record()


def write_model(folder, **said):
    (folder / "model.onnx").write_bytes(iris().onnx)
    (folder / "modelway.json").write_bytes(orjson.dumps({"version": "3"} | said))
    return ModelOptions(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The model of all other tests, with a reference; `batch` takes it."""
    return write_model(tmp_path_factory.mktemp("model"), featureNames=NAMES, reference=usual())


def moved(name, by):
    """Rows of which one column is not as usual."""
    rows = table(TIMES)
    place = rows.column_names.index(name)
    return rows.set_column(place, name, pa.array(rows[name].to_numpy() + by))


def judged(batch, store, rows, **changes):
    store.objects["in/x.parquet"] = as_parquet(rows)
    return batch(**({"rule": RULE} | changes)).finished.inputs


def manifest(store):
    return orjson.loads(store.objects["out/_manifest.json"])


def test_rows_as_usual_have_not_drifted(batch, store, model):
    told = judged(batch, store, table(TIMES), model=model, shards=3).told(hides=False)
    assert (told["features"], told["driftedFeatures"], told["issues"]) == (4, 0, [])
    assert [one["drifted"] for one in told["worst"]] == [False] * 4
    assert manifest(store)["drift"]["rows"] == 150 * TIMES


def test_a_column_that_has_moved_is_named_first(batch, store, model):
    told = judged(batch, store, moved("c", 0.8), model=model, shards=3).told(hides=False)
    assert told["driftedFeatures"] == 1
    first, *others = told["worst"]
    assert (first["name"], first["drifted"]) == ("c", True)
    assert float(first["psi"]) > 0.1 > max(float(one["psi"]) for one in others)


def test_what_is_broken_is_told_beside_what_has_drifted(batch, store, model):
    told = judged(batch, store, moved("a", 1000.0), model=model).told(hides=False)
    assert {"name": "a", "kind": "OutOfRange"} in told["issues"]
    assert {"name": "a", "kind": "Unit"} in told["issues"]


@pytest.mark.parametrize("shards", [2, 7])
def test_any_number_of_shards_says_the_same(batch, store, model, shards):
    whole = judged(batch, store, moved("c", 0.3), model=model, output="s3://bucket/whole/")
    assert judged(batch, store, moved("c", 0.3), model=model, shards=shards) == whole


def test_a_shard_that_is_scored_again_counts_the_same(batch, store, model):
    judged(batch, store, moved("c", 0.3), model=model, shards=3)
    before, content = manifest(store)["drift"], dict(store.objects)
    for key in content:
        if "part-" in key or "_SUCCESS" in key or "_manifest" in key:
            del store.objects[key]
    assert batch(model=model, shards=3, rule=RULE).scored == 3
    assert manifest(store)["drift"] == before
    assert {key: store.objects[key] for key in content if "part-" in key} == {
        key: value for key, value in content.items() if "part-" in key
    }


def test_without_a_reference_nothing_is_counted(batch, store, tmp_path):
    assert judged(batch, store, table(), model=write_model(tmp_path, featureNames=NAMES)) is None
    records = [orjson.loads(content) for key, content in store.objects.items() if "_shards/" in key]
    assert ["inputs" in one for one in records] == [False]
    assert manifest(store)["drift"] is None


def test_a_shard_of_a_runner_that_did_not_count_leaves_the_run_without_a_verdict(batch, store, model):
    judged(batch, store, table(TIMES), model=model, shards=2, only=0)
    [key] = [key for key in store.objects if "_shards/" in key]
    record = orjson.loads(store.objects[key])
    del record["inputs"]
    store.objects[key] = orjson.dumps(record)
    finished = batch(model=model, shards=2, only=1, rule=RULE).finished
    assert (finished.complete, finished.inputs) == (True, None)


def test_rows_without_an_answer_are_not_counted(batch, store, model):
    rows = table(TIMES).to_pydict()
    rows["a"][::2] = [None] * (75 * TIMES)
    judged(batch, store, pa.table(rows), model=model, max_failed_rows_per_million=1_000_000)
    assert parts(store).num_rows == 75 * TIMES == manifest(store)["drift"]["rows"]
    assert not any(one["name"] == "a" for one in manifest(store)["drift"]["issues"])


def test_fewer_rows_than_asked_for_say_nothing(batch, store, model):
    inputs = judged(batch, store, moved("c", 5.0), model=model, rule=Rule(min_rows=10_000))
    assert inputs.told(hides=False)["features"] == 0
    assert all("fewer than 10000" in one["because"] for one in inputs.record()["features"])


def test_a_model_that_knows_no_names_is_compared_by_those_that_the_run_gives_it(batch, store, tmp_path):
    told = judged(batch, store, moved("c", 0.8), model=write_model(tmp_path, reference=usual()), features=NAMES)
    assert told.told(hides=False)["worst"][0]["name"] == "c"


def test_a_reference_of_other_inputs_is_none(batch, store, tmp_path):
    other = usual()
    for one in other["features"]:
        one["name"] += "_other"
    assert judged(batch, store, table(), model=write_model(tmp_path, featureNames=NAMES, reference=other)) is None


def compared(names, drifted=()):
    verdicts = tuple(Verdict(one, 900, psi=0.01 * place, moved=one in drifted) for place, one in enumerate(names))
    return Compared(names, RULE, 900, verdicts, (Finding(names[2], Kind.MISSING, 0.5, 0.0),))


def test_names_that_are_hidden_are_numbers():
    names = tuple("abcdefgh")
    told = compared(names, drifted=("c",)).told(hides=True)
    assert told["worst"][0] == {"name": "feature 3", "psi": "0.02", "drifted": True}
    assert told["issues"] == [{"name": "feature 3", "kind": "Missing"}]
    assert not {one["name"] for one in told["worst"]} & set(names)


def test_the_five_worst_are_told_those_that_drifted_first():
    told = compared(tuple("abcdefgh"), drifted=("b", "a")).told(hides=False)
    assert [one["name"] for one in told["worst"]] == ["b", "a", "h", "g", "f"]
    assert (told["features"], told["driftedFeatures"]) == (8, 2)


# The sample


def layout():
    reference = {"features": [{"name": "x", "edges": [0.5, 1.5, 2.5], "lowest": 0, "highest": 3, "counts": [1] * 4}]}
    return lay_out_columns({"x": "f"}, (), msgspec.convert(reference, Reference))


def sampled(values, sizes=(1 << 15,)):
    """What is counted of rows that come in blocks of these sizes."""
    sample, at, turn = Sample(layout()), 0, 0
    while at < len(values):
        block = values[at : at + sizes[turn % len(sizes)]]
        sample.add({"x": block}, len(block))
        at, turn = at + len(block), turn + 1
    return sample.counts()


@given(rows=st.integers(0, 3 * MOST_ROWS), sizes=st.lists(st.integers(1000, 40_000), min_size=1, max_size=4))
def test_blocks_of_any_size_give_the_same_sample(rows, sizes):
    values = np.arange(rows, dtype=np.float64) % 4
    one, other = sampled(values, sizes), sampled(values)
    assert one == other
    assert (one.numbers == other.numbers).all()
    assert one.rows <= MOST_ROWS
    assert one.rows == rows if rows <= MOST_ROWS else one.rows > MOST_ROWS * 0.45


@pytest.mark.parametrize("period", [2, 3, 4, 7, 24, 55, 64, 89, 1000])
def test_rows_that_alternate_are_seen_from_all_sides(period):
    values = (np.arange(1_000_000) % period >= period // 2).astype(np.float64)
    counts = sampled(values)
    share = counts.numbers[FIGURES + 1] / counts.rows
    assert share == pytest.approx(values.mean(), abs=0.015)


def test_a_row_of_a_shard_that_leaves_rows_out_stands_for_these():
    small, large = np.zeros(10_000), np.ones(1_000_000)
    total = Total(layout().id, layout().size)
    for values in (small, large):
        total.add(Counts.of(orjson.loads(orjson.dumps(sampled(values).record()))))
    cells = total.window()[FIGURES:]
    assert (total.shards, total.stride) == (2, 64)
    assert cells[0] / cells.sum() == pytest.approx(10_000 / 1_010_000, rel=0.1)
    assert cells.sum() <= total.rows


def test_missing_values_are_counted_apart():
    counts = sampled(np.array([0.0, np.nan, 3.0, np.nan]))
    assert counts.numbers[MISSING] == 2
    assert counts.numbers[FIGURES:].tolist() == [1, 0, 0, 1]


def test_counts_of_another_layout_do_not_add_up():
    total = Total(layout().id, layout().size)
    total.add(Counts("other", 1, 5, np.ones(layout().size, np.int64)))
    total.add(None)
    assert (total.shards, total.rows) == (0, 0)


def test_a_wide_model_is_sampled_by_fewer_rows():
    features = [{"name": f"x{at}", "edges": [0.0], "lowest": -1, "highest": 1, "counts": [1, 1]} for at in range(500)]
    names = tuple(one["name"] for one in features)
    wide = lay_out_columns(dict.fromkeys(names, "f"), names, msgspec.convert({"features": features}, Reference))
    sample = Sample(wide)
    sample.add({"X": np.zeros((12_000, 500), np.float32)}, 12_000)
    assert sample.counts().rows == pytest.approx(6_000, rel=0.05)
