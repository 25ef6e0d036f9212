"""What was asked is counted behind the answers, exactly, whatever asked and however the rows were cut."""

import asyncio
import gzip
from dataclasses import replace

import jsonschema
import msgspec
import numpy as np
import orjson
import pytest
from openapi_spec_validator import validate

from modelway.profiling import profile
from modelway.server.app import App
from modelway.server.metadata import Reference
from modelway.server.observed_inputs import InputObserver
from modelway.server.observed_layout import lay_out
from modelway.server.observed_memory import ROWS, SKIPPED, Inputs
from modelway.server.openapi import document
from modelway.server.options import ServerOptions
from modelway.server.signature import Signature
from modelway.server.tensors import Batch, TensorSpec
from modelway.stats.drift_cells import FIGURES, MISSING, cell_counts, counted
from modelway.stats.drift_learning import grid
from modelway.stats.drift_reference import feature_of, from_record
from support.asked import answer_to
from support.fake_model import FakeModel, loaded

RNG = np.random.default_rng(1)
ROWS_OF_OLD = RNG.normal(size=(2000, 3))
MODEL = FakeModel(features=("a", "b", "c"))
MADE = profile(ROWS_OF_OLD, names=["a", "b", "c"])
USUAL = msgspec.convert(MADE.record(), Reference)
COLUMNS = FakeModel(
    inputs=(
        TensorSpec("age", "INT8", (-1, 1)),
        TensorSpec("city", "BYTES", (-1,)),
        TensorSpec("weight", "FP64", (-1,), nullable=True),
        TensorSpec("image", "UINT8", (-1, 2, 2)),
    ),
    compute=lambda batch: {"y": np.zeros(batch.rows, dtype=np.float32)},
)


def served(tmp_path, model=MODEL, usual=USUAL, **options):
    app = App(ServerOptions(tmp_path, "m", revision="abc", **options))
    app.serve(replace(loaded(model), usual=usual))
    return app


async def ask(app, path, body=b"", query=b"", **headers):
    return await answer_to(app, "POST" if body else "GET", path, body, query=query, **headers)


async def predict(app, rows):
    answer = await ask(app, "/v1/models/m:predict", orjson.dumps({"instances": rows}))
    assert answer.status == 200, answer.body
    return answer


async def told(app, of="inputs"):
    answer = await ask(app, "/v1/observations", query=b"of=" + of.encode())
    assert answer.status == 200, answer.body
    return orjson.loads(answer.body)


async def until_counted(app, rows):
    """Slices have turns of the event loop of their own."""
    async with asyncio.timeout(10):
        while (await told(app))["rows"] < rows:  # noqa: ASYNC110 there is nothing to wait for but turns of the loop
            await asyncio.sleep(0)


def expected(values, features=MADE.features):
    single = np.asarray(values, dtype=np.float32).astype(np.float64)
    return [counted(column, one.cells).tolist() for one, column in zip(features, single.T, strict=True)]


@pytest.mark.parametrize("cut", [1, 7, 500], ids=["a row each", "some rows each", "all at once"])
async def test_all_rows_are_counted_exactly(tmp_path, cut):
    app = served(tmp_path)
    values = RNG.normal(size=(500, 3))
    for begin in range(0, 500, cut):
        await predict(app, values[begin : begin + cut].tolist())
    await until_counted(app, 500)
    assert (await told(app))["features"] == expected(values)


async def test_who_is_counted_is_told_with_it(tmp_path):
    said = await told(served(tmp_path))
    assert (said["format"], said["model"], said["version"], said["revision"]) == (1, "m", "7", "abc")
    assert said["layout"] == (await told(served(tmp_path)))["layout"]
    assert said["layout"] != (await told(served(tmp_path, usual=None)))["layout"]


async def test_the_reference_is_told_in_the_order_of_the_counts(tmp_path):
    reordered = Reference(features=USUAL.features[::-1])
    said = await told(served(tmp_path, usual=reordered), "reference")
    assert [one.name for one in from_record(said)] == ["c", "b", "a"]
    assert (said["learning"], said["uncounted"]) == (False, {})


async def test_without_a_reference_all_columns_are_counted_for_one_to_be_learnt(tmp_path):
    app = served(tmp_path, COLUMNS, None)
    image = [[1, 2], [3, 4]]
    await predict(
        app,
        [
            {"age": 30, "city": "Vigo", "weight": None, "image": image},
            {"age": 31, "city": "Lugo", "weight": 2.5, "image": image},
        ],
    )
    reference, said = await told(app, "reference"), await told(app)
    assert reference["learning"] is True
    assert reference["features"] == [
        {"name": "age", "kind": "numbers"},
        {"name": "weight", "kind": "numbers"},
        {"name": "city", "kind": "texts"},
    ]
    assert reference["uncounted"] == {"image": "it is no column of values"}
    assert said["features"][0] == counted(np.array([30.0, 31.0]), grid()).tolist()
    assert said["features"][1][MISSING] == 1
    assert sum(said["features"][2][FIGURES:]) == 2


async def test_no_text_of_a_request_is_told(tmp_path):
    app = served(tmp_path, COLUMNS, None)
    await predict(app, [{"age": 30, "city": "Vigo", "weight": 1.0, "image": [[1, 2], [3, 4]]}])
    for of in ("inputs", "reference"):
        assert b"Vigo" not in (await ask(app, "/v1/observations", query=b"of=" + of.encode())).body


async def test_features_that_the_model_has_not_are_told_and_not_counted(tmp_path):
    made = profile(np.column_stack([ROWS_OF_OLD[:, :2], ROWS_OF_OLD[:, 2]]), names=["a", "label", "b"])
    app = served(tmp_path, usual=msgspec.convert(made.record(), Reference))
    await predict(app, [[1, 2, 3]])
    assert (await told(app, "reference"))["uncounted"] == {
        "label": "the model has no such column",
        "c": "the reference does not have it",
    }
    assert len((await told(app))["features"]) == 2


async def test_texts_where_the_model_takes_numbers_are_not_compared(tmp_path):
    made = profile({"a": ["x", "y"] * 10, "b": [1.0, 2.0] * 10})
    app = served(tmp_path, usual=msgspec.convert(made.record(), Reference))
    assert (await told(app, "reference"))["uncounted"]["a"] == "the reference has texts, the model takes the other"


async def test_requests_that_are_not_what_the_model_takes_are_counted(tmp_path):
    app = served(tmp_path)
    for body in (b"{", b'{"instances": [[1]]}', b'{"instances": [["x", 1, 2]]}'):
        assert (await ask(app, "/v1/models/m:predict", body)).status == 400
    assert ((await told(app))["refused"], (await told(app))["rows"]) == (3, 0)


async def test_a_share_of_the_requests_is_counted(tmp_path):
    app = served(tmp_path, observe_share=0.25)
    for _ in range(400):
        await predict(app, [[1, 2, 3]])
    await asyncio.sleep(0)
    assert (await told(app))["share"] == 0.25
    assert 50 < (await told(app))["rows"] < 150


async def test_of_none_nothing_is_counted(tmp_path):
    app = served(tmp_path, observe_share=0.0)
    await predict(app, [[1, 2, 3]] * 600)
    await asyncio.sleep(0)
    assert (await told(app))["rows"] == 0


async def test_a_large_request_is_counted_a_slice_at_a_turn(tmp_path):
    app = served(tmp_path)
    rows = np.round(ROWS_OF_OLD[:1400], 2)
    await predict(app, rows.tolist())
    assert 0 < (await told(app))["rows"] < 1400
    await until_counted(app, 1400)
    assert (await told(app))["features"] == expected(rows)


async def test_rows_beyond_what_may_wait_are_told():
    shared = Inputs()
    layout = lay_out(MODEL, Signature.of(MODEL), USUAL)
    observer = InputObserver(layout, shared.region(0))
    rows = np.zeros((800_000, 3), dtype=np.float32)
    for _ in range(3):
        observer.take(Batch({"x": rows}, len(rows), ()), 0.0)
    observer.settle()
    assert shared.region(0).fields[SKIPPED] == 2 * 800_000


async def test_beyond_the_rate_rows_are_left_out_and_told():
    shared, now = Inputs(), 100.0
    observer = InputObserver(lay_out(MODEL, Signature.of(MODEL), USUAL), shared.region(0), rate=10.0)
    rows = np.zeros((15, 3), dtype=np.float32)
    seen = []
    for seconds in (0.0, 0.0, 0.0, 1.0, 1.0):  # 20 rows at once, then 10 a second; after 30 of them 10 are owed
        now += seconds
        observer.take(Batch({"x": rows}, 15, ()), now)
        observer.settle()
        seen.append(shared.region(0).fields[ROWS])
    assert seen == [15, 30, 30, 30, 45]
    assert shared.region(0).fields[SKIPPED] == 2 * 15


async def test_workers_are_added_up(tmp_path):
    shared = Inputs(2)
    layout = lay_out(MODEL, Signature.of(MODEL), USUAL)
    values = RNG.normal(size=(100, 3))
    for worker, part in ((0, values[:30]), (1, values[30:])):
        observer = InputObserver(layout, shared.region(worker))
        observer.take(Batch({"x": part}, len(part), ()), 0.0)
        observer.settle()
    merged = np.sum([np.asarray(region.counts)[: layout.size] for region in shared.regions()], axis=0)
    alone = Inputs()
    observer = InputObserver(layout, alone.region(0))
    observer.take(Batch({"x": values}, 100, ()), 0.0)
    observer.settle()
    assert merged.tolist() == np.asarray(alone.region(0).counts)[: layout.size].tolist()


async def test_a_worker_that_replaces_another_counts_on_unless_the_reference_changed():
    shared = Inputs()
    layout = lay_out(MODEL, Signature.of(MODEL), USUAL)
    for rows, of in ((10, layout), (20, layout), (5, lay_out(MODEL, Signature.of(MODEL), None))):
        observer = InputObserver(of, shared.region(0))
        observer.take(Batch({"x": np.ones((rows, 3))}, rows, ()), 0.0)
        observer.settle()
        begin = of.counted[0].begin
        seen = cell_counts(np.asarray(shared.region(0).counts)[begin : of.counted[0].end]).sum()
        assert seen == {10: 10, 20: 30, 5: 5}[rows]
    assert shared.region(0).fields[ROWS] == 5


async def test_who_reads_gzip_gets_less(tmp_path):
    app = served(tmp_path)
    plain = await ask(app, "/v1/observations", query=b"of=inputs")
    packed = await ask(app, "/v1/observations", query=b"of=inputs", accept_encoding="gzip, deflate")
    assert packed.headers == {"content-encoding": "gzip"}
    assert gzip.decompress(packed.body) == plain.body
    assert (await ask(app, "/v1/observations", query=b"of=inputs", accept_encoding="gzip;q=0")).headers is None


async def test_a_reading_of_30_features_is_at_most_3_kilobytes(tmp_path):
    names = [f"feature_{place}" for place in range(30)]
    wide = FakeModel(inputs=(TensorSpec("x", "FP32", (-1, 30)),), features=tuple(names))
    rows = RNG.lognormal(size=(10_000, 30))
    app = served(tmp_path, wide, msgspec.convert(profile(rows, names=names).record(), Reference))
    counts = [counted(column, one.cells) for one, column in zip(app.layout.counted, rows.T, strict=True)]
    app._inputs._counts += np.concatenate(counts) * 100 + RNG.integers(0, 100, app.layout.size)  # of a million rows
    packed = await ask(app, "/v1/observations", query=b"of=inputs", accept_encoding="gzip")
    assert len(packed.body) < 3000


async def test_an_unknown_kind_is_refused(tmp_path):
    answer = await ask(served(tmp_path), "/v1/observations", query=b"of=rows")
    assert answer.status == 400
    assert orjson.loads(answer.body)["error"] == "of: expected answers, inputs, reference, quality, got 'rows'"


async def test_before_the_model_is_there_nothing_can_be_told(tmp_path):
    app = App(ServerOptions(tmp_path, "m"))
    assert (await ask(app, "/v1/observations", query=b"of=inputs")).status == 503
    assert (await ask(app, "/v1/observations", query=b"of=answers")).status == 200


async def test_a_server_that_does_not_observe_counts_nothing(tmp_path):
    app = served(tmp_path, observe=False)
    await predict(app, [[1, 2, 3]])
    assert (await ask(app, "/v1/observations", query=b"of=inputs")).status == 404
    assert app._inputs is None


async def test_a_model_of_no_columns_counts_rows_of_none(tmp_path):
    app = served(tmp_path, FakeModel(inputs=(TensorSpec("x", "FP32", (-1, -1)),)), None)
    await predict(app, [[1, 2]])
    assert ((await told(app))["features"], (await told(app))["rows"]) == ([], 0)


def test_without_a_reference_only_the_first_features_of_many_are_counted():
    wide = FakeModel(inputs=(TensorSpec("x", "FP32", (-1, 120)),))
    layout = lay_out(wide, Signature.of(wide), None)
    assert [one.name for one in layout.counted] == [f"x[{place}]" for place in range(100)]
    assert layout.uncounted["x[100]"] == "only 100 features are counted without a reference"


async def test_what_is_told_is_described(tmp_path):
    app = served(tmp_path)
    await predict(app, [[1, 2, 3]])
    described = document(Signature.of(MODEL), "m", None)
    validate(described)
    for of, name in (("inputs", "Inputs"), ("reference", "InputReference")):
        schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
        jsonschema.Draft202012Validator(schema).validate(await told(app, of))


def test_features_are_those_of_the_file():
    assert [feature_of(msgspec.structs.asdict(one)) for one in USUAL.features] == list(MADE.features)
