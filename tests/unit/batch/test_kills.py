"""Runs that are killed at any write, run twice at once, and run over stores that ignore conditions.

What must hold: `_SUCCESS` is there only when every row was answered exactly once by the one model, and what is there
then is byte for byte what an undisturbed run writes.
"""

import contextlib

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelway.batch.errors import BatchError, Reason
from support.batch import Killed, as_parquet, output, parts, table

SHARDS = 3


@pytest.fixture
def fresh(store, batch):
    """Empty the store but for the input, which has a bad row."""
    rows = table().to_pydict()
    rows["a"][50] = None
    content = as_parquet(pa.table(rows))

    def empty(*, honours=True):
        store.__init__(honours=honours)
        store.objects["in/x.parquet"] = content

    empty()
    return empty


@pytest.fixture
def undisturbed(fresh, batch, store):
    batch(shards=SHARDS, max_failed_rows_per_million=10_000)
    found = output(store)
    fresh()
    return found


def assert_success_is_true(store):
    if "out/_SUCCESS" not in store.objects:
        return
    assert parts(store)["id"].to_pylist() == [one for one in range(150) if one != 50]
    manifest = orjson.loads(store.objects["out/_manifest.json"])
    assert {"out/" + part["path"] for part in manifest["parts"]} == {key for key in store.objects if "out/part-" in key}
    assert (manifest["rows"], manifest["failedRows"]) == (150, 1)


@given(
    kills=st.lists(
        st.tuples(st.integers(1, 12), st.booleans(), st.sampled_from([None, 0, 1, 2])), min_size=1, max_size=6
    )
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_run_killed_at_any_writes_ends_as_if_it_had_not_been(fresh, undisturbed, batch, store, kills):
    fresh()
    for write, after, only in kills:
        store.kill_at, store.kill_after_effect, store.writes = write, after, 0
        with contextlib.suppress(Killed):
            batch(shards=SHARDS, only=only, max_failed_rows_per_million=10_000)
        assert_success_is_true(store)
    store.kill_at = None
    assert batch(shards=SHARDS, max_failed_rows_per_million=10_000).finished.complete
    assert_success_is_true(store)
    assert output(store) == undisturbed


@pytest.mark.parametrize("after", [False, True], ids=["before it is done", "after it was done"])
def test_every_single_write_can_be_the_last(fresh, undisturbed, batch, store, after):
    for write in range(1, 40):
        fresh()
        store.kill_at, store.kill_after_effect = write, after
        try:
            batch(shards=SHARDS, max_failed_rows_per_million=10_000)
        except Killed:
            assert_success_is_true(store)
            store.kill_at = None
            assert batch(shards=SHARDS, max_failed_rows_per_million=10_000).finished.complete
        else:
            assert write > SHARDS * 3
            return
        assert_success_is_true(store)
        assert output(store) == undisturbed
    raise AssertionError("a run has fewer writes than that")


@pytest.mark.parametrize(("first", "second"), [(None, None), (0, None), (None, 0), (1, 1), (2, 0)])
def test_another_run_at_any_moment_of_the_first_changes_nothing(fresh, undisturbed, batch, store, first, second):
    for moment in range(1, 80):
        fresh()
        moments = iter(range(1, 1000))

        def interrupt(moment=moment, moments=moments):
            if next(moments) == moment:
                store.before = lambda: None
                batch(shards=SHARDS, only=second, max_failed_rows_per_million=10_000)

        store.before = interrupt
        batch(shards=SHARDS, only=first, max_failed_rows_per_million=10_000)
        assert_success_is_true(store)
        if store.before is interrupt:
            assert moment > 10
            return
        assert batch(shards=SHARDS, max_failed_rows_per_million=10_000).finished.complete
        assert_success_is_true(store)
        assert output(store) == undisturbed
    raise AssertionError("a run has fewer reads and writes than that")


def test_a_shard_that_fails_for_another_run_has_done_it_is_done(fresh, undisturbed, batch, store):
    def interrupt(key):
        if "/part-" in key:
            store.before_write = lambda _key: None
            batch(shards=SHARDS, max_failed_rows_per_million=10_000)
            raise BatchError(Reason.STORE_FAILED, "it is gone")

    store.before_write = interrupt
    outcome = batch(shards=SHARDS, max_failed_rows_per_million=10_000)
    assert (outcome.scored, outcome.skipped, outcome.finished.complete) == (0, SHARDS, True)
    assert_success_is_true(store)
    assert output(store) == undisturbed


def test_a_shard_that_fails_and_is_not_done_fails_the_run(fresh, batch, store):
    def interrupt(key):
        if "/part-" in key:
            raise BatchError(Reason.STORE_FAILED, "it is gone")

    store.before_write = interrupt
    with pytest.raises(BatchError, match="it is gone"):
        batch(shards=SHARDS, max_failed_rows_per_million=10_000)
    assert "out/_SUCCESS" not in store.objects


def test_on_a_store_without_conditions_two_plans_end_loudly_or_right(fresh, undisturbed, batch, store):
    fresh(honours=False)

    def interrupt(key):
        if key.endswith("_plan.json"):
            store.before_write = lambda _key: None
            store.objects["in/y.parquet"] = as_parquet(table())
            batch(shards=SHARDS, only=0, max_failed_rows_per_million=10_000)
            del store.objects["in/y.parquet"]

    store.before_write = interrupt
    with pytest.raises(BatchError) as caught:
        batch(shards=SHARDS, max_failed_rows_per_million=10_000)
    assert caught.value.reason == Reason.OUTPUT_NOT_EMPTY
    assert "out/_SUCCESS" not in store.objects
    assert not store.exclusive


def test_on_a_store_without_conditions_a_plan_that_was_replaced_is_no_success(fresh, batch, store):
    fresh(honours=False)
    batch(shards=SHARDS, only=0, max_failed_rows_per_million=10_000)
    batch(shards=SHARDS, only=1, max_failed_rows_per_million=10_000)

    def replace(key):
        if "_shards/" in key:
            document = orjson.loads(store.objects["out/_plan.json"])
            document["files"][0][1] += 1
            store.objects["out/_plan.json"] = orjson.dumps(document)

    store.before_write = replace
    with pytest.raises(BatchError) as caught:
        batch(shards=SHARDS, only=2, max_failed_rows_per_million=10_000)
    assert caught.value.reason == Reason.PLAN_DIFFERS
    assert "out/_SUCCESS" not in store.objects
